"""How far each strategy gets on the machine that measured, and where two of them cost the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.data.units import format_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.data.run_data import Run

QUANTITIES = {"seconds": "time", "bytes": "memory"}

# How a largest size is known, as `limits.Fit` has it.
KNOWN_BY = {
    "interpolation": "between measured sizes",
    "model": "by the predicted bytes",
    "extrapolation": "extrapolated by the fitted law",
    "bound": "the knob goes no further",
    "none": "not even the smallest",
    "unknown": "all measured sizes fit; too few to say more",
}


@dataclass(frozen=True)
class Fitting:
    """The largest size that a strategy can take; every field in words."""

    sweep: str
    strategy: str
    largest: str
    known_by: str


@dataclass(frozen=True)
class Crossing:
    """Where two strategies cost the same; every field in words."""

    sweep: str
    quantity: str
    strategies: str
    outcome: str
    at: str
    ahead: str


def fitting(run: Run, phase: str = "gradient") -> list[Fitting]:
    """Say which size of each sweep fits in the memory of the machine that measured; empty where it is not recorded."""
    limit = (run.facts.get("machine") or {}).get("memory_bytes")
    if not limit:
        return []
    return [
        Fitting(
            _sweep(line),
            line["strategy"],
            f"{KNOBS[knob]} {_size(line['size'])}" if not math.isnan(line["size"]) else "–",
            KNOWN_BY[line["by"]],
        )
        for knob in KNOBS
        for line in what_fits(run.table, knob, "bytes", float(limit), phase).to_dict("records")
    ]


def crossings(run: Run, phase: str = "gradient") -> list[Crossing]:
    """Say where the strategies of each sweep cross, in time and in memory; those that never do come last."""
    found = crossovers(run.table, run.passes)
    found = found.sort_values("outcome", key=lambda outcome: outcome == "never at all", kind="stable")
    return [
        Crossing(
            _sweep(line),
            QUANTITIES[line["quantity"]],
            f"{line['first']}, {line['second']}",
            line["outcome"],
            _place(line),
            f"{line['cheaper']}, {format_ratio(line['factor'])}"
            if isinstance(line["cheaper"], str)
            else "cannot be told",
        )
        for line in found[(found["phase"] == phase)].to_dict("records")
        if "forward" not in (line["first"], line["second"])
    ]


def _sweep(line: Mapping[Any, Any]) -> str:
    return f"{KNOBS[line['knob']]} ({line['held']})"


def _place(line: Mapping[Any, Any]) -> str:
    if math.isnan(line["size"]):
        return "–"
    interval = "" if math.isnan(line["low"]) else f" [{_size(line['low'])}, {_size(line['high'])}]"
    mark = ", extrapolated" if line["extrapolated"] else ""
    return f"{KNOBS[line['knob']]} {_size(line['size'])}{interval}{mark}"


def _size(size: float) -> str:
    return "any" if math.isinf(size) else f"{size:,.3g}" if size < 1000 else f"{size:,.0f}"
