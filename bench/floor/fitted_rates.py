"""Rates of strategies without known rules: seconds of a cell = a + b · calls + c · flops + d · bytes, fitted to measured cells.

The time model knows the rules of `time_model.WITH_RULES`. Others, such as plug-ins, are predicted from the cells of a run, or
from small cases that are measured when needed (`microbenchmarks`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.floor.rule_rates import fit_relative
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
    """Fit the four rates by `fit_relative`: seconds per call of the phase, per NumPy call, per flop and per byte.

    `work`, shape (cells, 4), is the result of `features`; `seconds`, shape (cells,), are positive.
    """
    return fit_relative(work, seconds)


def _usable(measured: pd.DataFrame) -> pd.DataFrame:
    known: pd.Series[bool] = measured[list(WORK)].notna().all(axis=1) & plausible(measured["seconds_median"])
    return measured[known & (measured["status"] == "ok")]


def _stored_sparse(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["weight_density"] < 1
