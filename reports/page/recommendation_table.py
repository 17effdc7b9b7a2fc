"""The recommendation table: which strategy to take in each case, for time and for memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.analysis.winners import memory_winner
from jacobench.reports.data.units import format_bytes, format_ratio

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.reports.data.run_data import Run

SURE = {
    "clear": "clearly",
    "undecided": "undecided: intervals overlap",
    "one pass": "undecided: one pass gives no interval",
    "alone": "alone: no other was timed",
    "nothing": "none was timed",
    "no passes": "undecided: no single passes recorded",
}


@dataclass(frozen=True)
class Advice:
    """What to take in one case; every field in words, empty where there is nothing to say.

    Attributes
    ----------
    case, fastest, sure, factor, runner_up : str
        ``fastest`` only where it clearly is; ``factor``: how many times as long the runner-up takes, with its interval.
    least_memory, peak : str
        The strategy that needs clearly least, and its peak.
    """

    case: str
    fastest: str
    sure: str
    factor: str
    runner_up: str
    least_memory: str
    peak: str


def advice(run: Run, phase: str = "gradient") -> list[Advice]:
    """Return one line a case that has the phase."""
    rows = run.table[(run.table["phase"] == phase) & (run.table["strategy"] != "forward")]
    by_case = dict(iter(rows.groupby("case", sort=False)))
    lines = []
    for line in recommend(run.table, run.passes, phase).to_dict("records"):
        least, peak = _memory(by_case[line["case"]])
        clear = line["sure"] == "clear"
        lines.append(
            Advice(
                case=line["case"],
                fastest=line["strategy"] if clear or line["sure"] == "alone" else "",
                sure=SURE[line["sure"]],
                factor=_factor(line["factor"], line["low"], line["high"]),
                runner_up=_pair(line["strategy"], line["runner_up"], clear=clear),
                least_memory=least,
                peak=peak,
            )
        )
    return lines


def _pair(best: object, runner_up: object, *, clear: bool) -> str:
    if not isinstance(runner_up, str):
        return ""
    return runner_up if clear else f"{best} before {runner_up}"


def _factor(factor: float, low: float, high: float) -> str:
    if math.isnan(factor):
        return ""
    interval = "" if math.isnan(low) else f" [{format_ratio(low)}, {format_ratio(high)}]"
    return f"{format_ratio(factor)}{interval}"


def _memory(rows: pd.DataFrame) -> tuple[str, str]:
    name = memory_winner([{str(k): v for k, v in row.items()} for row in rows.to_dict("records")])
    if name is None:
        return "", ""
    return name, format_bytes(float(rows.loc[rows["strategy"] == name, "peak_bytes"].iloc[0]))
