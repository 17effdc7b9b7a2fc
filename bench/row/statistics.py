"""The statistics of a row: one number a pass, intervals over passes on logarithms."""

from __future__ import annotations

from math import exp, log, nan
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95


def log_t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the t-interval of the geometric mean.

    Parameters
    ----------
    values : sequence of float
        Positive, one a pass, taken to be independent and log-normal.
    confidence : float
        The probability with which the interval covers the truth.

    Returns
    -------
    low, high : float
        NaN for fewer than two values.

    Examples
    --------
    >>> low, high = log_t_interval([1.0, 1.1, 1.2])
    >>> round(low, 2), round(high, 2)
    (0.87, 1.38)
    """
    n = len(values)
    if n < 2:
        return nan, nan
    logs = [log(value) for value in values]
    centre = sum(logs) / n
    deviation = float(np.std(logs, ddof=1))
    reach = float(stdtrit(n - 1, 0.5 + confidence / 2)) * deviation / n**0.5
    return exp(centre - reach), exp(centre + reach)


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values; NaN for none."""
    return exp(sum(map(log, values)) / len(values)) if values else nan


def interquartile_range(values: Sequence[float]) -> float:
    """Return the range of the middle half (linear interpolation); NaN for fewer than two values."""
    if len(values) < 2:
        return nan
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)
