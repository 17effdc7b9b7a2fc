"""The reports' way to the disk: figures and tables written beside their place, then renamed into it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.reports.style import styled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

# One entry a format: what savefig is told. Without a date the same figure gives the same bytes.
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 150},
    "svg": {"metadata": {"Date": None}},
}


def save(figures: Mapping[str, Figure], folder: str | Path) -> list[Path]:
    """Write figures as PNG and SVG.

    Parameters
    ----------
    figures : mapping
        From the file's name without its ending to the figure, as ``plots`` returns them.
    folder : str or Path
        Where to; made if it is not there.

    Returns
    -------
    list of Path
        The files written, one figure after another.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    written = []
    with styled():
        for name, figure in figures.items():
            for ending, options in FORMATS.items():
                path = Path(folder) / f"{name}.{ending}"
                _replace(path, partial(figure.savefig, format=ending, **options))
                written.append(path)
    return written


def write_csv(table: pd.DataFrame, path: str | Path) -> Path:
    """Write the tidy table as CSV.

    Parameters
    ----------
    table : DataFrame
        The tidy table.
    path : str or Path
        The file to write; its folder is made if it is not there.

    Returns
    -------
    Path
        The file written: UTF-8, commas, a header, missing as an empty field, numbers with all their digits.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    _replace(path, lambda beside: table.to_csv(beside, index=False, lineterminator="\n", encoding="utf-8"))
    return path


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path`` and rename it into place: a reader never sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(beside)
        beside.replace(path)
    finally:
        if beside.is_file():
            beside.unlink()
