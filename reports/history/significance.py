"""What chance alone makes of a family of series: their runs in random orders."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from jacobench.reports.history.change_shapes import between

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERMUTATIONS = 999
RNG_SEED = 0
BLOCK = 2**16
"""Numbers that are put into order at once: what a processor's cache holds."""

LARGEST = 37.0
"""Standard deviations; beyond, a tail's probability is below what a float holds."""


def null_scores(residuals: NDArray[np.float64], resolution: float) -> NDArray[np.float64]:
    """Return how clear the best step is when the same runs stand in random orders.

    Parameters
    ----------
    residuals : array, shape (n_runs,)
        What the levels leave; at least six.
    resolution : float
        The noise that is there at least.

    Returns
    -------
    array, shape (PERMUTATIONS,)
        See `score`. Series of equal length are put into the same orders, so that what they have in common is kept.
    """
    n = residuals.size
    centred = residuals - residuals.mean()
    blocks = np.array_split(_orders(n), -(-PERMUTATIONS * n // BLOCK))
    explained = np.concatenate([between(centred[orders]).max(axis=-1) for orders in blocks])
    total = _total(residuals, resolution)
    return score(np.sqrt((n - 2) * explained / (total - explained)), n - 2)


def score(t: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Return t as a standard normal of equal probability, so that long and short series can be compared."""
    return np.minimum(-ndtri(stdtr(freedom, -np.abs(t))), LARGEST)


def penalty(
    critical: float, residuals: NDArray[np.float64], resolution: float, inflation: float, n_changes: int
) -> float:
    """Return the sum of squares that each of several changes must explain for them to be as clear as a critical score.

    Parameters
    ----------
    critical : float
        As `null_scores` has them.
    residuals : array, shape (n_runs,)
        What the levels found so far leave.
    resolution : float
        The noise that is there at least.
    inflation : float
        What an error is multiplied by; see `tame.inflation`.
    n_changes : int
        How many there are together: what they leave is the noise that they are held against, so two together may be clear of
        which neither is alone, as up and down again.
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
