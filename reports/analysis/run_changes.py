"""What changed from one run to another: each cell's time and memory, new over old."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from jacobench.bench.row.statistics import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.reports.data.run_data import Run

KEYS = ["case", "strategy"]
SAME = ("machine", "controls")
"""Columns in which two runs must agree for their times to be comparable."""


def ratio_of_means(old: Sequence[float], new: Sequence[float]) -> tuple[float, float, float]:
    """Return how many times as much the new numbers are, in the geometric mean, and the 95 % interval.

    Parameters
    ----------
    old, new : sequence of float
        Positive, one a process; those of different runs are no pairs.

    Returns
    -------
    ratio, low, high : float
        By Welch's t-interval on the logarithms (Welch 1947, with Satterthwaite's degrees of freedom); its ends are NaN where
        either has fewer than two numbers, all are NaN where either has none.
    """
    if not len(old) or not len(new):
        return math.nan, math.nan, math.nan
    x, y = np.log(np.asarray(old, dtype=float)), np.log(np.asarray(new, dtype=float))
    centre = float(y.mean() - x.mean())
    if min(len(x), len(y)) < 2:
        return math.exp(centre), math.nan, math.nan
    a, b = float(x.var(ddof=1)) / len(x), float(y.var(ddof=1)) / len(y)
    if a + b == 0:
        return (math.exp(centre),) * 3
    freedom = (a + b) ** 2 / (a**2 / (len(x) - 1) + b**2 / (len(y) - 1))
    reach = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * math.sqrt(a + b)
    return math.exp(centre), math.exp(centre - reach), math.exp(centre + reach)


def changes(base: Run, head: Run, phase: str = "gradient") -> pd.DataFrame:
    """Set each cell of one run beside the same cell of another.

    Parameters
    ----------
    base, head : Run
        The old and the new one.
    phase : str
        The phase that is compared.

    Returns
    -------
    DataFrame
        One line a case and strategy that both have, in the order of ``head``: ``status_base``, ``status_head``;
        ``seconds_base``, ``seconds_head`` with ``seconds_ratio``, ``seconds_low``, ``seconds_high`` (see `ratio_of_means`; where
        a run recorded no passes, the ratio of the medians without an interval); ``bytes_base``, ``bytes_head``, ``bytes_ratio``.
        A number is there only where both cells are ok.
    """
    columns = [*KEYS, "status", "seconds_median", "peak_bytes"]
    old, new = (run.table.loc[run.table["phase"] == phase, columns] for run in (base, head))
    both = new.merge(old, on=KEYS, suffixes=("_head", "_base"), sort=False)
    ok = (both["status_head"] == "ok") & (both["status_base"] == "ok")
    found = both[[*KEYS, "status_base", "status_head"]].copy()
    for name, column in (("seconds", "seconds_median"), ("bytes", "peak_bytes")):
        for side in ("base", "head"):
            numbers = both[f"{column}_{side}"]
            found[f"{name}_{side}"] = numbers.where(ok & (numbers > 0))
        found[f"{name}_ratio"] = found[f"{name}_head"] / found[f"{name}_base"]
    of_passes = pd.DataFrame(
        [
            ratio_of_means(_passes(base, cell, phase), _passes(head, cell, phase))
            for cell in found[KEYS].itertuples(index=False)
        ],
        columns=["ratio", "low", "high"],
        index=found.index,
    ).where(ok)
    found["seconds_ratio"] = of_passes["ratio"].fillna(found["seconds_ratio"])
    found["seconds_low"], found["seconds_high"] = of_passes["low"], of_passes["high"]
    return found


def _passes(run: Run, cell: Sequence[Any], phase: str) -> list[float]:
    passes = run.passes
    own = (passes["case"] == cell[0]) & (passes["strategy"] == cell[1]) & (passes["phase"] == phase)
    return [seconds for seconds in passes.loc[own, "seconds"].tolist() if seconds > 0]


def differences(base: Run, head: Run) -> list[str]:
    """Say in what the settings of two runs differ that makes their times incomparable; empty if in nothing."""
    found = []
    for column in SAME:
        old, new = (" and ".join(sorted(set(run.table[column].dropna()))) for run in (base, head))
        if old != new:
            found.append(f"{column}: {old or 'unknown'}, then {new or 'unknown'}")
    old_threads, new_threads = (run.table.attrs.get("threads") for run in (base, head))
    if old_threads != new_threads:
        found.append(f"threads: {old_threads or 'unknown'}, then {new_threads or 'unknown'}")
    return found
