"""Verdict on one case, on time or memory: the best strategy, the decision, its factor over the runner-up, the basis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.statistics import clearly_less
from jacobench.reports.analysis.estimates import FEWEST_ERRORS, Estimate, error_bound, factor_of
from jacobench.reports.analysis.recommendation import NOTHING, recommend

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from jacobench.reports.analysis.nearby import NearCase

COLUMNS = (
    "strategy", "decision", "factor", "low", "high", "runner_up", "basis", "at", "distance_factor", "differs", "n",
)  # fmt: skip
UNKNOWN: dict[str, Any] = {**NOTHING, "decision": "nothing", "basis": math.nan, "n": 0}

Line = dict[str, Any]


def measured_seconds(near: NearCase, rows: pd.DataFrame, passes: pd.DataFrame, phase: str) -> Line:
    """Decide by the times measured at a case or near it; near it, the interval is widened by the ratio's uncertainty.

    `rows` and `passes` are those of the run, of the candidate strategies only.
    """
    found = recommend(rows[rows["case"] == near.case], passes, phase).to_dict("records")
    line: dict[Any, Any] = found[0] if found else {**NOTHING, "decision": "nothing", "n_passes": 0}
    low, high = line["low"] / near.ratio_uncertainty, line["high"] * near.ratio_uncertainty
    unsettled = (line["decision"] == "ahead" and low <= 1) or (line["decision"] == "equal" and near.distance_factor > 1)
    return {
        **{name: line[name] for name in ("strategy", "factor", "runner_up")},
        "decision": "undecided" if unsettled else line["decision"],
        "low": low,
        "high": high,
        "basis": "measured" if near.exact else "near",
        "at": near.case,
        "distance_factor": near.distance_factor,
        "differs": near.differs,
        "n": line["n_passes"],
    }


def measured_bytes(case: str, peaks: Mapping[str, float]) -> Line:
    """Decide by the peaks of the case itself, each measured once."""
    start = {**UNKNOWN, "basis": "measured", "at": case, "distance_factor": 1.0, "differs": "", "n": 1}
    if not peaks:
        return start
    best, *others = sorted(peaks, key=lambda name: peaks[name])
    if not others:
        return start | {"strategy": best, "decision": "alone"}
    decision = "ahead" if clearly_less(peaks[best], peaks[others[0]]) else "undecided"
    factor = peaks[others[0]] / peaks[best]
    return start | {"strategy": best, "decision": decision, "factor": factor, "runner_up": others[0]}


def estimated(estimates: Mapping[str, Estimate]) -> Line:
    """Decide by estimates: ahead only if no other strategy can cost less within the errors of such estimates.

    The runner-up is the next by estimate or, if undecided, the strategy that is most likely to cost less.
    """
    if not estimates:
        return dict(UNKNOWN)
    best = min(estimates, key=lambda name: estimates[name].value)
    start = {**UNKNOWN, "strategy": best, "basis": "model", "n": len(estimates[best].errors)}
    rivals = [_rival(estimates[best], estimates[name], name) for name in estimates if name != best]
    if not rivals:
        return start | {"decision": "alone"}
    undecided = [rival for rival in rivals if not rival["low"] > 1]  # NaN if no errors are known
    if undecided:  # a rival without an interval is ranked by its factor
        likely = min(undecided, key=lambda rival: float(rival["factor"] if math.isnan(rival["low"]) else rival["low"]))
        return start | {"decision": "undecided", **likely}
    return start | {"decision": "ahead", **min(rivals, key=lambda rival: float(rival["factor"]))}


def _rival(best: Estimate, other: Estimate, name: str) -> Line:
    """Compare an estimate with the best one; errors that both have in common in a case cancel."""
    factor, both = other.value / best.value, (other.errors - best.errors).dropna()
    bound = error_bound(both) if len(both) >= FEWEST_ERRORS else error_bound(other.errors) + error_bound(best.errors)
    low, high = factor / factor_of(bound), factor * factor_of(bound)
    return {"factor": factor, "low": low, "high": high, "runner_up": name, "n": len(both)}
