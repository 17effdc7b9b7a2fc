"""Memory that this process may use: that of the machine, or less by control groups and resource limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.machine.machine_record import read, total_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROLLERS = {"": ("", "memory.max"), "memory": ("memory", "memory.limit_in_bytes")}
"""Controller in /proc/self/cgroup (empty: version 2) → folder below /sys/fs/cgroup, and the file with the limit."""


def memory_limit(root: Path = Path("/")) -> int:
    """Return the smallest of the machine's memory, its control groups' limits and this process's limits, in bytes.

    The process's own group and all groups above it count. `root` is the folder that contains ``proc`` and ``sys``.
    """
    return min([total_memory(), *_group_limits(root), *_process_limits()])


def _group_limits(root: Path) -> Iterator[int]:
    for line in read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for controller in controllers.split(","):
            if controller in CONTROLLERS:
                folder, name = CONTROLLERS[controller]
                top = root / "sys/fs/cgroup" / folder
                own = top / group.lstrip("/")
                # In a container the group's path may be the host's, which does not exist here: the top is its own.
                for place in {top, *(parent for parent in (own, *own.parents) if parent.is_relative_to(top))}:
                    limit = read(place / name)
                    if limit.isdigit():  # version 2 has "max" for none
                        yield int(limit)


def _process_limits() -> Iterator[int]:
    try:
        import resource  # noqa: PLC0415  (POSIX only)
    except ImportError:
        return
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        soft, _ = resource.getrlimit(getattr(resource, name))
        if soft != resource.RLIM_INFINITY:
            yield soft
