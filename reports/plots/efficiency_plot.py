"""Efficiency: floor divided by measured time, for every cell that has a floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.dot_plot import dot_figure, draw_dots
from jacobench.reports.plots.layout import frame, strategy_handles
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.style import INK, styled

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run


def efficiencies(run: Run, phase: str) -> dict[str, Plot]:
    """Draw the efficiency of every cell that has one, one line per case: ``efficiency``."""
    table = run.table
    rows = table[(table["phase"] == phase) & (table["status"] == "ok") & table["efficiency"].notna()]
    rows = rows.reset_index(drop=True)
    if rows.empty:
        raise NoData(f"no cell of phase {phase} has both a time and a floor (see docs/floor.md)")
    with styled():
        figure, (axes,) = dot_figure(rows, 1, width=9.6)
        draw_dots(axes, rows, rows["efficiency"])
        axes.axvline(1.0, color=INK, linewidth=1, linestyle=":")
        axes.set_xlim(0, max(1.05, rows["efficiency"].max() * 1.03))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("efficiency: floor / measured time")
        handles = strategy_handles(in_order(rows["strategy"]), lines=False)
        frame(figure, f"{phase}: efficiency of every case", handles, table)
    columns = ["case", "strategy", "seconds_median", "floor_seconds", "efficiency"]
    caption = (
        f"Efficiency of the phase {phase}: the floor, a lower bound for the time of the same work on this machine, divided by the "
        "measured time. Further right is better. The gap to 100 % is the largest possible speed-up."
    )
    return {"efficiency": Plot(figure, rows[columns], caption)}
