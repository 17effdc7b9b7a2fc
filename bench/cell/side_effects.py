"""Side effects of a strategy (threads, processes, output, leaks), reported as notes in its rows."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

LEAK_BYTES = 2**16  # a call that leaves more than 64 KiB allocated is reported as a leak
OUTPUT_KEPT = 1000  # characters of a strategy's output that are kept


@dataclass(frozen=True)
class ProcessState:
    """Number of threads and of child processes that are alive."""

    threads: int
    children: int


def process_state() -> ProcessState:
    """Count this process's threads and children; 0 if the system does not tell, as without /proc."""
    try:
        process = psutil.Process()
        return ProcessState(process.num_threads(), len(process.children(recursive=True)) if _has_children() else 0)
    except (psutil.Error, OSError):
        return ProcessState(0, 0)


def _has_children() -> bool:
    """Return False if this process surely has no children. To list them, psutil reads the files of all processes."""
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def notes(before: ProcessState, after: ProcessState, printed: str, leaked: int | None) -> str:
    """Describe a strategy's side effects; empty without any.

    `before` is the state before the strategy's first cell of a case, `printed` its output on stdout and stderr.
    `leaked` is the number of bytes that stay allocated after a call whose result was dropped; None if not measured.
    """
    found = [
        _counted(after.threads - before.threads, "started {} thread{} that it did not end"),
        _counted(after.children - before.children, "started {} process{} that it did not end", "es"),
        f"printed {len(printed):,} characters" if printed else "",
        f"leaks {leaked:,} bytes per call" if leaked is not None and leaked > LEAK_BYTES else "",
    ]
    return "; ".join(note for note in found if note)


def _counted(count: int, text: str, plural: str = "s") -> str:
    return text.format(count, "" if count == 1 else plural) if count > 0 else ""
