"""Grids: cases of a table that differ in two knobs only."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from jacobench.reports.analysis.sweeps import GRAPH_KNOBS, KNOBS, SAME_PARAMETERS, held

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

LEAST_FILLED = 0.5
"""A size with cases at a smaller share of the other knob's sizes belongs to a sweep, not to the grid."""


@dataclass(frozen=True)
class Grid:
    """Rows that differ in two knobs.

    Attributes
    ----------
    x, y : str
        The two knobs, keys of ``KNOBS``.
    fixed : mapping
        The other knobs and their values, NaN where missing.
    rows : DataFrame
        In the order of the table.
    """

    x: str
    y: str
    fixed: Mapping[str, Any]
    rows: pd.DataFrame

    @property
    def held(self) -> str:
        """Description of the other knobs."""
        return held(self.fixed)

    def sizes(self, knob: str) -> list[float]:
        """Return the distinct values of one of the two knobs, ascending."""
        return sorted(self.rows[knob].unique().tolist())


def find_grids(table: pd.DataFrame) -> list[Grid]:
    """Find the groups of rows that differ in two knobs only.

    Parameters
    ----------
    table : DataFrame
        The tidy table, or part of it.

    Returns
    -------
    list of Grid
        Grids with at least two sizes of either knob, in the order of ``KNOBS``; per pair of knobs the largest first. Each
        size has cases at half of the other knob's sizes or more. Groups with several cases per place are left out: these
        cases differ in something that has no column.
    """
    return [grid for x, y in combinations(KNOBS, 2) for grid in _grids(table, x, y)]


def _grids(table: pd.DataFrame, x: str, y: str) -> list[Grid]:
    others = [name for name in GRAPH_KNOBS if name not in {x, y}]
    keys = [*others, "n_parameters"] if {x, y} <= set(SAME_PARAMETERS) else others
    sized = table[table[x].notna() & table[y].notna()]
    found = [
        Grid(x, y, {name: rows[name].iloc[0] for name in others}, _filled(rows, x, y))
        for _, rows in sized.groupby(keys, dropna=False, sort=False)
        if not rows.duplicated([x, y, "strategy", "phase"]).any()
    ]
    whole = [grid for grid in found if min(len(grid.sizes(x)), len(grid.sizes(y))) >= 2]
    return sorted(whole, key=lambda grid: -grid.rows["case"].nunique())


def _filled(rows: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Remove the least filled size of either knob until all sizes are filled; two crossing sweeps leave nothing."""
    while True:
        places = rows[[x, y]].drop_duplicates()
        filled = {
            (knob, size): share
            for knob, other in ((x, y), (y, x))
            for size, share in (places[knob].value_counts() / places[other].nunique()).items()
        }
        emptiest = min(filled, key=lambda place: filled[place], default=None)
        if emptiest is None or filled[emptiest] >= LEAST_FILLED:
            return rows
        rows = rows[rows[emptiest[0]] != emptiest[1]]
