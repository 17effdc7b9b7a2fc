"""Time against memory: the Pareto front of the strategies of each case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.lines import Line2D

from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES
from jacobench.bench.row.columns import FORWARD, below_resolution, in_phase, peak_bounds
from jacobench.reports.data.units import format_bytes
from jacobench.reports.data.vocabulary import words
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.layout import NoData, Plot, frame, legend_mark, strategy_handles
from jacobench.reports.plots.quantities import QUANTITIES, PlotQuantity, label_values
from jacobench.reports.plots.small_multiples import choose, elided, grid, name_along, share
from jacobench.reports.plots.style import FAINT, strategy_style, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from jacobench.reports.data.run_data import Run

DOMINATED = 0.4  # opacity of a strategy that another one beats in time and memory
MAX_LABELS = 4
MAX_NAME = 16  # characters of a strategy's name within a panel


def fronts(run: Run, phase: str) -> dict[str, Plot]:
    """Draw the strategies by time and peak memory with the Pareto front, one panel per case: ``time-against-memory``."""
    table = run.table
    rows = table[in_phase(table, phase) & (table["strategy"] != FORWARD)].reset_index(drop=True)
    timed = rows[(rows["status"] == "ok") & (rows["seconds_median"] > 0)]
    both = timed[timed["peak_bytes"] > 0]
    if both.empty:
        raise NoData(f"no cell of phase {phase} has both a time and a peak memory")
    measured = rows[rows["case"].isin(both["case"])]
    cases = choose(measured)
    data = timed[timed["case"].isin(cases)]
    data = data.assign(peak_bytes=peak_bounds(data), is_bound=below_resolution(data))
    data = data.loc[data["peak_bytes"] > 0, ["case", "strategy", "seconds_median", "peak_bytes", "is_bound"]]
    data = data.assign(on_front=pd.concat([_on_front(own) for _, own in data.groupby("case", sort=False)]))
    failed = measured[measured["status"] != "ok"]
    time, memory = QUANTITIES.values()
    with styled():
        figure, panels = grid(len(cases), width=2.9, height=2.5)
        for axes, case in zip(panels, cases, strict=True):
            _panel(axes, data[data["case"] == case], failed[failed["case"] == case])
            axes.set_title(elided(case), loc="left", fontsize=8 if len(case) < 34 else 6.5)
        name_along(panels, time.label)
        figure.supylabel(memory.label, fontsize=9.5)
        handles = strategy_handles(measured["strategy"], lines=False)
        handles.append(Line2D([], [], color=FAINT, linewidth=1, label="Pareto front"))
        handles.append(legend_mark("faint: another is better\nin time and memory"))
        title = f"{phase}: {time.label} against {memory.label}"
        frame(figure, title + share(len(cases), rows["case"].nunique()), handles, table)
    return {"time-against-memory": Plot(figure, data, plot_sentences.pareto(phase))}


def _on_front(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return whether no other row costs at most as much in both quantities and less in one."""
    costs = rows[["seconds_median", "peak_bytes"]].to_numpy()
    on_front = [not ((costs <= own).all(axis=1) & (costs < own).any(axis=1)).any() for own in costs]
    return pd.Series(on_front, index=rows.index)


def _panel(axes: Axes, data: pd.DataFrame, failed: pd.DataFrame) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    best = data[data["on_front"]].sort_values("seconds_median")
    axes.step(best["seconds_median"], best["peak_bytes"], where="post", color=FAINT, linewidth=1, zorder=1.5)
    for row in data.to_dict("records"):
        style = strategy_style(row["strategy"])
        alpha = 1.0 if row["on_front"] else DOMINATED
        axes.plot(row["seconds_median"], row["peak_bytes"], color=style.color, marker=style.marker, alpha=alpha)
    for axis, quantity in zip((axes.xaxis, axes.yaxis), QUANTITIES.values(), strict=True):
        _show_range(axis, data[quantity.column], quantity)
    small = format_bytes(RESOLUTION_BYTES)
    missing = [f"{elided(row['strategy'], MAX_NAME)}: {words(row['status'])}" for row in failed.to_dict("records")]
    missing += [f"{elided(name, MAX_NAME)}: below {small}" for name in data.loc[data["is_bound"], "strategy"]]
    axes.text(0.98, 0.03, "\n".join(missing), transform=axes.transAxes, ha="right", fontsize=7, color=FAINT)


def _show_range(axis: Axis, values: pd.Series[float], quantity: PlotQuantity) -> None:
    """Show the values with a margin, and a few round labels."""
    low, high = float(values.min()), float(values.max())
    margin = max((high / low) ** 0.18, 2.0)
    ends = low / margin, high * margin
    axis.axes.set(**{f"{axis.axis_name}lim": ends})  # type: ignore[attr-defined]
    label_values(axis, quantity, ends, most=MAX_LABELS)
    axis.set_tick_params(labelsize=7.5)
