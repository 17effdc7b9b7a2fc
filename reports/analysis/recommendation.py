"""Winners of each case: the fastest strategy and the one that needs the least memory, where they are clearly so."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.columns import FORWARD, in_phase, peak_bounds
from jacobench.bench.row.statistics import clearly_less, plausible
from jacobench.bench.row.stopping import leader
from jacobench.reports.analysis.doubts import could_win_in
from jacobench.reports.data.vocabulary import in_order

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

COLUMNS = ("case", "strategy", "decision", "factor", "low", "high", "runner_up", "n_passes", "open_rivals", "could_win")
NOTHING: dict[str, Any] = dict.fromkeys(("strategy", "factor", "low", "high", "runner_up", "open_rivals"), math.nan)
NOTHING |= {"could_win": {}}

NO_WINNER = ("equal", "undecided", "one pass")
"""Decisions where several strategies were timed and none is clearly ahead."""


def recommend(table: pd.DataFrame, passes: pd.DataFrame, phase: str = "gradient") -> pd.DataFrame:
    """Recommend a strategy for every measured case, by time.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    passes : DataFrame
        Seconds of each pass, as returned by `load_passes`.
    phase : str
        The phase whose times are compared.

    Returns
    -------
    DataFrame
        One line per case that has the phase:

        - ``strategy``: the fastest, by `leader`;
        - ``decision``: ``"ahead"``, ``"equal"`` or ``"undecided"`` by `decide` on pairs from one process, and only
          ``"ahead"`` is a winner; ``"one pass"``: one pass cannot decide; ``"alone"``: no other strategy succeeded;
          ``"nothing"``: none succeeded; ``"no passes"``: an earlier version wrote the run and did not record them;
        - ``factor``: how many times as long the ``runner_up`` takes, the second fastest, with its 95 % interval
          ``low``, ``high``;
        - ``n_passes``: number of processes in which both were timed;
        - ``open_rivals``: the strategies that are not clearly slower, separated by commas; missing if there are none;
        - ``could_win``: a dict of the strategies that are slower than the winner but could be faster at their own limit:
          strategy → its time over its floor, NaN without a floor. See `doubts.could_win`.
    """
    rows = table[in_phase(table, phase) & table["strategy"].ne(FORWARD)]
    ok = rows[rows["status"] == "ok"]
    seconds = _seconds(ok, passes[in_phase(passes, phase) & plausible(passes["seconds"])])
    lines = []
    for case in rows["case"].drop_duplicates():
        missing = "nothing" if ok["case"].ne(case).all() else "no passes"
        line = _fastest(seconds[case]) if case in seconds else _line(missing)
        doubts = could_win_in(rows, str(case), line["strategy"]) if line["decision"] == "ahead" else {}
        lines.append({**line, "case": case, "could_win": doubts})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _seconds(ok: pd.DataFrame, times: pd.DataFrame) -> dict[str, dict[str, dict[Hashable, float]]]:
    """Return case → strategy → process → seconds, of the cells that succeeded; strategies in alphabetical order."""
    cells = set(zip(ok["case"], ok["strategy"], strict=True))
    found: dict[str, dict[str, dict[Hashable, float]]] = defaultdict(lambda: defaultdict(dict))
    columns = ("case", "strategy", "pass", "worker", "seconds")
    for case, strategy, number, worker, seconds in zip(*(times[name] for name in columns), strict=True):
        if (case, strategy) in cells:
            found[case][str(strategy)][number, worker] = seconds
    return {case: dict(sorted(own.items())) for case, own in found.items()}


def _fastest(seconds: Mapping[str, Mapping[Hashable, float]]) -> dict[str, Any]:
    best, decision = leader(seconds)
    if len(seconds) == 1:
        return _line("alone", strategy=best, n_passes=len(seconds[best]))
    status = decision.status if decision.n_passes > 1 else "one pass"
    found = {name: getattr(decision, name) for name in ("factor", "low", "high", "runner_up", "n_passes")}
    return _line(status, strategy=best, open_rivals=", ".join(decision.open_rivals) or math.nan, **found)


def _line(decision: str, **found: Any) -> dict[str, Any]:
    return {**NOTHING, "n_passes": 0, **found, "decision": decision}


def fastest(recommended: pd.DataFrame) -> dict[str, str]:
    """Return the clear winner in time of each case that has one, from the lines of `recommend`: case → strategy."""
    ahead = recommended[recommended["decision"] == "ahead"]
    return dict(zip(ahead["case"], ahead["strategy"], strict=True))


def least_memory(table: pd.DataFrame, phase: str = "gradient") -> dict[str, str]:
    """Return the clear winner in peak memory of each case that has one: case → strategy.

    There is none where fewer than two strategies succeeded, where the peak of one of them was not measured, or where
    the smallest peak is not `clearly_less` than the next. Of a peak below the tool's resolution only that is known.
    """
    return {
        case: str(peaks.index[0])
        for case, peaks in comparable_peaks(table, phase).items()
        if clearly_less(peaks.iloc[0], peaks.iloc[1])
    }


def comparable_peaks(table: pd.DataFrame, phase: str = "gradient") -> dict[str, pd.Series[float]]:
    """Return the peaks by strategy, smallest first, of each case in which two or more succeeded and all were measured.

    A peak below the tool's resolution counts as the resolution.
    """
    rows = table[in_phase(table, phase) & table["strategy"].ne(FORWARD) & table["status"].eq("ok")]
    rows = rows.assign(peak_bytes=peak_bounds(rows))
    by_case = {
        str(case): own.set_index("strategy")["peak_bytes"].sort_values()
        for case, own in rows.groupby("case", sort=False)
    }
    return {case: peaks for case, peaks in by_case.items() if len(peaks) > 1 and peaks.notna().all()}


def materializing(table: pd.DataFrame) -> list[str]:
    """Return the strategies that stored entries of a Jacobian in any row, by the column ``n_nonzeros``."""
    return in_order(table.loc[table["n_nonzeros"] > 0, "strategy"])
