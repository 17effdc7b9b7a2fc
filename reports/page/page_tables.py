"""Tables of the page as text: recommendations, memory limits, crossovers, all rows, and the cells that failed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from jacobench.bench.row.columns import CELL_KEYS, COLUMNS, FORWARD, HEAP, STATUSES, below_resolution, in_phase
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.doubts import spreads
from jacobench.reports.analysis.recommendation import least_memory, recommend
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.reports.analysis.sweeps import KNOBS, find_sweeps
from jacobench.reports.data import limit_sentences, units
from jacobench.reports.data.vocabulary import QUANTITY_WORDS, words
from jacobench.reports.page import table_phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from jacobench.reports.data.run_data import Run

NEAR = 100.0  # largest factor beyond the measured sizes at which a limit or a crossover is relevant to the reader
# Columns of the table of all rows that are visible when the page opens.
VISIBLE = ("case", "strategy", "phase", "status", "seconds_median", "ratio_to_vjp", "peak_bytes", "reason")

FORMATS: dict[str, Callable[[float], str]] = {  # by column name or by unit
    "s": units.format_seconds,
    "B": units.format_bytes,
    **dict.fromkeys(("ratio_to_vjp", "ratio_low", "ratio_high"), units.format_ratio),
    "efficiency": units.format_efficiency,
    "predicted_flops": partial(units.format_tick, scale=units.COUNTS),
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
    rows = run.table[in_phase(run.table, phase)].to_dict("records")
    smallest = least_memory(run.table, phase)
    peaks = {row["case"]: units.format_peak(row) for row in rows if smallest.get(row["case"]) == row["strategy"]}
    return [
        Recommendation(
            case=line["case"],
            fastest=line["strategy"] if line["decision"] in {"ahead", "alone"} else "",
            decision=decision_phrase(line),
            factor=units.format_interval(line["factor"], line["low"], line["high"]),
            runner_up=table_phrases.runner_up(_text(line["runner_up"]), line["strategy"], line["decision"]),
            least_memory=smallest.get(line["case"], ""),
            peak=peaks.get(line["case"], ""),
        )
        for line in recommend(run.table, run.passes, phase).to_dict("records")
    ]


def winner(line: Mapping[Any, Any]) -> str:
    """Return the clear winner of a line of `recommend` in words, or that there is none."""
    name = line["strategy"] if line["decision"] in {"ahead", "alone"} else ""
    factor = units.format_interval(line["factor"], line["low"], line["high"])
    return table_phrases.winner(name, factor, table_phrases.DECISIONS[line["decision"]], _doubt(line))


def decision_phrase(line: Mapping[Any, Any]) -> str:
    """Return the decision of a line of `recommend` in words."""
    rivals = _text(line["open_rivals"])
    names = rivals.split(", ") if rivals else []
    return table_phrases.decision(line["decision"], _text(line["runner_up"]), names, _doubt(line))


def _doubt(line: Mapping[Any, Any]) -> str:
    """Return who could win at its own limit; empty for nobody."""
    return limit_sentences.could_win(spreads([line["could_win"]]))


def _text(value: Any) -> str:
    """Return a text of a table; empty if it is missing."""
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class LimitRow:
    """Largest size at which a strategy fits in memory, in words."""

    strategy: str
    largest: str
    known_by: str


@dataclass(frozen=True)
class CrossoverRow:
    """Size at which two strategies cost the same, in words; ``with_range`` says all in one phrase."""

    quantity: str
    strategies: str
    outcome: str
    at: str
    ahead: str
    with_range: str


Line = TypeVar("Line", LimitRow, CrossoverRow)
Groups = list[tuple[str, list[Line]]]  # lines grouped by the description of their sweep


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
            is_near = basis == "none" or (
                basis != table_phrases.MORE_THAN and size <= NEAR * measured.get(line["held"], math.inf)
            )
            shown = table_phrases.limit(KNOBS[knob], size, basis), table_phrases.limit_basis(basis)
            lines.append((is_near, sweep_name(knob, line["held"]), LimitRow(line["strategy"], *shown)))
    return _grouped(lines)


def crossover_rows(run: Run, phase: str = "gradient") -> tuple[Groups[CrossoverRow], Groups[CrossoverRow]]:
    """Return the crossovers of each sweep in time and memory: the relevant ones, and the others.

    A crossover is relevant within 100 times the measured sizes. The others are pairs that do not cross.
    """
    found = crossovers(run.table, run.passes)
    lines = [
        (
            line["outcome"] == "crosses again" or line["size"] <= NEAR * line["largest"],
            sweep_name(line["knob"], line["held"]),
            _crossover_row(line),
        )
        for line in found[in_phase(found, phase)].to_dict("records")
        if FORWARD not in (line["first"], line["second"])
    ]
    return _grouped(lines)


def _crossover_row(line: Mapping[Any, Any]) -> CrossoverRow:
    knob, outcome = KNOBS[line["knob"]], line["outcome"]
    at = table_phrases.crossover_place(knob, line["size"], line["low"], line["high"], line["extrapolated"])
    ahead = table_phrases.cheaper(_text(line["cheaper"]), line["factor"], _doubt(line))
    return CrossoverRow(
        QUANTITY_WORDS[line["quantity"]],
        f"{line['first']}, {line['second']}",
        table_phrases.crossover(outcome),
        at,
        ahead,
        table_phrases.crossover_with_range(outcome, at, ahead, knob, line["smallest"], line["largest"]),
    )


def _measured(table: pd.DataFrame, knob: str) -> dict[str, float]:
    """Return the largest size of each sweep: what the sweep holds fixed → size."""
    found: dict[str, float] = {}
    for sweep in find_sweeps(table, knob):
        found[sweep.held] = max(found.get(sweep.held, 0.0), sweep.sizes[-1])
    return found


def _grouped(lines: Iterable[tuple[bool, str, Line]]) -> tuple[Groups[Line], Groups[Line]]:
    """Group the relevant lines, and the others, by sweep, in the order of the first line of each sweep."""
    groups: tuple[dict[str, list[Line]], dict[str, list[Line]]] = {}, {}
    for is_relevant, sweep, line in lines:
        groups[not is_relevant].setdefault(sweep, []).append(line)
    return list(groups[0].items()), list(groups[1].items())


def sweep_name(knob: str, held: str) -> str:
    """Return the name of a sweep: its knob, and what it holds fixed."""
    return f"{KNOBS[knob]} ({held})"


@dataclass(frozen=True)
class TableColumn:
    """Column of the table of all rows: whether it is sorted by number, and visible when the page opens."""

    name: str
    meaning: str
    numeric: bool
    shown: bool


@dataclass(frozen=True)
class RowTable:
    """Table of all rows as text.

    ``columns``: those whose values differ between rows. ``rows``: per cell the text, and for numbers the sort key, with all
    digits. ``same``: name and value of the columns with one value for all rows. ``tips``: per row, the time and host of
    each pass; empty unless the run was on a cluster.
    """

    columns: list[TableColumn]
    rows: list[list[tuple[str, str]]]
    same: list[tuple[str, str]]
    tips: list[str]


@dataclass(frozen=True)
class Failure:
    """Strategy that failed in one case, or has a note there, as text; ``phases`` lists the affected phases."""

    case: str
    strategy: str
    phases: str
    status: str
    reason: str


def row_table(run: Run) -> RowTable:
    """Lay out the tidy table. Columns without any value are left out, except those in `VISIBLE`."""
    table = run.table
    kept, same = [], []
    for name in COLUMNS:
        distinct = table[name].nunique(dropna=False)
        if distinct == 1 and name not in VISIBLE and len(table) > 1:
            if table[name].notna().all():
                same.append((name, _shown(name, table[name].iloc[0])))
        elif table[name].notna().any() or name in VISIBLE:
            kept.append(name)
    columns = [
        TableColumn(name, COLUMNS[name].meaning, COLUMNS[name].dtype == "float64", name in VISIBLE)
        for name in sorted(kept, key=lambda name: VISIBLE.index(name) if name in VISIBLE else len(VISIBLE))
    ]
    lists = [_cells(column.name, table) for column in columns]
    return RowTable(columns, [list(cells) for cells in zip(*lists, strict=True)], same, _tips(table, run.passes))


def _tips(table: pd.DataFrame, passes: pd.DataFrame) -> list[str]:
    """Return for each row the time and the host of its passes; empty unless it was measured on a cluster."""
    found: dict[tuple[str, ...], list[tuple[int, str, str]]] = {}
    for line in passes[passes["host"] != ""].to_dict("records"):
        one = int(line["pass"]) + 1, units.format_seconds(line["seconds"]), str(line["host"])
        found.setdefault(tuple(line[name] for name in CELL_KEYS), []).append(one)
    keys = map(tuple, table[list(CELL_KEYS)].to_numpy())
    return [table_phrases.passes_on_hosts(found.get(key, [])) for key in keys]


def failures(table: pd.DataFrame) -> list[Failure]:
    """Return one line per case, strategy, status and reason, of the cells that failed.

    Cells of a case that are ok and share a note are one line.
    """
    rows = table[(table["status"] != "ok") | table["reason"].notna()].fillna({"reason": ""})
    separate = rows["strategy"].where(rows["status"] != "ok", "")
    return [
        Failure(str(case), _distinct(own["strategy"]), _distinct(own["phase"]), words(str(status)), str(reason))
        for (case, _, status, reason), own in rows.groupby(["case", separate, "status", "reason"], sort=False)
    ]


def _distinct(names: pd.Series[str]) -> str:
    return ", ".join(names.drop_duplicates())


def counts(table: pd.DataFrame) -> str:
    """Return the number of cells of each status, such as ``"59 ok, 1 over budget"``."""
    found = table["status"].value_counts()
    return table_phrases.status_counts((status, found[status]) for status in STATUSES if status in found.index)


def _cells(name: str, table: pd.DataFrame) -> list[tuple[str, str]]:
    numeric = COLUMNS[name].dtype == "float64"
    below = below_resolution(table, name) if name in HEAP else [False] * len(table)
    return [
        (units.BELOW_RESOLUTION, "0.0") if is_below
        else ("", "") if value != value  # noqa: PLR0124  (NaN)
        else (_shown(name, value), repr(value) if numeric else "")
        for value, is_below in zip(table[name].tolist(), below, strict=True)
    ]  # fmt: skip


def _shown(name: str, value: Any) -> str:
    column = COLUMNS[name]
    if column.dtype == "object":
        return words(value) if name == "status" else str(value)
    return FORMATS.get(name, FORMATS.get(column.unit, _number))(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
