"""Recommendation table: the strategy to use in each case, for time and for memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.reports.analysis.recommendation import least_memory, recommend
from jacobench.reports.data.units import format_bytes, format_interval

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

DECISIONS = {
    "ahead": "clearly",
    "equal": "equal within 5 %",
    "undecided": "undecided",
    "one pass": "undecided: one pass cannot decide",
    "alone": "no other strategy was timed",
    "nothing": "no strategy was timed",
    "no passes": "undecided: the run has no single passes",
}


@dataclass(frozen=True)
class Recommendation:
    """Recommendation for one case, in words; empty where there is nothing to recommend.

    ``fastest`` is set for a clear winner, and for a strategy without rivals. ``factor``: how many times as long the
    runner-up takes, with its interval. ``peak`` is that of the strategy that clearly needs the least memory.
    """

    case: str
    fastest: str
    decision: str
    factor: str
    runner_up: str
    least_memory: str
    peak: str


def recommendations(run: Run, phase: str = "gradient") -> list[Recommendation]:
    """Return one line per case that has the phase."""
    rows = run.table[run.table["phase"] == phase]
    peaks = rows.set_index(["case", "strategy"])["peak_bytes"]
    smallest = least_memory(run.table, phase)
    return [
        Recommendation(
            case=line["case"],
            fastest=line["strategy"] if line["decision"] in {"ahead", "alone"} else "",
            decision=DECISIONS[line["decision"]],
            factor=format_interval(line["factor"], line["low"], line["high"]),
            runner_up=_runner_up(line["strategy"], line["runner_up"], is_ahead=line["decision"] == "ahead"),
            least_memory=smallest.get(line["case"], ""),
            peak=format_bytes(float(peaks[line["case"], smallest[line["case"]]])) if line["case"] in smallest else "",
        )
        for line in recommend(run.table, run.passes, phase).to_dict("records")
    ]


def _runner_up(best: object, runner_up: object, *, is_ahead: bool) -> str:
    if not isinstance(runner_up, str):
        return ""
    return runner_up if is_ahead else f"{runner_up}, compared with {best}"
