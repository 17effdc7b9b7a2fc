"""Crossovers along one knob: every strategy's time over that of vjp, and where two of them cost the same."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.sweeps import KNOBS, Sweep, drawable_sweeps
from jacobench.reports.data.units import format_ratio
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.layout import frame, strategy_handles
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.quantities import label_sizes, round_values
from jacobench.reports.plots.small_multiples import grid, name_along, share
from jacobench.reports.plots.style import FAINT, INK, strategy_style, styled
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

MOST_PANELS = 6
MOST_LABELLED = 4
"""Crossings in a panel that have their size beside them; all stand in the notes."""

WITHIN_SIGHT = 4.0
"""An extrapolated crossing is drawn up to this many times the largest size; one further off stands in the notes only."""

BEYOND: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 1.2, "zorder": 1.8}


def ratios(run: Run, phase: str) -> dict[str, Plot]:
    """Draw ratios against each knob that a run sweeps: ``ratio-vs-width``, and so on."""
    rows = run.table[(run.table["phase"] == phase) & (run.table["strategy"] != "forward")]
    rows = rows.reset_index(drop=True)
    if not _drawn(rows).any():
        raise NoData(
            f"no cell of the phase {phase} has a time beside that of {REFERENCE}, to which the others are compared"
        )
    found = {knob: [sweep for sweep in drawable_sweeps(rows, knob) if _lines(sweep)] for knob in KNOBS}
    if not any(found.values()):
        raise NoData(
            f"no strategy beside {REFERENCE} has a time at two sizes of one knob in the phase {phase}; "
            "the suite scaling has such cases"
        )
    return {
        f"ratio-vs-{KNOBS[knob].replace(' ', '-')}": _picture(run, knob, sweeps, phase)
        for knob, sweeps in found.items()
        if sweeps
    }


def _crossings(sweep: Sweep, passes: pd.DataFrame) -> pd.DataFrame:
    """Return where the times of one sweep cross."""
    found = crossovers(sweep.rows, passes)
    return found[(found["quantity"] == "seconds") & (found["knob"] == sweep.knob)]


def _drawn(rows: pd.DataFrame) -> pd.Series[bool]:
    """Say of each row whether it has a ratio to draw."""
    ratio = rows["ratio_to_vjp"]
    return (rows["status"] == "ok") & (rows["strategy"] != REFERENCE) & (ratio > 0) & (ratio < math.inf)


def _lines(sweep: Sweep) -> bool:
    """Say whether some strategy has ratios at two sizes."""
    return bool((sweep.rows[_drawn(sweep.rows)].groupby("strategy")[sweep.knob].nunique() >= 2).any())


def _picture(run: Run, knob: str, sweeps: Sequence[Sweep], phase: str) -> Plot:
    shown = sweeps[:MOST_PANELS]
    rows = pd.concat([sweep.rows.assign(held=sweep.held) for sweep in shown])
    columns = ["held", "case", "strategy", knob, "status", "ratio_to_vjp", "ratio_low", "ratio_high"]
    each = [_crossings(sweep, run.passes) for sweep in shown]
    crossings = pd.concat(each, ignore_index=True)
    several = len(shown) > 1
    with styled():
        figure, panels = grid(len(shown), width=4.4, height=3.6)
        for axes, sweep, own in zip(panels, shown, each, strict=True):
            _panel(axes, sweep, own.to_dict("records"))
        name_along(panels, KNOBS[knob])
        for axes in panels:
            axes.set_ylabel(f"time per call over that of {REFERENCE}")
        title = f"{phase}: time over that of {REFERENCE}, against {KNOBS[knob]}"
        handles = _handles(in_order(rows.loc[_drawn(rows), "strategy"]), crossings)
        frame(figure, title + share(len(shown), len(sweeps), "sweeps, the longest"), handles, run.table)
    caption = (
        f"The time of the phase {phase} over that of {REFERENCE}, each pair from one process, against {KNOBS[knob]}, with 95 % intervals: "
        f"below one a strategy is faster than {REFERENCE}. Where two lines cross, the two cost the same."
    )
    notes = [
        (f"{line['held']}: " if several else "") + told
        for line in crossings.to_dict("records")
        if (told := _told(line))
    ]
    return Plot(figure, rows[columns].reset_index(drop=True), caption, tuple(notes))


def _panel(axes: Axes, sweep: Sweep, crossings: Sequence[Mapping[Any, Any]]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.axhline(1.0, color=strategy_style(REFERENCE).color, linestyle=strategy_style(REFERENCE).line)
    drawn = sweep.rows[_drawn(sweep.rows)]
    for strategy in in_order(drawn["strategy"]):
        own = drawn[drawn["strategy"] == strategy]
        style = strategy_style(strategy)
        ratio = own["ratio_to_vjp"]
        ends = [(ratio - own["ratio_low"]), (own["ratio_high"] - ratio)]
        bars = [end.clip(lower=0).fillna(0).tolist() for end in ends]
        look_of: dict[str, Any] = {"color": style.color, "marker": style.marker, "linestyle": style.line}
        axes.errorbar(own[sweep.knob], ratio, yerr=bars, capsize=2.5, elinewidth=1, **look_of)
    curves: dict[Any, pd.Series[float]] = {
        name: own.set_index(sweep.knob)["ratio_to_vjp"] for name, own in drawn.groupby("strategy")
    }
    curves[REFERENCE] = pd.Series(1.0, index=sweep.sizes)
    marked = [line for line in crossings if _in_sight(line, sweep.sizes[-1])]
    for number, line in enumerate(marked):
        _mark(axes, line, curves, sweep.sizes[-1], labelled=number < MOST_LABELLED)
    furthest = max([sweep.sizes[-1], *(line["size"] for line in marked)])
    room = (furthest / sweep.sizes[0]) ** 0.07
    axes.set_xlim(sweep.sizes[0] / room, furthest * room)
    label_sizes(axes.xaxis, sweep.sizes)
    low, high = (float(end) for end in axes.get_ylim())
    low, high = low / 1.15, high * 1.15
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(round_values(10.0, low, high, 8)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(sweep.held, loc="left")


def _in_sight(line: Mapping[Any, Any], largest: float) -> bool:
    return not math.isnan(line["size"]) and line["size"] <= WITHIN_SIGHT * largest


def _mark(
    axes: Axes, line: Mapping[Any, Any], curves: Mapping[Any, pd.Series[float]], largest: float, *, labelled: bool
) -> None:
    """Draw a ring where two curves cross, and a bar as long as its interval."""
    size, color = line["size"], FAINT if line["extrapolated"] else INK
    height = _height(curves[line["first"]], size)
    axes.plot(size, height, marker="o", mfc="none", mec=color, markersize=11, linestyle="none", zorder=3)
    if not math.isnan(line["low"]):
        axes.hlines(height, line["low"], min(line["high"], WITHIN_SIGHT * largest), color=color, linewidth=3, alpha=0.5)
    if size > largest:
        for name in (line["first"], line["second"]):
            last = curves[name].index[-1]
            axes.plot([last, size], [curves[name].iloc[-1], height], color=strategy_style(name).color, **BEYOND)
    if labelled:
        text, shift, side = (f"≈{size:.3g}", 0, "center") if size > largest else (f"{size:.3g}", 4, "left")
        below: dict[str, Any] = {"xytext": (shift, -17), "textcoords": "offset points", "fontsize": 8}
        axes.annotate(text, (size, height), color=color, ha=side, **below)


def _height(curve: pd.Series[float], size: float) -> float:
    """Return the ratio at a size by straight lines in logarithms, beyond the largest by the last of them."""
    x, y = np.log(curve.index.to_numpy(dtype=float)), np.log(curve.to_numpy(dtype=float))
    at = math.log(size)
    if at > x[-1] and len(x) > 1:
        return math.exp(y[-1] + (at - x[-1]) * (y[-1] - y[-2]) / (x[-1] - x[-2]))
    return math.exp(float(np.interp(at, x, y)))


def _told(line: Mapping[Any, Any]) -> str:
    """Return a crossing as a sentence; empty where two strategies do not even head for one."""
    first, second, of = line["first"], line["second"], KNOBS[line["knob"]]
    interval = "" if math.isnan(line["low"]) else f" [{line['low']:.3g}, {line['high']:.3g}]"
    known = isinstance(line["cheaper"], str)
    ahead = (
        f"{line['cheaper']} is ahead by {format_ratio(line['factor'])}" if known else "which is ahead cannot be told"
    )
    ahead = f"at the largest {ahead}"
    near = "" if math.isnan(line["size"]) else f" near {of} {line['size']:.3g}"
    return {
        "crosses": f"{first} and {second} cross at {of} {line['size']:.3g}{interval}; {ahead}.",
        "undecided": f"Whether {first} and {second} cross{near} is left open by the intervals.",
        "crosses again": f"{first} and {second} cross more than once.",
        "never in the range": f"{first} and {second} do not cross within the sizes measured; extrapolated, they would at {of} "
        f"{line['size']:.3g}{interval}; {ahead}.",
    }.get(line["outcome"], "")


def _handles(strategies: list[str], crossings: pd.DataFrame) -> list[Artist]:
    handles = strategy_handles(strategies)
    reference = strategy_style(REFERENCE)
    handles.append(Line2D([], [], color=reference.color, linestyle=reference.line, label=f"{REFERENCE}: 1×"))
    if crossings["size"].notna().any():
        ring: dict[str, Any] = {"marker": "o", "mfc": "none", "linestyle": "none", "markersize": 11}
        handles.append(Line2D([], [], mec=INK, label="crossing, and as a bar\nits 95 % interval", **ring))
    if crossings["extrapolated"].any():
        handles.append(Line2D([], [], color=INK, label="≈ extrapolated", **BEYOND))
    return handles
