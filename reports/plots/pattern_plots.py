"""Where each Jacobian of a graph can be non-zero, drawn to scale."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from jacobench.reports.data.units import format_bytes, format_count, format_ratio
from jacobench.reports.explain.spy import raster
from jacobench.reports.plots.layout import surround
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import MOST_COLUMNS, MOST_PANELS, share
from jacobench.reports.plots.style import INK, SHADE, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from jacobench.reports.explain.jacobian_costs import Explanation, JacobianCost

SOURCE = "From the shapes alone; nothing was measured."

BEYOND_COUNTING = 2**63
"""Bytes: of what is larger no entry can be told its place."""

POINTS = 320
"""Along the longer side, at most: as many as the paper has dots for."""

LONGER_SIDE, LEFT, ABOVE, BELOW, TITLE = 2.4, 0.8, 0.45, 1.05, 0.5
"""In inches: of a matrix, and around it for what is written there. Matplotlib's own layouts take the room for labels below a
matrix from where it would stand if it filled its panel."""

INCHES_A_CHARACTER = 0.115
"""Of the title."""

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


def named(weight: JacobianCost, n_alike: int) -> str:
    """Return a Jacobian's name, and how many more are like it."""
    return weight.jacobian + (f" and {n_alike - 1} more" if n_alike > 1 else "")


def patterns(found: Explanation, name: str) -> Plot:
    """Draw the pattern of each local Jacobian.

    Parameters
    ----------
    found : Explanation
        What `jacobian_costs` found.
    name : str
        What the graph is called.

    Returns
    -------
    Plot
        A panel for each Jacobian, those alike once, at most twelve, the largest.

    Raises
    ------
    NoData
        If the graph has no Jacobian, or none of less than 8 EiB.
    """
    alike = distinct(found)
    if not alike:
        raise NoData("the graph has nothing to differentiate, and so no Jacobian")
    countable = [at for at in alike if found.weights[at].dense_bytes < BEYOND_COUNTING]
    if not countable:
        raise NoData("each Jacobian has more bytes than 64 bits count, and so no entry of it a place")
    largest = sorted(sorted(countable, key=lambda at: -found.weights[at].n_entries)[:MOST_PANELS])
    rasters = {}
    for at in largest:
        edge, (width, height) = found.edges[at], _size(found.weights[at])
        n_lines, n_points = (round(POINTS * side / LONGER_SIDE) for side in (height, width))
        structure, ctx = edge.argument.jacobian.structure, edge.ctx
        rasters[at] = raster(structure, ctx, min(n_lines, ctx.n_out), min(n_points, ctx.n_in))
    with styled():
        title = f"{name}: where its Jacobians can be non-zero" + share(len(largest), len(alike), "Jacobians")
        figure, panels = _grid([_size(found.weights[at]) for at in largest], INCHES_A_CHARACTER * len(title))
        for axes, at in zip(panels, largest, strict=True):
            _panel(axes, found.weights[at], alike[at], rasters[at])
        surround(figure, title, [], SOURCE)
    runs = [_runs(found.weights[at], rasters[at]) for at in largest]
    caption = (
        f"Each local Jacobian to scale, outputs down, inputs along: dark where an entry can be non-zero. A side longer than some "
        f"{POINTS} rows or columns is thinned; a dark point then says that there is an entry in it, not that it is full."
    )
    return Plot(figure, pd.concat(runs, ignore_index=True), caption)


def _size(weight: JacobianCost) -> tuple[float, float]:
    """Return width and height as drawn, in inches."""
    slope = min(max(weight.n_rows / weight.n_columns, 1 / STEEPEST), STEEPEST)
    return LONGER_SIDE * min(1 / slope, 1.0), LONGER_SIDE * min(slope, 1.0)


def _grid(sizes: Sequence[tuple[float, float]], least_width: float) -> tuple[Figure, list[Axes]]:
    """Return a figure, and axes of these widths and heights in it, row by row."""
    n_columns = min(len(sizes), math.ceil(math.sqrt(len(sizes))), MOST_COLUMNS)
    lines = [sizes[at : at + n_columns] for at in range(0, len(sizes), n_columns)]
    heights = [max(height for _, height in line) + ABOVE + BELOW for line in lines]
    pitch = LEFT + LONGER_SIDE + LEFT / 2
    whole_width, whole_height = max(pitch * n_columns, least_width), TITLE + sum(heights)
    figure = Figure(figsize=(whole_width, whole_height))
    axes = []
    for row, line in enumerate(lines):
        top = whole_height - TITLE - sum(heights[:row]) - ABOVE
        for column, (width, height) in enumerate(line):
            inches = (LEFT + pitch * column, top - height, width, height)
            left, bottom, right, up = (
                length / whole for length, whole in zip(inches, (whole_width, whole_height) * 2, strict=True)
            )
            axes.append(figure.add_axes((left, bottom, right, up)))
    return figure, axes


def _panel(axes: Axes, weight: JacobianCost, n_alike: int, filled: NDArray[np.bool_]) -> None:
    width, height = _size(weight)
    slope, drawn = weight.n_rows / weight.n_columns, height / width
    axes.imshow(
        filled,
        ListedColormap([SHADE, INK]),
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0, 1, 1, 0),
        aspect="auto",
    )
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
    if not math.isclose(drawn, slope, rel_tol=0.01):
        side, times = ("rows", slope / drawn) if slope > drawn else ("columns", drawn / slope)
        lines.append(f"not to scale: {side} drawn {format_ratio(times)} closer")
    axes.set_xlabel("\n".join(lines), fontsize=7.5, loc="left")


def _runs(weight: JacobianCost, filled: NDArray[np.bool_]) -> pd.DataFrame:
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
