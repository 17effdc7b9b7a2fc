"""Scaling plots: time or memory against one knob, one line per strategy and one panel per sweep, on logarithmic axes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jacobench.bench.row.columns import PHASES, in_phase
from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.analysis.growth import laws_of
from jacobench.reports.analysis.growth_sentences import in_words
from jacobench.reports.analysis.sweeps import KNOBS, Sweep, drawable_sweeps
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.layout import NoData, Plot, below_handles, frame, hollow_handles, strategy_handles
from jacobench.reports.plots.missing_cells import Band, Placed, band, draw_band, hollow, place
from jacobench.reports.plots.quantities import QUANTITIES, PlotQuantity, draw_measured, label_sizes, label_values
from jacobench.reports.plots.small_multiples import panel_grid, share
from jacobench.reports.plots.style import INK, strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jacobench.reports.analysis.power_laws import PowerLaw
    from jacobench.reports.data.run_data import Run
    from jacobench.reports.plots.style import StrategyStyle

MAX_PANELS = 9
POINTS_PER_LAW = 60
MAX_MISFIT = 1.25  # a law that misses a size by a larger factor is only noted, and the points are joined

# Predictions are broad pale lines below the measured ones, so that both are visible where they agree.
FLOOR: dict[str, Any] = {"linestyle": (0, (1, 1.5)), "linewidth": 1.3, "zorder": 1.8}
PREDICTED: dict[str, Any] = {"linestyle": "-", "linewidth": 5.5, "alpha": 0.25, "zorder": 1.6, "solid_capstyle": "butt"}


def scalings(run: Run, phase: str) -> dict[str, Plot]:
    """Draw time and memory against each knob that a run sweeps: ``time-vs-width``, ``memory-vs-width``, and so on."""
    rows = run.table[in_phase(run.table, phase)]
    swept = [knob for knob in KNOBS if drawable_sweeps(rows, knob)]
    if not swept:
        raise NoData(
            f"no two cases of phase {phase} differ in one knob only ({', '.join(KNOBS.values())}); the suite scaling has such cases"
        )
    return {
        f"{quantity.word}-vs-{KNOBS[knob].replace(' ', '-')}": scaling(run.table, knob, key, phase, run.passes)
        for knob in swept
        for key, quantity in QUANTITIES.items()
    }


def scaling(
    table: pd.DataFrame, knob: str, quantity: str, phase: str = "gradient", passes: pd.DataFrame | None = None
) -> Plot:
    """Draw how a quantity of ``QUANTITIES`` grows with a knob of ``KNOBS``, one panel per sweep, at most the nine longest.

    Filled markers are measured, with their 95 % interval. Lines are laws fitted to at least three sizes, with their 95 %
    band if `passes` are given. Broad pale lines are predicted. Hollow markers are cells without a number: at the predicted
    size if they are over budget and near, else in the band on top. The notes are the laws. Raises BadInput if a name is
    unknown, or the table has no sweep over the knob.
    """
    if quantity not in QUANTITIES:
        raise unknown("quantity", quantity, QUANTITIES)
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    rows = table[in_phase(table, phase)].reset_index(drop=True)
    found = drawable_sweeps(rows, knob)
    if not found:
        raise BadInput(f"no sweep over {KNOBS[knob]} in phase {phase}: expected cases that differ in nothing else")
    label = QUANTITIES[quantity].label
    with styled():
        drawing = _drawing(rows, found[:MAX_PANELS], quantity, passes)
        title = f"{phase}: {label} against {KNOBS[knob]}"
        figure = _figure(drawing)
        frame(figure, title + share(len(drawing.sweeps), len(found), "sweeps, the longest"), _handles(drawing), table)
    several = len({line["held"] for _, line in drawing.laws.values()}) > 1
    notes = [(f"{line['held']}: " if several else "") + in_words(line) for _, line in drawing.laws.values()]
    return Plot(figure, _data(drawing), plot_sentences.scaling(label, phase, knob), tuple(notes))


@dataclass(frozen=True)
class _Drawing:
    """Data shared by all panels: sweeps, rows, their positions, and the fitted laws by (panel, strategy)."""

    sweeps: list[Sweep]
    rows: pd.DataFrame
    quantity: PlotQuantity
    placed: Placed
    band: Band
    laws: Mapping[tuple[int, str], tuple[PowerLaw, Mapping[str, Any]]]

    def law(self, number: int, strategy: str) -> PowerLaw | None:
        """Return the law of a strategy in a panel, if one describes the data."""
        law = self.laws.get((number, strategy), (None,))[0]
        return law if law is not None and law.residual <= MAX_MISFIT else None


def _drawing(rows: pd.DataFrame, sweeps: list[Sweep], key: str, passes: pd.DataFrame | None) -> _Drawing:
    rows = rows.loc[sorted({label for sweep in sweeps for label in sweep.rows.index})]
    placed = place(rows, QUANTITIES[key])
    laws = {
        (number, line["strategy"]): (law, line)
        for number, sweep in enumerate(sweeps)
        for law, line in laws_of(sweep, key, passes)
    }
    edge = band(placed, in_order(rows["strategy"][placed.edge]))
    return _Drawing(sweeps, rows, QUANTITIES[key], placed, edge, laws)


def _data(drawing: _Drawing) -> pd.DataFrame:
    """Return one row per cell, with the law at its size if there is one."""
    parts = []
    quantity = drawing.quantity
    columns = [column for column in (*(quantity.interval or ()), quantity.floor, quantity.predicted) if column]
    for number, sweep in enumerate(drawing.sweeps):
        own = drawing.rows.loc[sweep.rows.index]
        for strategy, rows in own.groupby("strategy", sort=False):
            part = rows[["case", "strategy", sweep.knob, "status", quantity.column, *columns]]
            part = part.assign(**{quantity.column: drawing.placed.measured[rows.index]})
            part.insert(0, "held", sweep.held)
            law = drawing.law(number, str(strategy))
            if law is not None:
                low, high = law.band(rows[sweep.knob])
                part = part.assign(fitted=law(rows[sweep.knob]), fitted_low=low, fitted_high=high)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _figure(drawing: _Drawing) -> Figure:
    n_panels = len(drawing.sweeps)
    n_columns = min(n_panels, 3) if n_panels != 4 else 2
    n_lines = math.ceil(n_panels / n_columns)
    size = (3.4 + (4.6 if n_columns == 1 else 3.3 * n_columns), 1.1 + (3.9 if n_lines == 1 else 3.3 * n_lines))
    figure, panels = panel_grid(n_panels, n_columns, size, share_y=True)
    for number, (axes, sweep) in enumerate(zip(panels, drawing.sweeps, strict=True)):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(drawing.placed.low, drawing.band.end)
        _panel(axes, number, sweep, drawing)
        axes.set_title(_panel_title(number, sweep, drawing, 64 if n_columns == 1 else 48), loc="left")
        axes.set_xlabel(KNOBS[sweep.knob])
    label_values(panels[0].yaxis, drawing.quantity, drawing.placed.ends)
    for axes in panels[::n_columns]:
        axes.set_ylabel(drawing.quantity.label)
    return figure


def _panel(axes: Axes, number: int, sweep: Sweep, drawing: _Drawing) -> None:
    rows, placed, knob = drawing.rows.loc[sweep.rows.index], drawing.placed, sweep.knob
    for strategy in in_order(rows["strategy"]):
        own = rows[rows["strategy"] == strategy]
        style, law = strategy_style(strategy), drawing.law(number, strategy)
        _draw_bounds(axes, own, knob, drawing, style)
        values = placed.measured[own.index]  # NaN breaks the line: it must not pass through a cell without a number
        ends = [own[column] for column in drawing.quantity.interval or ()]
        draw_measured(axes, own[knob], values, ends, replace(style, line="none") if law else style)
        if law is not None:
            _draw_law(axes, law, own.loc[values.notna(), knob], style)
        axes.plot(own[knob], placed.hollow[own.index], **hollow(style), zorder=3)
    draw_band(axes, drawing.band, rows.assign(at=rows[knob])[placed.edge[rows.index]], vertical=False)
    margin = (sweep.sizes[-1] / sweep.sizes[0]) ** 0.07
    axes.set_xlim(sweep.sizes[0] / margin, sweep.sizes[-1] * margin)
    label_sizes(axes.xaxis, sweep.sizes)


def _draw_bounds(axes: Axes, own: pd.DataFrame, knob: str, drawing: _Drawing, style: StrategyStyle) -> None:
    """Draw the predicted numbers and the floor of a strategy, where the quantity has them."""
    if drawing.quantity.predicted is not None:
        predicted = own[drawing.quantity.predicted].where(lambda value: value > 0)
        (line,) = axes.plot(own[knob], predicted, color=style.color, **PREDICTED)
        line.set_clip_path(Rectangle((0, 0), 1, drawing.band.begins, transform=axes.transAxes))  # the band has no scale
    if drawing.quantity.floor is not None:
        axes.plot(own[knob], own[drawing.quantity.floor], color=style.color, **FLOOR)


def _draw_law(axes: Axes, law: PowerLaw, sizes: pd.Series[float], style: StrategyStyle) -> None:
    at = np.geomspace(sizes.min(), sizes.max(), POINTS_PER_LAW)
    axes.plot(at, law(at), color=style.color, linestyle=style.line)
    low, high = law.band(at)
    if np.isfinite(low).all():
        axes.fill_between(at, low, high, color=style.color, alpha=0.25, linewidth=0, zorder=1.7)


def _panel_title(number: int, sweep: Sweep, drawing: _Drawing, width: int) -> str:
    exponents = []
    for strategy in in_order(sweep.rows["strategy"]):
        law = drawing.law(number, strategy)
        if law is not None:
            error = (law.high - law.low) / 2
            spread = "" if math.isnan(error) else f"\u00a0±\u00a0{error:.2f}"
            exponents.append(f"{strategy}\u00a0{law.exponent:.2f}{spread}")
    fitted = f"exponent: {', '.join(exponents)}" if exponents else ""
    return "\n".join(fill(line, width, break_on_hyphens=False) for line in (sweep.held, fitted) if line)


def _handles(drawing: _Drawing) -> list[Artist]:
    rows, placed, quantity = drawing.rows, drawing.placed, drawing.quantity
    handles = strategy_handles(rows["strategy"])
    if any(law.covariance and law.residual <= MAX_MISFIT for law, _ in drawing.laws.values()):
        handles.append(Patch(color=INK, alpha=0.25, linewidth=0, label="95 % band of the fitted law"))
    if quantity.predicted is not None and rows[quantity.predicted].notna().any():
        handles.append(Line2D([], [], color=INK, label="predicted from the shapes", **PREDICTED))
    if quantity.floor is not None and rows[quantity.floor].notna().any():
        handles.append(Line2D([], [], color=INK, label="floor: lower bound for\nthe same work", **FLOOR))
    any_predicted = bool(placed.hollow.notna().any())
    handles += below_handles(any_below=bool(placed.below.any()))
    return [*handles, *hollow_handles(rows["status"][placed.edge], "in the band on top", any_predicted=any_predicted)]
