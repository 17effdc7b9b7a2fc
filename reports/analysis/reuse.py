"""Reuse: the number of products per linearization from which one strategy is cheaper than another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from jacobench.bench.row.columns import COLUMNS as ROW_COLUMNS
from jacobench.bench.row.columns import tidy
from jacobench.bench.row.statistics import decide, log_median, plausible, robust_interval
from jacobench.reports.analysis.doubts import could_win
from jacobench.reports.data.vocabulary import in_order
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

OF_A_TIME = tuple(
    name for name in ROW_COLUMNS if "seconds" in name or name.startswith("ratio_") or name == "efficiency"
)

COLUMNS = ("case", "strategy", "outcome", "uses", "low", "high", "n_passes", "could_win")

# Outcome → the statements in it: the phases whose times are added, and whether the strategy is faster in their sum. One
# product takes linearize and pullback; for many products, only pullback counts.
ONE, MANY = ("linearize", "pullback"), ("pullback",)
STATEMENTS = {
    "from the first": ((ONE, True), (MANY, True)),
    "after": ((MANY, True),),
    "until": ((ONE, True), (MANY, False)),
    "never": ((ONE, False), (MANY, False)),
    "undecided": (),
}


@dataclass(frozen=True)
class Reuse:
    """Number of pullbacks from which a strategy is cheaper.

    `outcome` is ``"from the first"`` (one use is enough), ``"after"`` (that many uses are needed), ``"until"`` (cheaper
    for fewer uses only), ``"never"``, or ``"undecided"`` (not clear by `decide`, as after one pass). `uses`, `low` and `high` are the
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
    total = once + each
    cheaper, dearer = _is_less(each[:, 0], each[:, 1]), _is_less(each[:, 1], each[:, 0])
    if cheaper and _is_less(total[:, 0], total[:, 1]):
        return Reuse("from the first")
    if (dearer or (saved_each == 0).all()) and _is_less(total[:, 1], total[:, 0]):
        return Reuse("never")
    for outcome, agreed in (("after", cheaper), ("until", dearer)):
        if agreed and (uses > 0).all():
            return Reuse(outcome, log_median(uses.tolist()), *robust_interval(uses.tolist()))
    return Reuse("undecided")


def _is_less(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Return whether one of two times is clearly less, by the passes."""
    return decide({"other": (other / one).tolist()}).status == "ahead"


def reuse(passes: pd.DataFrame, against: str = REFERENCE, *, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Find the number of pullbacks from which each strategy is cheaper than another, for every case.

    Parameters
    ----------
    passes : DataFrame
        Seconds of each pass, as returned by `load_passes`.
    against : str
        The strategy to compare with.
    table : DataFrame, optional
        The tidy table of the run, which has the floors.

    Returns
    -------
    DataFrame
        One line per case and strategy that was timed in the same processes as ``against``, in the phases ``linearize``
        and ``pullback``: ``case``, ``strategy``, the fields of `Reuse`, ``n_passes``; and ``could_win``: which of the two
        is slower but could be faster at its own limit, as in `recommend`. It is empty without a table.
    """
    times = passes[passes["phase"].isin(ONE) & plausible(passes["seconds"])]
    rows = tidy([]) if table is None else table[table["phase"].isin(ONE)]
    has_floors = rows["floor_seconds"].notna().any()  # otherwise all limits are unknown, which is stated once
    lines = []
    for case, own in times.groupby("case", sort=False):
        wide = own.pivot_table(index=["pass", "worker"], columns=["strategy", "phase"], values="seconds", sort=False)
        for strategy in in_order(own["strategy"]):
            columns = [(name, phase) for phase in ("linearize", "pullback") for name in (strategy, against)]
            seconds = wide.reindex(columns=columns).dropna().to_numpy()
            if strategy != against and len(seconds):
                found = vars(break_even(seconds[:, :2], seconds[:, 2:]))
                doubts = _could_win(rows, str(case), (strategy, against), found["outcome"]) if has_floors else {}
                line = {"case": case, "strategy": strategy, **found, "n_passes": len(seconds), "could_win": doubts}
                lines.append(line)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _could_win(rows: pd.DataFrame, case: str, pair: tuple[str, str], outcome: str) -> dict[str, float]:
    """Return which of two strategies is slower, for one product or for many, but could be faster at its limit."""
    own = rows[rows["case"] == case].set_index(["strategy", "phase"])
    found: dict[str, float] = {}
    for phases, is_faster in STATEMENTS[outcome]:
        places = {name: [(name, phase) for phase in phases] for name in pair}
        seconds, floors = (
            {name: float(own[column].reindex(at).sum(skipna=False)) for name, at in places.items()}
            for column in ("seconds_median", "floor_seconds")
        )
        found = could_win(pair[0] if is_faster else pair[1], seconds, floors) | found
    return found


def with_uses(table: pd.DataFrame, passes: pd.DataFrame, n_uses: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows and passes of phase ``gradient`` with the times of one ``linearize`` and some ``pullback``s.

    Times that are not the sum of those of the two phases, such as intervals, are missing. Memory is that of a gradient.
    """
    rows = table[table["phase"] == "gradient"].copy()
    cells = pd.MultiIndex.from_frame(rows[["case", "strategy"]])
    rows[[*OF_A_TIME]] = math.nan
    for column in ("seconds_median", "predicted_seconds", "floor_seconds"):
        once, each = (
            table[table["phase"] == phase].drop_duplicates(["case", "strategy"]).set_index(["case", "strategy"])[column]
            for phase in ("linearize", "pullback")
        )
        rows[column] = (once + n_uses * each).reindex(cells).to_numpy()
    keys = [name for name in passes.columns if name not in {"phase", "seconds"}]
    once, each = (passes[passes["phase"] == phase].set_index(keys)["seconds"] for phase in ("linearize", "pullback"))
    sums = (once + n_uses * each).dropna().rename("seconds").reset_index()
    return rows, sums.assign(phase="gradient")[list(passes.columns)]


def uses_in_words(uses: pd.Series[float]) -> str:
    """Return the range of numbers of uses, rounded up, such as ``"3 to 12"``."""
    low, high = (math.ceil(number - 1e-9) for number in (uses.min(), uses.max()))
    return f"{low}" if low == high else f"{low} to {high}"
