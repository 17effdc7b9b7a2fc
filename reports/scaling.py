"""Scaling plots: time or memory against one knob, a line a strategy, a panel a sweep, on logarithmic axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from jacobench.bench.columns import PHASES
from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.edges import Band, Placed, band, draw_at_edge, draw_band, hollow, place
from jacobench.reports.frames import frame, hollow_handles, strategy_handles
from jacobench.reports.quantities import QUANTITIES, Quantity, label_sizes, label_values
from jacobench.reports.style import in_order, look, styled
from jacobench.reports.sweeps import KNOBS, Sweep, drawable_sweeps, local_slope

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_PANELS = 9

# A broad pale line under the measured one: where the two agree both are seen, whatever the strategy's own line is.
FLOOR: dict[str, Any] = {"linestyle": (0, (1, 1.5)), "linewidth": 1.3, "zorder": 1.8}
PREDICTED: dict[str, Any] = {"linestyle": "-", "linewidth": 5.5, "alpha": 0.25, "zorder": 1.6, "solid_capstyle": "butt"}


def scaling(table: pd.DataFrame, knob: str, quantity: str, phase: str = "gradient") -> Figure:
    """Draw how time or memory grows with one knob.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    knob : str
        A key of ``KNOBS``: what is on the horizontal axis.
    quantity : str
        A key of ``QUANTITIES``: ``"seconds"`` or ``"bytes"``.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    Figure
        One panel for each sweep over the knob (the nine longest, where there are more; the title says so). Filled markers
        are measured, with their 95 % interval where there is one; broad pale lines are predicted; hollow markers are cells
        without a number: at the predicted size if they were over budget and it is within reach, else in the band on top.

    Raises
    ------
    BadInput
        If knob, quantity or phase are unknown, or the table has no sweep over the knob.
    """
    if quantity not in QUANTITIES:
        raise unknown("quantity", quantity, QUANTITIES)
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    rows = table[table["phase"] == phase].reset_index(drop=True)
    found = drawable_sweeps(rows, knob)
    if not found:
        raise BadInput(f"no sweep over {KNOBS[knob]} in phase {phase}: expected cases that differ in nothing else")
    with styled():
        picture = _picture(rows, found, QUANTITIES[quantity])
        title = f"{phase}: {QUANTITIES[quantity].axis} against {KNOBS[knob]}"
        return _figure(table, found, picture, title)


@dataclass(frozen=True)
class _Picture:
    """What all panels share: the rows with a column ``predicted``, and where each of them is drawn."""

    rows: pd.DataFrame
    quantity: Quantity
    placed: Placed
    band: Band


def _picture(rows: pd.DataFrame, found: list[Sweep], quantity: Quantity) -> _Picture:
    predicted = quantity.predicted(rows)  # of all rows: a strategy's rate is not a matter of which ones are drawn
    drawn = sorted({label for sweep in found[:MOST_PANELS] for label in sweep.rows.index})
    rows = rows.assign(predicted=predicted).loc[drawn]
    placed = place(rows, quantity)
    return _Picture(rows, quantity, placed, band(placed, in_order(rows["strategy"][placed.edge])))


def _figure(table: pd.DataFrame, found: list[Sweep], picture: _Picture, title: str) -> Figure:
    shown = found[:MOST_PANELS]
    n_columns = min(len(shown), 3) if len(shown) != 4 else 2
    n_lines = math.ceil(len(shown) / n_columns)
    size = (3.4 + (4.6 if n_columns == 1 else 3.3 * n_columns), 1.1 + (3.9 if n_lines == 1 else 3.3 * n_lines))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_lines, n_columns, squeeze=False, sharey=True)
    for axes, sweep in zip(grid.flat, shown, strict=False):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(picture.placed.low, picture.band.end)
        draw_band(axes, picture.band.begins, vertical=False)
        _panel(axes, sweep, picture)
        axes.set_title(_panel_title(sweep, picture, 76 if n_columns == 1 else 48), loc="left")
        axes.set_xlabel(KNOBS[sweep.knob])
    label_values(grid[0, 0].yaxis, picture.quantity, picture.placed)
    for axes in grid[:, 0]:
        axes.set_ylabel(picture.quantity.axis)
    for axes in grid.flat[len(shown) :]:
        axes.remove()
    kept = "" if len(shown) == len(found) else f" ({len(shown)} of {len(found)} sweeps, the longest)"
    frame(figure, title + kept, _handles(picture), table)
    return figure


def _panel(axes: Axes, sweep: Sweep, picture: _Picture) -> None:
    rows, placed = picture.rows.loc[sweep.rows.index], picture.placed
    for strategy in in_order(rows["strategy"]):
        own = rows[rows["strategy"] == strategy]
        sizes = own[sweep.knob]
        style = look(strategy)
        (line,) = axes.plot(sizes, own["predicted"], color=style.color, **PREDICTED)
        line.set_clip_path(Rectangle((0, 0), 1, picture.band.begins, transform=axes.transAxes))  # the band has no scale
        axes.errorbar(
            sizes,
            placed.measured[own.index],  # NaN breaks the line: it must not lead through a cell that has no number
            yerr=_error_bars(own, picture.quantity),
            color=style.color,
            marker=style.marker,
            linestyle=style.line,
            capsize=2.5,
            elinewidth=1,
        )
        if picture.quantity.floor is not None:
            axes.plot(sizes, own[picture.quantity.floor], color=style.color, **FLOOR)
        axes.plot(sizes, placed.hollow[own.index], **hollow(style), zorder=3)
        outside = placed.edge[own.index]
        if outside.any():
            statuses = own["status"][outside].tolist()
            draw_at_edge(
                axes, style, sizes[outside].tolist(), statuses, row=picture.band.rows[strategy], vertical=False
            )
    room = (sweep.sizes[-1] / sweep.sizes[0]) ** 0.07
    axes.set_xlim(sweep.sizes[0] / room, sweep.sizes[-1] * room)
    label_sizes(axes.xaxis, sweep.sizes)


def _error_bars(rows: pd.DataFrame, quantity: Quantity) -> list[list[float]] | None:
    """Return the distances down and up to the interval's ends; 0 where there is no interval."""
    if quantity.interval is None:
        return None
    low, high = (rows[end] for end in quantity.interval)
    value = rows[quantity.measured]
    # The interval is that of the geometric mean: the median can lie outside, and a bar has no negative length.
    return [side.clip(lower=0).fillna(0).tolist() for side in (value - low, high - value)]


def _panel_title(sweep: Sweep, picture: _Picture, width: int) -> str:
    slopes = []
    for strategy in in_order(sweep.rows["strategy"]):
        own = sweep.rows[sweep.rows["strategy"] == strategy]
        slope = local_slope(own[sweep.knob], picture.placed.measured[own.index])
        if not math.isnan(slope):
            slopes.append(f"{strategy}\u00a0{slope:z.1f}")
    ends = f"slope over the last two octaves: {', '.join(slopes)}" if slopes else ""
    return "\n".join(fill(line, width, break_on_hyphens=False) for line in (sweep.held, ends) if line)


def _handles(picture: _Picture) -> list[Artist]:
    handles: list[Artist] = strategy_handles(in_order(picture.rows["strategy"]))
    if picture.rows["predicted"].notna().any():
        handles.append(Line2D([], [], color="#404040", label=picture.quantity.prediction, **PREDICTED))
    floor = picture.quantity.floor
    if floor is not None and picture.rows[floor].notna().any():
        handles.append(Line2D([], [], color="#404040", label="floor: what the work\nitself takes here", **FLOOR))
    statuses = picture.rows["status"][picture.placed.edge]
    return [*handles, *hollow_handles(statuses, "on top", any_predicted=bool(picture.placed.hollow.notna().any()))]
