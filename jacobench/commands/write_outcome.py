"""Output of an outcome: the screen, files, and GitHub if it runs the command. None of it changes the exit code."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jacobench.commands import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.reports.regression.outcome import Outcome

Markdown = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Write Markdown to FILE. With -, print Markdown instead of the table."),
]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML to FILE.")]

GITHUB_FILES = {"summary": "GITHUB_STEP_SUMMARY", "output": "GITHUB_OUTPUT"}
"""Format → variable of GitHub that names the file to which it is added."""


def write_outcome(outcome: Outcome, title: str, markdown: str | None, junit: Path | None) -> None:
    """Print an outcome, write the requested files, and what GitHub's variables ask for: summary, output and annotations.

    What cannot be written is left out with one line on standard error, because the verdict has been reached.
    """
    from jacobench.reports.render.gate_formats import FORMATS
    from jacobench.reports.render.gate_screen import VerdictScreen

    if markdown == "-":
        console.echo(FORMATS["markdown"](outcome, title), end="")
    else:
        console.stdout().print(VerdictScreen(outcome, title), soft_wrap=True)
    for name, path in (("markdown", None if markdown == "-" else markdown), ("junit", junit)):
        if path is not None:
            _write(FORMATS[name](outcome, title), Path(path))
    for name, variable in GITHUB_FILES.items():
        if path := os.environ.get(variable):
            with (
                _optional(f"{variable} ({path})"),
                Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file,
            ):
                file.write(FORMATS[name](outcome, title) + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        annotations = FORMATS["annotations"](outcome, title)
        (sys.stderr if markdown == "-" else sys.stdout).write(annotations)


def report_options(markdown: str | None, junit: Path | None) -> list[str]:
    """Return the options, in words, that request the same files."""
    given = (("--markdown", markdown), ("--junit", junit))
    return [word for option, path in given if path for word in (option, str(path))]


def say(text: str) -> None:
    """Print a message on standard error."""
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
    except OSError as error:
        say(f"jacobench: cannot write {what}: {error.strerror}; the verdict and the exit code do not change")
