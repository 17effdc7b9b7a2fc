"""Limits of a worker process: its data, so that a wrong prediction ends as ``out_of_memory``, and its life."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SLACK = 2**29  # 512 MiB above the budget, for verification, the libraries' own buffers and the memory profiler

HOLES = 0.5
"""Share of the budget by which the heap may exceed the arrays in use. Workers do not return freed memory, and a hole that is
a few bytes too small for an array is useless: more than 2.6 GiB of heap were needed for 2.0 GiB of arrays, the largest of 441 MiB."""

PR_SET_PDEATHSIG = 1

STATUS = Path("/proc/self/status")


def limit_data(budget_bytes: int | None) -> int | None:
    """Limit this process's data to its present size plus the budget, its `HOLES` and the slack; None: no limit.

    Larger allocations fail; NumPy reports them as MemoryError. Call it again when the footprint changes. Returns
    the limit; None where the system has none (all but Linux) or does not tell the present size (without /proc).
    """
    if sys.platform != "linux" or not STATUS.exists():
        return None
    import resource  # noqa: PLC0415  (POSIX only)

    _, limit = resource.getrlimit(resource.RLIMIT_DATA)
    hard = limit
    if budget_bytes is not None:
        wanted = _data_bytes() + int((1 + HOLES) * budget_bytes) + SLACK
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return limit


@contextmanager
def unlimited_then(budget_bytes: int) -> Iterator[None]:
    """Remove the limit while a plug-in's libraries are loaded, then set it above the new footprint."""
    limit_data(None)
    try:
        yield
    finally:
        limit_data(budget_bytes)


def _data_bytes() -> int:
    """Return the bytes that count against the limit: private writable memory, touched or not."""
    status = STATUS.read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024


def die_with_parent(parent: int | None = None) -> None:
    """Ask Linux to end this process when its parent ends. Elsewhere the closed pipe ends it at its next report.

    With the process id of the parent, this process ends at once if the parent has ended before.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent not in {None, os.getppid()}:
            os._exit(1)
