"""Rows of two runs that were made at different times: a wide threshold, and a correction over all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from jacobench.reports.regression.outcome import BASE, HEAD, ROW
from jacobench.reports.regression.paired_test import CONFIDENCE, FINDING_COLUMNS, IMPROVED, OPEN, SLOWER, UNCHANGED

if TYPE_CHECKING:
    from jacobench.reports.regression.thresholds import Limits

FEWEST_PASSES = 8
"""A side: with fewer, one odd process decides."""

KEYS = (*ROW, "quantity")

LEVEL = 0.05
"""The chance that any row of two runs of the same code is called slower, if passes were independent and log-normal."""


def judge_unpaired(samples: pd.DataFrame, limits: Limits, drift: float) -> pd.DataFrame:
    """Judge the rows that both runs have times of.

    Parameters
    ----------
    samples : DataFrame
        ``SAMPLE_COLUMNS``, a pair being a pass of each run, and ``quantity``: what stands in ``seconds``.
    limits : Limits
        The thresholds.
    drift : float
        log(head / base) of the control kernel, by which the machine itself moved; 0 if it is not known. A row is held against
        it on the side where it would explain a change.

    Returns
    -------
    DataFrame
        Indexed by case, strategy, phase and quantity, ``FINDING_COLUMNS``; the verdict is slower, improved, unchanged or open.
        ``p_value`` is one-sided (slower), Holm's over all rows.

    Notes
    -----
    Welch's t-test on the logarithms of the passes' times. Passes of one run were made in one stretch of time, and are more alike
    than those of two: no test on them sees that, and the threshold stands in for it. What disturbs a pass only makes it longer; so a
    row is slower only if its fastest pass is, too, by the threshold. On recorded noise that takes the false alarms of this test from
    1.8 % at the most to none in 4,000, and leaves its power at +10 % as it was (docs/gate.md).
    """
    ok = samples[(samples["status"] == "ok") & samples["seconds"].notna()]
    logs = ok.assign(log=np.log(ok["seconds"].astype(np.float64)))
    moments = logs.groupby([*KEYS, "side"], sort=False)["log"].agg(["mean", "var", "count", "min"]).reset_index()
    base, head = (moments[moments["side"] == side] for side in (BASE, HEAD))
    both = base.merge(head, on=list(KEYS), suffixes=("_base", "_head"))
    found = _judge(both, limits, drift)
    found.index = pd.MultiIndex.from_frame(both[list(KEYS)])
    return found


def _judge(both: pd.DataFrame, limits: Limits, drift: float) -> pd.DataFrame:
    floors = np.array([limits.of(*cell).time for cell in zip(both["case"], both["strategy"], strict=True)], dtype=float)
    shift = (both["mean_head"] - both["mean_base"]).to_numpy()
    fastest = (both["min_head"] - both["min_base"]).to_numpy()
    error, freedom = _welch(both)
    up, down = max(drift, 0.0), max(-drift, 0.0)
    p_slower = holm(stdtr(freedom, (up - shift) / error))
    p_faster = holm(stdtr(freedom, (shift + down) / error))
    floor = np.log1p(floors)
    reach = stdtrit(freedom, 0.5 + CONFIDENCE / 2) * error
    few = both[["count_base", "count_head"]].min(axis=1).to_numpy() < FEWEST_PASSES
    slower = ~few & (p_slower <= LEVEL) & (np.minimum(shift, fastest) >= floor + up)
    faster = ~few & (p_faster <= LEVEL) & (np.maximum(shift, fastest) <= -floor - down)
    unchanged = ~few & (np.abs(shift) + reach < floor)
    return pd.DataFrame(
        {
            "verdict": np.select([slower, faster, unchanged], [SLOWER, IMPROVED, UNCHANGED], OPEN),
            "ratio": np.exp(shift),
            "low": np.exp(shift - reach),
            "high": np.exp(shift + reach),
            "p_value": p_slower,
            "threshold": np.expm1(floor + up),
            "detectable": np.expm1(np.maximum(floor + up + 0.84 * error, up + _quantile(freedom, len(both)) * error)),
            "n_pairs": both[["count_base", "count_head"]].min(axis=1).to_numpy(),
        },
        columns=list(FINDING_COLUMNS),
    )


def _welch(both: pd.DataFrame) -> tuple[Any, Any]:
    """Return standard errors of the differences and their degrees of freedom; NaN where a side has one pass."""
    n_base, n_head = both["count_base"].to_numpy(dtype=float), both["count_head"].to_numpy(dtype=float)
    a, b = both["var_base"].to_numpy() / n_base, both["var_head"].to_numpy() / n_head
    variance = np.maximum(a + b, 1e-18)  # two runs of a constant differ by nothing, or by all
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / (a**2 / (n_base - 1) + b**2 / (n_head - 1))
    return np.sqrt(variance), np.where(np.isfinite(freedom), freedom, n_base + n_head - 2)


def _quantile(freedom: Any, n_rows: int) -> Any:
    """Return how many standard errors a change must have to be found in four of five repetitions, were it the only one."""
    return stdtrit(freedom, 1 - LEVEL / max(n_rows, 1)) + 0.84


def holm(p_values: Any) -> Any:
    """Return p-values corrected so that the chance of any error in the family is bounded (Holm 1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.02])
    array([0.03, 0.04, 0.04])
    """
    p = np.nan_to_num(np.asarray(p_values, dtype=np.float64), nan=1.0)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
