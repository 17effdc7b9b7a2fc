"""Efficiency: how close each strategy comes to what this machine can do for the same work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.layout import frame, strategy_handles
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import SPREAD, label_cases, line_height
from jacobench.reports.plots.style import INK, strategy_style, styled

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.reports.data.run_data import Run


def efficiencies(run: Run, phase: str) -> dict[str, Plot]:
    """Draw the efficiency of every cell that has one: ``efficiency``."""
    return {"efficiency": efficiency(run.table, phase)}


def efficiency(table: pd.DataFrame, phase: str = "gradient") -> Plot:
    """Draw what share of each cell's time its work itself takes.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    Plot
        Cases down, efficiency (floor over measured time) along.

    Raises
    ------
    NoData
        If no cell of the phase has an efficiency.
    """
    rows = table[(table["phase"] == phase) & (table["status"] == "ok") & table["efficiency"].notna()]
    if rows.empty:
        raise NoData(f"no cell of the phase {phase} has both a time and a floor under it (see docs/floor.md)")
    cases, strategies = rows["case"].drop_duplicates().tolist(), in_order(rows["strategy"])
    with styled():
        figure = Figure(figsize=(9.6, 1.9 + line_height(len(strategies)) * len(cases)), layout="constrained")
        axes = figure.subplots()
        lines = rows["case"].map({case: line for line, case in enumerate(cases)})
        for index, strategy in enumerate(strategies):
            own = rows["strategy"] == strategy
            height = lines[own] + SPREAD * ((index + 0.5) / len(strategies) - 0.5)
            style = strategy_style(strategy)
            axes.plot(rows["efficiency"][own], height, color=style.color, marker=style.marker, linestyle="none")
        axes.axvline(1.0, color=INK, linewidth=1, linestyle=":")
        axes.set_xlim(0, max(1.05, rows["efficiency"].max() * 1.03))
        label_cases(axes, cases)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("efficiency: floor over measured time (dotted: nothing could be gained)")
        frame(figure, f"{phase}: how close to the machine's limit", strategy_handles(strategies, lines=False), table)
    columns = ["case", "strategy", "seconds_median", "floor_seconds", "efficiency"]
    caption = (
        f"The share of the measured time of the phase {phase} that the same arithmetic and memory traffic take on this machine "
        "when nothing else is done. Further right is better; what is missing to 100 % could be gained at most."
    )
    return Plot(figure, rows[columns], caption)
