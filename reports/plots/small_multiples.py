"""Grids of panels, the selection of cases for them, and names shortened to fit."""

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

MAX_PANELS = 12
MAX_COLUMNS = 4

MAX_CASE_NAME, MAX_STRATEGY_NAME = 44, 24  # characters; a longer case loses its middle, a longer strategy is wrapped


def grid(n_panels: int, *, width: float, height: float, legend: float = 2.4) -> tuple[Figure, list[Axes]]:
    """Return a figure with a grid of panels that is as square as possible, and the panels row by row.

    The size of a panel and the width of the legend on the right are in inches.
    """
    n_columns = min(n_panels, math.ceil(math.sqrt(n_panels)), MAX_COLUMNS)
    n_rows = math.ceil(n_panels / n_columns)
    return panel_grid(n_panels, n_columns, (legend + 0.4 + width * n_columns, 1.2 + height * n_rows))


def panel_grid(
    n_panels: int, n_columns: int, size: tuple[float, float], *, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure of a size in inches with ``n_columns`` panels per row; unused panels are removed."""
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(math.ceil(n_panels / n_columns), n_columns, squeeze=False, sharey=share_y).ravel().tolist()
    for unused in axes[n_panels:]:
        unused.remove()
    return figure, axes[:n_panels]


def name_along(panels: Sequence[Axes], label: str) -> None:
    """Label the horizontal axis of the lowest panel of each column."""
    spec = panels[0].get_subplotspec()
    n_columns = spec.get_gridspec().ncols if spec else 1
    for axes in panels[-n_columns:]:
        axes.set_xlabel(label)


def choose(rows: pd.DataFrame, most: int = MAX_PANELS) -> list[str]:
    """Choose cases to show, in the order of the table, from rows of one phase.

    If there are more than ``most`` (at least 2), they are spread evenly over the times, from the fastest to the slowest.
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
    """Return the part of a title that says how much is shown, such as `` (6 of 8 cases)``; empty if all is."""
    return "" if n_shown == n_all else f" ({n_shown} of {n_all} {noun})"


def elided(case: str, longest: int = MAX_CASE_NAME) -> str:
    """Return the name of a case; if it is too long, without its middle, because similar cases differ at the ends."""
    if len(case) <= longest:
        return case
    head = (longest - 1) // 2
    return f"{case[:head]}…{case[head + 1 - longest :]}"


def folded(strategy: str, longest: int = MAX_STRATEGY_NAME) -> str:
    """Return the name of a strategy, wrapped if it is too long."""
    shown = fill(strategy, longest) if len(strategy) > longest else strategy
    return f" {shown}" if shown.startswith("_") else shown  # matplotlib hides legend entries that start with "_"
