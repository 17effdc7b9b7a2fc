"""Power laws of growth, with or without a fixed cost, fitted on logarithms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import least_squares
from scipy.special import fdtrc

from jacobench.bench.row.statistics import bounded_exp, half_width, t_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FIXED_LEVEL = 0.05  # level of the F-test that a fixed cost, an additional parameter, must pass

MIN_SIZES, MIN_SIZES_FIXED = 3, 5
"""Fewest sizes that leave a degree of freedom: for a power law, and for a test of a fixed cost."""

Array = Any


@dataclass(frozen=True)
class PowerLaw:
    """``value = fixed + scale * size ** exponent``.

    - ``fixed``: cost at every size, in the unit of the values; 0 where there is none.
    - ``low``, ``high``: 95 % t-interval of the exponent over the passes; NaN for fewer than two passes.
    - ``dominates_from``: size from which the growing term is at least the fixed cost; not below the smallest size.
    - ``r_squared``: explained share of the variance of the logarithms; NaN where the values do not vary.
    - ``residual``: largest factor between a value and the law; 1 is a perfect fit.
    - ``largest``: the largest size.
    - ``covariance``: of the means over the passes of the logarithm of the growing term at the largest size, the
      exponent and, if there is one, the logarithm of the fixed cost. Empty for fewer than two passes.
    """

    fixed: float
    scale: float
    exponent: float
    low: float
    high: float
    dominates_from: float
    r_squared: float
    residual: float
    n_passes: int
    n_sizes: int
    largest: float
    covariance: tuple[tuple[float, ...], ...]

    def __call__(self, sizes: ArrayLike) -> NDArray[np.float64]:
        """Return the values at sizes; an array of their shape, in the unit of the fitted values."""
        return np.asarray(self.fixed + self.scale * np.asarray(sizes, dtype=np.float64) ** self.exponent)

    def band(self, sizes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the 95 % t-interval of the law over the passes at each size; NaN for fewer than two passes.

        The curve of each pass differs from the fitted one by the pass's own Gauss-Newton step.
        """
        values = self(sizes)
        if not self.covariance:
            return np.full_like(values, np.nan), np.full_like(values, np.nan)
        u = np.log(np.asarray(sizes, dtype=np.float64) / self.largest)
        covariance = np.asarray(self.covariance)
        if len(covariance) == 3:
            leading = math.log(self.scale) + self.exponent * math.log(self.largest)
            slopes = _slopes(np.array([leading, self.exponent, math.log(self.fixed)]), u)
        else:
            slopes = np.column_stack([np.ones_like(u), u])
        errors = np.sqrt(np.einsum("ni,ij,nj->n", slopes, covariance, slopes).clip(min=0))
        reach = half_width(errors, self.n_passes - 1)
        return values * np.exp(-reach), values * np.exp(reach)


def fit(sizes: ArrayLike, values: ArrayLike, *, with_fixed: bool | None = None) -> PowerLaw | None:
    """Fit a power law to the logarithms of values of several passes, by least squares.

    `sizes`, shape (n,), and `values`, shape (passes, n), are positive, and the sizes distinct. If `with_fixed` is None,
    the law has a fixed cost only if there are five sizes and an F-test at 5 % on the residuals of the passes' mean
    rejects the power alone. Returns None for fewer than three sizes, without passes, or for a value that is not
    positive and finite.

    Each pass has its own exponent: the fitted one plus the Gauss-Newton step from the fit to that pass's values (Bates
    and Watts 1988, section 2.2: linear approximation at the optimum). For a power law this is the pass's own
    least-squares slope. The fitted exponent is their mean, and its interval their t-interval.

    >>> law = fit([16, 32, 64, 128, 256], [[1e-5 + 1e-9 * size**2 for size in (16, 32, 64, 128, 256)]])
    >>> f"{law.fixed:.2g} + {law.scale:.2g} size^{law.exponent:.3g}"
    '1e-05 + 1e-09 size^2'
    """
    x, y = np.asarray(sizes, dtype=np.float64), np.atleast_2d(np.asarray(values, dtype=np.float64))
    usable = np.isfinite(y).all() and (y > 0).all() and (x > 0).all()
    if y.shape[0] == 0 or np.unique(x).size < MIN_SIZES or not usable:
        return None
    u, logs = np.log(x / x.max()), np.log(y)
    mean = logs.mean(axis=0)
    jacobian = np.column_stack([np.ones_like(u), u])
    parameters = np.linalg.lstsq(jacobian, mean)[0]
    if with_fixed or (with_fixed is None and x.size >= MIN_SIZES_FIXED):
        richer = _with_fixed(u, mean, parameters)
        if with_fixed or _improves(mean - jacobian @ parameters, mean - _logs(richer, u)):
            parameters, jacobian = richer, _slopes(richer, u)
    return _law(x, u, logs, parameters, jacobian)


def _with_fixed(u: Array, mean: Array, power: Array) -> Array:
    """Fit log scale, exponent and log fixed: the fixed cost is never negative, and goes to 0 where there is none."""
    start = np.array([mean[u.argmax()], max(power[1], 0.1) * 1.3, mean.min() - 0.5])

    def residuals(parameters: Array, u: Array) -> Array:
        return _logs(parameters, u) - mean

    return least_squares(residuals, start, _slopes, method="lm", xtol=1e-10, args=(u,)).x


def _logs(parameters: Array, u: Array) -> Array:
    scale, exponent, fixed = parameters
    return np.logaddexp(scale + exponent * u, fixed)


def _slopes(parameters: Array, u: Array) -> Array:
    scale, exponent, fixed = parameters
    share = np.exp(scale + exponent * u - np.logaddexp(scale + exponent * u, fixed))
    return np.column_stack([share, share * u, 1 - share])


def _improves(without: Array, having: Array) -> bool:
    """Return whether a third parameter lowers the squared residuals by more than chance."""
    freedom = having.size - 3
    before, after = float(without @ without), float(having @ having)
    if before - after <= 1e-20 * having.size:  # both are rounding
        return False
    return bool(fdtrc(1, freedom, (before - after) / (max(after, 1e-300) / freedom)) < FIXED_LEVEL)


def _law(x: Array, u: Array, logs: Array, parameters: Array, jacobian: Array) -> PowerLaw:
    fitted = _logs(parameters, u) if parameters.size == 3 else jacobian @ parameters
    exponent = float(parameters[1])
    log_scale = float(parameters[0]) - exponent * math.log(x.max())
    log_fixed = float(parameters[2]) if parameters.size == 3 else -math.inf
    steps = (logs - fitted) @ np.linalg.pinv(jacobian).T  # of each pass, from the fit
    low, high = t_interval((exponent + steps[:, 1]).tolist())
    mean = logs.mean(axis=0)
    variance = float(((mean - mean.mean()) ** 2).sum())
    # For nearly constant values the quotient would be rounding error over rounding error.
    unexplained = float(((mean - fitted) ** 2).sum()) / variance if variance > 1e-12 else math.nan
    meets = bounded_exp((log_fixed - log_scale) / exponent) if exponent > 0 else 0.0
    return PowerLaw(
        fixed=bounded_exp(log_fixed),
        scale=bounded_exp(log_scale),
        exponent=exponent,
        low=low,
        high=high,
        dominates_from=max(meets, float(x.min())),
        r_squared=1 - unexplained,
        residual=math.exp(float(np.abs(mean - fitted).max())),
        n_passes=logs.shape[0],
        n_sizes=x.size,
        largest=float(x.max()),
        covariance=_covariance(steps),
    )


def _covariance(steps: Array) -> tuple[tuple[float, ...], ...]:
    if len(steps) < 2:
        return ()
    return tuple(tuple(row) for row in (np.cov(steps, rowvar=False) / len(steps)).tolist())
