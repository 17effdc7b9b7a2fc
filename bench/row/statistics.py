"""Statistics of rows: the rule that declares a winner, confidence intervals, means and quantiles.

Everything is computed with `scipy.special`: importing `scipy.stats` takes about a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isnan, log, nan, sqrt
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import betaincinv, stdtr, stdtrit

from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIDENCE = 0.95  # of every interval that is shown
TOTAL_ERROR = 0.01  # largest probability that `decide` wrongly declares a strategy faster, over all rivals and looks
EQUAL_FACTOR = 1.05  # times within this factor of each other are equal

OUTLIER = 1.10  # a time is an outlier if it is longer by more than this factor than the median of its cell's processes

PROCESS_NOISE = 0.03  # deviation of a paired ratio by process noise, generously: ±1 to 3 % for 90 % of the processes

PLAUSIBLE_SECONDS = (1e-15, 1e15)  # other times, such as 0, are no measurement; their ratios would overflow

CLEARLY_LESS = 0.99  # peaks of the same code differ by a few pages of the allocator at most, so 1 % is real

LEAST_BYTES = RESOLUTION_BYTES  # smallest number of bytes, and smallest difference of peaks, that is compared


@dataclass(frozen=True)
class Decision:
    """Comparison of one candidate with all its rivals."""

    status: str  # "ahead", "equal" or "undecided"; see `decide`
    runner_up: str  # the rival with the smallest factor, the second fastest; empty without rivals
    factor: float  # median of the runner-up's ratios, rival / candidate; NaN without ratios
    low: float  # 95 % interval of `factor`, which is shown but does not decide; NaN for fewer than two ratios
    high: float
    n_passes: int  # number of the runner-up's ratios
    open_rivals: tuple[str, ...] = ()  # rivals that are not clearly slower, in the order given; empty if "ahead"


def decide(paired_ratios: Mapping[str, Sequence[float]]) -> Decision:
    """Decide whether a candidate is clearly ahead of all its rivals.

    `paired_ratios` has for each rival its times over the candidate's, one positive ratio per process in which both were
    measured. The decision may be made again after each further process.

    The status is "ahead" if the lower bound of every rival's ratio is above 1; also without rivals. It is "equal" if
    not, and both bounds of every undecided rival are within 1/1.05 to 1.05. Otherwise it is "undecided", as with any
    rival that has fewer than two ratios.

    The bounds are those of `robust_interval`, each at the error ``TOTAL_ERROR / strategies``. ``strategies`` counts the
    candidate too, because it was chosen from the same ratios. So the total error is at most 1 %, also for two
    strategies of exactly equal speed.

    >>> decision = decide({"dense": [2.0, 2.1, 1.9], "sparse": [8.0, 8.2, 8.1]})
    >>> decision.status, decision.runner_up, decision.factor
    ('ahead', 'dense', 2.0)
    """
    if not paired_ratios:
        return Decision("ahead", "", nan, nan, nan, 0)
    error = TOTAL_ERROR / (len(paired_ratios) + 1)
    bounds = {name: robust_interval(ratios, error) for name, ratios in paired_ratios.items()}
    factors = {name: log_median(ratios) for name, ratios in paired_ratios.items()}
    open_ = {name: bound for name, bound in bounds.items() if not bound[0] > 1}  # NaN is open, too
    second = min(factors, key=lambda name: inf if isnan(factors[name]) else factors[name])
    if not open_:
        status = "ahead"
    elif all(low >= 1 / EQUAL_FACTOR and high <= EQUAL_FACTOR for low, high in open_.values()):
        status = "equal"
    else:
        status = "undecided"
    ratios = paired_ratios[second]
    return Decision(status, second, factors[second], *robust_interval(ratios), len(ratios), tuple(open_))


def robust_interval(values: Sequence[float], error: float = (1 - CONFIDENCE) / 2) -> tuple[float, float]:
    """Return an interval of the median of positive values, one per process; NaN for fewer than two values.

    `error` is the largest probability that the median of all processes is below the interval, and that it is above it,
    at any number of values: the interval may be computed after each further process, and the last one is valid. At n
    values, ``error / (n + 1)`` is spent, as in the sequential interval of Robbins (1970) for a probability.

    It is Student's interval of the mean of the logarithms, with three changes:

    - Values that are far from the median are moved towards it, to a distance of 10 % or four median deviations. So
      one bad process cannot spoil the interval.
    - `PROCESS_NOISE` counts as one further deviation, because a few values may agree by chance.
    - The interval contains all values but one of five at each end. So it contains the median, and with three values it
      contains all of them.

    >>> [round(end, 2) for end in robust_interval([2.0, 2.02, 2.01])]
    [1.9, 2.12]
    >>> [round(end, 2) for end in robust_interval([2.0, 2.02, 2.01, 1.99, 6.0])]
    [1.89, 2.21]
    """
    low, high = robust_bounds([log(value) for value in values], error)
    return bounded_exp(low), bounded_exp(high)


def robust_bounds(logs: Sequence[float], error: float = (1 - CONFIDENCE) / 2) -> tuple[float, float]:
    """Return the ends of `robust_interval` of the exponentials, on logarithms."""
    n = len(logs)
    if n < 2:
        return nan, nan
    ordered = sorted(logs)
    centre = median(ordered)
    reach = max(log(OUTLIER), 4 * median(abs(value - centre) for value in ordered))
    near = [min(max(value, centre - reach), centre + reach) for value in ordered]
    mean = sum(near) / n
    variance = (sum((value - mean) ** 2 for value in near) + PROCESS_NOISE**2) / n  # n - 1 degrees of freedom, and 1
    half = float(half_width(sqrt(variance / n), n, 1 - 2 * error / (n + 1)))
    return min(mean - half, ordered[n // 5]), max(mean + half, ordered[-1 - n // 5])


def plausible(seconds: Any) -> Any:
    """Return whether a time in seconds can be a measurement; elementwise."""
    return (seconds > PLAUSIBLE_SECONDS[0]) & (seconds < PLAUSIBLE_SECONDS[1])


def clearly_less(peak: Any, other: Any) -> Any:
    """Return whether a peak in bytes is less than another by more than 1 %, and by 8 KiB or more; elementwise."""
    return (peak < CLEARLY_LESS * other) & (other - peak >= LEAST_BYTES)


def half_width(error: Any, freedom: Any, confidence: float = CONFIDENCE) -> Any:
    """Return half the width of the t-interval of an estimate with this standard error and these degrees of freedom."""
    return stdtrit(freedom, 0.5 + confidence / 2) * error


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the t-interval of the mean of independent normal values; NaN for fewer than two values.

    >>> low, high = t_interval([1.0, 2.0, 3.0])
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    n = len(values)
    if n < 2:
        return nan, nan
    centre = float(np.mean(values))
    reach = float(half_width(np.std(values, ddof=1) / sqrt(n), n - 1, confidence))
    return centre - reach, centre + reach


def bounded_exp(value: float) -> float:
    """Return e ** value; infinite where a float cannot hold it."""
    return exp(value) if isnan(value) or value < 709 else inf


def welch(variances: Sequence[Any], counts: Sequence[Any]) -> tuple[Any, Any]:
    """Return the standard error of the difference of two means, and its degrees of freedom (Welch 1947, Satterthwaite).

    `variances` (``ddof=1``) and `counts` have one entry per sample, each a number or an array. The degrees of freedom
    are NaN where a sample has fewer than two values. Two constant samples have an error of 1e-9, so that equal ones do
    not differ and different ones do.
    """
    n, m = (np.asarray(count, dtype=np.float64) for count in counts)
    a, b = np.asarray(variances[0], dtype=np.float64) / n, np.asarray(variances[1], dtype=np.float64) / m
    variance = np.maximum(a + b, 1e-18)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (a**2 / (n - 1) + b**2 / (m - 1))
    return np.sqrt(variance), np.where(np.isfinite(freedom), freedom, n + m - 2)


def t_p_value(difference: Any, error: Any, freedom: Any) -> Any:
    """Return the one-sided p-value of a positive difference with this standard error and these degrees of freedom."""
    return stdtr(freedom, -difference / error)


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the two-sided interval of Clopper and Pearson (1934) for a probability, from k successes in n trials.

    Without trials it is 0 to 1. Raises ValueError unless 0 <= k <= n.

    >>> low, high = clopper_pearson(0, 200)
    >>> f"{low:.4f} {high:.4f}"
    '0.0000 0.0183'
    """
    if not 0 <= k <= n:
        raise ValueError(f"clopper_pearson needs 0 <= k <= n: got k = {k} and n = {n}")
    error = (1 - confidence) / 2
    low = float(betaincinv(k, n - k + 1, error)) if k else 0.0
    return low, float(betaincinv(k + 1, n - k, 1 - error)) if k < n else 1.0


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive values; NaN for none."""
    return exp(sum(map(log, values)) / len(values)) if len(values) else nan


def log_median(values: Sequence[float]) -> float:
    """Return the median of positive values: of an even number, the geometric mean of the middle two; NaN for none."""
    ordered = sorted(values)
    return sqrt(ordered[(len(ordered) - 1) // 2] * ordered[len(ordered) // 2]) if ordered else nan


def interquartile_range(values: Sequence[float]) -> float:
    """Return the range of the middle half of the values (linear interpolation); NaN for fewer than two values."""
    if len(values) < 2:
        return nan
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)
