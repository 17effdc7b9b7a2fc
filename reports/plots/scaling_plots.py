"""Scaling plots: time or memory against one knob, a line a strategy, a panel a sweep, on logarithmic axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jacobench.bench.row.columns import PHASES
from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.analysis.growth import in_words, laws_of
from jacobench.reports.analysis.sweeps import KNOBS, Sweep, drawable_sweeps
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.layout import frame, hollow_handles, strategy_handles
from jacobench.reports.plots.missing_cells import Band, Placed, band, draw_at_edge, draw_band, hollow, place
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.quantities import QUANTITIES, Quantity, label_sizes, label_values
from jacobench.reports.plots.style import INK, strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.reports.analysis.power_laws import PowerLaw
    from jacobench.reports.data.run_data import Run
    from jacobench.reports.plots.style import StrategyStyle

MOST_PANELS = 9
POINTS_OF_A_LAW = 60

WORST_MISFIT = 1.25
"""A law that misses a size by a larger factor is no description: it stays in the notes, and the points are joined instead."""

# A broad pale line under the measured one: where the two agree both are seen, whatever the strategy's own line is.
FLOOR: dict[str, Any] = {"linestyle": (0, (1, 1.5)), "linewidth": 1.3, "zorder": 1.8}
PREDICTED: dict[str, Any] = {"linestyle": "-", "linewidth": 5.5, "alpha": 0.25, "zorder": 1.6, "solid_capstyle": "butt"}


def scalings(run: Run, phase: str) -> dict[str, Plot]:
    """Draw time and memory against each knob that a run sweeps: ``time-vs-width``, ``memory-vs-width``, and so on."""
    rows = run.table[run.table["phase"] == phase]
    swept = [knob for knob in KNOBS if drawable_sweeps(rows, knob)]
    if not swept:
        raise NoData(
            f"no two cases of the phase {phase} differ in one knob alone ({', '.join(KNOBS.values())}); "
            "the suite scaling has such cases"
        )
    return {
        f"{quantity.word}-vs-{KNOBS[knob].replace(' ', '-')}": scaling(run.table, knob, key, phase, run.passes)
        for knob in swept
        for key, quantity in QUANTITIES.items()
    }


def scaling(
    table: pd.DataFrame, knob: str, quantity: str, phase: str = "gradient", passes: pd.DataFrame | None = None
) -> Plot:
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
    passes : DataFrame, optional
        What each pass measured; without it the fitted laws have no band.

    Returns
    -------
    Plot
        One panel for each sweep over the knob (the nine longest, where there are more; the title says so). Filled markers
        are measured, with their 95 % interval where there is one; lines are laws fitted to them, with their 95 % band, from three sizes
        on; broad pale lines are predicted; hollow markers are cells without a number: at the predicted size if they were
        over budget and it is within reach, else in the band on top. Its notes are the laws.

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
    of = QUANTITIES[quantity]
    with styled():
        drawing = _drawing(rows, found, quantity, passes)
        figure = _figure(table, found, drawing, f"{phase}: {of.axis} against {KNOBS[knob]}")
    several = len({line["held"] for _, line in drawing.laws.values()}) > 1
    notes = [(f"{line['held']}: " if several else "") + in_words(line) for _, line in drawing.laws.values()]
    caption = (
        f"The {of.axis} of the phase {phase} against {KNOBS[knob]}, on logarithmic axes, where a power of the {KNOBS[knob]} is a "
        "straight line. Filled markers are measured; lines are laws fitted to them, or join them where none comes within 25 %."
    )
    return Plot(figure, _data(found, drawing), caption, tuple(notes))


@dataclass(frozen=True)
class _Drawing:
    """What all panels share: the rows, where each of them is drawn, and the fitted laws."""

    rows: pd.DataFrame
    quantity: Quantity
    placed: Placed
    band: Band
    laws: Mapping[tuple[int, str], tuple[PowerLaw, Mapping[str, Any]]]

    def law(self, number: int, strategy: str) -> PowerLaw | None:
        """Return the law of a strategy in a panel, if there is one that describes what was measured."""
        law = self.laws.get((number, strategy), (None,))[0]
        return law if law is not None and law.residual <= WORST_MISFIT else None


def _drawing(rows: pd.DataFrame, found: list[Sweep], key: str, passes: pd.DataFrame | None) -> _Drawing:
    quantity = QUANTITIES[key]
    drawn = sorted({label for sweep in found[:MOST_PANELS] for label in sweep.rows.index})
    rows = rows.loc[drawn]
    placed = place(rows, quantity)
    laws = {
        (number, line["strategy"]): (law, line)
        for number, sweep in enumerate(found[:MOST_PANELS])
        for law, line in laws_of(sweep, key, passes)
    }
    return _Drawing(rows, quantity, placed, band(placed, in_order(rows["strategy"][placed.edge])), laws)


def _data(found: list[Sweep], drawing: _Drawing) -> pd.DataFrame:
    """Return every mark of the picture: a line a cell, with the law at its size where there is one."""
    lines = []
    quantity = drawing.quantity
    columns = (*(quantity.interval or ()), quantity.floor, quantity.predicted)
    for number, sweep in enumerate(found[:MOST_PANELS]):
        own = drawing.rows.loc[sweep.rows.index]
        for strategy, rows in own.groupby("strategy", sort=False):
            law = drawing.law(number, str(strategy))
            part = pd.DataFrame(
                {
                    "held": sweep.held,
                    "case": rows["case"],
                    "strategy": strategy,
                    sweep.knob: rows[sweep.knob],
                    "status": rows["status"],
                    quantity.measured: drawing.placed.measured[rows.index],
                    **{column: rows[column] for column in columns if column},
                }
            )
            if law is not None:
                low, high = law.band(rows[sweep.knob])
                part = part.assign(fitted=law(rows[sweep.knob]), fitted_low=low, fitted_high=high)
            lines.append(part)
    return pd.concat(lines, ignore_index=True)


def _figure(table: pd.DataFrame, found: list[Sweep], drawing: _Drawing, title: str) -> Figure:
    shown = found[:MOST_PANELS]
    n_columns = min(len(shown), 3) if len(shown) != 4 else 2
    n_lines = math.ceil(len(shown) / n_columns)
    size = (3.4 + (4.6 if n_columns == 1 else 3.3 * n_columns), 1.1 + (3.9 if n_lines == 1 else 3.3 * n_lines))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_lines, n_columns, squeeze=False, sharey=True)
    for number, (axes, sweep) in enumerate(zip(grid.flat, shown, strict=False)):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(drawing.placed.low, drawing.band.end)
        draw_band(axes, drawing.band.begins, vertical=False)
        _panel(axes, number, sweep, drawing)
        axes.set_title(_panel_title(number, sweep, drawing, 64 if n_columns == 1 else 48), loc="left")
        axes.set_xlabel(KNOBS[sweep.knob])
    label_values(grid[0, 0].yaxis, drawing.quantity, drawing.placed)
    for axes in grid[:, 0]:
        axes.set_ylabel(drawing.quantity.axis)
    for axes in grid.flat[len(shown) :]:
        axes.remove()
    kept = "" if len(shown) == len(found) else f" ({len(shown)} of {len(found)} sweeps, the longest)"
    frame(figure, title + kept, _handles(drawing), table)
    return figure


def _panel(axes: Axes, number: int, sweep: Sweep, drawing: _Drawing) -> None:
    rows, placed = drawing.rows.loc[sweep.rows.index], drawing.placed
    for strategy in in_order(rows["strategy"]):
        own = rows[rows["strategy"] == strategy]
        sizes = own[sweep.knob]
        style = strategy_style(strategy)
        law = drawing.law(number, strategy)
        if drawing.quantity.predicted is not None:
            expected = own[drawing.quantity.predicted].where(lambda value: value > 0)
            (line,) = axes.plot(sizes, expected, color=style.color, **PREDICTED)
            line.set_clip_path(
                Rectangle((0, 0), 1, drawing.band.begins, transform=axes.transAxes)
            )  # which has no scale
        axes.errorbar(
            sizes,
            placed.measured[own.index],  # NaN breaks the line: it must not lead through a cell that has no number
            yerr=_error_bars(own, drawing.quantity),
            color=style.color,
            marker=style.marker,
            linestyle="none" if law else style.line,
            capsize=2.5,
            elinewidth=1,
        )
        if law is not None:
            _draw_law(axes, law, own.loc[placed.measured[own.index].notna(), sweep.knob], style)
        if drawing.quantity.floor is not None:
            axes.plot(sizes, own[drawing.quantity.floor], color=style.color, **FLOOR)
        axes.plot(sizes, placed.hollow[own.index], **hollow(style), zorder=3)
        outside = placed.edge[own.index]
        if outside.any():
            statuses = own["status"][outside].tolist()
            draw_at_edge(
                axes, style, sizes[outside].tolist(), statuses, row=drawing.band.rows[strategy], vertical=False
            )
    room = (sweep.sizes[-1] / sweep.sizes[0]) ** 0.07
    axes.set_xlim(sweep.sizes[0] / room, sweep.sizes[-1] * room)
    label_sizes(axes.xaxis, sweep.sizes)


def _draw_law(axes: Axes, law: PowerLaw, sizes: pd.Series[float], style: StrategyStyle) -> None:
    at = np.geomspace(sizes.min(), sizes.max(), POINTS_OF_A_LAW)
    axes.plot(at, law(at), color=style.color, linestyle=style.line)
    low, high = law.band(at)
    if np.isfinite(low).all():
        axes.fill_between(at, low, high, color=style.color, alpha=0.25, linewidth=0, zorder=1.7)


def _error_bars(rows: pd.DataFrame, quantity: Quantity) -> list[list[float]] | None:
    """Return the distances down and up to the interval's ends; 0 where there is no interval."""
    if quantity.interval is None:
        return None
    low, high = (rows[end] for end in quantity.interval)
    value = rows[quantity.measured]
    # The interval is that of the geometric mean: the median can lie outside, and a bar has no negative length.
    return [side.clip(lower=0).fillna(0).tolist() for side in (value - low, high - value)]


def _panel_title(number: int, sweep: Sweep, drawing: _Drawing, width: int) -> str:
    exponents = []
    for strategy in in_order(sweep.rows["strategy"]):
        law = drawing.law(number, strategy)
        if law is not None:
            reach = (law.high - law.low) / 2
            exponents.append(
                f"{strategy}\u00a0{law.exponent:.2f}" + ("" if math.isnan(reach) else f"\u00a0±\u00a0{reach:.2f}")
            )
    ends = f"exponent: {', '.join(exponents)}" if exponents else ""
    return "\n".join(fill(line, width, break_on_hyphens=False) for line in (sweep.held, ends) if line)


def _handles(drawing: _Drawing) -> list[Artist]:
    handles: list[Artist] = strategy_handles(in_order(drawing.rows["strategy"]))
    if any(law.covariance and law.residual <= WORST_MISFIT for law, _ in drawing.laws.values()):
        handles.append(Patch(color=INK, alpha=0.25, linewidth=0, label="95 % band of the fitted law"))
    predicted = drawing.quantity.predicted
    if predicted is not None and drawing.rows[predicted].notna().any():
        handles.append(Line2D([], [], color=INK, label="predicted from the\nshapes alone", **PREDICTED))
    floor = drawing.quantity.floor
    if floor is not None and drawing.rows[floor].notna().any():
        handles.append(Line2D([], [], color=INK, label="floor: what the work\nitself takes here", **FLOOR))
    statuses = drawing.rows["status"][drawing.placed.edge]
    return [
        *handles,
        *hollow_handles(statuses, "in the band on top", any_predicted=bool(drawing.placed.hollow.notna().any())),
    ]
