"""Time model: seconds of a cell = a + b · calls + c · flops + d · bytes, with rates fitted to measured cells.

``run --dry-run``, ``recommend`` and the column ``predicted_seconds`` use this model. The measured cells are those of a
run, or small cases that are measured when needed (`microbenchmarks`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from jacobench.bench.row.statistics import plausible

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST_CELLS = 8  # smallest number of cells to which the four rates are fitted

WORK = ("predicted_flops", "predicted_bytes")

Array = Any


def predict_seconds(measured: pd.DataFrame, target: pd.DataFrame) -> pd.Series[float]:
    """Predict the seconds of one call from measured cells; NaN where that is not possible.

    `measured` are tidy rows; those that are ok and have ``seconds_median`` and predictions are used. `target` has
    ``predicted_flops`` and ``predicted_bytes``; its column ``n_calls`` may give the number of ops of graphs without a
    depth.

    It is not possible without predictions, or if fewer than `FEWEST_CELLS` measured cells are comparable: of the same
    strategy, phase and dtype, weights stored alike.
    """
    found = np.full(len(target), math.nan)
    numbered = target.reset_index(drop=True)
    predicted = numbered[numbered[list(WORK)].notna().all(axis=1)]
    for _, rows in predicted.groupby(["strategy", "phase", "dtype", _stored_sparse(predicted)], sort=False):
        cells = comparable_cells(measured, rows.iloc[0].to_dict())
        if len(cells) >= FEWEST_CELLS:
            found[rows.index] = features(rows) @ fit_rates(features(cells), cells["seconds_median"].to_numpy())
    return pd.Series(found, target.index)


def cross_validated_seconds(table: pd.DataFrame) -> pd.Series[float]:
    """Predict the seconds of a run's cells as `predict_seconds`, each from the cells of the run's other cases."""
    found = predict_seconds(table, table).to_numpy().copy()
    usable = _usable(table.reset_index(drop=True))
    for _, cells in usable.groupby(["strategy", "phase", "dtype", _stored_sparse(usable)], sort=False):
        work, seconds, cases = features(cells), cells["seconds_median"].to_numpy(), cells["case"].to_numpy()
        for case in dict.fromkeys(cases):
            own = cases == case
            enough = np.count_nonzero(~own) >= FEWEST_CELLS
            found[cells.index[own]] = work[own] @ fit_rates(work[~own], seconds[~own]) if enough else math.nan
    return pd.Series(found, table.index)


def comparable_cells(measured: pd.DataFrame, row: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the measured cells to which the rates of a row are fitted; see `predict_seconds`.

    Weights that are stored sparse are processed by other code: from the one to the other, predicted times were wrong by
    up to a factor of 5.5, within each by 1.9.
    """
    alike = (measured["strategy"] == row["strategy"]) & (measured["phase"] == row["phase"])
    sparse = _stored_sparse(measured) == (row["weight_density"] < 1)
    return _usable(measured[alike & sparse & (measured["dtype"] == row["dtype"])])


def features(rows: pd.DataFrame) -> Array:
    """Return what each of the four rates is multiplied with, shape (rows, 4): one, calls, flops and bytes."""
    return np.column_stack([np.ones(len(rows)), n_calls(rows), *(rows[name] for name in WORK)]).astype(np.float64)


def n_calls(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the number of NumPy calls of a forward pass, from the knobs: two per layer, more with extra ops."""
    per_layer = 2.0 + rows["residual"].eq(True) + rows["normalization"].notna()
    calls: pd.Series[float] = rows["depth"] * per_layer
    return calls.fillna(rows.get("n_calls", per_layer))


def fit_rates(work: Array, seconds: Array) -> Array:
    """Fit the four rates, none negative, by least squares of the relative errors.

    `work`, shape (cells, 4), is the result of `features`; `seconds`, shape (cells,), are positive. The rates are
    seconds per call of the phase, per NumPy call, per flop and per byte.
    """
    relative = work / seconds[:, None]
    scale = relative.max(axis=0)
    scale[scale == 0] = 1.0  # no flops in phase `prepare`
    return nnls(relative / scale, np.ones(len(seconds)))[0] / scale


def _usable(measured: pd.DataFrame) -> pd.DataFrame:
    known: pd.Series[bool] = measured[list(WORK)].notna().all(axis=1) & plausible(measured["seconds_median"])
    return measured[known & (measured["status"] == "ok")]


def _stored_sparse(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["weight_density"] < 1
