"""``jacobench plot``: runs' pictures again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.plots.plot_data import Plot


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Runs' folders, or their run.json.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: the folder plots/ beside run.json.")] = None,
    phase: Annotated[str, typer.Option(metavar="PHASE", help="prepare, linearize, pullback or gradient.")] = "gradient",
    dark: Annotated[bool, typer.Option("--dark", help="For dark paper.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Of two runs, BASE HEAD: one picture of how HEAD differs from BASE.")
    ] = False,
) -> None:
    """Draw runs' pictures as PNG and SVG, with what is drawn as CSV, and print the paths; of several runs into DIR, each in a folder of its own.

    Example: jacobench plot runs/first --phase pullback --out pictures
    """
    from jacobench.commands import console
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.data.run_data import read
    from jacobench.reports.plots.all_plots import all_plots

    if compare:
        _compare(runs, out, phase, dark=dark)
        return
    names = [_beside(path).resolve().name for path in runs]
    if out and len(runs) > 1 and len(set(names)) < len(names):
        raise BadInput(
            f"two of the runs have one name, {', '.join(names)}: draw them one by one, each with an --out of its own"
        )
    for path, found in [(path, all_plots(read(path), phase)) for path in runs]:
        own = out / _beside(path).resolve().name if out and len(runs) > 1 else out
        _save(found.pictures, own or _beside(path) / "plots", dark=dark)
        for kind, why in found.missing.items():
            console.stderr().print(f"not drawn: {kind}: {why}")


def _compare(runs: list[Path], out: Path | None, phase: str, *, dark: bool) -> None:
    from jacobench.commands import console
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.data.run_data import read
    from jacobench.reports.plots.comparison_plot import comparison
    from jacobench.reports.plots.plot_data import NoData

    if len(runs) != 2:
        raise BadInput(
            f"--compare was given {len(runs)} {'run' if len(runs) == 1 else 'runs'}: expected two, BASE HEAD"
        )
    base, head = map(read, runs)
    try:
        picture = comparison(base, head, phase)
    except NoData as why:
        console.stderr().print(f"not drawn: comparison: {why}")
        return
    _save({"comparison": picture}, out or _beside(runs[1]) / "plots", dark=dark)
    for note in picture.notes:
        console.stderr().print(note)


def _beside(run: Path) -> Path:
    return run if run.is_dir() else run.parent


def _save(pictures: Mapping[str, Plot], folder: Path, *, dark: bool) -> None:
    from jacobench.graphs.errors import BadInput
    from jacobench.reports.plots.style import darken
    from jacobench.reports.render import output_files

    if dark:
        for picture in pictures.values():
            darken(picture.figure)
    try:
        written = output_files.save(pictures, folder)
    except OSError as error:
        raise BadInput(f"cannot write {str(error.filename or folder)!r}: {error.strerror}") from None
    for file in written:
        typer.echo(file)
