"""``jacobench plot``: draw finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jacobench.commands import console
from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.plots.layout import Plot


def plot(
    runs: console.Runs,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder. Default: plots/ in the run's folder.")
    ] = None,
    phase: console.Phase = "gradient",
    dark: Annotated[bool, typer.Option("--dark", help="Use a dark background.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Draw one plot that compares two runs. Give the older run first.")
    ] = False,
) -> int:
    """Draw plots of runs. Writes PNG, SVG and the data as CSV, and prints the paths.

    With several runs and --out, each run gets a subfolder.

    Example: jacobench plot runs/first --phase pullback --out plots
    """
    from jacobench.reports.data.run_data import read
    from jacobench.reports.plots.all_plots import all_plots

    if compare:
        _compare(runs, out, phase, dark=dark)
        return 0
    names = [_folder(path).resolve().name for path in runs]
    if out and len(runs) > 1 and len(set(names)) < len(names):
        raise BadInput(
            f"two runs have the same name ({', '.join(names)}): draw them one at a time, each with its own --out"
        )
    for path, found in [(path, all_plots(read(path), phase)) for path in runs]:
        own = out / _folder(path).resolve().name if out and len(runs) > 1 else out
        for file in save_plots(found.plots, own or _folder(path) / "plots", dark=dark):
            console.echo(file)
        for kind, reason in found.missing.items():
            console.stderr().print(f"not drawn: {kind}: {reason}")
    return 0


def _compare(runs: list[Path], out: Path | None, phase: str, *, dark: bool) -> None:
    from jacobench.reports.data.run_data import read
    from jacobench.reports.plots.comparison_plot import comparison
    from jacobench.reports.plots.layout import NoData

    if len(runs) != 2:
        raise BadInput(f"--compare was given {counted(len(runs), 'run')}: expected two, BASE HEAD")
    base, head = map(read, runs)
    try:
        found = comparison(base, head, phase)
    except NoData as reason:
        console.stderr().print(f"not drawn: comparison: {reason}")
        return
    for file in save_plots(found, out or _folder(runs[1]) / "plots", dark=dark):
        console.echo(file)
    for note in found["comparison"].notes:
        console.stderr().print(note)


def _folder(run: Path) -> Path:
    return run if run.is_dir() else run.parent


def save_plots(plots: Mapping[str, Plot], folder: Path, *, dark: bool = False) -> list[Path]:
    """Write plots into a folder and return the files; raises BadInput if the folder cannot be written."""
    from jacobench.reports.plots.style import darken
    from jacobench.reports.render import output_files

    if dark:
        for found in plots.values():
            darken(found.figure)
    with console.writing(folder):
        return output_files.save(plots, folder)
