"""An outcome on the screen: what it came to, the lines that are not unchanged, the worst first, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from jacobench.reports.render.formatting import HEADLINES, Words, counted, words, worst_first
from jacobench.reports.render.text_tables import rich_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table

    from jacobench.reports.regression.outcome import Outcome

MOST = 30
"""Lines of one verdict; those that are left out have the smaller changes."""

STYLES: Mapping[str, str] = {
    "broken": "bold red",
    "regressed": "bold red",
    "inconclusive": "yellow",
    "improved": "green",
}

HEADINGS = ("verdict", "case", "strategy", "phase", "", "base", "head", "change", "95 % interval", "could see")
LEFT = 5
"""How many of them are text."""


@dataclass(frozen=True)
class VerdictScreen:
    """An outcome, to be printed with rich."""

    outcome: Outcome
    title: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield Text(f"{HEADLINES[self.outcome.state]} · {self.title}", style="bold", overflow="fold")
        table = worst_first(self.outcome.verdicts)
        if len(table):
            yield Text(counted(self.outcome))
        notable = [words(line) for line in table[table["verdict"] != "unchanged"].to_dict("records")]
        if notable:
            yield Text()
            yield _table(list(_first_of_each(notable)))
            yield Text()
        for note in (*_reasons(notable), *self.outcome.notes):
            yield Text(note, overflow="fold")


def _first_of_each(lines: Sequence[Words]) -> Iterator[Words]:
    seen = dict.fromkeys((line.verdict for line in lines), 0)
    for line in lines:
        seen[line.verdict] += 1
        if seen[line.verdict] <= MOST:
            yield line


def _reasons(lines: Sequence[Words]) -> Iterator[str]:
    """Say each reason once, with the first line that has it."""
    by_reason: dict[tuple[str, str], list[Words]] = {}
    for line in lines:
        if line.reason:
            by_reason.setdefault((line.verdict, line.reason), []).append(line)
    for (verdict, reason), alike in list(by_reason.items())[:MOST]:
        first = alike[0]
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        yield f"  {verdict}: {first.case} · {first.strategy} · {first.phase}, {first.quantity}{more}: {reason}"
    hidden = len(lines) - len(list(_first_of_each(lines)))
    if hidden:
        yield f"  {hidden} more lines are not shown here; --markdown FILE has them."


def _table(lines: Sequence[Words]) -> Table:
    rows = (
        (Text(line.verdict, style=STYLES.get(line.verdict, "")), line.case, line.strategy, line.phase, line.quantity,
         line.base, line.head, line.change, line.interval, line.visible)
        for line in lines
    )  # fmt: skip
    return rich_table(HEADINGS[:LEFT], HEADINGS[LEFT:], rows, keep_first_whole=True)
