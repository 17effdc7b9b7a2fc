"""``jacobench table``: print the tables of runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jacobench.commands import console
from jacobench.graphs.errors import unknown


def table(
    runs: console.Runs,
    phase: console.Phase = "gradient",
    csv: Annotated[bool, typer.Option("--csv", help="Print the tidy table with all phases as CSV.")] = False,
) -> None:
    """Print a table for each run and machine, or one CSV table of all runs.

    Example: jacobench table runs/first --phase pullback
    """
    from jacobench.bench.row.columns import PHASES
    from jacobench.reports.data.run_data import read
    from jacobench.reports.render.run_table import terminal_tables

    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    for number, found in enumerate([read(run) for run in runs]):
        if csv:
            found.table.to_csv(sys.stdout, index=False, header=not number)
        else:
            for shown in terminal_tables(found, phase):
                console.stdout().print(shown)
