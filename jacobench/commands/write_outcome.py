"""Output of an outcome: the screen, files, and GitHub if it runs the command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jacobench.commands import console

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
    from jacobench.reports.render.gate_formats import FORMATS
    from jacobench.reports.render.gate_screen import VerdictScreen
    from jacobench.reports.render.output_files import write_text

    if markdown == "-":
        typer.echo(FORMATS["markdown"](outcome, title), nl=False)
    else:
        console.stdout().print(VerdictScreen(outcome, title), soft_wrap=True)
        if markdown is not None:
            with console.writing(Path(markdown)):
                write_text(FORMATS["markdown"](outcome, title), markdown)
    if junit is not None:
        with console.writing(junit):
            write_text(FORMATS["junit"](outcome, title), junit)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(FORMATS["summary"](outcome, title) + "\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        typer.echo(FORMATS["annotations"](outcome, title), nl=False, err=markdown == "-")
