"""``jacobench compare``: compare two finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jacobench.commands.write_outcome import Junit, Markdown, write_outcome

Source = "a run's folder or run.json, a JSON file of pytest-benchmark, or a folder of such files, one file per process"


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help=f"The older run: {Source}.")],
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The newer run.")],
    floor: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Threshold for time: smaller slowdowns are ignored. Default: 0.05, which is 5 %.",
            show_default=False,
        ),
    ] = 0.05,
    across_machines: Annotated[
        bool,
        typer.Option(
            "--across-machines",
            help="Allow runs from different machines. Compares the ratios to vjp, to forward and to the floor.",
        ),
    ] = False,
    markdown: Markdown = None,
    junit: Junit = None,
) -> None:
    """Compare two finished runs and report regressions.

    A regression is more time, more memory, a faster growth with size, or a result that became wrong. The passes of two
    runs are not paired. So each run needs at least eight passes, and only changes of 5 % or more are detected. To
    detect smaller changes, use jacobench gate.

    Exit codes: 0 no regression, 1 a regression, 2 bad input, 3 inconclusive, 4 nothing was measured in both runs.

    Example: jacobench compare runs/before runs/after
    """
    from jacobench.reports.data.pytest_benchmark_json import read_any
    from jacobench.reports.regression import two_runs

    runs = read_any(base), read_any(head)
    outcome = two_runs.compare(*runs, floor=floor, across_machines=across_machines)
    write_outcome(outcome, " → ".join(run.name for run in runs), markdown, junit)
    raise typer.Exit(outcome.exit_code)
