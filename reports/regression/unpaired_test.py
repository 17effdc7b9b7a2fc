"""Test of rows from two runs made at different times: a wide threshold, and a correction over all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import half_width, t_p_value, welch
from jacobench.reports.regression.outcome import BASE, FINDING_COLUMNS, HEAD, ROW
from jacobench.reports.regression.paired_test import IMPROVED, OPEN, SLOWER, UNCHANGED

if TYPE_CHECKING:
    from jacobench.reports.regression.thresholds import GateThresholds

MIN_PASSES = 8
"""Per side. With fewer, one outlier decides."""

LARGEST = 700.0  # logarithm that a float can hold; with two passes per side, the critical values are larger

KEYS = (*ROW, "quantity")

LEVEL = 0.05
"""Probability that any row of two runs of the same code is called slower, if passes are independent and log-normal."""

POWER_QUANTILE = 0.84
"""Standard errors that a change needs beyond the critical value to be found with a probability of 80 %."""


def judge_unpaired(samples: pd.DataFrame, thresholds: GateThresholds, shift: float) -> pd.DataFrame:
    """Judge the rows that have times above 0 in both runs.

    ``samples`` have ``SAMPLE_COLUMNS``, where a pair is one pass of each run, and ``quantity``, which names what
    ``seconds`` holds. ``shift`` is log(head / base) of the calibration kernel, 0 if unknown; a change in this direction
    must exceed it. Returns ``FINDING_COLUMNS``, indexed by case, strategy, phase and quantity. The verdict is slower,
    improved, unchanged or open; ``p_value`` is one-sided (slower), corrected over all rows (Holm 1979).

    Welch's t-test on the logarithms of the passes' times. Passes of one run are more alike than passes of two runs. No
    test on them detects that; the threshold accounts for it. A disturbance only makes a pass longer, so a row is slower
    only if its fastest pass is slower by the threshold, too. On recorded noise this reduces the false alarms from 1.8 %
    at most to none in 4,000, and keeps the power at +10 % (docs/gate.md).
    """
    ok = samples[(samples["status"] == "ok") & samples["seconds"].notna()]
    ok = ok[ok.groupby([*KEYS, "side"])["seconds"].transform("min") > 0]  # a time of 0 has no logarithm
    logs = ok.assign(log=np.log(ok["seconds"].astype(np.float64)))
    moments = logs.groupby([*KEYS, "side"], sort=False)["log"].agg(["mean", "var", "count", "min"]).reset_index()
    base, head = (moments[moments["side"] == side] for side in (BASE, HEAD))
    both = base.merge(head, on=list(KEYS), suffixes=("_base", "_head"))
    found = _judge(both, thresholds, shift)
    found.index = pd.MultiIndex.from_frame(both[list(KEYS)])
    return found


def _judge(both: pd.DataFrame, thresholds: GateThresholds, shift: float) -> pd.DataFrame:
    cells = zip(both["case"], both["strategy"], strict=True)
    floor = np.log1p(np.array([thresholds.of(*cell).time for cell in cells], dtype=float))
    change = (both["mean_head"] - both["mean_base"]).to_numpy()
    fastest = (both["min_head"] - both["min_base"]).to_numpy()
    error, freedom = welch([both["var_base"], both["var_head"]], [both["count_base"], both["count_head"]])
    up, down = max(shift, 0.0), max(-shift, 0.0)
    p_slower = holm(t_p_value(change - up, error, freedom))
    p_faster = holm(t_p_value(-change - down, error, freedom))
    reach = half_width(error, freedom)
    n_pairs = both[["count_base", "count_head"]].min(axis=1).to_numpy()
    enough = n_pairs >= MIN_PASSES
    slower = enough & (p_slower <= LEVEL) & (np.minimum(change, fastest) >= floor + up)
    faster = enough & (p_faster <= LEVEL) & (np.maximum(change, fastest) <= -floor - down)
    unchanged = enough & (np.abs(change) + reach < floor)
    critical = half_width(error, freedom, 1 - 2 * LEVEL / max(len(both), 1))
    detectable = np.maximum(floor + up + POWER_QUANTILE * error, up + critical + POWER_QUANTILE * error)
    with np.errstate(over="ignore"):
        high = np.exp(change + reach)
    return pd.DataFrame(
        {
            "verdict": np.select([slower, faster, unchanged], [SLOWER, IMPROVED, UNCHANGED], OPEN),
            "ratio": np.exp(change),
            "low": np.exp(change - reach),
            "high": high,
            "p_value": p_slower,
            "threshold": np.expm1(floor + up),
            "detectable": np.expm1(np.minimum(detectable, LARGEST)),
            "n_pairs": n_pairs,
        },
        columns=list(FINDING_COLUMNS),
    )


def holm(p_values: Any) -> Any:
    """Return p-values corrected so that the probability of any error in the family is bounded (Holm 1979).

    >>> holm([0.01, 0.04, 0.02])
    array([0.03, 0.04, 0.04])
    """
    p = np.nan_to_num(np.asarray(p_values, dtype=np.float64), nan=1.0)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected
