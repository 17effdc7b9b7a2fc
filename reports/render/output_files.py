"""The reports' way to the disk: figures and tables written beside their place, then renamed into it."""

from __future__ import annotations

import os
import re
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

from jacobench.reports.plots.style import dark, styled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from jacobench.reports.plots.plot_data import Plot

# One entry a format: how a picture is written. Without a date the same figure gives the same bytes.
FORMATS: Mapping[str, Callable[[Plot, Path], object]] = {
    "png": lambda picture, path: picture.figure.savefig(path, format="png", dpi=150),
    "svg": lambda picture, path: picture.figure.savefig(path, format="svg", metadata={"Date": None}),
    "csv": lambda picture, path: _to_csv(picture.data, path),
}


def save(pictures: Mapping[str, Plot], folder: str | Path) -> list[Path]:
    """Write pictures as PNG and SVG, and what is drawn in them as CSV.

    Parameters
    ----------
    pictures : mapping
        From the file's name without its ending to the picture, as an album has them.
    folder : str or Path
        Where to; made if it is not there.

    Returns
    -------
    list of Path
        The files written, one picture after another.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    written = []
    with styled():
        for name, picture in pictures.items():
            for ending, write in FORMATS.items():
                path = Path(folder) / f"{name}.{ending}"
                _replace(path, partial(write, picture))
                written.append(path)
    return written


def inline_svg(figure: Figure, prefix: str) -> str:
    """Return a figure as an SVG element that can stand in an HTML page beside others.

    Parameters
    ----------
    figure : Figure
        For light paper.
    prefix : str
        Put before every id, so that no two pictures of a page share one.

    Returns
    -------
    str
        From ``<svg`` to ``</svg>``. Text is text; a colour that has a counterpart on dark paper is a custom property named
        by itself, ``var(--c-e8e8e8, #e8e8e8)``, which the page may set (see `style.DARK`).
    """
    with styled(), mpl.rc_context({"svg.fonttype": "none"}):
        text = StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)  # a style in it would rule the whole page
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'\bxlink:href="#', f'href="#{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    return re.sub(r"#[0-9a-fA-F]{6}\b", _custom_property, svg)


def _custom_property(color: re.Match[str]) -> str:
    found = color[0]
    return found if dark(found) == found else f"var(--c-{found[1:].lower()}, {found})"


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
    _replace(path, partial(_to_csv, table))
    return path


def write_text(text: str, path: str | Path) -> Path:
    """Write a text as UTF-8; the folder is made if it is not there, and the file is whole or not there."""
    path = Path(path)
    _replace(path, lambda beside: beside.write_text(text, encoding="utf-8"))
    return path


def _to_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


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
