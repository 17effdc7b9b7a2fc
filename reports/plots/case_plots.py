"""Every case on one line: time and memory, their ratios to `vjp`, and efficiency; one marker per strategy."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from jacobench.bench.row.columns import FORWARD, in_phase
from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.reports.data.units import COUNTS
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.dot_plot import dot_figure, draw_dots, draw_hollow, line_positions, paged
from jacobench.reports.plots.layout import (
    NoData,
    Plot,
    below_handles,
    frame,
    hollow_handles,
    no_ratio_handles,
    reference_handle,
    strategy_handles,
)
from jacobench.reports.plots.missing_cells import place
from jacobench.reports.plots.quantities import QUANTITIES, PlotQuantity, label_ratios, label_values
from jacobench.reports.plots.style import INK, strategy_style, styled
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

RATIOS = (
    PlotQuantity("time", f"time, ratio to {REFERENCE}", "ratio_to_vjp", COUNTS, 10.0, ("ratio_low", "ratio_high")),
    PlotQuantity("peak memory", f"peak memory, ratio to {REFERENCE}", "memory_ratio", COUNTS, 10.0),
)  # the panels of the summary


def overviews(run: Run, phase: str) -> dict[str, Plot]:
    """Draw every case of a run: ``summary``, if the reference was measured, and ``cases``; see `dot_plot.paged`."""
    rows = run.table[in_phase(run.table, phase)].reset_index(drop=True)
    if rows.empty:
        raise NoData(f"the run has no cell of phase {phase}")
    plots: dict[str, Plot] = {}
    with suppress(NoData):
        plots |= summaries(run.table, phase)
    return plots | paged("cases", rows, lambda own, part: _cases(run.table, own, phase, part))


def _cases(table: pd.DataFrame, rows: pd.DataFrame, phase: str, part: str) -> Plot:
    """Draw time and memory. Hollow markers have no number: they are in the band, or at a predicted size that is near."""
    drawn = [(place(rows, quantity), quantity) for quantity in QUANTITIES.values()]
    with styled():
        figure, panels = dot_figure(rows, len(drawn), width=13.0)
        for axes, (placed, quantity) in zip(panels, drawn, strict=True):
            draw_hollow(axes, rows, placed, rows["status"])
            draw_dots(axes, rows, placed.measured)
            axes.set_xlabel(quantity.label)
            label_values(axes.xaxis, quantity, placed.ends, most=5)
        statuses = [status for placed, _ in drawn for status in rows["status"][placed.edge]]
        any_predicted = any(bool(placed.hollow.notna().any()) for placed, _ in drawn)
        handles = strategy_handles(rows["strategy"], lines=False)
        handles += below_handles(any_below=any(bool(placed.below.any()) for placed, _ in drawn))
        handles += hollow_handles(statuses, "in the band on the right", any_predicted=any_predicted)
        frame(figure, f"{phase}: time and memory of every case{part}", handles, table)
    columns = ["case", "strategy", "status", "seconds_median", "peak_bytes", "predicted_bytes"]
    return Plot(figure, rows[columns], plot_sentences.cases(phase))


def summaries(table: pd.DataFrame, phase: str = "gradient") -> dict[str, Plot]:
    """Draw the ratios of time and peak memory to the reference, which is the line at 1; one line per case: ``summary``.

    A cell that failed is hollow. Raises NoData if the reference was not measured, or nothing else was.
    """
    rows = table[in_phase(table, phase) & table["strategy"].ne(FORWARD)].reset_index(drop=True)
    measured = (rows["status"] == "ok") & rows["memory_tool"].notna()
    peaks = rows["peak_bytes"].where(measured & (rows["peak_bytes"] >= LEAST_BYTES))
    below, is_reference = measured & peaks.isna(), rows["strategy"] == REFERENCE
    reference = peaks[is_reference].groupby(rows["case"]).first()
    below |= measured & rows["case"].isin(rows.loc[below & is_reference, "case"])
    rows = rows.assign(memory_ratio=peaks / rows["case"].map(reference), below=below)
    rows = rows[rows["strategy"] != REFERENCE].reset_index(drop=True)
    if rows["ratio_to_vjp"].isna().all():
        raise NoData(f"no cell of phase {phase} was timed together with {REFERENCE}")
    return paged("summary", rows, lambda own, part: _summary(table, own, phase, part))


def _summary(table: pd.DataFrame, rows: pd.DataFrame, phase: str, part: str) -> Plot:
    with styled():
        figure, panels = dot_figure(rows, len(RATIOS), width=13.0)
        everything = rows["case"].notna()
        statuses = [
            status
            for axes, ratio in zip(panels, RATIOS, strict=True)
            for status in draw_ratios(axes, rows, ratio, everything)
        ]
        handles = [
            reference_handle(),
            *strategy_handles(rows["strategy"], lines=False),
            *no_ratio_handles(any_below=bool(rows["below"].any())),
            *hollow_handles(statuses, "in the band on the right", any_predicted=False),
        ]
        frame(figure, f"{phase}: time and memory of every case, as ratios to {REFERENCE}{part}", handles, table)
    columns = ["case", "strategy", "status", "ratio_to_vjp", "ratio_low", "ratio_high", "memory_ratio"]
    return Plot(figure, rows[columns], plot_sentences.summary(phase))


def draw_ratios(axes: Axes, rows: pd.DataFrame, ratio: PlotQuantity, shown: pd.Series[bool]) -> list[str]:
    """Draw one ratio of the rows that are shown, and return the statuses of those without it.

    All rows determine the lines of the cases and the scale.
    """
    placed = place(rows, ratio)
    edge = placed.edge & (rows["status"] != "ok")  # a peak that is too small is not drawn
    placed = replace(placed, edge=edge, measured=placed.measured.where(shown))
    draw_hollow(axes, rows, placed, rows["status"], shown)
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
    return rows["status"][placed.edge & shown].tolist()


def efficiencies(run: Run, phase: str) -> dict[str, Plot]:
    """Draw the efficiency of every cell that has one, one line per case: ``efficiency``."""
    table = run.table
    rows = table[in_phase(table, phase) & (table["status"] == "ok") & table["efficiency"].notna()]
    rows = rows.reset_index(drop=True)
    if rows.empty:
        raise NoData(f"no cell of phase {phase} has both a time and a floor (see docs/floor.md)")
    return paged("efficiency", rows, lambda own, part: _efficiency(table, own, phase, part))


def _efficiency(table: pd.DataFrame, rows: pd.DataFrame, phase: str, part: str) -> Plot:
    with styled():
        figure, (axes,) = dot_figure(rows, 1, width=9.6)
        draw_dots(axes, rows, rows["efficiency"])
        axes.axvline(1.0, color=INK, linewidth=1, linestyle=":")
        axes.set_xlim(0, max(1.05, rows["efficiency"].max() * 1.03))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("efficiency: floor / measured time")
        handles = strategy_handles(rows["strategy"], lines=False)
        frame(figure, f"{phase}: efficiency of every case{part}", handles, table)
    columns = ["case", "strategy", "seconds_median", "floor_seconds", "efficiency"]
    return Plot(figure, rows[columns], plot_sentences.efficiency(phase))
