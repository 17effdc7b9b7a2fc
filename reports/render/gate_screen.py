"""An outcome on the screen: headline, one line per row with its verdict, worst first, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from jacobench.reports.data.units import MISSING
from jacobench.reports.regression.gate_sentences import rows_by_verdict
from jacobench.reports.regression.outcome import FAILING, VERDICTS
from jacobench.reports.render.formatting import (
    HEADINGS,
    HEADLINES,
    N_NAMES,
    QUANTITIES,
    counted,
    names_shown,
    on_one_line,
    verdict_texts,
)
from jacobench.reports.render.measured_code import code_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.render.formatting import VerdictText

STYLES: Mapping[str, str] = {**dict.fromkeys(FAILING, "bold red"), "inconclusive": "yellow", "improved": "green"}

OPTIONAL = ("detectable", "95 % interval", "base", "head")
"""Columns that a narrow terminal does not show."""

CASE = HEADINGS.index("case")

LONGEST_NAME = 60
"""Characters of a case."""


@dataclass(frozen=True)
class VerdictScreen:
    """An outcome for `rich.console.Console.print`; with ``soft_wrap=True`` each row stays on one line."""

    outcome: Outcome
    title: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(f"{HEADLINES[self.outcome.state]} · {self.title}", style="bold")
        by_row: dict[tuple[str, str, str], list[VerdictText]] = {}
        for line in verdict_texts(self.outcome.verdicts):
            by_row.setdefault((line.case, line.strategy, line.phase), []).append(line)
        rows = [sorted(row, key=_importance) for row in by_row.values()]
        if rows:
            yield Text(rows_by_verdict(len(rows), counted(row[0].verdict for row in rows)))
            yield Text()
            yield from _aligned(rows, self.outcome.notes, console.width if console.is_terminal else None)
            yield Text()
        for note in self.outcome.notes:
            yield Text(on_one_line(note))
        yield from map(Text, code_lines(self.outcome.distributions))


def _importance(line: VerdictText) -> tuple[int, bool]:
    """Order the results of a row: the worst verdict first, and time first among equal ones."""
    return VERDICTS.index(line.verdict), line.quantity != QUANTITIES["seconds"][0]


def _aligned(rows: Sequence[Sequence[VerdictText]], notes: Sequence[str], most: int | None) -> Iterator[Text]:
    """Return a heading and one line per row: its worst result, then its other results with this verdict, or the reason.

    Columns that exceed the width ``most`` are left out, the least important first.
    """
    cells = [HEADINGS, *(row[0]._replace(case=shortened(row[0].case))[: len(HEADINGS)] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    shown = [*names_shown(row[0] for row in rows), *range(N_NAMES, len(HEADINGS))]
    for name in OPTIONAL:
        if most is not None and sum(widths[n] + 2 for n in shown) > most + 2:
            shown.remove(HEADINGS.index(name))
    if most is not None and widths[0] + 2 + widths[CASE] > most:  # the terminal would wrap the longest name
        shown.insert(0, shown.pop(shown.index(CASE)))
    remarks = ["", *(_note(row, notes) for row in rows)]
    styles = ["bold", *(STYLES.get(row[0].verdict, "") for row in rows)]
    for line, remark, style in zip(cells, remarks, styles, strict=True):
        padded = [f"{line[n]:{'<' if n < N_NAMES else '>'}{widths[n]}}" for n in shown]
        text = Text(f"{'  '.join(padded)}  {remark}".rstrip())
        begin = 0 if shown[0] == 0 else widths[CASE] + 2
        text.stylize(style, *((begin, begin + widths[0]) if style != "bold" else (0, None)))
        yield text


def _note(row: Sequence[VerdictText], notes: Sequence[str]) -> str:
    """Return the reason of a row, unless the outcome's notes have it, and its other results with this verdict."""
    first, *others = row
    also = [f"{line.quantity} {line.change}" for line in others if line.verdict == first.verdict in FAILING]
    known = first.verdict == "not measured" and any(first.reason in on_one_line(note) for note in notes)
    show = not known and first.verdict != "unchanged" and (first.verdict != "regressed" or first.change == MISSING)
    return "; ".join([*([first.reason] if show and first.reason else []), *also])


def shortened(case: str) -> str:
    """Return a case's name without the beginning of a long path; everything from ``::`` on is kept.

    >>> shortened("a/very/long/path/to/the/folder/of/the/benchmarks/test_speed.py::test_mlp[64]")
    '…/to/the/folder/of/the/benchmarks/test_speed.py::test_mlp[64]'
    """
    path, separator, name = case.partition("::")
    left = max(LONGEST_NAME - len(separator + name), 0)
    return case if not separator or len(path) <= left else f"…{path[len(path) - left :]}{separator}{name}"
