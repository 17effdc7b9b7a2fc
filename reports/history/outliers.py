"""A series made ready for the search: how noisy one run is, how much it resembles its neighbour, outliers tamed."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

NORMAL = 1.4826
"""From a median absolute deviation to a normal distribution's standard deviation."""

OUTLIER = 4.0
"""Standard deviations from the median around it beyond which a run is not believed."""


def noise(values: NDArray[np.float64], resolution: float) -> float:
    """Return the noise of one run, from the differences between neighbours: steps and outliers hardly move it.

    Parameters
    ----------
    values : array, shape (n_runs,)
        Logarithms.
    resolution : float
        The least that is returned.
    """
    differences = np.abs(np.diff(values))
    return max(NORMAL * float(np.median(differences)) / sqrt(2), resolution) if differences.size else resolution


def tame(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Put the mean of its neighbours in place of a run that stands out from their median (after Hampel).

    Parameters
    ----------
    values : array, shape (n_runs,)
        Logarithms; fewer than five are returned as they are.
    sigma : float
        The noise of one run.

    Returns
    -------
    array, shape (n_runs,)
        Neighbours are the nearest five, itself among them, so that a level of three runs stays, also at the end. The mean is over
        those that do not stand out themselves: their median would lean to the side of two outliers.
    """
    if values.size < 5:
        return values
    stands_out = np.abs(values - _around(np.median(sliding_window_view(values, 5), axis=-1))) > OUTLIER * sigma
    kept = _around(sliding_window_view(~stands_out, 5).sum(axis=-1))
    sums = _around(sliding_window_view(np.where(stands_out, 0.0, values), 5).sum(axis=-1))
    return np.where(stands_out & (kept > 0), sums / np.maximum(kept, 1), values)


def _around(of_windows: NDArray[Any]) -> NDArray[Any]:
    """Return a run's own window; at the ends the nearest."""
    return np.pad(of_windows, 2, mode="edge")


def likeness(values: NDArray[np.float64]) -> float:
    """Return how much runs resemble their neighbours: the correlation at distance one.

    Parameters
    ----------
    values : array, shape (n_runs,)
        Logarithms, outliers tamed.

    Returns
    -------
    float
        From the squared differences at distances one and two, the largest tenth left out, so that steps hardly move it (as
        Chakar, Lebarbier, Lévy-Leduc and Robin, Bernoulli 23, 2017, do with medians); NaN where neighbours do not differ.
    """
    near, far = (np.sort((values[k:] - values[:-k]) ** 2)[: -(-9 * (values.size - k) // 10)].mean() for k in (1, 2))
    return float(far / near) - 1 if near > 0 else nan


def inflation(rho: float) -> float:
    """Return the factor by which runs that resemble their neighbours widen an error: √((1 + ρ) / (1 − ρ)), at least 1."""
    within = min(max(rho, 0.0), 0.9)
    return sqrt((1 + within) / (1 - within))
