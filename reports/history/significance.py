"""Significance of changes in a family of series, from random orders of their runs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from jacobench.reports.history.change_shapes import split_gains

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERMUTATIONS = 999
RNG_SEED = 0
BLOCK = 2**16
"""Numbers permuted at once, to fit into the processor's cache."""

LARGEST = 37.0
"""Largest score in standard deviations: beyond it, the tail probability underflows."""


def null_scores(residuals: NDArray[np.float64], resolution: float) -> NDArray[np.float64]:
    """Return the score of the clearest step in each random order of the differences from the levels (at least six).

    Series of equal length use the same orders, which keeps their correlation.
    """
    n = residuals.size
    centered = residuals - residuals.mean()
    blocks = np.array_split(_orders(n), -(-PERMUTATIONS * n // BLOCK))
    explained = np.concatenate([split_gains(centered[orders]).max(axis=-1) for orders in blocks])
    total = _total(residuals, resolution)
    return score(np.sqrt((n - 2) * explained / (total - explained)), n - 2)


def score(t: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Convert t to the standard normal value of equal probability, so that short and long series are comparable."""
    return np.minimum(-ndtri(stdtr(freedom, -np.abs(t))), LARGEST)


def penalty(
    critical: float, residuals: NDArray[np.float64], resolution: float, inflation: float, n_changes: int
) -> float:
    """Return the sum of squares that each change must explain to reach a critical score.

    The standard error is multiplied by ``inflation``. The changes are compared with the noise that remains after all
    ``n_changes`` of them, so two changes, such as up and down again, can be significant together although neither is alone.
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
