"""Estimated seconds and bytes of a case that was not measured, with the error that such estimates have in a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jacobench.bench.floor.time_model import FEWEST_CELLS, WORK, comparable_cells, features, fit_rates, predict_seconds
from jacobench.bench.row.statistics import CONFIDENCE, LEAST_BYTES
from jacobench.reports.analysis.sweeps import KNOBS

FEWEST_ERRORS = 5  # smallest number of errors from which an error bound is computed
SAME_DISTANCE = math.log(1.1)  # cells closer than a factor of 1.1 count as equally distant
SIZES = [*WORK, *KNOBS]  # columns that define the distance between a cell and a case
Array = Any


@dataclass(frozen=True)
class Estimate:
    """Estimated seconds or bytes of a strategy in a case.

    `errors` has, for each case of the run, the logarithm of estimate / measured value, estimated without that case.
    """

    value: float
    errors: pd.Series[float]

    @property
    def error_factor(self) -> float:
        """The factor by which the estimate may be wrong; see `error_bound`."""
        return factor_of(error_bound(self.errors))


def factor_of(logarithm: float) -> float:
    """Return the exponential, limited to what a float holds: errors of very distant estimates are larger."""
    return math.nan if math.isnan(logarithm) else math.exp(min(logarithm, 700.0))


def error_bound(errors: pd.Series[float]) -> float:
    """Return the bound that a new error exceeds with a probability of at most 5 %; NaN for fewer than five errors.

    This is the ceil(0.95 (n + 1))-th smallest of the n absolute errors, the largest if n is below 19. A new error that
    is exchangeable with these is within the bound with a probability of 95 %, or n / (n + 1) if that is less, because
    its rank among the n + 1 is uniform (Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random World",
    chapter 2). Leave-one-out errors are only approximately exchangeable.
    """
    ordered = np.sort(np.abs(errors.to_numpy(dtype=np.float64)))
    if ordered.size < FEWEST_ERRORS:
        return math.nan
    return float(ordered[min(ordered.size, math.ceil(CONFIDENCE * (ordered.size + 1))) - 1])


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
            found[line["strategy"]] = Estimate(line["predicted_bytes"], pd.Series(logs[:, 0] - logs[:, 1], seen.index))
    return found


def estimate_seconds(table: pd.DataFrame, target: pd.DataFrame) -> dict[str, Estimate]:
    """Return the seconds of each strategy that the time model can predict, with the errors of such estimates in a run.

    The arguments are those of `estimate_bytes`. To test the estimate of a run's own cell, that cell is left out, and so
    are all cells closer to it than the case is to the run. So an estimate far from the measured range is tested by
    estimates over the same distance. If the run does not extend so far, its errors are assumed to grow with the
    logarithm of the distance, as those of an exponent do.
    """
    found = {}
    seconds = predict_seconds(table, target)
    for (_, value), line in zip(seconds.items(), target.to_dict("records"), strict=True):
        if not math.isnan(value):
            cells = comparable_cells(table, line).set_index("case")
            found[line["strategy"]] = Estimate(value, _errors(cells, float(_gaps(cells, line).min())))
    return found


def distance(table: pd.DataFrame, target: pd.DataFrame, strategy: str) -> float:
    """Return the factor between a case and the nearest cell: in flops, bytes or a size, whichever differs most."""
    (line,) = target[target["strategy"] == strategy].to_dict("records")
    return math.exp(_gaps(comparable_cells(table, line), line).min())


def _cells(table: pd.DataFrame, line: dict[Any, Any]) -> pd.DataFrame:
    """Return the cells of a line's strategy and phase that were ok, with weights stored alike."""
    alike = (table["strategy"] == line["strategy"]) & (table["phase"] == line["phase"]) & (table["status"] == "ok")
    cells: pd.DataFrame = table[alike & ((table["weight_density"] < 1) == (line["weight_density"] < 1))]
    return cells.set_index("case")


def _gaps(cells: pd.DataFrame, line: Any) -> Array:
    """Return the distance of each cell from a line: the largest logarithm of the factors between their sizes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = np.abs(np.log(cells[SIZES].to_numpy(dtype=np.float64) / [line[name] for name in SIZES]))
    return np.nanmax(gaps, axis=1)


def _errors(cells: pd.DataFrame, gap: float) -> pd.Series[float]:
    """Return the errors of estimates over a distance, scaled up from the largest one that can be tested."""
    tested = gap
    while tested > SAME_DISTANCE:
        errors = _left_out(cells, tested)
        if len(errors) >= FEWEST_CELLS:
            return errors * (gap / tested)
        tested *= 0.8
    return _left_out(cells, 0.0)


def _left_out(cells: pd.DataFrame, gap: float) -> pd.Series[float]:
    work, seconds = features(cells), cells["seconds_median"].to_numpy()
    errors = {}
    for k, (case, line) in enumerate(cells.iterrows()):
        kept = _gaps(cells, line) >= gap
        kept[k] = False
        if kept.sum() >= FEWEST_CELLS - 1:
            errors[case] = math.log(float(work[k] @ fit_rates(work[kept], seconds[kept])) / seconds[k])
    return pd.Series(errors, dtype=np.float64)
