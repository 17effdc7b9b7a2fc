"""Tables as text: one builder for the terminal, one for Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len, chop_cells
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions


@dataclass(frozen=True)
class FoldedName:
    """A name, such as that of a case, that rich folds after its hyphens where a column is too narrow."""

    name: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text("\n".join(folded_name(self.name, options.max_width)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = max(map(cell_len, _parts(self.name)))
        return Measurement(longest, cell_len(self.name)).with_maximum(options.max_width)


def folded_name(name: str, width: int) -> list[str]:
    """Return the lines of a name in a column: folded after hyphens, or anywhere in a part that is too long.

    >>> folded_name("mlp-w16-d2-b1", 8)
    ['mlp-w16-', 'd2-b1']
    """
    lines = [""]
    for part in _parts(name):
        first, *others = [part] if cell_len(part) <= width else chop_cells(part, width)
        if cell_len(lines[-1] + first) <= width:
            lines[-1] += first
        else:
            lines.append(first)
        lines += others
    return lines


def _parts(name: str) -> list[str]:
    return re.split("(?<=-)", name)


def rich_table(
    names: Sequence[str],
    numbers: Sequence[str] = (),
    rows: Iterable[Iterable[Any]] = (),
    *,
    keep_first_whole: bool = False,
) -> Table:
    """Return a plain table for the terminal: text columns, whose long cells are folded, then right-aligned ones.

    Cells are texts or rich renderables; None is an empty cell. Markup in a text is printed, not interpreted.
    `keep_first_whole`: never fold the first column.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), show_edge=False)
    for number, name in enumerate(names):
        table.add_column(name, overflow="fold", no_wrap=keep_first_whole and number == 0)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(_renderable(cell, folds=number < len(names)) for number, cell in enumerate(row)))
    return table


def _renderable(cell: Any, *, folds: bool) -> Any:
    if hasattr(cell, "__rich_console__"):
        return cell
    text = "" if cell is None else str(cell)
    return FoldedName(text) if folds and "-" in text and " " not in text and "\n" not in text else Text(text)


def plain_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as `rich_table` prints it, for many rows: one line for each, whose cells are never folded.

    >>> print(plain_table(("case", "time"), [("mlp-w4", "1 µs")]))
    case    time
    ────────────
    mlp-w4  1 µs
    """
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (names, *rows)
    ]
    return "\n".join([lines[0], "─" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def markdown_table(names: Sequence[str], rows: Iterable[Iterable[str]], numbers: Sequence[str] = ()) -> str:
    """Return a table in GitHub's Markdown, with left-aligned columns and right-aligned ones, `numbers`, after them.

    Cells are Markdown: pass plain text through `escape_markdown` first.
    """
    rule = ["---"] * len(names) + ["---:"] * len(numbers)
    lines = [[*names, *numbers], rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape_markdown(text: str) -> str:
    r"""Return a text on one line, with the characters escaped that Markdown or HTML would interpret.

    >>> escape_markdown("a|b <i> *c* _d_ e_f")  # within a word, _ has no meaning
    'a\\|b \\<i\\> \\*c\\* \\_d\\_ e_f'
    """
    line = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return re.sub(r"[\\`*{}\[\]<>#!|~&@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\\g<0>", line)


def markdown_details(summary: str, content: str) -> str:
    """Return Markdown that a reader unfolds."""
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"
