"""Notes under the table of a run: where it was measured, what the marks mean, and why cells have no time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.wording import listed
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARK, DOUBT = "*", "?"


def title(suites: str, phase: str, machine: str) -> str:
    """Return the title; `suites` may be empty, and so is `machine` unless there are several."""
    return " · ".join(part for part in (machine, suites, phase, "time per call and peak heap memory") if part)


def measured_on(phrases: Sequence[str]) -> str:
    """Return the machine and its settings."""
    return "Measured on: " + " · ".join(phrases)


def no_cell(phase: str) -> str:
    """State that there is nothing to show."""
    return f"No cell has the phase {phase}."


def of_jacobians() -> str:
    """Explain the cases of a mixed table whose task is the whole Jacobian."""
    return "Of cases whose name ends in -jacobian, the table shows the phase jacobian: the whole matrix."


def cells(counts: Mapping[str, int]) -> str:
    """Return how many cells have each status."""
    return "Cells: " + " · ".join(f"{count} {words(status)}" for status, count in counts.items())


def winner() -> str:
    """Explain the mark of a winner."""
    return (
        f"{MARK} clear winner of its case. Time: faster than every other strategy, at a total error of 1 %. "
        "Memory: at least 1 % and 8 KiB less."
    )


def efficiency() -> str:
    """Explain the efficiency."""
    return (
        "eff.: efficiency, the floor as a share of the time. Far above 100 %, the floor is wrong or was disturbed. See "
        "docs/floor.md."
    )


def one_pass() -> str:
    """State why no winner in time is marked."""
    return "No winner in time is marked because one pass cannot decide."


def in_doubt(doubt: str) -> str:
    """Explain the mark of strategies that could win at their own limits; `doubt` names them."""
    return f"{DOUBT} slower than the winner, but in doubt: {doubt}. The limit is the floor; see docs/floor.md."


def reason(strategies: Sequence[str], status: str, cases: Sequence[str], why: str) -> str:
    """Return why cells of strategies have no time, or what is noted about them; `why` may be empty."""
    more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
    return f"  {listed(strategies)}, {words(status)}: {cases[0]}{more}{f': {why}' if why else ''}"
