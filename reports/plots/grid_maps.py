"""Maps over two knobs: the fastest strategy of each cell, and its factor over the runner-up."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.patches import Patch, Rectangle

from jacobench.bench.row.columns import FORWARD, in_phase
from jacobench.reports.analysis.doubts import spreads
from jacobench.reports.analysis.recommendation import NO_WINNER, recommend
from jacobench.reports.analysis.sweeps import KNOBS, Grid, find_grids
from jacobench.reports.data.limit_sentences import could_win
from jacobench.reports.data.units import format_ratio, format_size
from jacobench.reports.data.vocabulary import LETTERS, in_order, words
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.layout import NoData, Plot, frame, glyph, hollow_handles, legend_mark, strategy_handles
from jacobench.reports.plots.missing_cells import hollow
from jacobench.reports.plots.small_multiples import elided, panel_grid, share
from jacobench.reports.plots.style import FAINT, GRID, INK, PAPER, strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jacobench.reports.data.run_data import Run

MAX_PANELS = 4
DOUBT = "?"  # after the factor, where a slower strategy could win at its own limit
MAX_HOLLOW = 4  # hollow markers in a square; more do not fit
PALEST, DARKEST = 0.15, 0.6  # opacity at a factor of 1, and of 10 or more; text on a darker square could not be read
HATCH = "//"
SQUARE = (1.15, 0.95)  # width and height in inches
MAX_WIDTH, MAX_HEIGHT = 12.0, 14.0  # of all panels, in inches
MAX_SIZES = 12  # of a knob; more are thinned evenly


def maps(run: Run, phase: str) -> dict[str, Plot]:
    """Draw the fastest strategy over each two knobs that a run sweeps together: ``map-width-batch``, and so on."""
    rows = run.table[in_phase(run.table, phase) & (run.table["strategy"] != FORWARD)]
    grids = find_grids(rows)
    if not grids:
        raise NoData(
            f"no cases of phase {phase} form a grid over two knobs ({', '.join(KNOBS.values())}); the suite crossover has such cases"
        )
    winners = recommend(run.table, run.passes, phase).set_index("case")
    cases = {case for grid in grids for case in grid.rows["case"]}
    if winners.loc[winners.index.isin(cases), "strategy"].isna().all():
        measured = (rows["status"] == "ok").any()
        raise NoData(
            "the run recorded no single passes, which decide the winner: an earlier version wrote it"
            if measured
            else f"no strategy has a time for phase {phase} at any size of the grid"
        )
    by_knobs: dict[tuple[str, str], list[Grid]] = {}
    for grid in grids:
        by_knobs.setdefault((grid.x, grid.y), []).append(grid)
    return {
        "-".join(["map", *(KNOBS[knob].replace(" ", "-") for knob in knobs)]): _plot(run.table, own, winners, phase)
        for knobs, own in by_knobs.items()
    }


def _plot(table: pd.DataFrame, grids: Sequence[Grid], winners: pd.DataFrame, phase: str) -> Plot:
    thinned = [_thinned(grid) for grid in grids]
    shown = thinned[: _n_panels(thinned)]
    squares = [_squares(grid, winners) for grid in shown]
    data = pd.concat(squares, ignore_index=True)
    knobs = " and ".join(KNOBS[knob] for knob in (shown[0].x, shown[0].y))
    with styled():
        figure, panels = _panels(shown)
        for axes, grid, own in zip(panels, shown, squares, strict=True):
            _panel(axes, grid, own)
        n_shown, n_all = (sum(one.rows["case"].nunique() for one in some) for some in (shown, grids[: len(shown)]))
        title = (
            f"{phase}: fastest strategy over {knobs}" + share(len(shown), len(grids), "grids") + share(n_shown, n_all)
        )
        frame(figure, title, _handles(data, _failed(pd.concat([grid.rows for grid in shown]))), table)
    notes = _notes(data)
    data = data.assign(could_win=data["could_win"].map(", ".join))
    return Plot(figure, data, plot_sentences.grid_map(phase, knobs), notes)


def _thinned(grid: Grid) -> Grid:
    """Return the grid with at most `MAX_SIZES` sizes of either knob, the smallest and the largest included."""
    rows = grid.rows
    for knob in (grid.x, grid.y):
        sizes = grid.sizes(knob)
        step = max(1.0, (len(sizes) - 1) / (MAX_SIZES - 1))
        kept = {sizes[round(number * step)] for number in range(min(len(sizes), MAX_SIZES))}
        rows = rows[rows[knob].isin(kept)]
    return replace(grid, rows=rows)


def _panel_size(grids: Sequence[Grid]) -> tuple[float, float]:
    """Return the width and height in inches of a panel that holds the largest grid."""
    wide, high = (max(len(grid.sizes(knob)) for grid in grids) for knob in (grids[0].x, grids[0].y))
    return SQUARE[0] * wide + 0.8, SQUARE[1] * high + 0.7


def _n_columns(grids: Sequence[Grid]) -> int:
    return max(1, min(len(grids), int(MAX_WIDTH / _panel_size(grids)[0])))


def _n_panels(grids: Sequence[Grid]) -> int:
    """Return how many grids are drawn."""
    return min(MAX_PANELS, _n_columns(grids) * max(1, int(MAX_HEIGHT / _panel_size(grids)[1])))


def _panels(grids: Sequence[Grid]) -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel per grid."""
    (width, height), n_columns = _panel_size(grids), _n_columns(grids)
    size = (2.8 + width * n_columns, 0.9 + height * math.ceil(len(grids) / n_columns))
    return panel_grid(len(grids), n_columns, size)


def _squares(grid: Grid, winners: pd.DataFrame) -> pd.DataFrame:
    """Return one row per square: its sizes, its winner, and the strategies without a number."""
    lines = []
    for case, rows in grid.rows.groupby("case", sort=False):
        without = "; ".join(f"{name}: {words(status)}" for name, status in _failed(rows))
        knobs = rows.iloc[0][[grid.x, grid.y]].to_dict()
        lines.append({"held": grid.held, **knobs, "case": case, **winners.loc[case].to_dict(), "without": without})
    return pd.DataFrame(lines)


def _failed(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return strategy and status of every row without a number."""
    failed = rows[rows["status"] != "ok"]
    return list(zip(failed["strategy"], failed["status"], strict=True))


def _panel(axes: Axes, grid: Grid, squares: pd.DataFrame) -> None:
    columns, rows = ({size: at for at, size in enumerate(grid.sizes(knob))} for knob in (grid.x, grid.y))
    for square in squares.to_dict("records"):
        at = columns[square[grid.x]], rows[square[grid.y]]
        _square(axes, *at, square)
        _hollow(axes, *at, _failed(grid.rows[grid.rows["case"] == square["case"]]))
    for axis, sizes, knob in ((axes.xaxis, columns, grid.x), (axes.yaxis, rows, grid.y)):
        axis.set_ticks(list(sizes.values()), [format_size(size) for size in sizes])
        axis.set_label_text(KNOBS[knob])
        axis.set_tick_params(length=0)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_title(grid.held, loc="left")


def _square(axes: Axes, x: int, y: int, square: Mapping[Any, Any]) -> None:
    corner, winner = (x - 0.48, y - 0.48), square["strategy"]
    if not isinstance(winner, str):
        axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=PAPER, edgecolor=GRID))
        return
    style, factor = strategy_style(winner), square["factor"]
    color = (style.color, _opacity(factor))
    axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=color, edgecolor=PAPER, linewidth=0))
    if square["decision"] in NO_WINNER:
        axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, hatch=HATCH, edgecolor=(FAINT, 0.45), linewidth=0))
    axes.plot(x, y + 0.3, color=style.color, marker=style.marker, mec=PAPER, mew=0.6, markersize=8)
    alone = not isinstance(square["runner_up"], str)
    number = "alone" if alone else f"{format_ratio(factor)}{DOUBT if square['could_win'] else ''}"
    axes.text(x, y + 0.02, number, ha="center", va="center", fontweight="bold")
    if not alone:
        axes.text(x, y - 0.19, f"vs {elided(square['runner_up'], 16)}", ha="center", va="center", fontsize=7)


def _hollow(axes: Axes, x: int, y: int, failed: list[tuple[str, str]]) -> None:
    """Draw the strategies without a number at the bottom of a square; those that do not fit are counted."""
    text: dict[str, Any] = {"va": "center", "fontsize": 7.5}
    for number, (name, status) in enumerate(failed[:MAX_HOLLOW]):
        at = (x - 0.4 + 0.22 * number, y - 0.36)
        axes.plot(*at, **hollow(strategy_style(name)))
        axes.annotate(LETTERS[status][0], at, (5, 0), textcoords="offset points", **text)
    if len(failed) > MAX_HOLLOW:
        axes.text(x + 0.46, y - 0.36, f"+{len(failed) - MAX_HOLLOW}", ha="right", **text)


def _opacity(factor: float) -> float:
    if math.isnan(factor):
        return PALEST
    return PALEST + (DARKEST - PALEST) * min(1.0, math.log10(max(factor, 1.0)))


def _handles(data: pd.DataFrame, failed: list[tuple[str, str]]) -> list[Artist]:
    handles = strategy_handles([*data["strategy"].dropna(), *(name for name, _ in failed)], lines=False)
    for opacity, label in ((PALEST, "factor near 1×"), (DARKEST, "factor 10× or more")):
        handles.append(Patch(facecolor=(INK, opacity), label=label))
    if data["decision"].isin(NO_WINNER).any():
        handles.append(
            Patch(fill=False, hatch=HATCH * 2, edgecolor=FAINT, linewidth=0, label="no winner: undecided or equal")
        )
    if data["could_win"].astype(bool).any():
        handles.append(legend_mark("in doubt: a slower one\ncould win at its limit", marker=glyph(DOUBT)))
    return [*handles, *hollow_handles((status for _, status in failed), "in the corner", any_predicted=False)]


def _notes(data: pd.DataFrame) -> tuple[str, ...]:
    clear = data[data["decision"] == "ahead"]
    notes = []
    for name in in_order(clear["strategy"]):
        factors = clear.loc[clear["strategy"] == name, "factor"]
        ends = float(factors.min()), float(factors.max())
        notes.append(plot_sentences.ahead_in(name, len(factors), len(data), ends))
    doubts = [could_win([spread], len(data), "square") for spread in spreads(data["could_win"])]
    n_open = int(data["decision"].isin(NO_WINNER).sum())
    notes += map(plot_sentences.in_doubt, doubts)
    return (*notes, *([plot_sentences.no_winner_in(n_open, len(data))] if n_open else []))
