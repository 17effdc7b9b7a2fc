"""Heap memory of one call: memray where it is installed, else tracemalloc. It is never measured in a timed call."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import sys
import time
import tracemalloc
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any

from .side_effects import process_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESOLUTION_BYTES = 8192
"""Smallest amount of memory that is reported. Objects of Python and blocks that NumPy keeps for reuse are part of the
heap, too: in 288 gradients of networks of width 4 to 64 they added up to 4.1 KiB to the arrays' bytes."""

NUMPY_CACHED_BELOW = 1024  # bytes; NumPy keeps freed blocks of these sizes for reuse (`NBUCKETS` in its alloc.c)
NUMPY_CACHED_BLOCKS = 7  # of each size, in bytes (`NCACHE`)

CACHED_SIZES = [size for size in range(1, NUMPY_CACHED_BELOW) for _ in range(NUMPY_CACHED_BLOCKS)]

MEMRAY_FILE_BYTES = 2**20  # free space that memray's file may need; for a dense gradient of 49 layers it took 8 KB
OTHER_FOLDERS = ("/dev/shm", "/var/tmp")  # noqa: S108  (used as the temporary folder, if that is full)

SMALL_OBJECT_BYTES = 448
"""Python takes objects of up to 512 bytes from blocks of 1 MiB, which it maps as needed. A call that happens to need a new
block seemed to use 1 MiB more: 9 of 1,684 gradients, each after a random number of small objects."""

SPACE_BYTES = 2**20  # space in such blocks during a call
KEPT_EVERY = 1000  # one of this number of objects is kept, so that no block is empty, as Python unmaps empty ones

SETTLE_SECONDS = 0.02
"""A library's threads may release memory shortly after the call: without this, one JAX call in three seemed to leak."""


@dataclass(frozen=True)
class Memory:
    """Heap memory of a call."""

    peak_bytes: int  # largest increase of the heap during the call
    retained_bytes: int  # heap still allocated when the call returns, its result included
    tool: str  # "memray" records every allocation of the process, "tracemalloc" only those made through Python

    @property
    def columns(self) -> dict[str, Any]:
        """Columns of a row: an amount below the tool's resolution is None."""
        peak, retained = map(_resolved, (self.peak_bytes, self.retained_bytes))
        return {"peak_bytes": peak, "retained_bytes": retained, "memory_tool": self.tool}


def _resolved(n_bytes: int) -> int | None:
    return n_bytes if n_bytes >= RESOLUTION_BYTES else None


def leaked_bytes(call: Callable[[], Any]) -> int | None:
    """Call, drop the result, and return the bytes still allocated; None without memray.

    A leak repeats; what a call or Python allocates once does not. So this is the smaller amount of two calls.
    """
    if not has_memray():
        return None
    settle = 0.0 if process_state().threads == 1 else SETTLE_SECONDS

    def dropped() -> None:
        call()
        time.sleep(settle)

    return min(_with_memray(dropped).retained_bytes for _ in range(2))


def measure(call: Callable[[], Any]) -> Memory:
    """Call once and measure the heap, in bytes. Make the call once before, so that caches are filled.

    For NumPy's own cache the opposite holds: memray does not see a block that the call takes from it. It reported 120 B
    for a call that uses 3 KB. So the cache is empty during the call.
    """
    if not has_memray():
        return _with_tracemalloc(call)
    with _numpy_cache_empty():
        return _with_memray(call)


@contextmanager
def _numpy_cache_empty() -> Iterator[None]:
    """Hold every block of NumPy's cache, about 4 MB, so that the cache is empty."""
    numpy = sys.modules.get("numpy")  # a benchmark of another package may not use it
    held = list(map(numpy.empty, CACHED_SIZES, repeat(numpy.dtype(numpy.uint8)))) if numpy else []
    yield
    del held


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def has_memray() -> bool:
    """Return whether memray is installed. It does not exist for Windows."""
    return find_spec("memray") is not None


def import_tool() -> None:
    """Import memray, if it is installed. Its import changes Python's random state, so it must not be part of a cell."""
    if has_memray():
        import memray  # noqa: F401, PLC0415  (not on every platform)


def folder_with_space() -> str:
    """Return a folder for memray's file. On a full disk memray fails silently, and every peak would be 0 bytes.

    Raises OSError if there is none.
    """
    for folder in (gettempdir(), *OTHER_FOLDERS):
        if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= MEMRAY_FILE_BYTES:
            return folder
    raise OSError(errno.ENOSPC, "no space to measure memory; set TMPDIR to a folder with more space", gettempdir())


@contextmanager
def _space_for_small_objects() -> Iterator[None]:
    """Provide space in the blocks that Python has mapped, so that it maps none during a call."""
    made = [bytes(SMALL_OBJECT_BYTES - sys.getsizeof(b"")) for _ in range(SPACE_BYTES // SMALL_OBJECT_BYTES)]
    kept = made[::KEPT_EVERY]
    del made
    yield
    del kept


def _with_memray(call: Callable[[], Any]) -> Memory:
    import memray  # noqa: PLC0415  (not on every platform)

    with _without_collector(), TemporaryDirectory(prefix="jacobench-memory-", dir=folder_with_space()) as folder:
        path = Path(folder) / "allocations.bin"
        with (
            _space_for_small_objects(),
            memray.Tracker(
                destination=memray.FileDestination(path, overwrite=True, compress_on_exit=False),
                file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
            ),
        ):
            result = call()
        reader = memray.FileReader(path)
        peak = reader.metadata.peak_memory
        retained = sum(record.size for record in reader.get_leaked_allocation_records(merge_threads=True))
        del result
    return Memory(peak, retained, "memray")


def _with_tracemalloc(call: Callable[[], Any]) -> Memory:
    with _without_collector():
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            result = call()
            after, peak = tracemalloc.get_traced_memory()
            del result
        finally:
            tracemalloc.stop()
    return Memory(peak - before, after - before, "tracemalloc")
