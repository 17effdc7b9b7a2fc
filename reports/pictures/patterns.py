"""Where each Jacobian of a graph can be non-zero, drawn to scale."""

from __future__ import annotations

from collections import Counter
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
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from jacobench.reports.explain.weighing import Explanation, Weight

SOURCE = "From the shapes alone; nothing was measured."

POINTS = 320
"""Along the longer side, at most: as many as the paper has dots for."""

STEEPEST = 2.0
"""How many times as long as the other a side may be drawn; a matrix beyond that is not to scale, and says so."""


def distinct(found: Explanation) -> dict[int, int]:
    """Return the first of each kind of Jacobian, told by op, argument and shape, and how many there are of it."""
    first: dict[tuple[Any, ...], int] = {}
    count = Counter[int]()
    for at, weight in enumerate(found.weights):
        kind = (weight.op, weight.argument, weight.structure, weight.n_rows, weight.n_columns)
        count[first.setdefault(kind, at)] += 1
    return dict(count)


def named(weight: Weight, n_alike: int) -> str:
    """Return a Jacobian's name, and how many more are like it."""
    return weight.jacobian + (f" and {n_alike - 1} more" if n_alike > 1 else "")


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
    alike = distinct(found)
    if not alike:
        raise NothingToDraw("the graph has nothing to differentiate, and so no Jacobian")
    largest = sorted(sorted(alike, key=lambda at: -found.weights[at].n_entries)[:MOST_PANELS])
    rasters = {}
    for at in largest:
        edge = found.edges[at]
        rasters[at] = raster(edge.argument.jacobian.structure, edge.site, *_points(edge.site.n_out, edge.site.n_in))
    with styled():
        figure, panels = grid(len(largest), width=3.0, height=2.7, legend=0.4)
        for axes, at in zip(panels, largest, strict=True):
            _panel(axes, found.weights[at], alike[at], rasters[at])
        title = f"{name}: where its Jacobians can be non-zero"
        surround(figure, title + share(len(largest), len(alike), "Jacobians"), [], SOURCE)
    runs = [_runs(found.weights[at], rasters[at]) for at in largest]
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


def _panel(axes: Axes, weight: Weight, n_alike: int, filled: NDArray[np.bool_]) -> None:
    slope, drawn = weight.n_rows / weight.n_columns, _drawn(weight.n_rows, weight.n_columns)
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
    axes.set_xticks([0, 1], ["0", f"{weight.n_columns:,}"])
    axes.set_yticks([0, 1], ["0", f"{weight.n_rows:,}"])
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_title(named(weight, n_alike), loc="left", fontweight="bold")
    lines = [
        weight.structure,
        f"{format_count(weight.n_nonzeros)} of {format_count(weight.n_entries)} entries",
        f"{format_bytes(weight.dense_bytes)} dense, {format_bytes(weight.sparse_bytes)} sparse",
    ]
    if drawn != slope:
        side, times = ("rows", slope / drawn) if slope > drawn else ("columns", drawn / slope)
        lines.append(f"not to scale: {side} drawn {format_ratio(times)} closer")
    axes.set_xlabel("\n".join(lines), fontsize=7.5, loc="left")


def _runs(weight: Weight, filled: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the dark points, one line a run of them: rows and columns from (included) and to (excluded)."""
    edges = np.diff(np.pad(filled.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    line, begins = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    height, width = filled.shape
    return pd.DataFrame(
        {
            "jacobian": weight.jacobian,
            "row_from": line * weight.n_rows // height,
            "row_to": (line + 1) * weight.n_rows // height,
            "column_from": begins * weight.n_columns // width,
            "column_to": ends * weight.n_columns // width,
        }
    )
