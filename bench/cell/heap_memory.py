"""The heap that one call takes: memray where there is one, else tracemalloc. Never in a timed call."""

from __future__ import annotations

import gc
import time
import tracemalloc
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SETTLE_SECONDS = 0.02
"""A library's own threads may let go of memory a moment after the call: JAX was said to leak in one call of three."""


@dataclass(frozen=True)
class Memory:
    """What a call took from the heap.

    Attributes
    ----------
    peak_bytes : int
        The highest the heap rose during the call above where it stood before.
    retained_bytes : int
        What was still held when the call returned, its result included.
    tool : {"memray", "tracemalloc"}
        What measured it. memray sees every allocation of the process, tracemalloc only those that go through Python.
    """

    peak_bytes: int
    retained_bytes: int
    tool: str


def leaked_bytes(call: Callable[[], Any]) -> int | None:
    """Call once, drop the result, and return what is held all the same; None without memray."""
    if not has_memray():
        return None

    def dropped() -> None:
        call()
        time.sleep(SETTLE_SECONDS)

    return _watched(dropped).retained_bytes


def measure(call: Callable[[], Any]) -> Memory:
    """Call once and measure the heap. The call should have been made before, so that nothing is made for the first time.

    Parameters
    ----------
    call : callable
        Called without arguments; its result is dropped.

    Returns
    -------
    Memory
        In bytes.
    """
    return _watched(call) if has_memray() else _traced(call)


@contextmanager
def _quiet() -> Iterator[None]:
    """Collect garbage now, and not before this is left."""
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
    """Return whether memray is installed (there is none for Windows)."""
    return find_spec("memray") is not None


def _watched(call: Callable[[], Any]) -> Memory:
    import memray  # noqa: PLC0415  (not everywhere)

    with _quiet(), TemporaryDirectory(prefix="jacobench-memory-") as folder:
        path = Path(folder) / "allocations.bin"
        with memray.Tracker(
            destination=memray.FileDestination(path, overwrite=True, compress_on_exit=False),
            file_format=memray.FileFormat.AGGREGATED_ALLOCATIONS,
        ):
            result = call()
        reader = memray.FileReader(path)
        peak = reader.metadata.peak_memory
        retained = sum(record.size for record in reader.get_leaked_allocation_records(merge_threads=True))
        del result
    return Memory(peak, retained, "memray")


def _traced(call: Callable[[], Any]) -> Memory:
    with _quiet():
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
