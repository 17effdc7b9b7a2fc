"""``jacobench plot``: a run's pictures again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its run.json.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: the folder plots/ beside run.json.")] = None,
    phase: Annotated[str, typer.Option(metavar="PHASE", help="prepare, linearize, pullback or gradient.")] = "gradient",
) -> None:
    """Draw a run's pictures as PNG and SVG, and print their paths.

    Example: jacobench plot runs/first --phase pullback --out pictures
    """
    from jacobench.bench.columns import PHASES
    from jacobench.graphs.errors import unknown
    from jacobench.reports import files
    from jacobench.reports.plots import plots
    from jacobench.reports.runs import load

    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    beside = run if run.is_dir() else run.parent
    for path in files.save(plots(load(run), phase), out or beside / "plots"):
        typer.echo(path)
