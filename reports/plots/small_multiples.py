"""Small multiples: a grid of panels, and which cases stand in it where there are more than a reader takes in."""

from __future__ import annotations

import math
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

MOST_PANELS = 12
MOST_COLUMNS = 4

LONGEST_CASE, LONGEST_STRATEGY = 44, 24
"""Characters of a name; a longer case loses its middle, a longer strategy is folded."""

LINE, LINE_A_STRATEGY = 0.27, 0.085
"""Inches of a case's line: at least, and for each strategy in it."""

SPREAD = 0.6
"""The share of a case's line over which its strategies are spread, so that equal numbers do not hide each other."""


def grid(n_panels: int, *, width: float, height: float, legend: float = 2.4) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels, as square a grid as fits.

    Parameters
    ----------
    n_panels : int
        At least one.
    width, height : float
        Of a panel, in inches.
    legend : float
        Room on the right, in inches.

    Returns
    -------
    Figure, list of Axes
        As many axes as panels, row by row.
    """
    n_columns = min(n_panels, math.ceil(math.sqrt(n_panels)), MOST_COLUMNS)
    n_rows = math.ceil(n_panels / n_columns)
    figure = Figure(figsize=(legend + 0.4 + width * n_columns, 1.2 + height * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
    for spare in axes[n_panels:]:
        spare.remove()
    return figure, axes[:n_panels]


def name_along(panels: Sequence[Axes], label: str) -> None:
    """Name the horizontal axis below the lowest panel of each column."""
    spec = panels[0].get_subplotspec()
    n_columns = spec.get_gridspec().ncols if spec else 1
    for axes in panels[-n_columns:]:
        axes.set_xlabel(label)


def choose(rows: pd.DataFrame, most: int = MOST_PANELS) -> list[str]:
    """Choose cases to show: all, or evenly spread over the order of their times, the quickest and the slowest among them.

    Parameters
    ----------
    rows : DataFrame
        Of one phase.
    most : int
        How many there may be; two or more.

    Returns
    -------
    list of str
        Cases, as the table has them.
    """
    cases = rows["case"].drop_duplicates().tolist()
    if len(cases) <= most:
        return cases
    ok = rows[rows["status"] == "ok"]
    known = ok[ok["strategy"] == REFERENCE] if REFERENCE in set(ok["strategy"]) else ok
    seconds = known.groupby("case")["seconds_median"].min()
    by_time = sorted(cases, key=lambda case: seconds.get(case, math.inf))
    step = (len(by_time) - 1) / (most - 1)
    chosen = {by_time[round(number * step)] for number in range(most)}
    return [case for case in cases if case in chosen]


def share(n_shown: int, n_all: int, noun: str = "cases") -> str:
    """Return what a title says where not all is shown; empty where it is."""
    return "" if n_shown == n_all else f" ({n_shown} of {n_all} {noun})"


def line_height(n_strategies: int) -> float:
    """Return how high a case's line must be for its strategies to stand beside each other, in inches."""
    return max(LINE, LINE_A_STRATEGY * n_strategies)


def label_cases(axes: Axes, cases: Sequence[str]) -> None:
    """Put cases down the axes, the first one on top, a line each."""
    axes.set_ylim(len(cases) - 0.4, -0.6)
    axes.set_yticks(range(len(cases)), [elided(case) for case in cases])


def elided(case: str, longest: int = LONGEST_CASE) -> str:
    """Return a case's name, without its middle where it is too long: its ends tell it from its neighbours."""
    if len(case) <= longest:
        return case
    head = (longest - 1) // 2
    return f"{case[:head]}…{case[head + 1 - longest :]}"


def folded(strategy: str, longest: int = LONGEST_STRATEGY) -> str:
    """Return a strategy's name, in several lines where it is too long."""
    shown = fill(strategy, longest) if len(strategy) > longest else strategy
    return f" {shown}" if shown.startswith("_") else shown  # matplotlib leaves out of a legend what begins so
