"""``jacobench table``: a run's table again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def table(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its run.json.")],
    phase: Annotated[str, typer.Option(metavar="PHASE", help="prepare, linearize, pullback or gradient.")] = "gradient",
    csv: Annotated[bool, typer.Option("--csv", help="The whole tidy table, all phases, as CSV.")] = False,
) -> None:
    """Show a run's table, or print all of it as CSV.

    Example: jacobench table runs/first --phase pullback
    """
    from jacobench.bench.columns import PHASES
    from jacobench.commands import screen
    from jacobench.graphs.errors import unknown
    from jacobench.reports.runs import load
    from jacobench.reports.terminal import terminal_table

    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    found = load(run)
    if csv:
        found.to_csv(sys.stdout, index=False)
    else:
        screen.out().print(terminal_table(found, phase))
