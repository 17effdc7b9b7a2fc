"""Verdict on one case, on time or memory: by measurements at the case or near it, or by estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.columns import in_phase
from jacobench.bench.row.statistics import clearly_less
from jacobench.reports.analysis.doubts import could_win_in
from jacobench.reports.analysis.estimates import Estimate, limits_of_ratio
from jacobench.reports.analysis.recommendation import NOTHING, recommend
from jacobench.reports.analysis.sweeps import KNOBS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = (
    "strategy", "decision", "factor", "low", "high", "runner_up", "open_rivals", "could_win", "without_estimate", "basis", "at",
    "distance_factor", "differs", "n",
)  # fmt: skip
UNKNOWN: dict[str, Any] = {**NOTHING, "without_estimate": math.nan, "decision": "nothing", "basis": math.nan, "n": 0}

Line = dict[str, Any]
SAME = (
    "graph",
    "activation",
    "loss",
    "residual",
    "normalization",
    "dtype",
    "wrt",
    "task",
)  # knobs in which near cases are equal

# Factor within which the sizes of near cases agree. Suites double their sizes, so each size within a sweep has one.
WITHIN = math.sqrt(2)

# Power of a size with which the ratio of two strategies' times changes at most. The largest difference of two exponents
# in docs/scaling.md is 1.60, of dense and vjp in weight density.
RATIO_EXPONENT = 1.6


@dataclass(frozen=True)
class NearCase:
    """A measured case near another one, or the same; `distance_factor` is the product of the factors of sizes."""

    case: str
    exact: bool
    distance_factor: float
    differs: str

    @property
    def ratio_uncertainty(self) -> float:
        """Factor by which the ratio of two strategies' times may differ between the two cases."""
        return float(self.distance_factor**RATIO_EXPONENT)


def nearby(table: pd.DataFrame, knobs: Mapping[Any, Any]) -> list[NearCase]:
    """Find the cases of a run's tidy table that are near a case, given as its row.

    They are equal in `SAME`, store their weights alike (sparse or not), and agree within √2 in each of `KNOBS` and in
    the square root of the number of parameters, which separates networks of other shapes. The case itself comes first,
    then the nearest.
    """
    found = [_near(own.iloc[0].to_dict(), knobs) for _, own in table.groupby("case", sort=False)]
    return sorted((near for near in found if near), key=lambda near: (not near.exact, near.distance_factor))


def _near(own: Mapping[Any, Any], knobs: Mapping[Any, Any]) -> NearCase | None:
    if any(not _equal(own[name], knobs[name]) for name in SAME):
        return None
    if (own["weight_density"] < 1) != (knobs["weight_density"] < 1):  # other code: other times at equal sizes
        return None
    sizes = {name: _factor(own[name], knobs[name]) for name in KNOBS}
    shape = math.sqrt(_factor(own["n_parameters"], knobs["n_parameters"]))
    if max(*sizes.values(), shape) > WITHIN * (1 + 1e-9):
        return None
    differs = [f"{KNOBS[name]} {own[name]:g}, not {knobs[name]:g}" for name in KNOBS if sizes[name] > 1]
    if not differs and shape > 1:
        differs = [f"{own['n_parameters']:,.0f} parameters, not {knobs['n_parameters']:,.0f}"]
    factor = math.prod(sizes.values()) / sizes["width"] * max(sizes["width"], shape)
    return NearCase(own["case"], own["case"] == knobs["case"], factor, "; ".join(differs))


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other or (pd.isna(one) and pd.isna(other)))


def _factor(one: Any, other: Any) -> float:
    """Return the factor between two sizes; infinite if only one of the cases has this size."""
    if pd.isna(one) or pd.isna(other):
        return 1.0 if pd.isna(one) and pd.isna(other) else math.inf
    if one == other:
        return 1.0
    return float(max(one / other, other / one)) if one and other else math.inf


def measured_seconds(near: NearCase, rows: pd.DataFrame, passes: pd.DataFrame, phase: str) -> Line:
    """Decide by the times measured at a case or near it; near it, the interval is widened by the ratio's uncertainty.

    `rows` and `passes` are those of the run, of the candidate strategies only.
    """
    own = rows[rows["case"] == near.case]
    line = _recommended(own, passes, phase)
    if line["decision"] in ("ahead", "equal") and near.distance_factor > 1:
        line |= _widened(own, passes, phase, line, near.ratio_uncertainty)
    timed = rows[in_phase(rows, phase)]
    doubts = could_win_in(timed, near.case, line["strategy"], uncertainty=near.ratio_uncertainty)
    return {
        **{name: line[name] for name in ("strategy", "decision", "factor", "runner_up", "open_rivals")},
        "could_win": doubts if line["decision"] == "ahead" else {},
        "low": line["low"] / near.ratio_uncertainty,
        "high": line["high"] * near.ratio_uncertainty,
        "basis": "measured" if near.exact else "near",
        "at": near.case,
        "distance_factor": near.distance_factor,
        "differs": near.differs,
        "n": line["n_passes"],
    }


def _recommended(rows: pd.DataFrame, passes: pd.DataFrame, phase: str) -> dict[Any, Any]:
    found = recommend(rows, passes, phase).to_dict("records")
    return found[0] if found else {**NOTHING, "decision": "nothing", "n_passes": 0}


def _widened(
    rows: pd.DataFrame, passes: pd.DataFrame, phase: str, line: Mapping[Any, Any], uncertainty: float
) -> dict[str, Any]:
    """Return the decision if every rival may be faster by a factor, relative to the best strategy."""
    is_rival = passes["strategy"] != line["strategy"]
    faster = passes.assign(seconds=passes["seconds"].where(~is_rival, passes["seconds"] / uncertainty))
    found = _recommended(rows, faster, phase)
    if found["strategy"] != line["strategy"]:
        return {"decision": "undecided", "open_rivals": found["strategy"]}
    decision = "ahead" if found["decision"] == "ahead" else "undecided"
    return {"decision": decision, "open_rivals": found["open_rivals"]}


def measured_bytes(case: str, peaks: Mapping[str, float]) -> Line:
    """Decide by the peaks of the case itself, each measured once."""
    start = {**UNKNOWN, "basis": "measured", "at": case, "distance_factor": 1.0, "differs": "", "n": 1}
    if not peaks:
        return start
    best, *others = sorted(peaks, key=lambda name: peaks[name])
    if not others:
        return start | {"strategy": best, "decision": "alone"}
    open_ = [name for name in others if not clearly_less(peaks[best], peaks[name])]
    return start | {
        "strategy": best,
        "decision": "undecided" if open_ else "ahead",
        "factor": peaks[others[0]] / peaks[best],
        "runner_up": others[0],
        "open_rivals": ", ".join(open_) or math.nan,
    }


def estimated(estimates: Mapping[str, Estimate]) -> Line:
    """Decide by estimates: ahead only if no other strategy can cost less within the errors of such estimates."""
    if not estimates:
        return dict(UNKNOWN)
    best = min(estimates, key=lambda name: estimates[name].value)
    start = {**UNKNOWN, "strategy": best, "basis": "model", "n": len(estimates[best].errors)}
    rivals = [_rival(estimates[best], estimates[name], name) for name in estimates if name != best]
    if not rivals:
        return start | {"decision": "alone"}
    open_ = [rival["runner_up"] for rival in rivals if not rival["low"] > 1]  # NaN if no errors are known
    decision = {"decision": "undecided" if open_ else "ahead", "open_rivals": ", ".join(open_) or math.nan}
    return start | decision | min(rivals, key=lambda rival: float(rival["factor"]))


def with_unknown(line: Line, without_estimate: Sequence[str]) -> Line:
    """Return a verdict that also accounts for competing strategies without a measurement or an estimate."""
    if not without_estimate or not isinstance(line["strategy"], str):
        return line
    decided = line["decision"] in ("ahead", "equal", "alone")
    decision = "undecided" if decided else line["decision"]
    return line | {"decision": decision, "could_win": {}, "without_estimate": ", ".join(without_estimate)}


def _rival(best: Estimate, other: Estimate, name: str) -> Line:
    """Compare an estimate with the best one; errors that both have in common in a case cancel."""
    low, high = limits_of_ratio(other, best)
    n_both = len((other.errors - best.errors).dropna())
    return {"factor": other.value / best.value, "low": low, "high": high, "runner_up": name, "n": n_both}
