"""Which strategy to take for a case: the one that is clearly ahead of every other, by what factor, and the runner-up."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.statistics import geometric_mean, log_t_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = ("case", "strategy", "sure", "factor", "low", "high", "runner_up", "n_passes")
NOTHING: dict[str, Any] = {
    "strategy": math.nan,
    "factor": math.nan,
    "low": math.nan,
    "high": math.nan,
    "runner_up": math.nan,
}


def recommend(table: pd.DataFrame, passes: pd.DataFrame, phase: str = "gradient") -> pd.DataFrame:
    """Recommend a strategy for every case that was measured, by time.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    passes : DataFrame
        What each pass measured, as `runs.load_passes` returns it.
    phase : str
        The phase whose time counts.

    Returns
    -------
    DataFrame
        One line a case with the phase:

        - ``strategy``: the fastest;
        - ``sure``: ``"clear"`` if its time is below that of every other one with 95 % confidence each, over pairs from one
          process; ``"undecided"`` if not, and then it is no winner; ``"one pass"`` where there is nothing to tell it from;
          ``"alone"`` if no other succeeded beside it; ``"nothing"`` if none did; ``"no passes"`` for a run of an
          earlier version, which did not record them;
        - ``factor`` with ``low`` and ``high``: how many times as long the ``runner_up`` takes, the strategy that comes closest,
          and the 95 % interval;
        - ``n_passes``: the processes in which both were timed.
    """
    rows = table[(table["phase"] == phase) & table["strategy"].ne("forward")]
    times = passes[passes["phase"] == phase]
    lines = []
    for case, own in rows.groupby("case", sort=False):
        ok = own.loc[own["status"] == "ok", "strategy"]
        timed = times[(times["case"] == case) & times["strategy"].isin(ok)]
        missing = "nothing" if ok.empty else "no passes"
        lines.append({"case": case, **(_line(timed) if len(timed) else {**NOTHING, "sure": missing, "n_passes": 0})})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _line(timed: pd.DataFrame) -> Mapping[str, Any]:
    seconds = timed.pivot_table(index=["pass", "worker"], columns="strategy", values="seconds")
    best = str(timed.groupby("strategy")["seconds"].apply(lambda own: geometric_mean(own.tolist())).idxmin())
    rivals = [_rival(seconds, best, str(name)) for name in seconds.columns if name != best]
    rivals = [rival for rival in rivals if rival["n_passes"]]
    if not rivals:
        return {**NOTHING, "strategy": best, "sure": "alone", "n_passes": int(seconds[best].count())}
    rival = closest(rivals)
    if any(math.isnan(rival["low"]) for rival in rivals):
        sure = "one pass"
    else:
        sure = "clear" if rival["low"] > 1 else "undecided"
    return {"strategy": best, "sure": sure, **rival}


def closest(rivals: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the rival that the best is least sure to beat; of those without an interval, the one nearest to it."""
    return min(rivals, key=lambda rival: rival["factor"] if math.isnan(rival["low"]) else rival["low"])


def _rival(seconds: pd.DataFrame, best: str, name: str) -> dict[str, Any]:
    ratios = (seconds[name] / seconds[best]).dropna().tolist()
    low, high = log_t_interval(ratios)
    return {
        "factor": geometric_mean(ratios),
        "low": low,
        "high": high,
        "runner_up": name,
        "n_passes": len(ratios),
    }
