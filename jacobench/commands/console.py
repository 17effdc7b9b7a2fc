"""Where output goes: data to standard output, talk to standard error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

WIDTH_OF_FILES = 120
"""Columns of a table that is not shown on a terminal."""


@cache
def out() -> Console:
    """Return standard output; a file or a pipe gets lines of a fixed width."""
    from rich.console import Console

    # No markup: names and messages of plug-ins may hold anything in brackets.
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=WIDTH_OF_FILES)


@cache
def talk() -> Console:
    """Return standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def columns(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """Return a plain table: a heading, then one line a row, longer cells folded."""
    from jacobench.reports.render.text_tables import rich_table

    return rich_table(headings, rows=rows, keep_first_whole=True)
