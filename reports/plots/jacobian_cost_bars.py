"""Predicted bytes of a graph's Jacobians as bars: dense, sparse, and of the VJP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from jacobench.reports.data.units import BYTES, format_bytes, format_tick
from jacobench.reports.plots.layout import surround
from jacobench.reports.plots.pattern_plots import SOURCE, distinct, named
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import share
from jacobench.reports.plots.style import FAINT, INK, PAPER, strategy_style, styled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.reports.explain.jacobian_costs import Explanation, JacobianCost

MAX_BARS = 20
BEHIND_TEXT = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}

PEAK = "peak of a gradient"
LABELS = {
    "dense": "dense",
    "sparse": "sparse",
    "vjp": "vjp: primals kept and\ntemporary memory",
}


def cost_bars(found: Explanation, name: str, memory_bytes: int) -> Plot:
    """Draw the bytes of each distinct Jacobian, at most the twenty largest, and of a whole gradient, for each strategy.

    ``memory_bytes`` is the machine's memory. Raises NoData if the graph has no Jacobian.
    """
    alike = distinct(found)
    if not alike:
        raise NoData("the graph has nothing to differentiate, and so no Jacobian")
    costs = found.jacobians
    largest = sorted(sorted(alike, key=lambda at: -costs[at].n_entries)[:MAX_BARS])
    peaks = {f"{total.strategy}_bytes": total.peak_bytes for total in found.totals}
    data = pd.DataFrame([*(_row(costs[at], alike[at]) for at in largest), {"jacobian": PEAK} | peaks])
    with styled():
        figure = Figure(figsize=(9.5, 1.8 + 0.42 * len(data)), layout="constrained")
        axes = figure.subplots()
        _bars(axes, data, memory_bytes)
        title = f"{name}: predicted size of its Jacobians" + share(len(largest), len(alike), "Jacobians")
        surround(figure, title, _handles(memory_bytes), SOURCE)
    caption = (
        "Predicted bytes of each local Jacobian as a dense array and as a sparse matrix, and of what its VJP keeps and allocates besides "
        "its result, on a logarithmic scale. The last line is the largest memory that a whole gradient holds at once."
    )
    return Plot(figure, data, caption)


def _row(cost: JacobianCost, n_alike: int) -> dict[str, Any]:
    return {
        "jacobian": named(cost, n_alike),
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
    for number, (strategy, column) in enumerate(zip(LABELS, columns, strict=True)):
        for line, n_bytes in enumerate(data[column].tolist()):
            at, end = line + (number - 1) * 0.27, max(float(n_bytes), low)
            axes.barh(at, end - low, 0.24, low, color=strategy_style(strategy).color)
            axes.text(end * 1.3, at, format_bytes(n_bytes), va="center", fontsize=6.5, bbox=BEHIND_TEXT)
    axes.axvline(memory_bytes, color=INK, linestyle=":", linewidth=1.2)
    axes.axhline(len(data) - 1.5, color=FAINT, linewidth=0.8)
    axes.set_yticks(range(len(data)), data["jacobian"].tolist())
    axes.set_ylim(len(data) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(LogLocator(base=1024, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, BYTES)))


def _handles(memory_bytes: int) -> list[Artist]:
    bars: list[Artist] = [
        Patch(color=strategy_style(strategy).color, label=label) for strategy, label in LABELS.items()
    ]
    memory = f"memory of this machine,\n{format_bytes(memory_bytes)}"
    return [*bars, Line2D([], [], color=INK, linestyle=":", linewidth=1.2, label=memory)]
