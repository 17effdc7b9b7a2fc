"""Doubts about winners: strategies that lost, but could win at their own limit, which is their floor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jacobench.bench.row.columns import FORWARD, in_phase
from jacobench.bench.row.statistics import plausible
from jacobench.reports.data import limit_sentences
from jacobench.reports.data.vocabulary import in_order
from jacobench.strategies.registry import is_peer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

LIMITED_BY = {"linear-operator": "vjp"}
"""Strategies without a floor whose limit is not below that of another one: `linear-operator` is vjp and calls of SciPy."""

Spread = tuple[str, float, float, int]  # strategy, smallest and largest time over floor, and number of cases


def could_win(
    winner: str, seconds: Mapping[str, float], floors: Mapping[str, float], uncertainty: float = 1.0
) -> dict[str, float]:
    """Return the losers that could be faster than the winner at their own limits: strategy → time over floor.

    This is the one rule for "A is faster than B": it is in doubt if the floor of B is less than the time of A, or if B
    has no floor. `seconds` and `floors` are those of all strategies in seconds per call; a missing floor is NaN. The
    ratio of two times may be wrong by the factor `uncertainty`.

    Strategies without a floor are named once, by `floor_note`. In addition, the fastest loser has the value NaN here if
    it has no floor. Peers are left out, and so are strategies of `LIMITED_BY`.

    >>> could_win("vjp", {"vjp": 1.0, "sparse": 3.0, "dense": 9.0}, {"vjp": 0.8, "sparse": 0.75, "dense": 2.0})
    {'sparse': 4.0}
    """
    losers = [name for name in seconds if name != winner and not is_peer(name) and LIMITED_BY.get(name) not in seconds]
    found = {name: seconds[name] / floors[name] for name in losers if 0 < floors[name] < seconds[winner] * uncertainty}
    second = min(losers, key=lambda name: seconds[name], default=winner)
    return found | ({second: math.nan} if second != winner and math.isnan(floors[second]) else {})


def could_win_in(
    rows: pd.DataFrame, case: str, winner: str, among: Iterable[str] | None = None, uncertainty: float = 1.0
) -> dict[str, float]:
    """Return the losers of a case, or those `among` some strategies, that could win; see `could_win`.

    `rows` are those of a run in one phase. If none of them has a floor, `floor_note` states it once, and nobody is
    named.
    """
    own = _timed(rows[rows["case"] == case])
    own = own if among is None else own[own["strategy"].isin(list(among))]
    names = own["strategy"].tolist()
    if winner not in names or rows["floor_seconds"].isna().all():
        return {}
    seconds, floors = (dict(zip(names, own[name], strict=True)) for name in ("seconds_median", "floor_seconds"))
    return could_win(winner, seconds, floors, uncertainty)


def _timed(rows: pd.DataFrame) -> pd.DataFrame:
    is_timed = (rows["status"] == "ok") & plausible(rows["seconds_median"]) & rows["strategy"].ne(FORWARD)
    timed: pd.DataFrame = rows[is_timed]
    return timed


def spreads(found: Iterable[Mapping[str, float]]) -> list[Spread]:
    """Return for each strategy the range of time over floor, and the number of cases; unknown limits separately."""
    all_ = [each for case in found for each in case.items()]
    lines: list[Spread] = []
    for name in in_order(name for name, _ in all_):
        factors = [factor for own, factor in all_ if own == name]
        known = [factor for factor in factors if not math.isnan(factor)]
        if known:
            lines.append((name, min(known), max(known), len(known)))
        if len(known) < len(factors):
            lines.append((name, math.nan, math.nan, len(factors) - len(known)))
    return lines


def by_case(recommended: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return who could win in each case, from the lines of `recommend`; without those that have no floor."""
    return {
        case: {name: factor for name, factor in found.items() if not math.isnan(factor)}
        for case, found in zip(recommended["case"], recommended["could_win"], strict=True)
    }


def floor_note(table: pd.DataFrame, phase: str) -> str:
    """Return which strategies of a phase have no floor, so that their limits are not known; empty if all have one."""
    limited = [name for name, other in LIMITED_BY.items() if table["strategy"].eq(other).any()]
    rows = _timed(table[in_phase(table, phase) & ~table["strategy"].isin(limited)])
    missing = rows[rows["floor_seconds"].isna()]
    if missing.empty:
        return ""
    if len(missing) == len(rows):
        return limit_sentences.no_floors(phase)
    counts, totals = missing["strategy"].value_counts(), rows["strategy"].value_counts()
    return limit_sentences.without_floor(
        [(name, int(counts[name]), int(totals[name])) for name in in_order(missing["strategy"])]
    )
