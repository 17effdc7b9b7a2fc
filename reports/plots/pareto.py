"""Time against memory: the strategies that no other one beats in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from jacobench.reports.data.units import BYTES, SECONDS, Scale, format_tick
from jacobench.reports.data.vocabulary import in_order, words
from jacobench.reports.plots.layout import frame, strategy_handles
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.quantities import round_values
from jacobench.reports.plots.small_multiples import choose, elided, grid, name_along, share
from jacobench.reports.plots.style import FAINT, strategy_style, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from jacobench.reports.data.run_data import Run

DOMINATED = 0.4
"""Opacity of a strategy that another one beats in time and memory."""

MOST_LABELS = 4

LONGEST_NAME = 16
"""Characters of a strategy's name within a panel."""


def fronts(run: Run, phase: str) -> dict[str, Plot]:
    """Draw time against memory for the cases of a run: ``time-against-memory``."""
    return {"time-against-memory": front(run.table, phase)}


def front(table: pd.DataFrame, phase: str = "gradient") -> Plot:
    """Draw each case's strategies by time and peak memory, with the Pareto front.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    Plot
        A panel a case, twelve at most; faint markers are beaten in both by another strategy.

    Raises
    ------
    NoData
        If no cell of the phase has both a time and a peak.
    """
    rows = table[(table["phase"] == phase) & (table["strategy"] != "forward")].reset_index(drop=True)
    both = rows[(rows["status"] == "ok") & (rows["seconds_median"] > 0) & (rows["peak_bytes"] > 0)]
    if both.empty:
        raise NoData(f"no cell of the phase {phase} has both a time and a peak of memory")
    measured = rows[rows["case"].isin(both["case"])]
    cases = choose(measured)
    data = both[both["case"].isin(cases)][["case", "strategy", "seconds_median", "peak_bytes"]]
    data = data.assign(on_front=pd.concat([_on_front(own) for _, own in data.groupby("case", sort=False)]))
    with styled():
        figure, panels = grid(len(cases), width=2.9, height=2.5)
        for axes, case in zip(panels, cases, strict=True):
            _panel(
                axes, data[data["case"] == case], measured[(measured["case"] == case) & (measured["status"] != "ok")]
            )
            axes.set_title(elided(case), loc="left", fontsize=8 if len(case) < 34 else 6.5)
        name_along(panels, "time per call")
        figure.supylabel("peak heap memory", fontsize=9.5)
        handles = strategy_handles(in_order(measured["strategy"]), lines=False)
        handles.append(Line2D([], [], color=FAINT, linewidth=1, label="front: none is better\nin both"))
        handles.append(Line2D([], [], linestyle="none", label="faint: beaten in both"))
        title = f"{phase}: time per call against peak heap memory"
        frame(figure, title + share(len(cases), rows["case"].nunique()), handles, table)
    caption = (
        f"Time per call and peak memory of the phase {phase}, a panel a case: nearer to the lower left corner is better. The line "
        "joins the strategies that no other one beats in both."
    )
    return Plot(figure, data, caption)


def _on_front(rows: pd.DataFrame) -> pd.Series[bool]:
    """Say of each row whether no other is at most as dear in both and cheaper in one."""
    costs = rows[["seconds_median", "peak_bytes"]].to_numpy()
    beaten = [bool(((costs <= own).all(axis=1) & (costs < own).any(axis=1)).any()) for own in costs]
    return pd.Series([not it for it in beaten], index=rows.index)


def _panel(axes: Axes, data: pd.DataFrame, without: pd.DataFrame) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    best = data[data["on_front"]].sort_values("seconds_median")
    axes.step(best["seconds_median"], best["peak_bytes"], where="post", color=FAINT, linewidth=1, zorder=1.5)
    for row in data.to_dict("records"):
        style = strategy_style(row["strategy"])
        alpha = 1.0 if row["on_front"] else DOMINATED
        axes.plot(row["seconds_median"], row["peak_bytes"], color=style.color, marker=style.marker, alpha=alpha)
    for axis, column, scale, base in (
        (axes.xaxis, "seconds_median", SECONDS, 10.0),
        (axes.yaxis, "peak_bytes", BYTES, 2.0),
    ):
        _range(axis, data[column], scale, base)
    missing = [f"{elided(row['strategy'], LONGEST_NAME)}: {words(row['status'])}" for row in without.to_dict("records")]
    axes.text(0.98, 0.03, "\n".join(missing), transform=axes.transAxes, ha="right", fontsize=7, color=FAINT)


def _range(axis: Axis, values: pd.Series[float], scale: Scale, base: float) -> None:
    """Show the values with room around them, and a few round labels."""
    low, high = float(values.min()), float(values.max())
    room = max((high / low) ** 0.18, 2.0)
    low, high = low / room, high * room
    axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})  # type: ignore[attr-defined]
    axis.set_major_locator(FixedLocator(round_values(base, low, high, MOST_LABELS)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, scale)))
    axis.set_tick_params(labelsize=7.5)
