"""Files of the reports: plots, tables and texts. Each file is written completely or not at all."""

from __future__ import annotations

import re
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.machine.atomic_write import as_utf8, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from jacobench.reports.plots.layout import Plot


def _image(figure: Figure, **options: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, **options)
    return file.getvalue()


def _csv(table: pd.DataFrame) -> bytes:
    return as_utf8(table.to_csv(index=False, lineterminator="\n"))


FORMATS: Mapping[str, Callable[[Plot], bytes]] = {
    "png": lambda plot: _image(plot.figure, format="png", dpi=150),
    "svg": lambda plot: _image(plot.figure, format="svg", metadata={"Date": None}),  # same figure, same bytes
    "csv": lambda plot: _csv(plot.data),
}
"""File extension → function that returns the content of the file."""


def save(plots: Mapping[str, Plot], folder: str | Path) -> list[Path]:
    """Write plots, by file name, as PNG and SVG, and their data as CSV; return the files, plot by plot.

    Creates the folder. Raises OSError if a file cannot be written.
    """
    from jacobench.reports.plots.style import styled  # noqa: PLC0415  (tables and texts need no matplotlib)

    with styled():
        return [
            _write(Path(folder) / f"{name}.{extension}", content(plot))
            for name, plot in plots.items()
            for extension, content in FORMATS.items()
        ]


def inline_svg(figure: Figure, prefix: str) -> str:
    """Return a figure in the light colors as an SVG element for an HTML page that contains others.

    `prefix` is put before every id, so that the ids of one page differ. Text stays text. A color with a dark
    counterpart becomes a custom property named after it, ``var(--c-e8e8e8, #e8e8e8)``, which the page may set (see
    `style.DARK`).
    """
    from jacobench.reports.plots.style import styled  # noqa: PLC0415

    with styled({"svg.fonttype": "none"}):
        text = StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)  # a style would apply to the whole page
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'\bxlink:href="#', f'href="#{prefix}-', svg)
    svg = svg.replace("url(#", f"url(#{prefix}-")
    return re.sub(r"#[0-9a-fA-F]{6}\b", _custom_property, svg)


def _custom_property(color: re.Match[str]) -> str:
    from jacobench.reports.plots.style import dark  # noqa: PLC0415

    found = color[0]
    return found if dark(found) == found else f"var(--c-{found[1:].lower()}, {found})"


def write_csv(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a table as CSV: UTF-8, commas, a header, empty fields for missing values, all digits.

    Creates the folder. Raises OSError if the file cannot be written.
    """
    return _write(Path(path), _csv(table))


def write_text(text: str, path: str | Path) -> Path:
    """Write a text as UTF-8. Creates the folder. Raises OSError if the file cannot be written."""
    return _write(Path(path), as_utf8(text))


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, content)
