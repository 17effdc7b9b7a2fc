"""Noise, outliers and autocorrelation of a series."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

NORMAL = 1.4826  # standard deviation of a normal distribution over its median absolute deviation
OUTLIER = 4.0  # a run is an outlier if it is this many standard deviations from the median of its neighbors

NOT_OUTLIERS, NOT_OUTLIERS_NORMAL = 0.9, 1.645
"""Least share of runs that are no outliers, and the size that this share of normal values does not exceed.

If more runs are far from their neighbors, as in a series with two modes, they are noise.
"""


def noise(values: NDArray[np.float64], resolution: float) -> float:
    """Return the standard deviation of one run, at least ``resolution``, from logarithms.

    It is estimated from differences between neighbors, which steps and outliers hardly affect.
    """
    differences = np.abs(np.diff(values))
    return max(NORMAL * float(np.median(differences)) / sqrt(2), resolution) if differences.size else resolution


def hampel_filter(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Replace each outlier of logarithms by the mean of its neighbors; ``sigma`` is the standard deviation of one run.

    A window has five runs, the run itself included, so a level of three runs is kept, also at the end of the series.
    The mean is that of the runs near the window's median: a mean of both levels would move a step next to an outlier,
    and the median alone would be biased by two outliers on one side.
    """
    if values.size < 5:
        return values
    windows = sliding_window_view(values, 5)
    medians = np.median(windows, axis=-1)
    distances = np.abs(values - _per_run(medians))
    limit = OUTLIER * max(sigma, float(np.quantile(distances, NOT_OUTLIERS)) / NOT_OUTLIERS_NORMAL)
    is_near = np.abs(windows - medians[:, None]) <= limit
    means = np.where(is_near, windows, 0.0).sum(axis=-1) / is_near.sum(axis=-1)
    return np.where(distances > limit, _per_run(means), values)


def _per_run(of_windows: NDArray[Any]) -> NDArray[Any]:
    """Return the value of the window around each run; the first and the last windows also serve the ends."""
    return np.pad(of_windows, 2, mode="edge")


def lag1_autocorrelation(values: NDArray[np.float64]) -> float:
    """Return the correlation between neighboring runs, from logarithms without outliers; NaN if neighbors never differ.

    It compares the squared differences at lags one and two without their largest tenth, so steps hardly affect it.
    Chakar, Lebarbier, Lévy-Leduc and Robin (Bernoulli 23, 2017) use medians for the same purpose.
    """
    near, far = (np.sort((values[k:] - values[:-k]) ** 2)[: -(-9 * (values.size - k) // 10)].mean() for k in (1, 2))
    return float(far / near) - 1 if near > 0 else nan


def error_inflation(rho: float) -> float:
    """Return the factor by which an autocorrelation increases a standard error: √((1 + ρ) / (1 − ρ)), at least 1."""
    within = min(max(rho, 0.0), 0.9)
    return sqrt((1 + within) / (1 - within))
