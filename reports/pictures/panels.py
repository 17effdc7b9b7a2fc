"""Small multiples: a grid of panels, and which cases stand in it where there are more than a reader takes in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_PANELS = 12
MOST_COLUMNS = 4


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
