"""Change points of a family of series, by PELT with a penalty from random orders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import isnan, log, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from jacobench.reports.history.change_shapes import (
    MIN_SEGMENT,
    Change,
    ChangeSize,
    changes_between,
    measure,
    position_bounds,
    split_gains,
)
from jacobench.reports.history.outliers import error_inflation, hampel_filter, lag1_autocorrelation, noise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

ALPHA = 0.01  # probability of any false alarm in a family of series without a change
MIN_RUNS = 10  # shorter series are not searched: they have too few orders for a permutation test

CHANGE_COUNT_FACTOR = {1: 1.0, 2: 1.25}
"""Number of changes found together → factor of the critical score. Two positions have far more choices than one."""

ROUNDS = 4  # largest number of searches; each uses the noise around the levels found before
PERMUTATIONS = 999
RNG_SEED = 0
BLOCK = 2**16  # numbers permuted at once, to fit into the processor's cache
LARGEST = 37.0  # largest score in standard deviations: beyond it, the tail probability underflows


@dataclass(frozen=True)
class FoundChange:
    """Significant change of a series.

    before, after: last run before and first run after it, with 95 % confidence. p_value: share of random orders that
    make any series of the family look changed as clearly.
    """

    change: Change
    size: ChangeSize
    before: int
    after: int
    p_value: float


@dataclass(frozen=True)
class _Searched:
    """A series under search: filtered logarithms, edges of its levels, and scores of random orders."""

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


def find_changes(series: Sequence[NDArray[np.float64]], resolutions: Sequence[float]) -> list[list[FoundChange]]:
    """Find the changes of each series of a family: positive numbers, one per run.

    ``resolutions`` are lower bounds of the relative noise. Series with fewer than `MIN_RUNS` runs are not searched.

    PELT (Killick, Fearnhead and Eckley, 2012) finds levels of the logarithms, after a Hampel filter. Its penalty is the
    99 % quantile of the largest gain of a step over 999 random orders of all series together: maxT of Westfall and
    Young, Resampling-based multiple testing (1993). Autocorrelation increases it. A large change hides smaller ones
    near it, so the search is repeated with the noise around the levels found. Intervals of sizes assume the positions.

    False alarms per 100 families of ten series without a change (simulated, 20 and 60 runs, noise 2 %): 0.3 for normal
    noise, 2 for heavy tails (t with 3 degrees of freedom), 2 for autocorrelation 0.3 or 0.6, 4 if a tenth of the runs
    are outliers of four standard deviations on one side. If a fifth of the runs have a second level, 4 % higher: 6 with
    30 runs, 2 with 150.
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
    values = hampel_filter(logs, noise(logs, resolution))
    nulls = _null_scores(values - values.mean(), resolution)
    return _Searched(values, resolution, lag1_autocorrelation(values), [0, logs.size], nulls)


def _pool_autocorrelation(searched: list[_Searched]) -> list[_Searched]:
    """Set the autocorrelation of each series to the median of all series, or to its own if that is clearly larger.

    The median counts if it exceeds 1.5 standard errors; of a series' own value, the part beyond 2 standard errors.
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
    """Return the largest score over all series in each order."""
    return np.asarray(np.max([own.nulls for own in searched], axis=0))


def _search(own: _Searched, critical: float) -> _Searched:
    """Search again with the noise around the levels found before."""
    edges = _edges(own, critical)
    if edges == own.edges:
        return own
    renewed = replace(own, edges=edges)
    return replace(renewed, nulls=_null_scores(renewed.residuals, own.resolution))


def _edges(own: _Searched, critical: float) -> list[int]:
    """Return the edges of the levels: with at least one significant change, or two that are significant together."""
    import ruptures  # noqa: PLC0415  (it loads scipy.stats, which takes a second)

    n = own.values.size
    search = ruptures.KernelCPD(kernel="linear", min_size=MIN_SEGMENT).fit(own.values[:, None])
    for n_changes, factor in CHANGE_COUNT_FACTOR.items():
        least = _penalty(critical, own.residuals, own.resolution, factor * error_inflation(own.rho), n_changes)
        least = max(least, 3 * log(n) * own.resolution**2)  # for series without noise
        edges = [0, *(int(edge) for edge in search.predict(pen=least))]
        if len(edges) - 2 >= n_changes:
            return edges
    return [0, n]


def _found(own: _Searched, highest: NDArray[np.float64]) -> list[FoundChange]:
    found = []
    sigma = own.sigma * error_inflation(own.rho)
    for change in changes_between(own.values, own.edges, own.sigma):
        size = measure(own.values, change, sigma, own.freedom)
        reached = np.searchsorted(highest, _score(np.array(size.t), own.freedom), side="left")
        p_value = float(1 + PERMUTATIONS - reached) / (1 + PERMUTATIONS)
        found.append(FoundChange(change, size, *position_bounds(own.values, change, sigma), p_value))
    return [one for one in found if one.p_value <= ALPHA]


def _null_scores(residuals: NDArray[np.float64], resolution: float) -> NDArray[np.float64]:
    """Return the score of the clearest step in each random order of the differences from the levels (at least six).

    Series of equal length use the same orders, which keeps their correlation.
    """
    n = residuals.size
    centered = residuals - residuals.mean()
    blocks = np.array_split(_orders(n), -(-PERMUTATIONS * n // BLOCK))
    explained = np.concatenate([split_gains(centered[orders]).max(axis=-1) for orders in blocks])
    total = _total(residuals, resolution)
    return _score(np.sqrt((n - 2) * explained / (total - explained)), n - 2)


def _score(t: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Convert t to the standard normal value of equal probability, so that short and long series are comparable."""
    return np.minimum(-ndtri(stdtr(freedom, -np.abs(t))), LARGEST)


def _penalty(
    critical: float, residuals: NDArray[np.float64], resolution: float, inflation: float, n_changes: int
) -> float:
    """Return the sum of squares that each change must explain to reach a critical score.

    The standard error is multiplied by ``inflation``. The changes are compared with the noise that remains after all
    of them, so two changes, such as up and down again, can be significant together although neither is alone.
    """
    n = residuals.size
    t = inflation * float(-stdtrit(n - 2, ndtr(-critical)))
    return _total(residuals, resolution) * t**2 / (n - 2 + n_changes * t**2)


def _total(residuals: NDArray[np.float64], resolution: float) -> float:
    return float(np.sum((residuals - residuals.mean()) ** 2)) + residuals.size * resolution**2


@lru_cache(maxsize=8)
def _orders(n: int) -> NDArray[np.intp]:
    rng = np.random.default_rng((RNG_SEED, n))
    return rng.permuted(np.tile(np.arange(n), (PERMUTATIONS, 1)), axis=1)
