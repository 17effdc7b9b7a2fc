"""Dot plots: one line per case and one marker per strategy, for time, memory, efficiency and changes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.missing_cells import Placed, band, draw_band, hollow
from jacobench.reports.plots.small_multiples import elided
from jacobench.reports.plots.style import strategy_style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from jacobench.reports.plots.layout import Plot

LINE, LINE_PER_STRATEGY = 0.27, 0.085  # height of a case's line in inches: at least, and for each strategy in it
SPREAD = 0.6  # share of a case's line over which its strategies are spread, as equal numbers would hide each other


TALLEST = 11.0  # inches of the lines of a page; more cases are drawn on further pages


def paged(
    name: str, rows: pd.DataFrame, draw: Callable[[pd.DataFrame, str], Plot], line: float = 0.0
) -> dict[str, Plot]:
    """Draw the cases of rows on as many pages as are needed: ``name``, ``name-2``, and so on.

    `draw` maps the rows of a page and the end of its title to a plot. `line` is the height of a case's line in inches,
    by default that of `dot_figure`.
    """
    cases = rows["case"].drop_duplicates().tolist()
    n_pages = math.ceil(len(cases) * (line or _line_height(rows)) / TALLEST)
    each = math.ceil(len(cases) / n_pages)
    pages = []
    for begin in range(0, len(cases), each):
        shown = cases[begin : begin + each]
        title = f" (cases {begin + 1} to {begin + len(shown)} of {len(cases)})" if n_pages > 1 else ""
        own = rows[rows["case"].isin(shown)].reset_index(drop=True)
        pages.append(draw(own, title))
    return numbered(name, pages)


def numbered(name: str, pages: Iterable[Plot]) -> dict[str, Plot]:
    """Return the pages of a plot by name: ``name``, ``name-2``, and so on."""
    return {f"{name}-{number}" if number > 1 else name: page for number, page in enumerate(pages, 1)}


def _line_height(rows: pd.DataFrame) -> float:
    return max(LINE, LINE_PER_STRATEGY * rows["strategy"].nunique())


def dot_figure(rows: pd.DataFrame, n_panels: int, width: float) -> tuple[Figure, list[Axes]]:
    """Return a figure (width in inches) with panels next to each other; each case of the rows is a line in all of them."""
    cases = rows["case"].drop_duplicates().tolist()
    height = _line_height(rows) * len(cases)
    figure = Figure(figsize=(width, 2.4 + height), layout="constrained")
    panels = figure.subplots(1, n_panels, sharey=True, squeeze=False)[0].tolist()
    for axes in panels:
        label_cases(axes, cases)
    return figure, panels


def label_cases(axes: Axes, cases: Sequence[str]) -> None:
    """Label the vertical axis with one case per line, the first at the top."""
    axes.set_ylim(len(cases) - 0.4, -0.6)
    axes.set_yticks(range(len(cases)), [elided(case) for case in cases])


def line_positions(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the vertical position of each row: the line of its case, shifted by its strategy."""
    lines = {case: line for line, case in enumerate(rows["case"].drop_duplicates())}
    strategies = in_order(rows["strategy"])
    shifts = {name: SPREAD * ((index + 0.5) / len(strategies) - 0.5) for index, name in enumerate(strategies)}
    return rows["case"].map(lines) + rows["strategy"].map(shifts)


def draw_dots(axes: Axes, rows: pd.DataFrame, values: pd.Series[float], *, alpha: float = 1.0) -> None:
    """Draw a filled marker at each value; NaN draws nothing."""
    at = line_positions(rows)
    for strategy, own in rows.groupby("strategy", sort=False):
        style = strategy_style(str(strategy))
        marks: dict[str, Any] = {"color": style.color, "marker": style.marker, "linestyle": "none", "markersize": 5}
        axes.plot(values[own.index], at[own.index], **marks, alpha=alpha)


def draw_hollow(
    axes: Axes, rows: pd.DataFrame, placed: Placed, statuses: pd.Series[str], shown: pd.Series[bool] | None = None
) -> None:
    """Draw the cells without a measured number, hollow, and end the logarithmic axis after them.

    Only the rows that are `shown` are drawn, but all determine the end of the axis.
    """
    at = line_positions(rows)
    here = placed.edge if shown is None else placed.edge & shown
    values = placed.hollow if shown is None else placed.hollow.where(shown)
    for strategy, own in rows.groupby("strategy", sort=False):
        axes.plot(values[own.index], at[own.index], **hollow(strategy_style(str(strategy))))
    edge = band(placed, in_order(rows["strategy"][placed.edge])[::-1])
    draw_band(axes, edge, rows[["strategy"]].assign(status=statuses, at=at)[here], vertical=True)
    axes.set_xscale("log")
    axes.set_xlim(placed.low, edge.end)
