"""Worth it after K products: how often a linearization must be used until one strategy is cheaper than another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import geometric_mean, log_t_interval
from jacobench.reports.data.vocabulary import in_order
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

COLUMNS = ("case", "strategy", "outcome", "uses", "low", "high", "n_passes")


@dataclass(frozen=True)
class Reuse:
    """From how many pullbacks on a strategy is the cheaper one.

    Attributes
    ----------
    outcome : str
        ``"from the first"``: one use is enough; ``"after"`` that many uses; ``"until"``: cheaper for fewer uses
        only; ``"never"``; ``"undecided"`` where the passes do not say the same.
    uses, low, high : float
        The break-even and its 95 % interval over the passes; NaN where there is none.
    """

    outcome: str
    uses: float = math.nan
    low: float = math.nan
    high: float = math.nan


def break_even(linearize: ArrayLike, pullback: ArrayLike) -> Reuse:
    """Find the number of uses K at which ``linearize + K · pullback`` of two strategies is equal.

    Parameters
    ----------
    linearize, pullback : array_like of float, shape (passes, 2)
        Seconds per call of the strategy and of the reference, each line from one process.

    Returns
    -------
    Reuse
        Of the strategy against the reference.
    """
    once, each = (np.asarray(seconds, dtype=np.float64) for seconds in (linearize, pullback))
    dearer_once, cheaper_each = once[:, 0] - once[:, 1], each[:, 1] - each[:, 0]
    uses = dearer_once / np.where(cheaper_each == 0, np.nan, cheaper_each)
    if (cheaper_each > 0).all() and (uses <= 1).all():
        return Reuse("from the first")
    if (cheaper_each <= 0).all() and (dearer_once + each[:, 0] - each[:, 1] >= 0).all():
        return Reuse("never")
    for outcome, agreed in (("after", cheaper_each > 0), ("until", cheaper_each < 0)):
        if agreed.all() and (uses > 0).all():
            low, high = log_t_interval(uses.tolist())
            return Reuse(outcome, geometric_mean(uses.tolist()), low, high)
    return Reuse("undecided")


def reuse(passes: pd.DataFrame, against: str = REFERENCE) -> pd.DataFrame:
    """Find for every case from how many pullbacks on each strategy is cheaper than another.

    Parameters
    ----------
    passes : DataFrame
        What each pass measured, as `runs.load_passes` returns it.
    against : str
        The strategy that the others are held against.

    Returns
    -------
    DataFrame
        One line a case and strategy other than ``against`` that were timed in the same processes, phases ``linearize`` and
        ``pullback``: ``case``, ``strategy``, the fields of `Reuse`, ``n_passes``.
    """
    times = passes[passes["phase"].isin(["linearize", "pullback"])]
    lines = []
    for case, own in times.groupby("case", sort=False):
        wide = own.pivot_table(index=["pass", "worker"], columns=["strategy", "phase"], values="seconds", sort=False)
        for strategy in in_order(own["strategy"]):
            if strategy != against:
                lines += _line(str(case), strategy, against, wide)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _line(case: str, strategy: str, against: str, wide: pd.DataFrame) -> list[dict[str, Any]]:
    needed = [(name, phase) for phase in ("linearize", "pullback") for name in (strategy, against)]
    if not set(needed) <= set(wide.columns):
        return []
    seconds = wide[needed].dropna().to_numpy()
    if not len(seconds):
        return []
    return [
        {
            "case": case,
            "strategy": strategy,
            **vars(break_even(seconds[:, :2], seconds[:, 2:])),
            "n_passes": len(seconds),
        }
    ]


def uses_in_words(uses: pd.Series[float]) -> str:
    """Return the range of numbers of uses, rounded up, such as ``"3 to 12"``."""
    low, high = (math.ceil(number - 1e-9) for number in (uses.min(), uses.max()))
    return f"{low}" if low == high else f"{low} to {high}"
