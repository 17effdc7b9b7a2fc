"""Overview: time and memory of every case, one marker per strategy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jacobench.bench.row.columns import PHASES
from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.dot_plot import dot_figure, draw_dots, draw_hollow
from jacobench.reports.plots.layout import frame, hollow_handles, strategy_handles
from jacobench.reports.plots.missing_cells import place
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.quantities import QUANTITIES, label_values
from jacobench.reports.plots.style import styled
from jacobench.reports.plots.summary_plot import summary

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.reports.data.run_data import Run


def overviews(run: Run, phase: str) -> dict[str, Plot]:
    """Draw every case of a run: ``summary``, if the reference was measured, and ``cases``."""
    if not (run.table["phase"] == phase).any():
        raise NoData(f"the run has no cell of phase {phase}")
    plots = {}
    with suppress(NoData):
        plots["summary"] = summary(run.table, phase)
    return plots | {"cases": overview(run.table, phase)}


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
        Two panels with one line per case. Filled markers are measured. Hollow ones have no number: they are in the band
        on the right, or at the predicted size if the cell is over budget and the size is near.

    Raises
    ------
    BadInput
        If the phase is unknown or no row has it.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    rows = table[table["phase"] == phase].reset_index(drop=True)
    if rows.empty:
        raise BadInput(f"no cell has the phase {phase}: expected a table with at least one")
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
        handles = [
            *strategy_handles(in_order(rows["strategy"]), lines=False),
            *hollow_handles(statuses, "in the band on the right", any_predicted=any_predicted),
        ]
        frame(figure, f"{phase}: time and memory of every case", handles, table)
    columns = ["case", "strategy", "status", "seconds_median", "peak_bytes", "predicted_bytes"]
    caption = (
        f"Time per call and peak heap memory of the phase {phase} for every case, on logarithmic axes. Further left is better. "
        "A hollow marker has no measured number; its letter gives the reason."
    )
    return Plot(figure, rows[columns], caption)
