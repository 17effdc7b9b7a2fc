"""``jacobench plot``: runs' pictures again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Runs' folders, or their run.json.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: the folder plots/ beside run.json.")] = None,
    phase: Annotated[str, typer.Option(metavar="PHASE", help="prepare, linearize, pullback or gradient.")] = "gradient",
) -> None:
    """Draw runs' pictures as PNG and SVG, and print their paths; of several runs into DIR, each in a folder of its own.

    Example: jacobench plot runs/first --phase pullback --out pictures
    """
    from jacobench.bench.columns import PHASES
    from jacobench.graphs.errors import BadInput, unknown
    from jacobench.reports import files
    from jacobench.reports.plots import plots
    from jacobench.reports.runs import load

    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    for run, table in [(run, load(run)) for run in runs]:
        beside = run if run.is_dir() else run.parent
        own = out / beside.resolve().name if out and len(runs) > 1 else out
        try:
            paths = files.save(plots(table, phase), own or beside / "plots")
        except OSError as error:
            raise BadInput(f"cannot write {str(error.filename or own)!r}: {error.strerror}") from None
        for path in paths:
            typer.echo(path)
