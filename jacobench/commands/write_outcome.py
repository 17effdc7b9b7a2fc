"""Output of an outcome: the screen, files, and GitHub if it runs the command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jacobench.reports.regression.outcome import Outcome

Markdown = Annotated[
    str | None,
    typer.Option(metavar="FILE|-", help="Write Markdown to FILE. With -, print Markdown instead of the table."),
]
Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML to FILE.")]


def write_outcome(outcome: Outcome, title: str, markdown: str | None, junit: Path | None) -> None:
    """Print an outcome, write the requested files, and the summary and annotations that GitHub's variables ask for.

    Raises BadInput if a file cannot be written.
    """
    from jacobench.commands import console
    from jacobench.reports.render.gate_formats import FORMATS
    from jacobench.reports.render.gate_screen import VerdictScreen

    if markdown == "-":
        typer.echo(FORMATS["markdown"](outcome, title), nl=False)
    else:
        console.stdout().print(VerdictScreen(outcome, title), soft_wrap=True)
        if markdown is not None:
            _write(FORMATS["markdown"](outcome, title), Path(markdown))
    if junit is not None:
        _write(FORMATS["junit"](outcome, title), junit)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(FORMATS["summary"](outcome, title) + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        typer.echo(FORMATS["annotations"](outcome, title), nl=False, err=markdown == "-")


def _write(text: str, path: Path) -> None:
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.render.output_files import write_text

    try:
        write_text(text, path)
    except OSError as error:
        raise BadInput(f"cannot write {str(error.filename or path)!r}: {error.strerror}") from None
