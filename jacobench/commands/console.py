"""Arguments that several commands share, and consoles: results go to standard output, messages to standard error."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

Runs = Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs, or their run.json files.")]
Phase = Annotated[
    str,
    typer.Option(
        metavar="PHASE",
        help="Phase to show: prepare, linearize, pullback, gradient or jacobian. gradient includes jacobian, which is that of whole Jacobians.",
    ),
]

WIDTH_OF_FILES = 120  # width of output to a file or a pipe, in characters


@cache
def stdout() -> Console:
    """Return the console for results."""
    from rich.console import Console

    # No markup and no emoji: names and messages of plug-ins may contain brackets and colons, such as ``:key:``.
    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, emoji=False, width=WIDTH_OF_FILES)


def echo(text: object, end: str = "\n") -> None:
    """Print a text to standard output as it is, without line breaks."""
    sys.stdout.write(f"{text}{end}")


@cache
def stderr() -> Console:
    """Return the console for messages."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def announce(step: str) -> None:
    """Print what is waited for, on a terminal only: in a file, an error stays one line."""
    if stderr().is_terminal:
        stderr().print(step)


def columns(headings: Sequence[str], rows: Iterable[Sequence[Any]], whole: Sequence[str] = ()) -> Any:
    """Return a plain table: headings, then one line per row; long cells are folded, but not in the last columns, `whole`."""
    from jacobench.reports.render.text_tables import rich_table

    return rich_table(headings, whole, rows, keep_first_whole=True)


MANY_ROWS = 1000
"""From this number on, a table is printed without folding: rich takes 30 s for 100,000 rows."""


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a plain table of texts, of any length."""
    from jacobench.reports.render.text_tables import plain_table

    if len(rows) < MANY_ROWS:
        stdout().print(columns(headings, rows))
    else:
        echo(plain_table(headings, rows))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the error of a file or folder that cannot be written into BadInput."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"cannot write {str(path)!r}: {error.strerror}; choose another path") from None
