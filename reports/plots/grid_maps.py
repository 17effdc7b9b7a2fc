"""Maps over two knobs: who is ahead at each place, by what factor, and where that cannot be told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jacobench.reports.analysis.grids import Grid, find_grids
from jacobench.reports.analysis.recommendation import NO_WINNER, recommend
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.data.units import format_ratio
from jacobench.reports.data.vocabulary import LETTERS, in_order, words
from jacobench.reports.plots.layout import frame, hollow_handles
from jacobench.reports.plots.missing_cells import hollow
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import elided, folded, share
from jacobench.reports.plots.style import FAINT, GRID, INK, PAPER, strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

MOST_PANELS = 4
MOST_HOLLOW = 4
"""In a place of the map; more do not fit beside each other."""

PALEST, DARKEST = 0.15, 0.6
"""Opacity at a factor of one, and of ten and more: at any darker the text on it could not be read."""

DOUBT = "//"
PLACE = (1.15, 0.95)
"""Inches of a place, along and up."""

WIDEST = 12.0
"""Inches of all panels side by side."""


def maps(run: Run, phase: str) -> dict[str, Plot]:
    """Draw who is ahead over each two knobs that a run sweeps together: ``map-width-batch``, and so on."""
    rows = run.table[(run.table["phase"] == phase) & (run.table["strategy"] != "forward")]
    grids = find_grids(rows)
    if not grids:
        raise NoData(
            f"no cases of the phase {phase} form a grid over two knobs ({', '.join(KNOBS.values())}); "
            "the suite crossover has such cases"
        )
    winners = recommend(run.table, run.passes, phase).set_index("case")
    of = winners.loc[[case for case in winners.index if any((grid.rows["case"] == case).any() for grid in grids)]]
    if of["strategy"].isna().all():
        known = (rows["status"] == "ok").any()
        raise NoData(
            "the run recorded no single passes, from which a winner is told: an earlier version wrote it"
            if known
            else f"no strategy has a time for the phase {phase} at any place of the grid"
        )
    pairs = dict.fromkeys((grid.x, grid.y) for grid in grids)
    names = {pair: "-".join(KNOBS[knob].replace(" ", "-") for knob in pair) for pair in pairs}
    return {
        f"map-{name}": _picture(run.table, [grid for grid in grids if (grid.x, grid.y) == pair], winners, phase)
        for pair, name in names.items()
    }


def _picture(table: pd.DataFrame, grids: Sequence[Grid], winners: pd.DataFrame, phase: str) -> Plot:
    shown = grids[:MOST_PANELS]
    places = [_places(grid, winners) for grid in shown]
    data = pd.concat(places, ignore_index=True)
    of = " and ".join(KNOBS[knob] for knob in (shown[0].x, shown[0].y))
    with styled():
        figure, panels = _panels(shown)
        for axes, grid, own in zip(panels, shown, places, strict=True):
            _panel(axes, grid, own)
        title = f"{phase}: who is ahead in time, over {of}" + share(len(shown), len(grids), "grids")
        frame(figure, title, _handles(data, _failed(pd.concat([grid.rows for grid in shown]))), table)
    caption = (
        f"The fastest strategy for the phase {phase} at each place of a grid over {of}; the number says how many times as long "
        "the runner-up takes. Hatched: no winner, as the intervals do not keep the two apart. Hollow markers have no number; a letter says why."
    )
    return Plot(figure, data, caption, _notes(data))


def _panels(grids: Sequence[Grid]) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel a grid, side by side as far as the paper is wide."""
    wide, high = (max(len(grid.sizes(knob)) for grid in grids) for knob in (grids[0].x, grids[0].y))
    width, height = PLACE[0] * wide + 0.8, PLACE[1] * high + 0.7
    n_columns = max(1, min(len(grids), int(WIDEST / width)))
    n_rows = math.ceil(len(grids) / n_columns)
    figure = Figure(figsize=(2.8 + width * n_columns, 0.9 + height * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
    for spare in axes[len(grids) :]:
        spare.remove()
    return figure, axes[: len(grids)]


def _places(grid: Grid, winners: pd.DataFrame) -> pd.DataFrame:
    """Return a line a place of the grid: where it is, who is ahead there, and what has no number."""
    lines = []
    for case, rows in grid.rows.groupby("case", sort=False):
        without = "; ".join(f"{name}: {words(status)}" for name, status in _failed(rows))
        knobs = rows.iloc[0][[grid.x, grid.y]].to_dict()
        lines.append({"held": grid.held, **knobs, "case": case, **winners.loc[case].to_dict(), "without": without})
    return pd.DataFrame(lines)


def _failed(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return strategy and status of every row that has no number."""
    failed = rows[rows["status"] != "ok"]
    return list(zip(failed["strategy"], failed["status"], strict=True))


def _panel(axes: Axes, grid: Grid, places: pd.DataFrame) -> None:
    columns, rows = ({size: at for at, size in enumerate(grid.sizes(knob))} for knob in (grid.x, grid.y))
    for place in places.to_dict("records"):
        at = columns[place[grid.x]], rows[place[grid.y]]
        _place(axes, *at, place)
        _hollow(axes, *at, _failed(grid.rows[grid.rows["case"] == place["case"]]))
    for axis, found, knob in ((axes.xaxis, columns, grid.x), (axes.yaxis, rows, grid.y)):
        axis.set_ticks(list(found.values()), [f"{size:g}" for size in found])
        axis.set_label_text(KNOBS[knob])
        axis.set_tick_params(length=0)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(grid.held, loc="left")


def _place(axes: Axes, x: int, y: int, place: Mapping[Any, Any]) -> None:
    corner, winner = (x - 0.48, y - 0.48), place["strategy"]
    if not isinstance(winner, str):
        axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=PAPER, edgecolor=GRID))
        return
    style, factor = strategy_style(winner), place["factor"]
    doubtful = place["decision"] in NO_WINNER
    color = (style.color, _opacity(factor))
    axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=color, edgecolor=PAPER, linewidth=0))
    if doubtful:
        axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, hatch=DOUBT, edgecolor=(FAINT, 0.45), linewidth=0))
    axes.plot(x, y + 0.3, color=style.color, marker=style.marker, mec=PAPER, mew=0.6, markersize=8)
    alone = not isinstance(place["runner_up"], str)
    axes.text(x, y + 0.02, "alone" if alone else format_ratio(factor), ha="center", va="center", fontweight="bold")
    if not alone:
        before = f"before {elided(place['runner_up'], 14)}"
        axes.text(x, y - 0.19, before, ha="center", va="center", fontsize=7)


def _hollow(axes: Axes, x: int, y: int, failed: list[tuple[str, str]]) -> None:
    """Draw what has no number in the corner of a place, and how many more there are."""
    for number, (name, status) in enumerate(failed[:MOST_HOLLOW]):
        at = (x - 0.4 + 0.22 * number, y - 0.36)
        style = strategy_style(name)
        axes.plot(*at, **hollow(style))
        axes.annotate(LETTERS[status][0], at, (5, 0), textcoords="offset points", va="center", fontsize=7.5)
    if len(failed) > MOST_HOLLOW:
        axes.text(x + 0.46, y - 0.36, f"+{len(failed) - MOST_HOLLOW}", ha="right", va="center", fontsize=7.5)


def _opacity(factor: float) -> float:
    if math.isnan(factor):
        return PALEST
    return PALEST + (DARKEST - PALEST) * min(1.0, math.log10(max(factor, 1.0)))


def _handles(data: pd.DataFrame, failed: list[tuple[str, str]]) -> list[Artist]:
    named = in_order([*data["strategy"].dropna(), *(name for name, _ in failed)])
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=strategy_style(name).color,
            marker=strategy_style(name).marker,
            linestyle="none",
            label=folded(name),
        )
        for name in named
    ]
    handles += [
        Patch(facecolor=(INK, PALEST), label="hardly ahead"),
        Patch(facecolor=(INK, DARKEST), label="ahead by 10× or more"),
    ]
    if data["decision"].isin(NO_WINNER).any():
        handles.append(Patch(fill=False, hatch=DOUBT * 2, edgecolor=FAINT, linewidth=0, label="no winner: undecided"))
    return [*handles, *hollow_handles((status for _, status in failed), "in the corner", any_predicted=False)]


def _notes(data: pd.DataFrame) -> tuple[str, ...]:
    clear = data[data["decision"] == "ahead"]
    notes = []
    for name in in_order(clear["strategy"]):
        factors = clear.loc[clear["strategy"] == name, "factor"]
        low, high = format_ratio(factors.min()), format_ratio(factors.max())
        by = low if low == high else f"{low} to {high}"
        notes.append(f"{name} is ahead at {len(factors)} of {len(data)} places, by {by}.")
    doubtful = int(data["decision"].isin(NO_WINNER).sum())
    return (*notes, *([f"No winner at {doubtful} of {len(data)} places."] if doubtful else []))
