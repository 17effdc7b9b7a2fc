"""A hard limit on a worker's data, so that a wrong prediction ends as ``out_of_memory`` and not as a dead machine."""

from __future__ import annotations

import sys
from pathlib import Path

SLACK = 2**29
"""512 MiB beside the budget: what proving a strategy right holds, the libraries' own buffers, the profiler."""


def limit_data(budget_bytes: int) -> int | None:
    """Let this process's data grow by the budget and the slack above where they stand now, and no further.

    Beyond it allocations fail, which NumPy tells as MemoryError. It may be called again as the footprint changes.

    Parameters
    ----------
    budget_bytes : int
        The memory budget.

    Returns
    -------
    int or None
        The limit in bytes; None where the system has none to set (off Linux).
    """
    if sys.platform != "linux":
        return None
    import resource  # noqa: PLC0415  (POSIX only)

    wanted = _data_bytes() + budget_bytes + SLACK
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return limit


def lift() -> None:
    """Lift the limit, as while a plug-in's libraries are loaded."""
    if sys.platform != "linux":
        return
    import resource  # noqa: PLC0415  (POSIX only)

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _data_bytes() -> int:
    """Return what the kernel counts against the limit: private writable memory, whether touched or not."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024
