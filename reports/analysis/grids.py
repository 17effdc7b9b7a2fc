"""Grids: the cases of a table that differ in two knobs and in nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from jacobench.reports.analysis.sweeps import GRAPH_KNOBS, KNOBS, SAME_PARAMETERS, held

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

LEAST_FILLED = 0.5
"""A size with cases at less than this share of the other knob's sizes belongs to a sweep of its own, not to the grid."""


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
        The rows, as the table has them.
    """

    x: str
    y: str
    fixed: Mapping[str, Any]
    rows: pd.DataFrame

    @property
    def held(self) -> str:
        """The other knobs in a few words."""
        return held(self.fixed)

    def sizes(self, knob: str) -> list[float]:
        """Return the distinct values of one of the two knobs, ascending."""
        return sorted(self.rows[knob].unique().tolist())


def find_grids(table: pd.DataFrame) -> list[Grid]:
    """Find the groups of rows that are equal in all knobs but two.

    Parameters
    ----------
    table : DataFrame
        The tidy table, or part of it.

    Returns
    -------
    list of Grid
        In the order of ``KNOBS``, of each pair the largest first: those with two sizes or more of either knob, each with cases at
        half of the other's sizes or more. Groups with several cases at a place, which differ in something that is no column, are in none.
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
    """Leave out the thinnest size of either knob until all that are left are filled; of two crossing sweeps nothing is left."""
    while True:
        places = rows[[x, y]].drop_duplicates()
        filled = {
            (knob, size): share
            for knob, other in ((x, y), (y, x))
            for size, share in (places[knob].value_counts() / places[other].nunique()).items()
        }
        thinnest = min(filled, key=lambda place: filled[place], default=None)
        if thinnest is None or filled[thinnest] >= LEAST_FILLED:
            return rows
        rows = rows[rows[thinnest[0]] != thinnest[1]]
