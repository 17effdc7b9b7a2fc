"""Where each Jacobian of a graph can be non-zero, drawn to scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap

from jacobench.reports.explain.raster import raster
from jacobench.reports.pictures.frames import surround
from jacobench.reports.pictures.panels import MOST_PANELS, grid, share
from jacobench.reports.pictures.picture import NothingToDraw, Picture
from jacobench.reports.pictures.style import INK, SHADE, styled
from jacobench.reports.units import format_bytes, format_count, format_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from jacobench.reports.explain.weighing import Explanation

SOURCE = "From the shapes alone; nothing was measured."

POINTS = 320
"""Along the longer side, at most: as many as the paper has dots for."""

STEEPEST = 2.0
"""How many times as long as the other a side may be drawn; a matrix beyond that is not to scale, and says so."""

ALIKE = ["op", "argument", "structure", "n_rows", "n_columns"]
"""Jacobians that agree in these are drawn once."""


def patterns(found: Explanation, name: str) -> Picture:
    """Draw the pattern of each local Jacobian.

    Parameters
    ----------
    found : Explanation
        What `weigh` found.
    name : str
        What the graph is called.

    Returns
    -------
    Picture
        A panel for each Jacobian, those alike once, at most twelve, the largest.

    Raises
    ------
    NothingToDraw
        If the graph has no Jacobian.
    """
    if found.rows.empty:
        raise NothingToDraw("the graph has nothing to differentiate, and so no Jacobian")
    alike = found.rows.assign(n_alike=found.rows.groupby(ALIKE)["op"].transform("size")).drop_duplicates(ALIKE)
    largest = alike.sort_values("n_entries", ascending=False, kind="stable").head(MOST_PANELS).sort_index()
    rasters = {}
    for at in largest.index:
        edge = found.edges[at]
        rasters[at] = raster(edge.argument.jacobian.structure, edge.site, *_points(edge.site.n_out, edge.site.n_in))
    with styled():
        figure, panels = grid(len(largest), width=3.0, height=2.7, legend=0.4)
        for axes, at in zip(panels, largest.index, strict=True):
            _panel(axes, largest.loc[at].to_dict(), rasters[at])
        title = f"{name}: where its Jacobians can be non-zero"
        surround(figure, title + share(len(largest), len(alike), "Jacobians"), [], SOURCE)
    runs = [_runs(row["jacobian"], row["n_rows"], row["n_columns"], rasters[at]) for at, row in largest.iterrows()]
    caption = (
        f"Each local Jacobian to scale, outputs down, inputs along: dark where an entry can be non-zero. A side longer than some "
        f"{POINTS} rows or columns is thinned; a dark point then says that there is an entry in it, not that it is full."
    )
    return Picture(figure, pd.concat(runs, ignore_index=True), caption)


def _drawn(n_rows: int, n_columns: int) -> float:
    """Return height over width as drawn."""
    return min(max(n_rows / n_columns, 1 / STEEPEST), STEEPEST)


def _points(n_rows: int, n_columns: int) -> tuple[int, int]:
    """Return how many points high and wide the picture is."""
    drawn = _drawn(n_rows, n_columns)
    return min(n_rows, round(POINTS * min(drawn, 1.0))), min(n_columns, round(POINTS / max(drawn, 1.0)))


def _panel(axes: Axes, row: Mapping[str, Any], filled: NDArray[np.bool_]) -> None:
    n_rows, n_columns = row["n_rows"], row["n_columns"]
    slope, drawn = n_rows / n_columns, _drawn(n_rows, n_columns)
    axes.imshow(
        filled,
        ListedColormap([SHADE, INK]),
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0, 1, 1, 0),
        aspect="auto",
    )
    axes.set_box_aspect(drawn)
    axes.set_anchor("NW")
    axes.set_xticks([0, 1], ["0", f"{n_columns:,}"])
    axes.set_yticks([0, 1], ["0", f"{n_rows:,}"])
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    alike = f" and {row['n_alike'] - 1} more" if row["n_alike"] > 1 else ""
    axes.set_title(f"{row['jacobian']}{alike}", loc="left", fontweight="bold")
    full = f"{format_count(row['n_nonzeros'])} of {format_count(row['n_entries'])} entries"
    weights = f"{format_bytes(row['dense_bytes'])} dense, {format_bytes(row['sparse_bytes'])} sparse"
    lines = [row["structure"], full, weights]
    if drawn != slope:
        lines.append(
            f"not to scale: {'rows' if drawn < slope else 'columns'} drawn {format_ratio(max(slope / drawn, drawn / slope))} closer"
        )
    axes.set_xlabel("\n".join(lines), fontsize=7.5, loc="left")


def _runs(jacobian: str, n_rows: int, n_columns: int, filled: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the dark points, one line a run of them: rows and columns from (included) and to (excluded)."""
    edges = np.diff(np.pad(filled.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    line, begins = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    height, width = filled.shape
    return pd.DataFrame(
        {
            "jacobian": jacobian,
            "row_from": line * n_rows // height,
            "row_to": (line + 1) * n_rows // height,
            "column_from": begins * n_columns // width,
            "column_to": ends * n_columns // width,
        }
    )
