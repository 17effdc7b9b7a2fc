"""Reuse: the number of products per linearization from which one strategy is cheaper than another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import geometric_mean, log_t_interval, plausible
from jacobench.reports.data.vocabulary import in_order
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

COLUMNS = ("case", "strategy", "outcome", "uses", "low", "high", "n_passes")


@dataclass(frozen=True)
class Reuse:
    """Number of pullbacks from which a strategy is cheaper.

    `outcome` is ``"from the first"`` (one use is enough), ``"after"`` (that many uses are needed), ``"until"`` (cheaper
    for fewer uses only), ``"never"``, or ``"undecided"`` (the passes disagree). `uses`, `low` and `high` are the
    break-even and its 95 % interval over the passes; NaN where there is none.
    """

    outcome: str
    uses: float = math.nan
    low: float = math.nan
    high: float = math.nan


def break_even(linearize: ArrayLike, pullback: ArrayLike) -> Reuse:
    """Find the number of uses K at which ``linearize + K · pullback`` of two strategies are equal.

    The arguments have shape (passes, 2): seconds per call of the strategy and of the reference, one line per process.
    """
    once, each = (np.asarray(seconds, dtype=np.float64) for seconds in (linearize, pullback))
    extra_once, saved_each = once[:, 0] - once[:, 1], each[:, 1] - each[:, 0]
    uses = extra_once / np.where(saved_each == 0, np.nan, saved_each)
    if (saved_each > 0).all() and (uses <= 1).all():
        return Reuse("from the first")
    if (saved_each <= 0).all() and (extra_once + each[:, 0] - each[:, 1] >= 0).all():
        return Reuse("never")
    for outcome, agreed in (("after", saved_each > 0), ("until", saved_each < 0)):
        if agreed.all() and (uses > 0).all():
            low, high = log_t_interval(uses.tolist())
            return Reuse(outcome, geometric_mean(uses.tolist()), low, high)
    return Reuse("undecided")


def reuse(passes: pd.DataFrame, against: str = REFERENCE) -> pd.DataFrame:
    """Find the number of pullbacks from which each strategy is cheaper than another, for every case.

    Parameters
    ----------
    passes : DataFrame
        Seconds of each pass, as returned by `load_passes`.
    against : str
        The strategy to compare with.

    Returns
    -------
    DataFrame
        One line per case and strategy that was timed in the same processes as ``against``, in the phases ``linearize``
        and ``pullback``: ``case``, ``strategy``, the fields of `Reuse`, ``n_passes``.
    """
    times = passes[passes["phase"].isin(["linearize", "pullback"]) & plausible(passes["seconds"])]
    lines = []
    for case, own in times.groupby("case", sort=False):
        wide = own.pivot_table(index=["pass", "worker"], columns=["strategy", "phase"], values="seconds", sort=False)
        for strategy in in_order(own["strategy"]):
            columns = [(name, phase) for phase in ("linearize", "pullback") for name in (strategy, against)]
            seconds = wide.reindex(columns=columns).dropna().to_numpy()
            if strategy != against and len(seconds):
                found = vars(break_even(seconds[:, :2], seconds[:, 2:]))
                lines.append({"case": case, "strategy": strategy, **found, "n_passes": len(seconds)})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def uses_in_words(uses: pd.Series[float]) -> str:
    """Return the range of numbers of uses, rounded up, such as ``"3 to 12"``."""
    low, high = (math.ceil(number - 1e-9) for number in (uses.min(), uses.max()))
    return f"{low}" if low == high else f"{low} to {high}"
