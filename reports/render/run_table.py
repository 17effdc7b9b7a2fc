"""The table on the screen: cases down, strategies across, in each cell time and peak memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from jacobench.bench.row.columns import PHASES
from jacobench.graphs.errors import unknown
from jacobench.reports.analysis.winners import memory_winner, time_winner
from jacobench.reports.data.units import MISSING, format_bytes, format_ratio, format_seconds
from jacobench.reports.data.vocabulary import in_order, words
from jacobench.reports.render.footnotes import footnotes
from jacobench.reports.render.text_tables import rich_table
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

MARK = "*"

# Characters: the longest a formatted number gets, with its mark.
TIME, RATIO, EFFICIENCY, MEMORY = 8, 6, 5, 9
BETWEEN = 2  # rich's divider and the padding on its right
SHORTEST_CASE = 20

Row = dict[str, Any]


@dataclass(frozen=True)
class Extras:
    """What is shown beside time and memory: the ratio to the reference; the floor as a share of the time."""

    ratios: bool
    efficiencies: bool


ALL, RATIOS, NONE = Extras(True, True), Extras(True, False), Extras(False, False)


@dataclass(frozen=True)
class TerminalTable:
    """The measurements of one run and one phase, laid out when the width of the screen is known.

    Where the strategies do not fit side by side, first the efficiencies go, then the ratios; if that is not enough, the
    table is split into blocks of whole strategies.
    """

    cells: dict[tuple[str, str], Row]
    cases: list[str]
    strategies: list[str]
    title: str
    notes: list[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(self.title, style="bold")
        extras, blocks = self._layout(options.max_width)
        for block in blocks if self.cases else []:
            yield self._block(block, extras, options.max_width)
            yield Text()
        for note in self.notes:
            yield Text(note, overflow="fold")

    def _layout(self, width: int) -> tuple[Extras, list[list[str]]]:
        efficiencies = any(row["efficiency"] == row["efficiency"] for row in self.cells.values())
        if efficiencies and self._room(self.strategies, ALL, width) >= self._longest_case():
            return ALL, [self.strategies]
        for extras in (RATIOS, NONE):
            if self._room(self.strategies, extras, width) >= min(SHORTEST_CASE, self._longest_case()):
                return extras, [self.strategies]
        blocks: list[list[str]] = [[]]
        for name in self.strategies:
            if blocks[-1] and self._room([*blocks[-1], name], RATIOS, width) < SHORTEST_CASE:
                blocks.append([])
            blocks[-1].append(name)
        return RATIOS, blocks

    def _longest_case(self) -> int:
        return max(len(case) for case in [*self.cases, "case"])

    def _room(self, strategies: Sequence[str], extras: Extras, width: int) -> int:
        return width - sum(BETWEEN + _width(name, extras) for name in strategies)

    def _block(self, strategies: Sequence[str], extras: Extras, width: int) -> Table:
        table = rich_table(())
        room = max(self._room(strategies, extras, width), 8)
        table.add_column("case", overflow="fold", width=min(room, self._longest_case()))
        for name in strategies:
            table.add_column(_heading(name, extras), justify="right", width=_width(name, extras))
        for case in self.cases:
            row = {name: self.cells[case, name] for name in self.strategies if (case, name) in self.cells}
            fastest, smallest = time_winner(list(row.values())), memory_winner(list(row.values()))
            table.add_row(
                Text(case),  # a plain string would be read as markup
                *(_cell(row.get(name), name == fastest, name == smallest, extras) for name in strategies),
            )
        return table


def terminal_table(table: pd.DataFrame, phase: str = "gradient") -> TerminalTable:
    """Lay out one phase of a run for the terminal.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    TerminalTable
        To be printed with rich: time per call (median over passes), its ratio to vjp, and the peak of the heap; the winner
        of each marked only where it is clearly ahead. Below it what measured, and why cells have no time.

    Raises
    ------
    BadInput
        If the phase is unknown.
    ValueError
        If the table holds more than one run.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    runs = table["run_id"].dropna().unique()
    if len(runs) > 1:
        raise ValueError(f"a terminal table shows one run: got {len(runs)}")
    # A cell is over budget for the phase that needs most, whichever is shown.
    heaviest = table.groupby(["case", "strategy"])["predicted_bytes"].transform("max")
    rows = table.assign(predicted_bytes=heaviest)[table["phase"] == phase]
    suites = ", ".join(str(suite) for suite in rows["suite"].dropna().unique())
    return TerminalTable(
        cells={(row["case"], row["strategy"]): row for row in _records(rows)},
        cases=rows["case"].drop_duplicates().tolist(),
        strategies=in_order(rows["strategy"]),
        title=" · ".join(part for part in (suites, phase, "time per call and peak heap memory") if part),
        notes=footnotes(rows, table, phase, MARK),
    )


def _records(rows: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _width(strategy: str, extras: Extras) -> int:
    return len(_line(strategy, extras, "", "", "", ""))


def _line(strategy: str, extras: Extras, time: str, ratio: str, efficiency: str, memory: str) -> str:
    parts = [f"{time:>{TIME}}"]
    if extras.ratios and strategy != REFERENCE:
        parts.append(f"{ratio:>{RATIO}}")
    if extras.efficiencies:
        parts.append(f"{efficiency:>{EFFICIENCY}}")
    return " ".join([*parts, f"{memory:>{MEMORY}}"])


def _heading(strategy: str, extras: Extras) -> Text:
    under = _line(strategy, extras, "time ", "×vjp", "floor", "peak ")
    return Text.assemble((strategy, "bold"), "\n", (under, "dim"))


def _cell(row: Row | None, fastest: bool, smallest: bool, extras: Extras) -> Text:
    if row is None:
        return Text("")
    if row["status"] != "ok":
        return Text(_why(row, _width(row["strategy"], extras)), style="yellow")
    time = format_seconds(row["seconds_median"]) + (MARK if fastest else " ")
    memory = format_bytes(row["peak_bytes"]) + (MARK if smallest else " ")
    ratio = MISSING if math.isnan(row["ratio_to_vjp"]) else format_ratio(row["ratio_to_vjp"])
    efficiency = MISSING if math.isnan(row["efficiency"]) else f"{row['efficiency']:.0%}"
    text = Text(_line(row["strategy"], extras, time, ratio, efficiency, memory))
    for marked, part in ((fastest, time), (smallest, memory)):
        if marked:
            text.highlight_words([part], style="bold green")
    return text


def _why(row: Row, width: int) -> str:
    """Name the status, for a cell over budget with what it would have weighed, on a second line if one is too short."""
    status = words(row["status"])
    if row["status"] != "over_budget" or math.isnan(row["predicted_bytes"]):
        return status
    weight = format_bytes(row["predicted_bytes"])
    one_line = f"{status}: {weight}"
    return one_line if len(one_line) <= width else f"{status}:\n{weight}"
