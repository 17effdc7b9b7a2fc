"""Crossovers along one knob: the ratio of every strategy's time to vjp's, and where two strategies take the same time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from jacobench.bench.row.columns import FORWARD, in_phase
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.doubts import spreads
from jacobench.reports.analysis.sweeps import KNOBS, Sweep, drawable_sweeps
from jacobench.reports.data.limit_sentences import could_win
from jacobench.reports.data.units import format_size
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.layout import NoData, Plot, frame, legend_mark, reference_handle, strategy_handles
from jacobench.reports.plots.quantities import draw_measured, label_ratios, label_sizes
from jacobench.reports.plots.small_multiples import grid, name_along, share
from jacobench.reports.plots.style import FAINT, INK, strategy_style, styled
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

MAX_PANELS = 6
MAX_LABELS = 4  # crossovers of a panel that are labelled with their size; the notes list all
MAX_EXTRAPOLATION = 4.0  # an extrapolated crossover is drawn up to this many times the largest size; beyond, only noted
EXTRAPOLATED: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 1.2, "zorder": 1.8}
RING: dict[str, Any] = {"marker": "o", "mfc": "none", "linestyle": "none", "markersize": 11}


def ratios(run: Run, phase: str) -> dict[str, Plot]:
    """Draw ratios against each knob that a run sweeps: ``ratio-vs-width``, and so on."""
    rows = run.table[in_phase(run.table, phase) & (run.table["strategy"] != FORWARD)].reset_index(drop=True)
    if not has_ratio(rows).any():
        raise NoData(f"no cell of phase {phase} has a time and one of {REFERENCE}, the reference of the ratios")
    found = {knob: drawn_sweeps(rows, knob) for knob in KNOBS}
    if not any(found.values()):
        raise NoData(
            f"no strategy except {REFERENCE} has times at two sizes of one knob in phase {phase}; the suite scaling has such cases"
        )
    return {
        f"ratio-vs-{KNOBS[knob].replace(' ', '-')}": _plot(run, knob, sweeps, phase)
        for knob, sweeps in found.items()
        if sweeps
    }


def has_ratio(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return whether each row has a ratio to draw."""
    ratio = rows["ratio_to_vjp"]
    return (rows["status"] == "ok") & (rows["strategy"] != REFERENCE) & (ratio > 0) & (ratio < math.inf)


def drawn_sweeps(rows: pd.DataFrame, knob: str) -> list[Sweep]:
    """Return the sweeps over a knob that have a line to draw."""
    return [sweep for sweep in drawable_sweeps(rows, knob) if has_line(sweep)]


def has_line(sweep: Sweep) -> bool:
    """Return whether any strategy has ratios at two sizes."""
    return bool((sweep.rows[has_ratio(sweep.rows)].groupby("strategy")[sweep.knob].nunique() >= 2).any())


def _plot(run: Run, knob: str, sweeps: Sequence[Sweep], phase: str) -> Plot:
    shown = sweeps[:MAX_PANELS]
    rows = pd.concat([sweep.rows.assign(held=sweep.held) for sweep in shown])
    columns = ["held", "case", "strategy", knob, "status", "ratio_to_vjp", "ratio_low", "ratio_high"]
    found = [crossovers(sweep.rows, run.passes) for sweep in shown]
    by_sweep = [own[(own["quantity"] == "seconds") & (own["knob"] == knob)] for own in found]
    crossings = pd.concat(by_sweep, ignore_index=True)
    with styled():
        figure, panels = grid(len(shown), width=4.4, height=3.6)
        for axes, sweep, own in zip(panels, shown, by_sweep, strict=True):
            sweep_panel(axes, sweep, own.to_dict("records"))
            axes.set_ylabel(f"time / time of {REFERENCE}")
        name_along(panels, KNOBS[knob])
        title = f"{phase}: time relative to {REFERENCE} against {KNOBS[knob]}"
        handles = sweep_handles(rows.loc[has_ratio(rows), "strategy"], crossings)
        frame(figure, title + share(len(shown), len(sweeps), "sweeps, the longest"), handles, run.table)
    several = len(shown) > 1
    noted = [
        (line["held"], plot_sentences.crossover(line, could_win(spreads([line["could_win"]]))))
        for line in crossings.to_dict("records")
    ]
    notes = tuple((f"{held}: " if several else "") + note for held, note in noted if note)
    return Plot(figure, rows[columns].reset_index(drop=True), plot_sentences.crossings(phase, knob), notes)


def sweep_panel(axes: Axes, sweep: Sweep, crossings: Sequence[Mapping[Any, Any]]) -> None:
    """Draw the ratios of a sweep, with its crossovers as lines of `crossovers`."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.axhline(1.0, color=strategy_style(REFERENCE).color, linestyle=strategy_style(REFERENCE).line)
    drawn = sweep.rows[has_ratio(sweep.rows)]
    curves: dict[Any, pd.Series[float]] = {REFERENCE: pd.Series(1.0, index=sweep.sizes)}
    for strategy in in_order(drawn["strategy"]):
        own = drawn[drawn["strategy"] == strategy]
        ends = (own["ratio_low"], own["ratio_high"])
        draw_measured(axes, own[sweep.knob], own["ratio_to_vjp"], ends, strategy_style(strategy))
        curves[strategy] = own.set_index(sweep.knob)["ratio_to_vjp"]
    smallest, largest = sweep.sizes[0], sweep.sizes[-1]
    marked = [line for line in crossings if line["size"] <= MAX_EXTRAPOLATION * largest]  # False for NaN
    for number, line in enumerate(marked):
        _mark(axes, line, curves, largest, labelled=number < MAX_LABELS)
    end = max([largest, *(line["size"] for line in marked)])
    margin = (end / smallest) ** 0.07
    axes.set_xlim(smallest / margin, end * margin)
    label_sizes(axes.xaxis, sweep.sizes)
    low, high = (float(end) for end in axes.get_ylim())
    axes.set_ylim(low / 1.15, high * 1.15)
    label_ratios(axes.yaxis, low / 1.15, high * 1.15)
    axes.set_title(sweep.held, loc="left")


def _mark(
    axes: Axes, line: Mapping[Any, Any], curves: Mapping[Any, pd.Series[float]], largest: float, *, labelled: bool
) -> None:
    """Draw a ring at a crossover, and a bar for its interval."""
    size, color = line["size"], FAINT if line["extrapolated"] else INK
    height = _height(curves[line["first"]], size)
    axes.plot(size, height, mec=color, **RING, zorder=3)
    if not math.isnan(line["low"]):
        end = min(line["high"], MAX_EXTRAPOLATION * largest)
        axes.hlines(height, line["low"], end, color=color, linewidth=3, alpha=0.5)
    if size > largest:
        for name in (line["first"], line["second"]):
            last = curves[name].index[-1]
            axes.plot([last, size], [curves[name].iloc[-1], height], color=strategy_style(name).color, **EXTRAPOLATED)
    if labelled:
        text, shift, side = (f"≈{format_size(size)}", 0, "center") if size > largest else (format_size(size), 4, "left")
        below: dict[str, Any] = {"xytext": (shift, -17), "textcoords": "offset points", "fontsize": 8}
        axes.annotate(text, (size, height), color=color, ha=side, **below)


def _height(curve: pd.Series[float], size: float) -> float:
    """Return the ratio at a size, interpolated in logarithms; beyond the largest size, the last segment is extended."""
    x, y = np.log(curve.index.to_numpy(dtype=float)), np.log(curve.to_numpy(dtype=float))
    at = math.log(size)
    if at > x[-1] and len(x) > 1:
        return math.exp(y[-1] + (at - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2]))
    return math.exp(float(np.interp(at, x, y)))


def sweep_handles(strategies: pd.Series[str], crossings: pd.DataFrame) -> list[Artist]:
    """Return the legend's entries of panels of sweeps, from their strategies and crossovers."""
    handles = [*strategy_handles(strategies), reference_handle()]
    if crossings["size"].notna().any():
        handles.append(legend_mark("crossover; the bar is\nits 95 % interval", mec=INK, **RING))
    if crossings["extrapolated"].any():
        handles.append(Line2D([], [], color=INK, label="≈ extrapolated", **EXTRAPOLATED))
    return handles
