"""Summary of a run: time and peak memory of every case as ratios to `vjp`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jacobench.bench.row.columns import FORWARD
from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.reports.data.units import COUNTS, format_bytes
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.dot_plot import dot_figure, draw_dots, draw_hollow, line_positions
from jacobench.reports.plots.layout import frame, hollow_handles, reference_handle, strategy_handles
from jacobench.reports.plots.missing_cells import place
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.quantities import PlotQuantity, label_ratios
from jacobench.reports.plots.style import strategy_style, styled
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

RATIOS = tuple(
    PlotQuantity(word, f"{word}, ratio to {REFERENCE}", column, interval, None, None, COUNTS, 10.0)
    for word, column, interval in (
        ("time", "ratio_to_vjp", ("ratio_low", "ratio_high")),
        ("peak memory", "memory_ratio", None),
    )
)
"""The two panels."""


def summary(table: pd.DataFrame, phase: str = "gradient") -> Plot:
    """Draw the ratios of time and peak memory to the reference, which is the line at 1; one line per case.

    A cell that failed is hollow. Raises NoData if the reference was not measured, or nothing else was.
    """
    rows = table[(table["phase"] == phase) & table["strategy"].ne(FORWARD)].reset_index(drop=True)
    peaks = rows["peak_bytes"].where((rows["status"] == "ok") & (rows["peak_bytes"] >= LEAST_BYTES))
    reference = peaks[rows["strategy"] == REFERENCE].groupby(rows["case"]).first()
    rows = rows.assign(memory_ratio=peaks / rows["case"].map(reference))
    rows = rows[rows["strategy"] != REFERENCE].reset_index(drop=True)
    if rows["ratio_to_vjp"].isna().all():
        raise NoData(f"no cell of phase {phase} was timed together with {REFERENCE}")
    with styled():
        figure, panels = dot_figure(rows, len(RATIOS), width=13.0)
        statuses = [status for axes, ratio in zip(panels, RATIOS, strict=True) for status in _panel(axes, rows, ratio)]
        handles = [
            reference_handle(),
            *strategy_handles(in_order(rows["strategy"]), lines=False),
            *hollow_handles(statuses, "in the band on the right", any_predicted=False),
        ]
        frame(figure, f"{phase}: time and memory of every case, as ratios to {REFERENCE}", handles, table)
    caption = (
        f"Time and peak memory of the phase {phase} divided by those of {REFERENCE}, the line at 1×. Further left is better. "
        f"Bars are 95 % intervals. Peaks below {format_bytes(LEAST_BYTES)} have no ratio. A hollow marker has no measured "
        "number; its letter gives the reason."
    )
    columns = ["case", "strategy", "status", "ratio_to_vjp", "ratio_low", "ratio_high", "memory_ratio"]
    return Plot(figure, rows[columns], caption)


def _panel(axes: Axes, rows: pd.DataFrame, ratio: PlotQuantity) -> list[str]:
    """Draw one ratio and return the statuses of the cells without it."""
    placed = place(rows, ratio)
    placed = replace(placed, edge=placed.edge & (rows["status"] != "ok"))  # a peak that is too small is not drawn
    draw_hollow(axes, rows, placed, rows["status"])
    if ratio.interval:
        at = line_positions(rows)
        low, high = (rows[column].where(placed.measured.notna()) for column in ratio.interval)
        colors = [strategy_style(strategy).color for strategy in rows["strategy"]]
        axes.hlines(at, low, high, colors=colors, linewidth=1, alpha=0.6)
    draw_dots(axes, rows, placed.measured)
    style = strategy_style(REFERENCE)
    axes.axvline(1.0, color=style.color, linestyle=style.line, linewidth=1.5)
    axes.set_xlim(min(0.9, axes.get_xlim()[0]), max(1.1, axes.get_xlim()[1]))
    axes.set_xlabel(ratio.label)
    ends = placed.ends or (0.5, 2.0)
    label_ratios(axes.xaxis, min(ends[0], 0.9), max(ends[1], 1.1))
    return rows["status"][placed.edge].tolist()
