"""Sentences of `bisect`: its result, and its progress. ``kind`` is "commit" or "release"."""

from __future__ import annotations

import math

from jacobench.graphs.wording import counted
from jacobench.reports.data.units import format_change

# The result.


def found(kind: str, label: str) -> str:
    """Return the headline of a search that found one candidate."""
    return f"the first regressed {kind} is {label}"


def not_confirmed(kind: str, label: str, base: str) -> str:
    """Return the headline if a candidate is slower than ``base``, but not than what is directly before it."""
    return (
        f"{label} is the first {kind} that is slower than {base} by half of the change, but its own change is not "
        "confirmed: several small changes may add up"
    )


def one_of(kind: str, n: int) -> str:
    """Return the headline of a search in which untested candidates remain."""
    return f"the first regressed {kind} is one of {n}"


def not_searched(good: str, bad: str) -> str:
    """Return the headline if the gate between both ends shows no regression; its state precedes it."""
    return f"{good} → {bad}"


def one_remaining(label: str, why: str) -> str:
    """Return the line of a candidate that remains; ``why`` is empty for the one that is known to be slower."""
    return f"{label}: {why or 'the first that is known to be slower'}"


def compared_with_base(base: str, why: str) -> str:
    """Return the note on a candidate that could not be compared with the one directly before it."""
    return f"The rows are compared with {base}, because the candidate directly before it cannot be measured: {why}"


def whole_change(good: str, bad: str, ratio: float) -> str:
    """Return the change over the whole range, of which the result explains a part; NaN for rows without a ratio."""
    change = "a row is broken" if math.isnan(ratio) else f"the largest change is {format_change(ratio)}"
    return f"From {good} to {bad}, {change}."


def other_causes(n: int) -> str:
    """Return the note on rows that have another cause."""
    rows, have = counted(n, "row"), "has" if n == 1 else "have"
    return f"{rows} of the slower side {have} another cause. To search for it, name the row with --case."


def effort(n_gates: int, seconds: float) -> str:
    """Return what a search has cost."""
    return f"{counted(n_gates, 'gate')} in {_duration(seconds)}."


# Progress.


def first_gate(good: str, bad: str, kind: str, n: int) -> str:
    """Return the start of a search among ``n`` candidates."""
    return f"gate 1: {good} → {bad}, {counted(n, kind)} to search"


def step(number: int, base: str, label: str, n_left: int, n_gates: int, seconds: float) -> str:
    """Return a step: how many candidates are left, how many gates with this one, and the time that they need.

    ``base`` is what the candidate is compared with; it is empty for the good side.
    """
    sides = f"{base} → {label}" if base else label
    return (
        f"gate {number}: {sides}; {counted(n_left, 'candidate')} left, about {counted(n_gates, 'gate')} "
        f"({_duration(seconds)})"
    )


def last_gate(number: int, before: str, label: str) -> str:
    """Return the step that compares the result with the candidate directly before it."""
    return f"gate {number}: {before} → {label}, to measure its own change"


def measured(label: str, finding: str, ratio: float) -> str:
    """Return what a step found; ``ratio`` is the largest one of the rows, NaN if no row has one."""
    return f"{label} is {finding}" + ("" if math.isnan(ratio) else f": {format_change(ratio)}")


def skipped(label: str, why: str) -> str:
    """Return that a candidate cannot be decided."""
    return f"{label} is skipped: {why}"


def again(minutes: float) -> str:
    """Return that an inconclusive gate is repeated."""
    return f"inconclusive; measuring again, for up to {counted(f'{minutes:g}', 'minute')}"


def inconclusive(n_attempts: int) -> str:
    """Return why a candidate is skipped after all attempts."""
    return f"inconclusive in {counted(n_attempts, 'gate')}"


def no_common_row() -> str:
    """Return why a candidate is skipped that does not measure what regressed."""
    return "what regressed cannot be measured there"


def to_continue(command: str) -> str:
    """Return the command that continues a search."""
    return f"To continue: {command}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
