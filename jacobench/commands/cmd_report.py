"""``jacobench report``: runs as one HTML page, or as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jacobench.commands import console
from jacobench.graphs.errors import unknown


def report(
    runs: console.Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Output file. Default: report.html in the folder of the first run; with --markdown: standard output.",
        ),
    ] = None,
    phase: console.Phase = "gradient",
    markdown: Annotated[bool, typer.Option("--markdown", help="Write Markdown instead of HTML.")] = False,
) -> int | None:
    """Write one HTML page about runs. The page works offline. Prints its path.

    Example: jacobench report runs/first --out first.html
    """
    from jacobench.bench.row.columns import PHASES
    from jacobench.reports.data.run_data import read
    from jacobench.reports.render.output_files import write_text

    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    found = [read(run) for run in runs]
    if markdown:
        from jacobench.reports.page.run_markdown import markdown as render
    else:
        from jacobench.reports.page.html_page import page as render
    text = render(found, phase)
    if markdown and out is None:
        console.echo(text, end="")
        return None
    folder = runs[0] if runs[0].is_dir() else runs[0].parent
    path = out or folder / "report.html"
    with console.writing(path):
        console.echo(write_text(text, path))
    return 0
