"""Output of an outcome: the screen, files, and GitHub if it runs the command. None of it changes the exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jacobench.commands import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jacobench.reports.regression.outcome import Outcome

Markdown = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Write Markdown to FILE. With -, print Markdown instead of the table."),
]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML to FILE.")]

UNWRITABLE = (OSError, ValueError, SystemExit)
"""Errors of an output: ValueError if its encoding lacks a character, SystemExit by rich if its reader has ended."""


def write_outcome(outcome: Outcome, title: str, markdown: str | None, junit: Path | None) -> None:
    """Print an outcome, write the requested files, and the summary and annotations that GitHub's variables ask for.

    What cannot be written is left out with one line on standard error, because the verdict has been reached.
    """
    from jacobench.reports.render.gate_formats import FORMATS
    from jacobench.reports.render.gate_screen import VerdictScreen

    if markdown == "-":
        _print(lambda: typer.echo(FORMATS["markdown"](outcome, title), nl=False))
    else:
        _print(lambda: console.stdout().print(VerdictScreen(outcome, title), soft_wrap=True))
    for name, path in (("markdown", None if markdown == "-" else markdown), ("junit", junit)):
        if path is not None:
            _write(FORMATS[name](outcome, title), Path(path))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with _optional(f"GITHUB_STEP_SUMMARY ({summary})"), Path(summary).open("a", encoding="utf-8") as file:
            file.write(FORMATS["summary"](outcome, title) + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _print(lambda: typer.echo(FORMATS["annotations"](outcome, title), nl=False, err=markdown == "-"))


def say(text: str) -> None:
    """Print a message on standard error, if it can be written."""
    with suppress(*UNWRITABLE):
        console.stderr().print(text)


def _write(text: str, path: Path) -> None:
    from jacobench.reports.render.output_files import write_text

    with _optional(str(path)):
        write_text(text, path)


@contextmanager
def _optional(what: str) -> Iterator[None]:
    """Print one line if an output cannot be written."""
    try:
        yield
    except UNWRITABLE as error:
        cause = "its reader has ended" if isinstance(error, SystemExit) else getattr(error, "strerror", None) or error
        say(f"jacobench: cannot write {what}: {cause}; the verdict and the exit code do not change")


def _print(show: Callable[[], None]) -> None:
    """Call a function that writes to standard output; on an error, discard what is left in the buffer."""
    with _optional("standard output"):
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        try:
            show()
            sys.stdout.flush()
        except UNWRITABLE:
            with suppress(*UNWRITABLE):  # else it fails once more when the interpreter ends, with another exit code
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise
