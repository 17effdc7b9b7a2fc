"""Which strategy is clearly ahead in one case, if any is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.reports.analysis.growth import LEAST_BYTES
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Peaks of the same code differ by a few allocator pages at most, so one per cent is already no accident.
CLEARLY_LESS = 0.99


def time_winner(cells: Sequence[Mapping[str, Any]]) -> str | None:
    """Name the strategy that is clearly the fastest.

    Parameters
    ----------
    cells : sequence of rows
        One case and one phase, one row a strategy.

    Returns
    -------
    str or None
        The strategy whose whole interval of the ratio to vjp lies below those of all others that were timed. None if there
        is none, if an interval is missing (one pass), if vjp was not timed, or if nothing else was.
    """
    timed = _ok(cells)
    if len(timed) < 2 or REFERENCE not in timed:
        return None
    intervals = {name: (row["ratio_low"], row["ratio_high"]) for name, row in timed.items()} | {REFERENCE: (1.0, 1.0)}
    if any(math.isnan(end) for interval in intervals.values() for end in interval):
        return None
    best = min(intervals, key=lambda name: intervals[name][1])
    rest = min(low for name, (low, _) in intervals.items() if name != best)
    return best if intervals[best][1] < rest else None


def memory_winner(cells: Sequence[Mapping[str, Any]]) -> str | None:
    """Name the strategy that clearly needs the least memory.

    Parameters
    ----------
    cells : sequence of rows
        One case and one phase, one row a strategy.

    Returns
    -------
    str or None
        The strategy whose peak is less than 99 % of the next one's, and 8 KiB or more below it: what NumPy keeps in its own
        cache is measured too low (see `growth.LEAST_BYTES`). None if there is none, if the peak of one that was
        timed is missing, if vjp was not timed, or if nothing else was.
    """
    timed = _ok(cells)
    if len(timed) < 2 or REFERENCE not in timed:
        return None
    peaks = sorted((row["peak_bytes"], name) for name, row in timed.items())
    if any(math.isnan(peak) for peak, _ in peaks):
        return None
    (least, best), (following, _) = peaks[:2]
    clearly = least < CLEARLY_LESS * following and following - least >= LEAST_BYTES
    return best if clearly else None


def _ok(cells: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {row["strategy"]: row for row in cells if row["status"] == "ok"}
