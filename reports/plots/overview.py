"""Every case at a glance: a dot a strategy, time on the left and memory on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from jacobench.bench.row.columns import PHASES
from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.layout import frame, hollow_handles, strategy_handles
from jacobench.reports.plots.missing_cells import Placed, band, draw_at_edge, draw_band, hollow, place
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.quantities import QUANTITIES, Quantity, label_values
from jacobench.reports.plots.small_multiples import SPREAD, label_cases, line_height
from jacobench.reports.plots.style import strategy_style, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run


def overviews(run: Run, phase: str) -> dict[str, Plot]:
    """Draw every case of a run: ``cases``."""
    if not (run.table["phase"] == phase).any():
        raise NoData(f"no cell has the phase {phase}")
    return {"cases": overview(run.table, phase)}


def overview(table: pd.DataFrame, phase: str = "gradient") -> Plot:
    """Draw time and peak memory of every case.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    Plot
        Two panels, cases down. Filled markers are measured; hollow ones have no number and stand in the band on the right,
        or at their predicted size if they were over budget and it is within reach.

    Raises
    ------
    BadInput
        If the phase is unknown, or no row has it.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    rows = table[table["phase"] == phase].reset_index(drop=True)
    if rows.empty:
        raise BadInput(f"no cell has the phase {phase}: expected a table with at least one")
    with styled():
        figure = _figure(table, rows, phase)
    columns = ["case", "strategy", "status", "seconds_median", "peak_bytes", "predicted_bytes"]
    caption = (
        f"Time per call and peak heap memory of the phase {phase}, every case, on logarithmic axes: further left is less. "
        "Hollow markers have no number; a letter says why."
    )
    return Plot(figure, rows[columns], caption)


def _figure(table: pd.DataFrame, rows: pd.DataFrame, phase: str) -> Figure:
    height = line_height(rows["strategy"].nunique()) * rows["case"].nunique()
    figure = Figure(figsize=(13.0, 2.4 + height), layout="constrained")
    drawn = [(place(rows, quantity), quantity) for quantity in QUANTITIES.values()]
    for axes, (placed, quantity) in zip(figure.subplots(1, 2, sharey=True), drawn, strict=True):
        _panel(axes, rows, placed, quantity)
    statuses = [status for placed, _ in drawn for status in rows["status"][placed.edge]]
    any_predicted = any(bool(placed.hollow.notna().any()) for placed, _ in drawn)
    handles = [
        *strategy_handles(in_order(rows["strategy"]), lines=False),
        *hollow_handles(statuses, "in the band on the right", any_predicted=any_predicted),
    ]
    frame(figure, f"{phase}: time and memory of every case", handles, table)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, placed: Placed, quantity: Quantity) -> None:
    cases, strategies = rows["case"].drop_duplicates().tolist(), in_order(rows["strategy"])
    edge = band(placed, in_order(rows["strategy"][placed.edge])[::-1])
    axes.set_xscale("log")
    lines = rows["case"].map({case: line for line, case in enumerate(cases)})
    for index, strategy in enumerate(strategies):
        own = rows["strategy"] == strategy
        height = lines[own] + SPREAD * ((index + 0.5) / len(strategies) - 0.5)
        style = strategy_style(strategy)
        axes.plot(placed.measured[own], height, color=style.color, marker=style.marker, linestyle="none", markersize=5)
        axes.plot(placed.hollow[own], height, **hollow(style))
        outside = placed.edge[own]
        if outside.any():
            statuses = rows["status"][own][outside].tolist()
            draw_at_edge(axes, style, height[outside].tolist(), statuses, row=edge.rows[strategy], vertical=True)
    axes.set_xlim(placed.low, edge.end)
    label_cases(axes, cases)
    axes.set_xlabel(quantity.axis)
    label_values(axes.xaxis, quantity, placed, most=5)
    draw_band(axes, edge.begins, vertical=True)
