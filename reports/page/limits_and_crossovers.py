"""Page tables of the largest size that fits in memory, and of the sizes at which two strategies cost the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from jacobench.bench.row.columns import FORWARD
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.reports.analysis.sweeps import KNOBS, find_sweeps
from jacobench.reports.data.units import MISSING, format_ratio, format_size
from jacobench.reports.data.vocabulary import QUANTITY_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from jacobench.reports.data.run_data import Run

NEAR = 100.0
"""Largest factor beyond the measured sizes at which a limit or a crossover is relevant to the reader."""

MORE_THAN = "more than"

# Basis of a limit, as in `what_fits`.
BASES = {
    "interpolation": "between sizes of the run",
    "model": "predicted bytes",
    MORE_THAN: "fits at every checked size",
    "bound": "largest possible value",
    "none": "the smallest size does not fit",
}

OUTCOMES = {
    "crosses": "crosses",
    "crosses again": "crosses more than once",
    "undecided": "undecided",
    "never in the range": "beyond the measured sizes",
    "never at all": "never",
}


@dataclass(frozen=True)
class LimitRow:
    """Largest size at which a strategy fits in memory, in words."""

    strategy: str
    largest: str
    known_by: str


@dataclass(frozen=True)
class CrossoverRow:
    """Size at which two strategies cost the same, in words."""

    quantity: str
    strategies: str
    outcome: str
    at: str
    ahead: str


Line = TypeVar("Line", LimitRow, CrossoverRow)
Groups = list[tuple[str, list[Line]]]
"""Lines grouped by the description of their sweep."""


def memory_limits(run: Run, phase: str = "gradient") -> tuple[Groups[LimitRow], Groups[LimitRow]]:
    """Return the largest sizes that fit in the machine's memory: the relevant ones, and the others.

    A limit is relevant within 100 times the measured sizes. Both are empty if the run does not record the memory.
    """
    limit = (run.facts.get("machine") or {}).get("memory_bytes")
    if not limit:
        return [], []
    lines = []
    for knob in KNOBS:
        measured = _measured(run.table, knob)
        for line in what_fits(run.table, knob, "bytes", float(limit), phase).to_dict("records"):
            basis, size = line["basis"], line["size"]
            is_near = basis == "none" or (basis != MORE_THAN and size <= NEAR * measured.get(line["held"], math.inf))
            lines.append((is_near, _sweep(line), LimitRow(line["strategy"], _largest(knob, size, basis), BASES[basis])))
    return _grouped(lines, relevant=True), _grouped(lines, relevant=False)


def _largest(knob: str, size: float, basis: str) -> str:
    if math.isnan(size):
        return MISSING
    return f"{f'{MORE_THAN} ' if basis == MORE_THAN else ''}{KNOBS[knob]} {format_size(size)}"


def crossover_rows(run: Run, phase: str = "gradient") -> tuple[Groups[CrossoverRow], Groups[CrossoverRow]]:
    """Return the crossovers of each sweep in time and memory: the relevant ones, and the others.

    A crossover is relevant within 100 times the measured sizes. The others are pairs that do not cross.
    """
    found = crossovers(run.table, run.passes)
    measured = {knob: _measured(run.table, knob) for knob in KNOBS}
    lines = [
        (
            line["outcome"] == "crosses again" or line["size"] <= NEAR * measured[line["knob"]][line["held"]],
            _sweep(line),
            CrossoverRow(
                QUANTITY_WORDS[line["quantity"]],
                f"{line['first']}, {line['second']}",
                OUTCOMES[line["outcome"]],
                _place(line),
                f"{line['cheaper']}, {format_ratio(line['factor'])}"
                if isinstance(line["cheaper"], str)
                else "undecided",
            ),
        )
        for line in found[found["phase"] == phase].to_dict("records")
        if FORWARD not in (line["first"], line["second"])
    ]
    return _grouped(lines, relevant=True), _grouped(lines, relevant=False)


def _measured(table: pd.DataFrame, knob: str) -> dict[str, float]:
    """Return the largest size of each sweep: what the sweep holds fixed → size."""
    found: dict[str, float] = {}
    for sweep in find_sweeps(table, knob):
        found[sweep.held] = max(found.get(sweep.held, 0.0), sweep.sizes[-1])
    return found


def _grouped(lines: Iterable[tuple[bool, str, Line]], *, relevant: bool) -> Groups[Line]:
    """Group lines by sweep, in the order of the first line of each sweep."""
    groups: dict[str, list[Line]] = {}
    for is_relevant, sweep, line in lines:
        if is_relevant == relevant:
            groups.setdefault(sweep, []).append(line)
    return list(groups.items())


def _sweep(line: Mapping[Any, Any]) -> str:
    return f"{KNOBS[line['knob']]} ({line['held']})"


def _place(line: Mapping[Any, Any]) -> str:
    if math.isnan(line["size"]):
        return MISSING
    interval = "" if math.isnan(line["low"]) else f" [{format_size(line['low'])}, {format_size(line['high'])}]"
    mark = ", extrapolated" if line["extrapolated"] else ""
    return f"{KNOBS[line['knob']]} {format_size(line['size'])}{interval}{mark}"
