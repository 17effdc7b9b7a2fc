"""What fits: the largest size that each strategy can take within a limit of time or memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.columns import FORWARD
from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.analysis.growth import GROWING
from jacobench.reports.analysis.power_laws import PowerLaw, fit
from jacobench.reports.analysis.sweeps import Sweep, find_sweeps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

COLUMNS = ("knob", "held", "strategy", "size", "basis")


BOUNDS = {"weight_density": 1.0}
"""Knobs that go no further."""


@dataclass(frozen=True)
class Fit:
    """The largest size within a limit.

    Attributes
    ----------
    size : float
        NaN where there is none, infinite where the cost does not grow.
    basis : str
        ``"interpolation"`` between two measured sizes; ``"model"``: between sizes of which one is predicted;
        ``"extrapolation"`` by the fitted law, beyond every size; ``"none"``: even the smallest is over the limit;
        ``"unknown"``: all are within it, and there is no law to go on by; ``"bound"``: every size that the knob can have.
    """

    size: float
    basis: str


def largest(sizes: ArrayLike, values: ArrayLike, limit: float, predicted: ArrayLike | None = None) -> Fit:
    """Find the largest size whose cost is within a limit.

    Parameters
    ----------
    sizes : array_like of float, shape (n,)
        Positive, ascending.
    values : array_like of float, shape (n,)
        Measured costs; NaN where there is none.
    limit : float
        In the unit of the values.
    predicted : array_like of float, shape (n,), optional
        Costs to take where none was measured, in the same unit.

    Returns
    -------
    Fit
        By a straight line between the last size within the limit before the first one over it, in logarithms.
    """
    x, measured = np.asarray(sizes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    y = measured if predicted is None else np.where(np.isfinite(measured), measured, predicted)
    known = np.isfinite(y) & (y > 0)
    x, y, measured = x[known], y[known], measured[known]
    over = np.flatnonzero(y > limit)
    if over.size and over[0] == 0:
        return Fit(math.nan, "none")
    if over.size:
        k = int(over[0])
        share = math.log(limit / y[k - 1]) / math.log(y[k] / y[k - 1])
        basis = "interpolation" if np.isfinite(measured[k - 1 : k + 1]).all() else "model"
        return Fit(float(x[k - 1] * (x[k] / x[k - 1]) ** share), basis)
    law = fit(x, [y])
    if law is None:
        return Fit(math.nan, "unknown")
    return Fit(max(_invert(law, limit), float(x[-1])), "extrapolation")  # the last is within it, whatever the law says


def _invert(law: PowerLaw, limit: float) -> float:
    """Return the size at which a law reaches the limit; infinite where it does not grow, or beyond what a float holds."""
    if law.exponent <= 0:
        return math.inf
    if limit <= law.fixed:
        return 0.0
    logarithm = math.log((limit - law.fixed) / law.scale) / law.exponent
    return math.exp(logarithm) if logarithm < 700 else math.inf


def what_fits(table: pd.DataFrame, knob: str, quantity: str, limit: float, phase: str = "gradient") -> pd.DataFrame:
    """Find the largest size of a knob that each strategy can take within a limit.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    knob : str
        A key of ``KNOBS``.
    quantity : {"seconds", "bytes"}
        What is limited.
    limit : float
        Seconds per call, or bytes at the peak; positive.
    phase : str
        The phase that is limited.

    Returns
    -------
    DataFrame
        One line a sweep over the knob and a strategy with a number: ``knob``, ``held`` (what the sweep holds fixed),
        ``strategy``, and the fields of `Fit`. Where no memory was measured, the predicted one counts.

    Raises
    ------
    BadInput
        If knob or quantity are unknown, or the limit is not positive.
    """
    if quantity not in GROWING:
        raise unknown("quantity", quantity, GROWING)
    if not 0 < limit < math.inf:
        raise BadInput(f"the limit is {limit!r}: expected a positive number of {quantity}")
    rows = table[(table["phase"] == phase) & table["strategy"].ne(FORWARD)]
    lines: list[dict[str, Any]] = []
    for sweep in find_sweeps(rows, knob):
        for strategy, own in sweep.rows.groupby("strategy", sort=False):
            found = _largest(sweep, own, quantity, limit)
            if found is not None:
                lines.append({"knob": knob, "held": sweep.held, "strategy": strategy, **vars(found)})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _largest(sweep: Sweep, own: pd.DataFrame, quantity: str, limit: float) -> Fit | None:
    column, prediction = GROWING[quantity]
    values = own[column].where(own["status"] == "ok")
    predicted = own[prediction] if quantity == "bytes" else None  # flops are no seconds
    if not values.notna().any() and (predicted is None or not predicted.notna().any()):
        return None
    found = largest(own[sweep.knob], values, limit, predicted)
    bound = BOUNDS.get(sweep.knob, math.inf)
    return Fit(bound, "bound") if found.size >= bound else found
