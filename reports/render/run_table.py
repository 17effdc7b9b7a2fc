"""Table of one run in the terminal: one line per case, one column per strategy, with time and peak memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from jacobench.bench.row.columns import JACOBIAN, PHASES, STATUSES, in_phase, shown_phase
from jacobench.graphs.errors import unknown
from jacobench.reports.analysis.doubts import by_case, floor_note, spreads
from jacobench.reports.analysis.recommendation import fastest, least_memory, recommend
from jacobench.reports.data.limit_sentences import could_win
from jacobench.reports.data.machine_parts import by_machine
from jacobench.reports.data.units import format_bytes, format_efficiency, format_peak, format_ratio, format_seconds
from jacobench.reports.data.vocabulary import heading, in_order, provenance, words
from jacobench.reports.render import run_table_sentences
from jacobench.reports.render.run_table_sentences import DOUBT, MARK
from jacobench.reports.render.text_tables import FoldedName, rich_table
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from jacobench.reports.data.run_data import Run

# Widths in characters of the longest formatted number, with its mark.
TIME, RATIO, EFFICIENCY, MEMORY = 8, 7, 5, 9
BETWEEN = 2  # rich's divider and the padding on its right
SHORTEST_CASE = 20

Row = dict[Any, Any]


@dataclass(frozen=True)
class Extras:
    """Numbers shown in addition to time and memory: ratios to the reference, and efficiencies."""

    ratios: bool
    efficiencies: bool


ALL, RATIOS, NONE = Extras(True, True), Extras(True, False), Extras(False, False)


@dataclass(frozen=True)
class TerminalTable:
    """Measurements of one run and one phase. The layout depends on the width of the terminal.

    If the strategies do not fit, the table omits the efficiencies, then the ratios; then it is split into blocks.
    `cells` maps (case, strategy) to a row; `fastest` and `smallest` map a case to its clear winner in time and in
    memory; `doubts` maps a case to the slower strategies that could win at their own limit. `sources` and `notes` are
    paragraphs before and after the legend.
    """

    cells: dict[tuple[str, str], Row]
    cases: list[str]
    strategies: list[str]
    fastest: dict[str, str]
    smallest: dict[str, str]
    doubts: dict[str, dict[str, float]]
    title: str
    sources: list[str]
    notes: list[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(self.title, style="bold")
        extras, blocks = self._layout(options.max_width)
        for block in blocks if self.cases else []:
            yield self._block(block, extras, options.max_width)
            yield Text()
        for note in [*self.sources, *self._legend(extras), *self.notes]:
            yield Text(note, overflow="fold")

    def _legend(self, extras: Extras) -> Iterator[str]:
        """Explain the marks and the columns that the table has."""
        if self.cases and (self.fastest or self.smallest):
            yield run_table_sentences.winner()
        if self.cases and extras.efficiencies:
            yield run_table_sentences.efficiency()

    def _layout(self, width: int) -> tuple[Extras, list[list[str]]]:
        efficiencies = any(row["efficiency"] == row["efficiency"] for row in self.cells.values())
        if efficiencies and self._space(self.strategies, ALL, width) >= self._longest_case():
            return ALL, [self.strategies]
        for extras in (RATIOS, NONE):
            if self._space(self.strategies, extras, width) >= min(SHORTEST_CASE, self._longest_case()):
                return extras, [self.strategies]
        blocks: list[list[str]] = [[]]
        for name in self.strategies:
            if blocks[-1] and self._space([*blocks[-1], name], RATIOS, width) < SHORTEST_CASE:
                blocks.append([])
            blocks[-1].append(name)
        return RATIOS, blocks

    def _longest_case(self) -> int:
        return max(len(case) for case in [*self.cases, "case"])

    def _space(self, strategies: Sequence[str], extras: Extras, width: int) -> int:
        """Return the number of characters left for the names of the cases."""
        return width - sum(BETWEEN + _width(name, extras) for name in strategies)

    def _block(self, strategies: Sequence[str], extras: Extras, width: int) -> Table:
        table = rich_table(())
        space = max(self._space(strategies, extras, width), 8)
        table.add_column("case", overflow="fold", width=min(space, self._longest_case()))
        for name in strategies:
            table.add_column(_heading(name, extras), justify="right", width=_width(name, extras))
        for case in self.cases:
            table.add_row(FoldedName(case), *(self._cell(case, name, extras) for name in strategies))
        return table

    def _cell(self, case: str, strategy: str, extras: Extras) -> Text:
        row = self.cells.get((case, strategy))
        if row is None:
            return Text("")
        if row["status"] != "ok":
            return Text(_failure(row, _width(strategy, extras)), style="yellow")
        is_fastest, is_smallest = self.fastest.get(case) == strategy, self.smallest.get(case) == strategy
        mark = MARK if is_fastest else DOUBT if strategy in self.doubts.get(case, ()) else " "
        time = format_seconds(row["seconds_median"]) + mark
        memory = format_peak(row) + (MARK if is_smallest else " ")
        efficiency = format_efficiency(row["efficiency"])
        text = Text(_line(strategy, extras, time, format_ratio(row["ratio_to_vjp"]), efficiency, memory))
        for marked, part in ((is_fastest, time), (is_smallest, memory)):
            if marked:
                text.highlight_words([part], style="bold green")
        return text


def terminal_tables(run: Run, phase: str = "gradient") -> list[TerminalTable]:
    """Return the table of each machine of a run, as `terminal_table`."""
    return [terminal_table(part, phase) for part in by_machine(run).values()]


def terminal_table(run: Run, phase: str = "gradient") -> TerminalTable:
    """Return the table of one phase of a run of one machine, or of a part of a run, to be printed with rich.

    It shows time per call (median over passes), its ratio to vjp, and the peak of the heap. A mark shows clear winners;
    the passes decide who is fastest. Another mark shows who could win at its own limit. Notes give the machine, the
    meaning of the marks, and why cells have no time.
    Raises BadInput if the phase is unknown, and ValueError if the table holds more than one run.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    table = run.table
    phase = shown_phase(table, phase)
    runs = table["run_id"].dropna().unique()
    if len(runs) > 1:
        raise ValueError(f"a terminal table shows one run: got {len(runs)}")
    # A cell is over budget for the phase that needs most, whichever is shown.
    heaviest = table.groupby(["case", "strategy"])["predicted_bytes"].transform("max")
    rows = table.assign(predicted_bytes=heaviest)[in_phase(table, phase)]
    suites = ", ".join(str(suite) for suite in rows["suite"].dropna().unique())
    found = recommend(table, run.passes, phase)
    winners, doubts, phrases = fastest(found), by_case(found), provenance(table)
    return TerminalTable(
        cells={(row["case"], row["strategy"]): row for row in rows.to_dict("records")},
        cases=rows["case"].drop_duplicates().tolist(),
        strategies=in_order(rows["strategy"]),
        fastest=winners,
        smallest=least_memory(table, phase),
        doubts=doubts,
        title=run_table_sentences.title(suites, phase, heading(table)),
        sources=[run_table_sentences.measured_on(phrases)] if phrases else [],
        notes=_notes(rows, phase, _limits(table, phase, doubts) if winners else []),
    )


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
    under = _line(strategy, extras, "time ", "×vjp", "eff.", "peak ")
    return Text.assemble((strategy, "bold"), "\n", (under, "dim"))


def _failure(row: Row, width: int) -> str:
    """Return the status, with the predicted bytes of a cell over budget; on two lines if one is too short."""
    status = words(row["status"])
    if row["status"] != "over_budget" or math.isnan(row["predicted_bytes"]):
        return status
    predicted = format_bytes(row["predicted_bytes"])
    one_line = f"{status}: {predicted}"
    return one_line if len(one_line) <= width else f"{status}:\n{predicted}"


def _limits(table: pd.DataFrame, phase: str, doubts: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return who could win at its own limit, and who has no known limit."""
    doubt = could_win(spreads(doubts.values()), len(doubts))
    notes = [run_table_sentences.in_doubt(doubt) if doubt else "", floor_note(table, phase)]
    return [note for note in notes if note]


def _notes(rows: pd.DataFrame, phase: str, limits: Sequence[str]) -> list[str]:
    """Return the paragraphs under the legend of the table."""
    if rows.empty:
        return [run_table_sentences.no_cell(phase)]
    found = rows["status"].value_counts()
    counts = {status: int(found[status]) for status in STATUSES if status in found.index}
    has_one_pass = bool((rows["passes"] == 1).any() and not (rows["passes"] > 1).any())
    one_pass = [run_table_sentences.one_pass()] if has_one_pass else []
    other = [run_table_sentences.of_jacobians()] if phase != JACOBIAN and rows["phase"].eq(JACOBIAN).any() else []
    return [*one_pass, *other, *limits, run_table_sentences.cells(counts), *_reasons(rows)]


def _reasons(rows: pd.DataFrame) -> list[str]:
    """Return one line for each status, strategy and reason; for cells that are ok, one for each note."""
    noted = rows[(rows["status"] != "ok") | rows["reason"].notna()].fillna({"reason": ""})
    separate = noted["strategy"].where(noted["status"] != "ok", "")
    return [
        run_table_sentences.reason(
            own["strategy"].unique().tolist(), str(status), own["case"].unique().tolist(), str(why)
        )
        for (_, status, why), own in noted.groupby([separate, "status", "reason"], sort=False)
    ]
