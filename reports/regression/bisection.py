"""Search for the first slower candidate, and what a gate shows about one: pure functions of what was measured so far."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.reports.regression.outcome import FAILING, ROW
from jacobench.reports.regression.thresholds import GateThresholds, ThresholdRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from jacobench.bench.gate.bisect_candidates import Candidate

GOOD, BAD, UNDECIDED, UNTESTABLE = "good", "bad", "undecided", "untestable"

SETTLED = ("unchanged", "improved")

CRITERIA: Mapping[str, tuple[str, ...]] = {
    "time": ("seconds",),
    "memory": ("peak_bytes", "retained_bytes"),
    "counts": ("n_nonzeros", "predicted_flops"),
}
"""Relative thresholds, and the quantities that each is for."""


@dataclass(frozen=True)
class Bisection:
    """State of a search: which candidates may be the first bad one.

    ``candidates`` are in order, each after its parents; the last one is bad. Sets of candidates are bits of integers.
    ``reach``: of each candidate, the candidates that it contains. ``left``: candidates that may be the first bad one,
    among them ``bad``, the earliest that is known to be bad. ``good``, ``skipped``: candidates with this finding.
    """

    candidates: tuple[Candidate, ...]
    reach: tuple[int, ...]
    left: int
    bad: int
    good: int = 0
    skipped: int = 0

    @property
    def remaining(self) -> tuple[Candidate, ...]:
        """The candidates that may be the first bad one, in order; the last one is known to be bad."""
        return tuple(self.candidates[number] for number in _members(self.left))

    @property
    def n_left(self) -> int:
        """Return how many candidates may be the first bad one."""
        return self.left.bit_count()

    def middle(self) -> int | None:
        """Return the number of the candidate to test next; None if no test can narrow the search.

        It is the one that splits what is left into halves, unless that is between two skipped ones, or is skipped. Then
        it is outside of these: first next to them, then farther away with each skipped one, because the neighbors of a
        revision that cannot be tested often cannot be tested either.
        """
        left, skipped = _members(self.left), _members(self.left & self.skipped)
        best = max(left[:-1], key=self._smaller_part, default=None)
        if best is None or not skipped or not skipped[0] <= best <= skipped[-1]:
            return best
        outside = [each for each in left if each < skipped[0]][::-1], [each for each in left[:-1] if each > skipped[-1]]
        if longer := max(outside, key=len):
            return longer[min((1 << len(skipped)) - 1, len(longer)) // 2]
        inside = [each for each in left[:-1] if each not in skipped]
        return max(inside, key=self._smaller_part, default=None)

    def _smaller_part(self, number: int) -> int:
        """Return how many candidates a test excludes at least."""
        before = (self.reach[number] & self.left).bit_count()
        return min(before, self.n_left - before)

    def after(self, number: int, finding: str) -> Bisection:
        """Return the state after the test of a candidate."""
        if finding == GOOD:
            return replace(self, left=self.left & ~self.reach[number], good=self.good | 1 << number)
        if finding == BAD:
            return replace(self, left=self.left & self.reach[number], bad=number)
        return replace(self, skipped=self.skipped | 1 << number)

    def last_good(self) -> Candidate | None:
        """Return the good candidate after which a new search would have the fewest candidates; None if there is none."""
        found = _members(self.good & self.reach[self.bad])
        best = max(found, key=lambda number: self.reach[number].bit_count(), default=None)
        return None if best is None else self.candidates[best]


def _members(numbers: int) -> list[int]:
    """Return the numbers in a set of bits."""
    return [number for number in range(numbers.bit_length()) if numbers >> number & 1]


def start(candidates: Sequence[Candidate]) -> Bisection:
    """Return the state before the first test. The last candidate is bad, and contains all others."""
    numbers = {each.name: number for number, each in enumerate(candidates)}
    reach: list[int] = []
    for number, each in enumerate(candidates):
        parents = (reach[numbers[name]] for name in each.parents if name in numbers)
        reach.append(reduce(int.__or__, parents, 1 << number))
    return Bisection(tuple(candidates), tuple(reach), reach[-1], len(reach) - 1)


def gates_left(n_left: int) -> int:
    """Return how many tests a search among some candidates needs, if none is skipped.

    >>> [gates_left(n) for n in (1, 2, 3, 100)]
    [0, 1, 2, 7]
    """
    return math.ceil(math.log2(n_left))


def failing_rows(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the failing lines of a verdict table, indexed by row and quantity."""
    return by_line(verdicts[verdicts["verdict"].isin(FAILING)])


def decisive(failing: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by which candidates are judged: those with at least half of the largest slowdown, in logarithms.

    Smaller ones may have other causes, and need more pairs. If nothing is slower, it is all failing rows.
    """
    ratios = failing.loc[failing["verdict"] == "regressed", "ratio"].astype(float)
    ratios = ratios[np.isfinite(ratios)]
    return failing.loc[ratios.index[ratios >= math.sqrt(ratios.max())]] if len(ratios) else failing


def by_line(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return a verdict table indexed by row and quantity."""
    return verdicts.drop_duplicates([*ROW, "quantity"]).set_index([*ROW, "quantity"])


def finding(symptoms: pd.DataFrame, verdicts: pd.DataFrame) -> str:
    """Return what the verdicts of a candidate show about the symptoms, which are `decisive` rows of the bad side.

    It is bad if any of these rows fails in the same way. A row that fails in another way, or was not compared, shows
    nothing. Other rows do not matter.
    """
    found = set(findings(symptoms, verdicts))
    return next(each for each in (BAD, UNDECIDED, UNTESTABLE, GOOD) if each in found)


def findings(symptoms: pd.DataFrame, verdicts: pd.DataFrame) -> list[str]:
    """Return the finding of each symptom."""
    new = of_symptoms(symptoms, verdicts)["verdict"]
    return [_finding_of_row(*each) for each in zip(symptoms["verdict"], new, strict=True)]


def of_symptoms(symptoms: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of a verdict table that have symptoms, indexed as these; a missing one is NaN."""
    return by_line(verdicts).reindex(symptoms.index)


def largest_ratio(lines: pd.DataFrame) -> float:
    """Return the largest ratio of some lines; NaN if none has a ratio."""
    return float(lines["ratio"].astype(float).max())


def _finding_of_row(symptom: str, verdict: Any) -> str:
    if verdict == symptom:
        return BAD
    if verdict in SETTLED or (symptom == "broken" and verdict in {"regressed", "inconclusive"}):
        return GOOD
    return UNDECIDED if verdict == "inconclusive" else UNTESTABLE


def halfway(thresholds: GateThresholds, symptoms: pd.DataFrame) -> GateThresholds:
    """Return thresholds that lie halfway between the good and the bad side, where they exceed the configured ones.

    So a small earlier change of the same row does not count, and clear cases need few pairs. The smallest threshold
    on time is also that of the calibration kernel.
    """
    regressed = symptoms[(symptoms["verdict"] == "regressed") & np.isfinite(symptoms["ratio"].astype(float))]
    rules = []
    for row, rows in regressed.groupby(level=["case", "strategy"], sort=False):
        case, strategy = map(str, row)
        own, quantities = asdict(thresholds.of(case, strategy)), rows.index.get_level_values("quantity")
        for name, measured in CRITERIA.items():
            if (of_name := quantities.isin(measured)).any():
                own[name] = max(own[name], math.sqrt(rows.loc[of_name, "ratio"].min()) - 1)
        rules.append(ThresholdRule(case, strategy, own))
    times = [float(rule.values["time"]) for rule in rules]  # noqa: PD011
    default = replace(thresholds.default, time=min(times)) if times else thresholds.default
    return replace(thresholds, default=default, rules=tuple(rules))
