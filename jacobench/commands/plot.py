"""``jacobench plot``: runs' pictures again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Runs' folders, or their run.json.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: the folder plots/ beside run.json.")] = None,
    phase: Annotated[str, typer.Option(metavar="PHASE", help="prepare, linearize, pullback or gradient.")] = "gradient",
    dark: Annotated[bool, typer.Option("--dark", help="For dark paper.")] = False,
) -> None:
    """Draw runs' pictures as PNG and SVG, with what is drawn as CSV, and print the paths; of several runs into DIR, each in a folder of its own.

    Example: jacobench plot runs/first --phase pullback --out pictures
    """
    from jacobench.commands import screen
    from jacobench.graphs.errors import BadInput
    from jacobench.reports import files
    from jacobench.reports.pictures.album import album
    from jacobench.reports.pictures.style import darken
    from jacobench.reports.runs import read

    for path, found in [(path, album(read(path), phase)) for path in runs]:
        for kind, why in found.missing.items():
            screen.talk().print(f"not drawn: {kind}: {why}")
        if dark:
            for picture in found.pictures.values():
                darken(picture.figure)
        beside = path if path.is_dir() else path.parent
        own = out / beside.resolve().name if out and len(runs) > 1 else out
        try:
            written = files.save(found.pictures, own or beside / "plots")
        except OSError as error:
            raise BadInput(f"cannot write {str(error.filename or own)!r}: {error.strerror}") from None
        for file in written:
            typer.echo(file)
