"""How often each phase is called in a process: decided once, from both sides' first calls, and then alike for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROCESS_SECONDS = 2.0
"""What all timed calls of one process together are to take."""

MOST_SECONDS = 0.03
"""What one row is given at most in a process: where there are few rows, processes are short."""

ROUND_SECONDS = 1e-4
"""The least a round takes, for the clock."""

VISITS, LEAST_VISITS, LEAST_ROUNDS = 6, 2, 2


@dataclass(frozen=True)
class Schedule:
    """How often one case is called under one strategy.

    Attributes
    ----------
    visits : int
        How often the process comes back to it.
    phases : mapping of str to (int, int)
        Phase → calls in a round, rounds in a visit.
    """

    visits: int
    phases: Mapping[str, tuple[int, int]]


def schedule(seconds: Mapping[str, float], row_seconds: float) -> Schedule:
    """Lay out the calls of one case under one strategy.

    Parameters
    ----------
    seconds : mapping of str to float
        Phase → about how long a call takes.
    row_seconds : float
        About what the calls of one phase are to take in a process. Slow calls take more: there are at least two visits
        of two rounds.

    Returns
    -------
    Schedule
        Each visit begins with a call of each phase that is not timed.
    """
    once = sum((1 + LEAST_ROUNDS) * max(each, ROUND_SECONDS) for each in seconds.values())
    affordable = int(row_seconds * len(seconds) / once) if once else VISITS
    visits = min(VISITS, max(LEAST_VISITS, affordable))
    phases = {}
    for phase, each in seconds.items():
        calls = max(1, round(ROUND_SECONDS / each))
        phases[phase] = calls, max(LEAST_ROUNDS, round(row_seconds / visits / (calls * each)))
    return Schedule(visits, phases)


def row_seconds(n_rows: int) -> float:
    """Return what one of so many rows is given in a process, in seconds."""
    return min(MOST_SECONDS, PROCESS_SECONDS / max(1, n_rows))
