"""Where series changed: change points by PELT, with a penalty that chance reaches in none of the series together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from jacobench.reports.history.change_shapes import MIN_SEGMENT, Change, Size, join, measure, place
from jacobench.reports.history.outliers import inflation, likeness, noise, tame
from jacobench.reports.history.significance import PERMUTATIONS, null_scores, penalty, score

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ALPHA = 0.01
"""How often, at most, some series of a family in which nothing changed is called changed."""

MIN_RUNS = 10
"""Shorter series have too few orders for a permutation test to call anything rare."""

CHANGE_COUNT_FACTOR = {1: 1.0, 2: 1.25}
"""What a critical score is multiplied by for so many changes at once: two places are chosen from many more than one is."""

ROUNDS = 4
"""How often the noise is measured anew around the levels found."""


@dataclass(frozen=True)
class Found:
    """A change that chance does not explain.

    Attributes
    ----------
    change : Change
        Between which runs.
    size : Size
        How large.
    before, after : int
        The last run surely before it, and the first surely after it.
    p_value : float
        Corrected over the family: how often chance makes any series of it look changed as clearly.
    """

    change: Change
    size: Size
    before: int
    after: int
    p_value: float


@dataclass(frozen=True)
class _Searched:
    """A series under search: its tamed logarithms, its levels, and what chance makes of what they leave."""

    values: NDArray[np.float64]
    resolution: float
    rho: float
    edges: list[int]
    nulls: NDArray[np.float64]

    @property
    def residuals(self) -> NDArray[np.float64]:
        lengths = np.diff(self.edges)
        sums = np.add.reduceat(self.values, self.edges[:-1])
        levels: NDArray[np.float64] = np.repeat(sums / lengths, lengths)
        return self.values - levels

    @property
    def freedom(self) -> int:
        return self.values.size - len(self.edges) + 1

    @property
    def sigma(self) -> float:
        residuals = self.residuals
        return sqrt(float(residuals @ residuals) / self.freedom + self.resolution**2)


def find_changes(series: Sequence[NDArray[np.float64]], resolutions: Sequence[float]) -> list[list[Found]]:
    """Find the changes of a family of series.

    Parameters
    ----------
    series : sequence of arrays, each shape (n_runs,)
        Positive numbers, run by run; those with fewer than `MIN_RUNS` runs are not searched.
    resolutions : sequence of float
        The relative noise that each has at least.

    Returns
    -------
    list of list of Found
        Of each series, in order.

    Notes
    -----
    Levels are found by PELT (Killick, Fearnhead and Eckley, 2012) on logarithms whose outliers are tamed. Its penalty is the
    most that a step explains when all series are put into random orders together, in 99 % of 999 orders (Westfall and Young's
    maxT, Resampling-based multiple testing, 1993), more where runs resemble their neighbours. As a change hides smaller ones
    beside it, the search is repeated with the noise around the levels found. The interval of a size takes the place as known.

    Of a hundred families of ten series without a change, this many had an alarm (simulated, 20 and 60 runs, noise 2 %): 0.3 of
    normal noise, 2 with heavy tails (t with 3 degrees of freedom), 2 where neighbours are correlated by 0.3 or 0.6, 4 where a tenth
    of the runs stand out by four standard deviations to one side.
    """
    searched = {
        number: _begin(np.log(values), resolution)
        for number, (values, resolution) in enumerate(zip(series, resolutions, strict=True))
        if values.size >= MIN_RUNS and np.ptp(values) > 0
    }
    if not searched:
        return [[] for _ in series]
    searched = dict(zip(searched, _pool_autocorrelation(list(searched.values())), strict=True))
    for _ in range(ROUNDS):
        critical = float(np.quantile(_highest(searched.values()), 1 - ALPHA, method="higher"))
        renewed = {number: _search(own, critical) for number, own in searched.items()}
        if all(renewed[number] is own for number, own in searched.items()):
            break
        searched = renewed
    highest = np.sort(_highest(searched.values()))
    return [_found(searched[number], highest) if number in searched else [] for number in range(len(series))]


def _begin(logs: NDArray[np.float64], resolution: float) -> _Searched:
    values = tame(logs, noise(logs, resolution))
    nulls = null_scores(values - values.mean(), resolution)
    return _Searched(values, resolution, likeness(values), [0, logs.size], nulls)


def _pool_autocorrelation(searched: list[_Searched]) -> list[_Searched]:
    """Take how much runs resemble their neighbours from all series, as a machine has one mood, or from one where it is more.

    Of all only if it is beyond one and a half standard errors; of one, what is beyond two.
    """
    noisy = [own for own in searched if not isnan(own.rho)]
    shared = float(np.median([own.rho for own in noisy])) if noisy else 0.0
    if shared**2 * sum(own.values.size for own in noisy) < 1.5**2:
        shared = 0.0
    return [
        replace(own, rho=0.0 if isnan(own.rho) else max(shared, own.rho - 2 / sqrt(own.values.size), 0.0))
        for own in searched
    ]


def _highest(searched: Iterable[_Searched]) -> NDArray[np.float64]:
    """Return the clearest step of all series in each order."""
    highest: NDArray[np.float64] = np.max([own.nulls for own in searched], axis=0)
    return highest


def _search(own: _Searched, critical: float) -> _Searched:
    """Search again, with the noise around the levels that were found before."""
    edges = _edges(own, critical)
    if edges == own.edges:
        return own
    renewed = replace(own, edges=edges)
    return replace(renewed, nulls=null_scores(renewed.residuals, own.resolution))


def _edges(own: _Searched, critical: float) -> list[int]:
    """Return where levels begin and end: by one clear change at least, or by two that are clear together."""
    import ruptures  # noqa: PLC0415  (it loads scipy.stats: a second that only a search needs)

    n = own.values.size
    search = ruptures.KernelCPD(kernel="linear", min_size=MIN_SEGMENT).fit(own.values[:, None])
    for n_changes, prudence in CHANGE_COUNT_FACTOR.items():
        least = penalty(critical, own.residuals, own.resolution, prudence * inflation(own.rho), n_changes)
        least = max(least, 3 * log(n) * own.resolution**2)  # chance makes nothing of a series without noise
        edges = [0, *(int(edge) for edge in search.predict(pen=least))]
        if len(edges) - 2 >= n_changes:
            return edges
    return [0, n]


def _found(own: _Searched, highest: NDArray[np.float64]) -> list[Found]:
    found = []
    sigma = own.sigma * inflation(own.rho)
    for change in join(own.values, own.edges, own.sigma):
        size = measure(own.values, change, sigma, own.freedom)
        reached = np.searchsorted(highest, score(np.array(size.t), own.freedom), side="left")
        p_value = float(1 + PERMUTATIONS - reached) / (1 + PERMUTATIONS)
        found.append(Found(change, size, *place(own.values, change, sigma), p_value))
    return [one for one in found if one.p_value <= ALPHA]
