"""What a case would cost by the model: predicted flops and bytes at rates that a run measured; and how far off that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from jacobench.bench.row.statistics import CONFIDENCE, LEAST_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWEST = 8
"""Cells of a strategy from which its rates are taken: twice as many as there are rates."""

NEAREST = math.log(1.1)
"""Cells that lie no further apart than this are not told apart by distance."""

WORK = ["predicted_flops", "predicted_bytes"]

FEWEST_ERRORS = 5
"""With fewer there is no telling how far off an estimate may be."""

APART = [*WORK, "width", "depth", "batch", "n_seeds", "weight_density"]
"""What tells how far a cell lies from a case."""

Array = Any


@dataclass(frozen=True)
class Estimate:
    """What a strategy would cost in a case, and how far such an estimate has been off.

    Attributes
    ----------
    value : float
        Seconds or bytes.
    errors : Series
        By case of the run: the logarithm of estimate over measured, each estimated without that case.
    """

    value: float
    errors: pd.Series[float]

    @property
    def off(self) -> float:
        """The factor that `reach` finds in the errors."""
        return factor_of(reach(self.errors))


def factor_of(logarithm: float) -> float:
    """Return the exponential, at most what a float holds: errors of estimates from very far away grow beyond it."""
    return math.exp(min(logarithm, 700.0)) if logarithm == logarithm else math.nan  # noqa: PLR0124  (NaN)


def reach(errors: pd.Series[float]) -> float:
    """Return how far off an estimate must be expected to be.

    Parameters
    ----------
    errors : Series
        Of estimates made alike.

    Returns
    -------
    float
        The ceil(0.95 (n + 1))-th smallest of their n absolute values, the largest where n is below 19; NaN for fewer than five. A new
        error that is exchangeable with them stays within it with 95 % probability, or n / (n + 1) if that is less: the rank of
        one of n + 1 is uniform (Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random World", chapter 2). Errors
        left out one by one are so only nearly.
    """
    ordered = np.sort(np.abs(errors.to_numpy(dtype=np.float64)))
    if ordered.size < FEWEST_ERRORS:
        return math.nan
    return float(ordered[min(ordered.size, math.ceil(CONFIDENCE * (ordered.size + 1))) - 1])


def comparable(table: pd.DataFrame, target: pd.DataFrame, phase: str) -> pd.DataFrame:
    """Return the rows that say something of a case: those that were ok, their weights stored as its are.

    Weights stored sparse go through other code: across that border times were off by up to 5.5 times, within it by 1.9.
    """
    alike = _stored_sparse(table) == bool(_stored_sparse(target).iloc[0])
    return table[(table["phase"] == phase) & (table["status"] == "ok") & alike]


def _stored_sparse(table: pd.DataFrame) -> pd.Series[bool]:
    return table["weight_density"].fillna(1.0) < 1


def estimate_bytes(rows: pd.DataFrame, target: pd.DataFrame) -> dict[str, Estimate]:
    """Estimate the peak of each strategy: predicted from the shapes, with the errors of that in a run.

    Parameters
    ----------
    rows : DataFrame
        As `comparable` returns them.
    target : DataFrame
        The case's rows of one phase, one a strategy, with predictions.

    Returns
    -------
    dict of str to Estimate
        For each strategy that has a prediction and was ok anywhere; cells below 8 KiB, of which no profiler sees all, tell
        no errors.
    """
    found = {}
    for line in _predicted(target):
        own = rows[rows["strategy"] == line["strategy"]].set_index("case")
        seen = own[(own["peak_bytes"] >= LEAST_BYTES) & own["predicted_bytes"].notna()]
        if len(own):
            logs = np.log(seen[["predicted_bytes", "peak_bytes"]].to_numpy(dtype=np.float64))
            found[line["strategy"]] = Estimate(line["predicted_bytes"], pd.Series(logs[:, 0] - logs[:, 1], seen.index))
    return found


def estimate_seconds(rows: pd.DataFrame, target: pd.DataFrame) -> dict[str, Estimate]:
    """Estimate the time of each strategy by rates fitted to a run.

    Parameters
    ----------
    rows, target : DataFrame
        As for `estimate_bytes`.

    Returns
    -------
    dict of str to Estimate
        For each strategy with a prediction and `FEWEST` cells or more of the same dtype: ``a + b · calls + c · flops + d · bytes``, none of
        the rates negative, least squares of the relative errors. Calls are those of NumPy's by layer, as far as the knobs
        tell them. To tell its errors each of the run's cases is left out together with all that lie nearer to it, in
        flops, bytes or any size, than the case at hand lies to the run: an estimate far beyond what was measured is held
        against estimates as far. Where the run does not reach so far, its errors are taken to grow on with the
        logarithm of the distance, as those of an exponent do.
    """
    found = {}
    for line in _predicted(target):
        own = _usable(rows, line)
        if len(own) >= FEWEST:
            rates = _rates(_features(own), own["seconds_median"].to_numpy())
            value = float(_features(pd.DataFrame([line]))[0] @ rates)
            found[line["strategy"]] = Estimate(value, _errors(own, float(_gaps(own, line).min())))
    return found


def distance(rows: pd.DataFrame, target: pd.DataFrame, strategy: str) -> float:
    """Return the factor between a case and the nearest cell: in flops, bytes or a size, whichever differs most."""
    (line,) = target[target["strategy"] == strategy].to_dict("records")
    return math.exp(_gaps(_usable(rows, line), line).min())


def _predicted(target: pd.DataFrame) -> list[dict[Any, Any]]:
    return target[target["predicted_bytes"].notna()].to_dict("records")


def _usable(rows: pd.DataFrame, line: Mapping[Any, Any]) -> pd.DataFrame:
    """Return the cells of a line's strategy and dtype that were timed and have predictions."""
    known = (rows["seconds_median"] > 0) & (rows[WORK[0]] > 0) & (rows[WORK[1]] > 0)
    alike = (rows["dtype"] == line["dtype"]) & (rows["strategy"] == line["strategy"])
    found: pd.DataFrame = rows[known & alike].set_index("case")
    return found


def _features(rows: pd.DataFrame) -> Array:
    per_layer = 2 + rows["residual"].fillna(False).astype(int) + rows["normalization"].notna().astype(int)
    calls = rows["depth"].fillna(1) * per_layer
    return np.column_stack([np.ones(len(rows)), calls, *(rows[name] for name in WORK)]).astype(np.float64)


def _rates(features: Array, seconds: Array) -> Array:
    relative = features / seconds[:, None]
    scale = relative.max(axis=0)
    return nnls(relative / scale, np.ones(len(seconds)))[0] / scale


def _gaps(own: pd.DataFrame, line: Any) -> Array:
    """Return how far each cell lies from a line: the largest of the logarithms of flops, bytes and sizes between them."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(np.log(own[APART].to_numpy(dtype=np.float64) / [line[name] for name in APART]))
    return np.nanmax(gaps, axis=1)


def _errors(own: pd.DataFrame, gap: float) -> pd.Series[float]:
    """Return the errors of estimates from as far as the gap, or from as far as can be tested, then made larger."""
    tested = gap
    while tested > NEAREST:
        errors = _left_out(own, tested)
        if len(errors) >= FEWEST:
            return errors * (gap / tested)
        tested *= 0.8
    return _left_out(own, 0.0)


def _left_out(own: pd.DataFrame, gap: float) -> pd.Series[float]:
    features, seconds = _features(own), own["seconds_median"].to_numpy()
    errors = {}
    for k, (case, line) in enumerate(own.iterrows()):
        kept = _gaps(own, line) >= gap
        kept[k] = False
        if kept.sum() >= FEWEST - 1:
            errors[case] = math.log(float(features[k] @ _rates(features[kept], seconds[kept])) / seconds[k])
    return pd.Series(errors, dtype=np.float64)
