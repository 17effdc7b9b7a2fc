"""``jacobench compare``: a verdict from two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jacobench.commands.write_outcome import Junit, Markdown

Source = "a run's folder or run.json, a JSON file of pytest-benchmark's, or a folder of them, one a process."


def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help=f"The run to compare with: {Source}")],
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The run in question.")],
    floor: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="What a row may become slower by. Default: 0.05, which is 5 %.", show_default=False
        ),
    ] = 0.05,
    across_machines: Annotated[
        bool, typer.Option("--across-machines", help="Let machines differ; compare ratios to vjp, forward and floor.")
    ] = False,
    markdown: Markdown = None,
    junit: Junit = None,
) -> None:
    """Say what got slower, larger or grows faster from one run to another, and how sure that is.

    Runs were made at different times, so it takes eight passes a side and a change of 5 % or more to tell; jacobench gate sees less.
    Exit codes: 0 clear, 1 a regression, 2 bad input, 3 inconclusive, 4 nothing was measured on both sides.

    Example: jacobench compare runs/before runs/after
    """
    from jacobench.commands.write_outcome import tell
    from jacobench.reports.data.pytest_benchmark_json import read_any
    from jacobench.reports.regression import two_runs

    runs = read_any(base), read_any(head)
    outcome = two_runs.compare(*runs, floor=floor, across_machines=across_machines)
    tell(outcome, " → ".join(run.name for run in runs), markdown, junit)
    raise typer.Exit(outcome.exit_code)
