"""``jacobench compare``: compare two finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jacobench.commands.write_outcome import Junit, Markdown

Source = "a run's folder or run.json, a JSON file of pytest-benchmark, or a folder of such files, one per process"


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help=f"The older run: {Source}.")],
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The newer run.")],
    floor: Annotated[
        float,
        typer.Option(metavar="SHARE", help="Threshold of time. Default: 0.05, which is 5 %.", show_default=False),
    ] = 0.05,
    across_machines: Annotated[
        bool,
        typer.Option("--across-machines", help="Allow different machines; compare ratios to vjp, forward and floor."),
    ] = False,
    markdown: Markdown = None,
    junit: Junit = None,
) -> None:
    """Compare two finished runs: what became slower, larger, broken or grows faster.

    The runs are not paired, so only changes of 5 % or more are detected, with at least eight passes per run.
    To detect smaller changes, use jacobench gate.
    Exit codes: 0 clear, 1 a regression, 2 bad input, 3 inconclusive, 4 nothing was measured on both sides.

    Example: jacobench compare runs/before runs/after
    """
    from jacobench.commands.write_outcome import write_outcome
    from jacobench.reports.data.pytest_benchmark_json import read_any
    from jacobench.reports.regression import two_runs

    runs = read_any(base), read_any(head)
    outcome = two_runs.compare(*runs, floor=floor, across_machines=across_machines)
    write_outcome(outcome, " → ".join(run.name for run in runs), markdown, junit)
    raise typer.Exit(outcome.exit_code)
