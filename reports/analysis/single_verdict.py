"""One verdict, on time or on memory of one case: the strategy, how sure, by what factor, before which runner-up, and by what."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.statistics import clearly_less
from jacobench.reports.analysis.cost_model import FEWEST_ERRORS, Estimate, factor_of, reach
from jacobench.reports.analysis.recommendation import NOTHING, recommend

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

COLUMNS = ("strategy", "sure", "factor", "low", "high", "runner_up", "by", "at", "away", "differs", "n")
UNFOUNDED: dict[str, Any] = {**NOTHING, "sure": "nothing", "by": math.nan, "n": 0}

Line = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A measured case to go by: a line of `nearby`.

    Attributes
    ----------
    case, factor, drift, differs
        As there.
    exact : bool
        Whether it is the very case.
    """

    case: str
    factor: float
    drift: float
    differs: str
    exact: bool


def measured_seconds(place: Place, rows: pd.DataFrame, passes: pd.DataFrame, phase: str) -> Line:
    """Judge by the times of a case, or of one near it; then the interval is widened by the drift.

    Parameters
    ----------
    place : Place
        The case to go by.
    rows, passes : DataFrame
        Of the run; only strategies that come into question.
    phase : str
        The phase that counts.

    Returns
    -------
    dict
        `COLUMNS`.
    """
    found = recommend(rows[rows["case"] == place.case], passes, phase).to_dict("records")
    line: dict[Any, Any] = found[0] if found else {**NOTHING, "decision": "nothing", "n_passes": 0}
    low, high = line["low"] / place.drift, line["high"] * place.drift
    return {
        "strategy": line["strategy"],
        "sure": ("clear" if low > 1 else "undecided") if line["decision"] == "ahead" else line["decision"],
        "factor": line["factor"],
        "low": low,
        "high": high,
        "runner_up": line["runner_up"],
        "by": "measured" if place.exact else "near",
        "at": place.case,
        "away": place.factor,
        "differs": place.differs,
        "n": line["n_passes"],
    }


def measured_bytes(case: str, peaks: Mapping[str, float]) -> Line:
    """Judge by the peaks of the case itself, measured once each; within one per cent they are the same."""
    start = {**UNFOUNDED, "by": "measured", "at": case, "away": 1.0, "differs": "", "n": 1}
    if not peaks:
        return start
    best, *others = sorted(peaks, key=lambda name: peaks[name])
    if not others:
        return start | {"strategy": best, "sure": "alone"}
    sure = "clear" if clearly_less(peaks[best], peaks[others[0]]) else "undecided"
    factor = peaks[others[0]] / peaks[best]
    return start | {"strategy": best, "sure": sure, "factor": factor, "runner_up": others[0]}


def by_model(estimates: Mapping[str, Estimate]) -> Line:
    """Judge by estimates: clear only if no other, with the errors of such estimates, can cost less.

    The runner-up is then the next by estimate; where it is undecided, the strategy that is most likely to cost less.
    """
    if not estimates:
        return dict(UNFOUNDED)
    best = min(estimates, key=lambda name: estimates[name].value)
    start = {**UNFOUNDED, "strategy": best, "by": "model", "n": len(estimates[best].errors)}
    rivals = [_rival(estimates[best], estimates[name], name) for name in estimates if name != best]
    if not rivals:
        return start | {"sure": "alone"}
    near = [rival for rival in rivals if not rival["low"] > 1]  # also where nothing is known of the errors: NaN
    if near:
        return start | {"sure": "undecided", **_closest(near)}
    return start | {"sure": "clear", **min(rivals, key=lambda rival: float(rival["factor"]))}


def _closest(rivals: list[Line]) -> Line:
    """Return the rival that is most likely to cost less; of those without an interval, the nearest."""
    return min(rivals, key=lambda rival: float(rival["factor"] if math.isnan(rival["low"]) else rival["low"]))


def _rival(best: Estimate, other: Estimate, name: str) -> Line:
    """Hold an estimate against the best: errors that both share in a case do not count."""
    factor, both = other.value / best.value, (other.errors - best.errors).dropna()
    off = factor_of(reach(both) if len(both) >= FEWEST_ERRORS else reach(other.errors) + reach(best.errors))
    return {"factor": factor, "low": factor / off, "high": factor * off, "runner_up": name, "n": len(both)}
