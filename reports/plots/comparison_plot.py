"""Two runs beside each other: every cell's time and memory, new over old."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from jacobench.bench.row.columns import PHASES
from jacobench.bench.row.statistics import CLEARLY_LESS
from jacobench.graphs.errors import unknown
from jacobench.reports.analysis.run_changes import changes, differences
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.layout import frame, hollow_handles, strategy_handles
from jacobench.reports.plots.missing_cells import Placed, band, draw_at_edge, draw_band
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.quantities import round_values
from jacobench.reports.plots.small_multiples import SPREAD, label_cases, line_height
from jacobench.reports.plots.style import FAINT, INK, strategy_style, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

UNDECIDED = 0.45
"""Opacity of a change that is none for certain: its interval holds one, or it is a peak that moved by less than 1 %."""


@dataclass(frozen=True)
class _Change:
    """A quantity of which the ratio is drawn: its columns, and its name on the axis."""

    ratio: str
    interval: tuple[str, str] | None
    axis: str


CHANGES = (
    _Change("seconds_ratio", ("seconds_low", "seconds_high"), "time per call, new over old"),
    _Change("bytes_ratio", None, "peak heap memory, new over old"),
)


def comparison(base: Run, head: Run, phase: str = "gradient") -> Plot:
    """Draw how each cell's time and memory changed from one run to another.

    Parameters
    ----------
    base, head : Run
        The old and the new one.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    Plot
        Cases down, ratios along: left of one is less than before.

    Raises
    ------
    BadInput
        If the phase is unknown.
    NoData
        If the runs have no cell of the phase in common, or none that is ok in both.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    data = changes(base, head, phase)
    if data.empty:
        raise NoData(f"the two runs have no cell of the phase {phase} in common: same case and same strategy")
    if not data[[change.ratio for change in CHANGES]].notna().any(axis=None):
        raise NoData(f"no cell of the phase {phase} has a number in both runs")
    with styled():
        height = line_height(data["strategy"].nunique()) * data["case"].nunique()
        figure = Figure(figsize=(13.0, 2.4 + height), layout="constrained")
        for axes, change in zip(figure.subplots(1, 2, sharey=True), CHANGES, strict=True):
            _panel(axes, data, change)
        failed = _failed(data).dropna()
        handles = [
            *strategy_handles(in_order(data["strategy"]), lines=False),
            Line2D(
                [],
                [],
                color=INK,
                marker="o",
                linestyle="none",
                alpha=UNDECIDED,
                label="pale: no clear change",
            ),
            *hollow_handles(failed, "in the band on the right", any_predicted=False),
        ]
        table = pd.concat([base.table, head.table], ignore_index=True)
        table.attrs = dict(head.table.attrs)
        frame(figure, f"{phase}: {head.name or 'new'} over {base.name or 'old'}", handles, table)
    caption = (
        f"Time per call and peak heap memory of the phase {phase} in the new run over the old one, on logarithmic axes: left of one is less "
        "than before. Bars are 95 % intervals from the passes of both runs."
    )
    return Plot(figure, data, caption, _notes(base, head, data))


def _failed(data: pd.DataFrame) -> pd.Series[str]:
    """Return the status of each cell that is not ok in both runs, the new one's first."""
    status = data["status_head"].where(data["status_head"] != "ok", data["status_base"])
    return status.where(status != "ok")


def _panel(axes: Axes, data: pd.DataFrame, change: _Change) -> None:
    ratio = data[change.ratio]
    ends = [data[end] for end in change.interval or ()]
    seen = pd.concat([ratio, *ends, pd.Series([1.0])]).dropna()
    room = max(1.03, (seen.max() / seen.min()) ** 0.06)
    placed = Placed(
        ratio, ratio.where(ratio.isna()), ratio.isna(), seen.min() / room, seen.max() * room, any_number=True
    )
    cases, strategies = data["case"].drop_duplicates().tolist(), in_order(data["strategy"])
    edge = band(placed, in_order(data["strategy"][placed.edge])[::-1])
    axes.set_xscale("log")
    axes.axvline(1.0, color=FAINT, linewidth=1)
    lines = data["case"].map({case: line for line, case in enumerate(cases)})
    for index, strategy in enumerate(strategies):
        own = data["strategy"] == strategy
        height = lines[own] + SPREAD * ((index + 0.5) / len(strategies) - 0.5)
        _marks(axes, data[own], height, change)
        outside = placed.edge[own]
        if outside.any():
            statuses = _failed(data)[own][outside].fillna("ok").tolist()
            at = height[outside].tolist()
            draw_at_edge(axes, strategy_style(strategy), at, statuses, row=edge.rows[strategy], vertical=True)
    axes.set_xlim(placed.low, edge.end)
    label_cases(axes, cases)
    axes.set_xlabel(change.axis)
    _label_ratios(axes, placed.low, placed.high)
    draw_band(axes, edge.begins, vertical=True)


def _marks(axes: Axes, own: pd.DataFrame, height: pd.Series[float], change: _Change) -> None:
    style = strategy_style(own["strategy"].iloc[0])
    ratio = own[change.ratio]
    decided = (ratio < CLEARLY_LESS) | (ratio > 1 / CLEARLY_LESS)
    if change.interval is not None:
        low, high = (own[end] for end in change.interval)
        decided = ~((low <= 1) & (high >= 1)) & low.notna()
        for which, alpha in ((decided, 1.0), (~decided, UNDECIDED)):
            axes.hlines(height[which], low[which], high[which], color=style.color, alpha=alpha, linewidth=1.2)
    for which, alpha in ((decided, 1.0), (~decided, UNDECIDED)):
        points: dict[str, Any] = {
            "color": style.color,
            "marker": style.marker,
            "linestyle": "none",
            "markersize": 5,
            "alpha": alpha,
        }
        axes.plot(ratio[which], height[which], **points)


def _label_ratios(axes: Axes, low: float, high: float) -> None:
    near = [float(value) for value in MaxNLocator(6).tick_values(low, high) if low <= value <= high]
    axes.xaxis.set_major_locator(FixedLocator(near if high < 4 * low else round_values(2.0, low, high, 7)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _notes(base: Run, head: Run, data: pd.DataFrame) -> tuple[str, ...]:
    apart = [f"The runs cannot be held against each other in time: {what}." for what in differences(base, head)]
    slower, faster = data["seconds_low"] > 1, data["seconds_high"] < 1
    n_known = int(np.isfinite(data["seconds_low"]).sum())
    told = f"Of {n_known} cells with an interval {int(slower.sum())} are slower and {int(faster.sum())} faster with 95 % confidence each"
    chance = "; of as many that did not change, one in twenty would be called so"
    other = data[data["status_head"] != data["status_base"]]
    turned = [
        f"{row['case']}, {row['strategy']}: {row['status_base'].replace('_', ' ')} before, {row['status_head'].replace('_', ' ')} now."
        for row in other.to_dict("records")
    ]
    return (
        *apart,
        f"{told}{chance}." if n_known else "There are no intervals: they take two passes in each run.",
        *turned,
    )
