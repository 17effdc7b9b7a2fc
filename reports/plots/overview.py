"""Overview: time and memory of every case, one marker per strategy."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

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
    rows = run.table[run.table["phase"] == phase].reset_index(drop=True)
    if rows.empty:
        raise NoData(f"the run has no cell of phase {phase}")
    plots = {}
    with suppress(NoData):
        plots["summary"] = summary(run.table, phase)
    return plots | {"cases": _cases(run.table, rows, phase)}


def _cases(table: pd.DataFrame, rows: pd.DataFrame, phase: str) -> Plot:
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
