"""A strategy's manners: what it does beside its work, which costs it nothing but a note in its rows."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

LEAK_BYTES = 2**16
"""A call that leaves more than 64 KiB behind is said to leak."""

OUTPUT_KEPT = 1000
"""Characters of what a strategy printed that are kept."""


@dataclass(frozen=True)
class ProcessState:
    """What a process has beside its memory.

    Attributes
    ----------
    threads, children : int
        How many are alive.
    """

    threads: int
    children: int


def process_state() -> ProcessState:
    """Count this process's threads and children."""
    process = psutil.Process()
    return ProcessState(process.num_threads(), len(process.children(recursive=True)))


def notes(before: ProcessState, after: ProcessState, printed: str, leaked: int | None) -> str:
    """Say what a strategy left behind.

    Parameters
    ----------
    before, after : ProcessState
        Of its first cell, and now.
    printed : str
        What it wrote to standard output and error.
    leaked : int or None
        Bytes that one call left behind beside its result; None if that was not measured.

    Returns
    -------
    str
        Empty if there is nothing to say.
    """
    said = [
        _counted(after.threads - before.threads, "started {} thread{} that it did not end"),
        _counted(after.children - before.children, "started {} process{} that it did not end", "es"),
        f"printed {len(printed):,} characters" if printed else "",
        f"leaks {leaked:,} bytes a call" if leaked is not None and leaked > LEAK_BYTES else "",
    ]
    return "; ".join(note for note in said if note)


def _counted(count: int, text: str, plural: str = "s") -> str:
    return text.format(count, "" if count == 1 else plural) if count > 0 else ""
