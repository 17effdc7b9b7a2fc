"""Rules of a run that measures until its cases are decided: the leader of a case, and the passes that are repeated.

The functions take only numbers, so that the run, its reports and the simulation in `docs/figures/passes.py` use the
same rules.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from jacobench.bench.row.statistics import OUTLIER, decide, log_median

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from jacobench.bench.row.statistics import Decision

CALIBRATION_CHANGE = 1.10  # a calibration kernel that is slower or faster than usual by this factor has changed
MOST_REPETITIONS = 2  # of one pass: on a machine that is never quiet, a run must end
LEAST_PASSES = 3  # a cell with fewer passes has no outliers: a median of two does not tell which of them is disturbed


def leader(seconds: Mapping[str, Mapping[Hashable, float]]) -> tuple[str, Decision]:
    """Return the fastest strategy of a case, and the decision whether it is clearly the fastest.

    `seconds` has for each strategy, of which there is at least one, the seconds per call by process. Only ratios within
    a process are compared. The leader is the strategy whose smallest median ratio to a rival is the largest. If a
    strategy is clearly ahead of all others, it is the leader.
    """
    ratios = {
        name: {rival: paired_ratios(theirs, own) for rival, theirs in seconds.items() if rival != name}
        for name, own in seconds.items()
    }
    best = max(ratios, key=lambda name: min((log_median(own) for own in ratios[name].values() if own), default=-inf))
    return best, decide(ratios[best])


def paired_ratios(seconds: Mapping[Hashable, float], other: Mapping[Hashable, float]) -> list[float]:
    """Return one time over another in each process that has both."""
    return [value / other[process] for process, value in seconds.items() if process in other]


def undecided(seconds: Mapping[str, Mapping[Hashable, float]]) -> bool:
    """Return whether a case needs further passes: none of its strategies is clearly the fastest, or equal to it."""
    return bool(seconds) and leader(seconds)[1].status == "undecided"


def is_outlier(seconds: float, passes: Sequence[float]) -> bool:
    """Return whether a time is more than 10 % longer than the median of its cell's passes, which include it."""
    return len(passes) >= LEAST_PASSES and seconds > OUTLIER * log_median(passes)


def pass_disturbed(
    pass_number: int,
    cells: Iterable[Mapping[int, float]],
    calibration: Mapping[int, Sequence[float]],
) -> str:
    """Return why a pass must be repeated; empty if it need not.

    `cells` has for each cell its seconds by pass. `calibration` has for each pass the seconds of the calibration kernel
    in its processes. A pass is repeated if one of these differs from the median of all by more than 10 %, or if at
    least half of the pass's cells are outliers.
    """
    usual = log_median([value for values in calibration.values() for value in values])
    changes = [max(value / usual, usual / value) for value in calibration.get(pass_number, ())]
    if changes and len(calibration) >= LEAST_PASSES and max(changes) > CALIBRATION_CHANGE:
        return f"the time of the calibration kernel changed by {max(changes) - 1:.0%}"
    outliers = [is_outlier(own[pass_number], list(own.values())) for own in cells if pass_number in own]
    if outliers and 2 * sum(outliers) >= len(outliers):
        return f"{sum(outliers)} of {len(outliers)} cells were more than {OUTLIER - 1:.0%} slower than usual"
    return ""
