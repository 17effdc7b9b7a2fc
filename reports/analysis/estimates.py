"""Estimated seconds and bytes of a case that was not measured, with the error that such estimates have in measured cases.

Times are those of the time model, and their errors are those of its predictions in measured cases. Strategies that it does not
know have rates that are fitted to the run's cells. Then the error of a time is the prediction interval of a regression. The data are the errors of the run's own cells, each
estimated without its case. They are regressed on the logarithms of flops, bytes and calls, because the true exponents
differ from those of the time model. So the interval widens with the distance of the case from the measured ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.floor.fitted_rates import (
    FEWEST_CELLS,
    WORK,
    comparable_cells,
    features,
    fit_rates,
    predict_seconds,
)
from jacobench.bench.row.statistics import CONFIDENCE, LEAST_BYTES, half_width, plausible
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.strategies.registry import is_built_in

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST_ERRORS = 5  # smallest number of errors from which an error bound is computed
SIZES = [*WORK, *KNOBS]  # columns that define the distance between a cell and a case

EXPONENT_ERROR = 0.25
"""Standard deviation, before anything is measured, of the difference between a true and a modelled exponent of flops,
bytes or calls. Flops and bytes grow with the square of a width, so it is 0.7 in width. Measured differences in width are
0.4 to 0.6 (docs/scaling.md)."""

EXPONENT_CHANGE = 0.25
"""Standard deviation of the change of an exponent beyond the measured sizes, where data leave a cache. It is calibrated:
from widths up to 64 and up to 128, it covers 46 of 48 measured times and 26 of 27 ratios at widths up to 2048."""

BYTES_ERROR, BYTES_BUFFERS = 0.05, 200 * 2**10
"""Largest error of a predicted peak of our own strategies: a share, and the buffers of NumPy. The tests of all ops and of
networks allow no more, and the peaks of gradients in measured runs have less."""

Array = Any


@dataclass(frozen=True)
class Estimate:
    """Estimated seconds or bytes of a strategy in a case.

    `errors` has, for each case of the run, the logarithm of estimate / measured value, estimated without that case.
    `offsets` has, for each of these cases, the logarithm of its sizes over those of the estimated case, a column per
    size; it has no columns if errors do not depend on the distance. `gap` is the logarithm of the factor by which
    the case is outside the measured sizes. `tested` are the smallest and largest value that the tests of the model allow;
    they count if there are too few errors. NaN if there are none.
    """

    value: float
    errors: pd.Series[float]
    offsets: pd.DataFrame = field(default_factory=pd.DataFrame)
    gap: float = 0.0
    tested: tuple[float, float] = (math.nan, math.nan)

    @property
    def bound(self) -> float:
        """The logarithm of the factor by which the estimate may be wrong; NaN if it is unknown."""
        return error_bound(self.errors, self.offsets, self.gap)

    @property
    def error_factor(self) -> float:
        """The factor by which the estimate may be wrong, at 95 % confidence or by the tests; NaN if it is unknown."""
        low, _ = self.limits
        return self.value / low if low > 0 else math.nan

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest value within the error; NaN if it is unknown."""
        factor = factor_of(self.bound)
        return self.tested if math.isnan(factor) else (self.value / factor, self.value * factor)


def bound_of_ratio(one: Estimate, other: Estimate) -> float:
    """Return the logarithm of the factor by which the ratio of two estimates may be wrong.

    Errors that both have in common in a case cancel.
    """
    both = (one.errors - other.errors).dropna()
    if len(both) < FEWEST_ERRORS:
        return one.bound + other.bound
    offsets = pd.concat([part.offsets.reindex(both.index) for part in (one, other)], axis=1)
    return error_bound(both, offsets, math.hypot(one.gap, other.gap))


def limits_of_ratio(one: Estimate, other: Estimate) -> tuple[float, float]:
    """Return the smallest and the largest ratio of two estimates within their errors; NaN if it is unknown."""
    bound = factor_of(bound_of_ratio(one, other))
    if not math.isnan(bound):
        return one.value / other.value / bound, one.value / other.value * bound
    (least, most), (other_least, other_most) = one.limits, other.limits
    return least / other_most, most / other_least if other_least > 0 else math.nan


def factor_of(logarithm: float) -> float:
    """Return the exponential, limited to what a float holds: errors of very distant estimates are larger."""
    return math.nan if math.isnan(logarithm) else math.exp(min(logarithm, 700.0))


def error_bound(errors: pd.Series[float], offsets: pd.DataFrame | None = None, gap: float = 0.0) -> float:
    """Return the bound that a new error exceeds with a probability of 5 %; NaN for fewer than five errors.

    Without offsets this is the bound of `_largest`, otherwise that of `_extrapolated`. `gap` is that of an `Estimate`.
    """
    y = errors.to_numpy(dtype=np.float64)
    if y.size < FEWEST_ERRORS:
        return math.nan
    if offsets is None or not offsets.shape[1]:
        return _largest(y)
    return _extrapolated(y, offsets.to_numpy(dtype=np.float64), gap)


def _largest(errors: Array) -> float:
    """Return the ceil(0.95 (n + 1))-th smallest of the n absolute errors, the largest if n is below 19.

    A new error that is exchangeable with these is within the bound with a probability of 95 %, or n / (n + 1) if that is
    less, because its rank among the n + 1 is uniform (Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random
    World", chapter 2). Leave-one-out errors are only approximately exchangeable.
    """
    ordered = np.sort(np.abs(errors))
    return float(ordered[min(ordered.size, math.ceil(CONFIDENCE * (ordered.size + 1))) - 1])


def _extrapolated(errors: Array, offsets: Array, gap: float) -> float:
    """Return the absolute error expected at offset zero, plus half its 95 % prediction interval.

    Linear regression of the errors on the offsets, with a normal prior of standard deviation `EXPONENT_ERROR` for each
    slope (Gelman et al., "Bayesian Data Analysis", 3rd edition, section 14.8). The variance of the noise is iterated from
    the residuals, with the effective number of parameters. `EXPONENT_CHANGE` adds to it over the gap.
    """
    center = offsets.mean(axis=0)
    x, y = offsets - center, errors - errors.mean()
    n, variance = len(y), float(y @ y) / (len(y) - 1)
    information, axes = np.linalg.eigh(x.T @ x)
    for _ in range(20):
        noise = max(variance, 1e-12)
        certainty = np.clip(information, 0, None) / noise
        spreads = 1 / (certainty + EXPONENT_ERROR**-2)  # posterior variance of the slope along each axis
        slopes = axes @ (spreads * (axes.T @ (x.T @ y))) / noise
        freedom = max(n - 1 - float(certainty @ spreads), 1.0)
        variance = float(np.sum((y - x @ slopes) ** 2)) / freedom
    expected = errors.mean() - center @ slopes
    of_slopes = float(spreads @ (axes.T @ center) ** 2)
    spread = math.sqrt(variance * (1 + 1 / n) + of_slopes + (EXPONENT_CHANGE * gap) ** 2)
    return float(abs(expected) + half_width(spread, freedom))


def estimate_bytes(table: pd.DataFrame, target: pd.DataFrame) -> dict[str, Estimate]:
    """Return the predicted peak of each strategy, with the errors of such predictions in a run.

    `target` has the case's rows of one phase, one per strategy, with predictions. Strategies without a prediction, or
    without a successful comparable cell in the run's `table`, are left out. Cells below 8 KiB give no errors, because
    no profiler sees all of them.
    """
    found = {}
    for line in target[target["predicted_bytes"].notna()].to_dict("records"):
        cells = _cells(table, line)
        seen = cells[(cells["peak_bytes"] >= LEAST_BYTES) & cells["predicted_bytes"].notna()]
        if len(cells):
            logs = np.log(seen[["predicted_bytes", "peak_bytes"]].to_numpy(dtype=np.float64))
            errors = pd.Series(logs[:, 0] - logs[:, 1], seen.index)
            found[line["strategy"]] = Estimate(line["predicted_bytes"], errors, tested=_tested(line))
    return found


def _tested(line: Mapping[Any, Any]) -> tuple[float, float]:
    """Return the limits of a peak that the tests of our own strategies allow; NaN for others."""
    if not is_built_in(line["strategy"]):
        return math.nan, math.nan
    n_bytes = line["predicted_bytes"]
    return max((1 - BYTES_ERROR) * n_bytes - BYTES_BUFFERS, 0.0), (1 + BYTES_ERROR) * n_bytes + BYTES_BUFFERS


def estimate_seconds(table: pd.DataFrame, target: pd.DataFrame) -> dict[str, Estimate]:
    """Return the seconds of each strategy that can be predicted, with the errors of such predictions in measured cases.

    The arguments are those of `estimate_bytes`. A prediction of the time model is in the ``predicted_seconds`` of `target`.
    For other strategies, rates are fitted to the table.
    """
    modelled = target[target["predicted_seconds"].notna()]
    found = {line["strategy"]: _modelled(table, line) for line in modelled.to_dict("records")}
    others = target.drop(modelled.index)
    for (_, value), line in zip(predict_seconds(table, others).items(), others.to_dict("records"), strict=True):
        if value > 0:
            cells = comparable_cells(table, line).set_index("case")
            errors = _left_out(cells)
            offsets, gap = _offsets(cells, line).loc[errors.index], _gap(cells, line)
            found[line["strategy"]] = Estimate(value, errors, offsets, gap)
    return found


def model_errors(table: pd.DataFrame) -> pd.Series[float]:
    """Return the logarithm of predicted / measured seconds of each successful cell that has both, with the table's index."""
    ok = table[(table["status"] == "ok") & (table["predicted_seconds"] > 0) & plausible(table["seconds_median"])]
    errors: pd.Series[float] = np.log(ok["predicted_seconds"]) - np.log(ok["seconds_median"])
    return errors


def _modelled(table: pd.DataFrame, line: Mapping[Any, Any]) -> Estimate:
    """Return a prediction of the time model, with its errors in the cells of this strategy, phase and dtype."""
    alike = (
        table[["strategy", "phase", "dtype"]].eq([line[name] for name in ("strategy", "phase", "dtype")]).all(axis=1)
    )
    errors = model_errors(table[alike])
    return Estimate(line["predicted_seconds"], errors.set_axis(table.loc[errors.index, "case"]))


def _offsets(cells: pd.DataFrame, line: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the logarithms of flops, bytes and calls of each cell over those of a line."""
    at = features(pd.DataFrame([line]))[:, 1:]
    logs = np.log(np.maximum(features(cells)[:, 1:], 1.0)) - np.log(np.maximum(at, 1.0))
    return pd.DataFrame(logs, cells.index, columns=["calls", *WORK])


def distance(table: pd.DataFrame, target: pd.DataFrame, strategy: str) -> float:
    """Return the factor between a case and the nearest cell: in flops, bytes or a size, whichever differs most."""
    (line,) = target[target["strategy"] == strategy].to_dict("records")
    return math.exp(np.nanmax(np.abs(_logs(comparable_cells(table, line), line)), axis=1).min())


def _cells(table: pd.DataFrame, line: dict[Any, Any]) -> pd.DataFrame:
    """Return the cells of a line's strategy and phase that were ok, with weights stored alike."""
    alike = (table["strategy"] == line["strategy"]) & (table["phase"] == line["phase"]) & (table["status"] == "ok")
    cells: pd.DataFrame = table[alike & ((table["weight_density"] < 1) == (line["weight_density"] < 1))]
    return cells.set_index("case")


def _logs(cells: pd.DataFrame, line: Any) -> Array:
    """Return the logarithms of each cell's sizes over those of a line, shape (cells, sizes); NaN where one is missing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(cells[SIZES].to_numpy(dtype=np.float64) / [line[name] for name in SIZES])


def _gap(cells: pd.DataFrame, line: Any) -> float:
    """Return how far a line is outside the range of the cells: the largest logarithm over its sizes, 0 inside."""
    logs = _logs(cells, line)
    known = logs[:, np.isfinite(logs).all(axis=0)]
    return float(np.max([known.min(axis=0), -known.max(axis=0)], initial=0.0))


def _left_out(cells: pd.DataFrame) -> pd.Series[float]:
    """Return the logarithm of estimate / measured time of each cell, estimated from the other cells."""
    work, seconds = features(cells), cells["seconds_median"].to_numpy()
    errors = {}
    for k, case in enumerate(cells.index):
        kept = np.arange(len(cells)) != k
        estimate = float(work[k] @ fit_rates(work[kept], seconds[kept])) if len(cells) >= FEWEST_CELLS else 0.0
        if estimate > 0:
            errors[case] = math.log(estimate / seconds[k])
    return pd.Series(errors, dtype=np.float64)
