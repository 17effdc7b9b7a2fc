"""Time that a gate of a pytest suite needs, and how long the rounds of a benchmark may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jacobench.graphs.errors import BadInput

FEWEST_PAIRS = 6
"""Pairs before the first look."""

PLANNED_PAIRS = 12
"""Pairs that should fit: more pairs help more than longer rounds."""

SHORTEST = 0.02
"""Seconds for the rounds of a benchmark, at least; a slow one takes longer, because it needs several rounds."""

LONGEST = {1: 0.2, 2: 0.5}
"""Stage → seconds for the rounds of a benchmark, at most. pytest-benchmark's default is 1 s."""


@dataclass(frozen=True)
class SuiteTimes:
    """Seconds of a pair of processes with the `SHORTEST` rounds, and its number of benchmarks, both sides together."""

    pair: float
    n_benchmarks: int

    def with_rounds(self, seconds: float) -> float:
        """Return the time of a pair if the rounds of each benchmark take this number of seconds."""
        return self.pair + self.n_benchmarks * (seconds - SHORTEST)


def round_seconds(times: SuiteTimes, stage: int, left: float) -> float:
    """Return the seconds for the rounds of each benchmark, so that `PLANNED_PAIRS` fit into the time that is left."""
    spare = left / PLANNED_PAIRS - times.pair
    return min(max(SHORTEST, SHORTEST + spare / max(times.n_benchmarks, 1)), LONGEST[stage])


def check_time(times: SuiteTimes, used: float, max_seconds: float, n_pairs: int = FEWEST_PAIRS) -> None:
    """Raise BadInput if the fewest pairs do not fit into the time limit, of which `used` seconds have passed."""
    needed = used + n_pairs * times.pair
    if times.n_benchmarks and needed > max_seconds:
        raise BadInput(
            f"{n_pairs} pairs of processes need {_text(n_pairs * times.pair)} ({times.pair:.1f} s each), and "
            f"{_text(used)} of {_text(max_seconds)} have passed; {ways(needed)}"
        )


def ways(needed: float) -> str:
    """Return the options that make a gate fit into its time limit."""
    return (
        f"allow at least --max-minutes {math.ceil(needed / 6) / 10:g}, or select fewer benchmarks with --case, or with "
        "-k in --pytest"
    )


def _text(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"
