"""Sparsity patterns of the local Jacobians of a graph, drawn to scale."""

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
from jacobench.reports.plots.small_multiples import MAX_COLUMNS, MAX_PANELS, share
from jacobench.reports.plots.style import INK, SHADE, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from jacobench.reports.explain.jacobian_costs import Explanation, JacobianCost

SOURCE = "Predicted from the shapes; nothing was measured."

MAX_BYTES = 2**63
"""Entries of a larger Jacobian cannot be numbered with 64 bits."""

PIXELS = 320
"""Rows or columns drawn along the longer side, about the resolution of the figure."""

LONGER_SIDE, LEFT, ABOVE, BELOW, TITLE = 2.4, 0.8, 0.45, 1.05, 0.5
"""Inches: longer side of a matrix, and the space around it for its texts. The layouts of matplotlib would take the space
below a matrix from the matrix itself."""

INCHES_PER_CHARACTER = 0.115
"""Width of the title."""

STEEPEST = 2.0
"""Largest ratio of the drawn sides; beyond it a matrix is not to scale and is labelled so."""


def distinct(found: Explanation) -> dict[int, int]:
    """Group Jacobians by op, argument and shape; return the index of the first of each group → size of the group."""
    first: dict[tuple[Any, ...], int] = {}
    count = Counter[int]()
    for at, cost in enumerate(found.jacobians):
        kind = (cost.op, cost.argument, cost.structure, cost.n_rows, cost.n_columns)
        count[first.setdefault(kind, at)] += 1
    return dict(count)


def named(cost: JacobianCost, n_alike: int) -> str:
    """Return the name of a Jacobian and the number of others like it."""
    return cost.jacobian + (f" and {n_alike - 1} more" if n_alike > 1 else "")


def patterns(found: Explanation, name: str) -> Plot:
    """Draw the pattern of each distinct local Jacobian of the graph ``name``, at most the twelve largest.

    Raises NoData if the graph has no Jacobian, or none of less than 8 EiB.
    """
    alike = distinct(found)
    if not alike:
        raise NoData("the graph has nothing to differentiate, and so no Jacobian")
    costs = found.jacobians
    drawable = [at for at in alike if costs[at].dense_bytes < MAX_BYTES]
    if not drawable:
        raise NoData("each Jacobian has more bytes than 64 bits can count, so its entries cannot be numbered")
    largest = sorted(sorted(drawable, key=lambda at: -costs[at].n_entries)[:MAX_PANELS])
    rasters = {at: _raster(found, at) for at in largest}
    with styled():
        title = f"{name}: patterns of its Jacobians" + share(len(largest), len(alike), "Jacobians")
        figure, panels = _grid([_size(costs[at]) for at in largest], INCHES_PER_CHARACTER * len(title))
        for axes, at in zip(panels, largest, strict=True):
            _panel(axes, costs[at], alike[at], rasters[at])
        surround(figure, title, [], SOURCE)
    runs = [_runs(costs[at], rasters[at]) for at in largest]
    caption = (
        "Each local Jacobian to scale, outputs down, inputs to the right; entries that can be non-zero are dark. A side with more than "
        f"about {PIXELS} rows or columns is thinned: then a dark point contains at least one such entry."
    )
    return Plot(figure, pd.concat(runs, ignore_index=True), caption)


def _raster(found: Explanation, at: int) -> NDArray[np.bool_]:
    edge, (width, height) = found.edges[at], _size(found.jacobians[at])
    n_lines, n_points = (round(PIXELS * side / LONGER_SIDE) for side in (height, width))
    ctx = edge.ctx
    return raster(edge.argument.jacobian.structure, ctx, min(n_lines, ctx.n_out), min(n_points, ctx.n_in))


def _size(cost: JacobianCost) -> tuple[float, float]:
    """Return width and height of the drawn matrix in inches."""
    slope = min(max(cost.n_rows / cost.n_columns, 1 / STEEPEST), STEEPEST)
    return LONGER_SIDE * min(1 / slope, 1.0), LONGER_SIDE * min(slope, 1.0)


def _grid(sizes: Sequence[tuple[float, float]], min_width: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with axes of these widths and heights in inches, row by row."""
    n_columns = min(len(sizes), math.ceil(math.sqrt(len(sizes))), MAX_COLUMNS)
    lines = [sizes[begin : begin + n_columns] for begin in range(0, len(sizes), n_columns)]
    heights = [max(height for _, height in line) + ABOVE + BELOW for line in lines]
    pitch = LEFT + LONGER_SIDE + LEFT / 2
    whole_width, whole_height = max(pitch * n_columns, min_width), TITLE + sum(heights)
    figure = Figure(figsize=(whole_width, whole_height))
    axes = []
    for row, line in enumerate(lines):
        top = whole_height - TITLE - sum(heights[:row]) - ABOVE
        for column, (width, height) in enumerate(line):
            left, bottom = LEFT + pitch * column, top - height
            box = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
            axes.append(figure.add_axes(box))
    return figure, axes


def _panel(axes: Axes, cost: JacobianCost, n_alike: int, filled: NDArray[np.bool_]) -> None:
    width, height = _size(cost)
    slope, drawn = cost.n_rows / cost.n_columns, height / width
    colors = ListedColormap([SHADE, INK])
    axes.imshow(filled, colors, vmin=0, vmax=1, interpolation="nearest", extent=(0, 1, 1, 0), aspect="auto")
    axes.set_xticks([0, 1], ["0", f"{cost.n_columns:,}"])
    axes.set_yticks([0, 1], ["0", f"{cost.n_rows:,}"])
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_title(named(cost, n_alike), loc="left", fontweight="bold")
    lines = [
        cost.structure,
        f"{format_count(cost.n_nonzeros)} of {format_count(cost.n_entries)} entries",
        f"{format_bytes(cost.dense_bytes)} dense, {format_bytes(cost.sparse_bytes)} sparse",
    ]
    if not math.isclose(drawn, slope, rel_tol=0.01):
        side, times = ("rows", slope / drawn) if slope > drawn else ("columns", drawn / slope)
        lines.append(f"not to scale: {side} drawn {format_ratio(times)} closer")
    axes.set_xlabel("\n".join(lines), fontsize=7.5, loc="left")


def _runs(cost: JacobianCost, filled: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the dark points, one row per run: rows and columns from (included) and to (excluded)."""
    edges = np.diff(np.pad(filled.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    line, begins = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    height, width = filled.shape
    return pd.DataFrame(
        {
            "jacobian": cost.jacobian,
            "row_from": line * cost.n_rows // height,
            "row_to": (line + 1) * cost.n_rows // height,
            "column_from": begins * cost.n_columns // width,
            "column_to": ends * cost.n_columns // width,
        }
    )
