"""Plots of a graph's local Jacobians: sparsity patterns drawn to scale, and predicted bytes as bars."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from jacobench.reports.data.units import BYTES, format_bytes, format_count, format_ratio, format_tick
from jacobench.reports.explain.spy import raster
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.layout import NoData, Plot, surround
from jacobench.reports.plots.small_multiples import MAX_COLUMNS, MAX_PANELS, share
from jacobench.reports.plots.style import FAINT, INK, PAPER, SHADE, strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from jacobench.reports.explain.jacobian_costs import Explanation, JacobianCost

SOURCE = "Predicted from the shapes; nothing was measured."

MAX_BYTES = 2**63  # entries of a larger Jacobian cannot be numbered with 64 bits
PIXELS = 320  # rows or columns drawn along the longer side, about the resolution of the figure
INCHES_PER_CHARACTER = 0.115  # width of the title
STEEPEST = 2.0  # largest ratio of the drawn sides; beyond it a matrix is not to scale and is labelled so

# Inches: longer side of a matrix, and the space around it for its texts. The layouts of matplotlib would take the space
# below a matrix from the matrix itself.
LONGER_SIDE, LEFT, ABOVE, BELOW, TITLE = 2.4, 0.8, 0.45, 1.05, 0.5

MAX_BARS = 20
LABELS = {"dense": "dense", "sparse": "sparse", "vjp": "vjp: primals kept and\ntemporary memory"}


def _distinct(found: Explanation) -> dict[int, int]:
    """Group Jacobians by op, argument and shape; return the index of the first of each group → size of the group."""
    if not found.jacobians:
        raise NoData("the graph has nothing to differentiate, and so no Jacobian")
    first: dict[tuple[Any, ...], int] = {}
    count = Counter[int]()
    for at, cost in enumerate(found.jacobians):
        kind = (cost.op, cost.argument, cost.structure, cost.n_rows, cost.n_columns)
        count[first.setdefault(kind, at)] += 1
    return dict(count)


def _named(cost: JacobianCost, n_alike: int) -> str:
    """Return the name of a Jacobian and the number of others like it."""
    return cost.jacobian + (f" and {n_alike - 1} more" if n_alike > 1 else "")


def patterns(found: Explanation, name: str) -> Plot:
    """Draw the pattern of each distinct local Jacobian of the graph ``name``, at most the twelve largest.

    Raises NoData if the graph has no Jacobian, or none of less than 8 EiB.
    """
    alike, costs = _distinct(found), found.jacobians
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
    return Plot(figure, pd.concat(runs, ignore_index=True), plot_sentences.patterns(PIXELS))


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
    axes.set_title(_named(cost, n_alike), loc="left", fontweight="bold")
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


def cost_bars(found: Explanation, name: str, memory_bytes: int) -> Plot:
    """Draw the bytes of each distinct Jacobian, at most the twenty largest, and of a whole gradient, for each strategy.

    ``memory_bytes`` is the machine's memory. Raises NoData if the graph has no Jacobian.
    """
    alike, costs = _distinct(found), found.jacobians
    largest = sorted(sorted(alike, key=lambda at: -costs[at].n_entries)[:MAX_BARS])
    peaks = {f"{total.strategy}_bytes": total.total_bytes for total in found.totals}
    data = pd.DataFrame(
        [*(_row(costs[at], alike[at]) for at in largest), {"jacobian": "gradient, with patterns"} | peaks]
    )
    with styled():
        figure = Figure(figsize=(9.5, 1.8 + 0.42 * len(data)), layout="constrained")
        axes = figure.subplots()
        _bars(axes, data, memory_bytes)
        title = f"{name}: predicted size of its Jacobians" + share(len(largest), len(alike), "Jacobians")
        handles: list[Artist] = [Patch(color=strategy_style(name).color, label=label) for name, label in LABELS.items()]
        memory = f"memory of this machine,\n{format_bytes(memory_bytes)}"
        handles.append(Line2D([], [], color=INK, linestyle=":", linewidth=1.2, label=memory))
        surround(figure, title, handles, SOURCE)
    return Plot(figure, data, plot_sentences.jacobian_bytes())


def _row(cost: JacobianCost, n_alike: int) -> dict[str, Any]:
    return {
        "jacobian": _named(cost, n_alike),
        "dense_bytes": cost.dense_bytes,
        "sparse_bytes": cost.sparse_bytes,
        "vjp_bytes": cost.vjp_kept_bytes + cost.vjp_scratch_bytes,
    }


def _bars(axes: Axes, data: pd.DataFrame, memory_bytes: int) -> None:
    columns = [f"{strategy}_bytes" for strategy in LABELS]
    values = data[columns].to_numpy(dtype=float)
    low, high = min(64.0, values[values > 0].min()) / 2, max(values.max(), float(memory_bytes)) * 4
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high * 8)
    behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
    for number, (strategy, column) in enumerate(zip(LABELS, columns, strict=True)):
        for line, n_bytes in enumerate(data[column].tolist()):
            at, end = line + (number - 1) * 0.27, max(float(n_bytes), low)
            axes.barh(at, end - low, 0.24, low, color=strategy_style(strategy).color)
            axes.text(end * 1.3, at, format_bytes(n_bytes), va="center", fontsize=6.5, bbox=behind)
    axes.axvline(memory_bytes, color=INK, linestyle=":", linewidth=1.2)
    axes.axhline(len(data) - 1.5, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(data)), data["jacobian"].tolist())
    axes.set_ylim(len(data) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(LogLocator(base=1024, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, BYTES)))
