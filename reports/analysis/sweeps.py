"""Sweeps and grids: cases of a table that differ in one knob, or in two, only, on one machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.graphs.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Knobs that have a size → the word in titles and file names.
KNOBS = {"width": "width", "depth": "depth", "batch": "batch", "weight_density": "weight density", "n_seeds": "seeds"}

# Knob → its phrase, and the value that needs no mention.
PHRASES: dict[str, tuple[str, object]] = {
    "graph": ("{}", None),
    "width": ("width {:g}", None),
    "depth": ("depth {:g}", None),
    "batch": ("batch {:g}", None),
    "n_seeds": ("{:g} seeds", 1.0),
    "activation": ("{}", None),
    "loss": ("{}", None),
    "residual": ("residual", False),
    "normalization": ("{}", None),
    "weight_density": ("weight density {:g}", 1.0),
    "dtype": ("{}", None),
    "wrt": ("wrt {}", "parameters"),
    "task": ("task {}", "gradient"),
}

GRAPH_KNOBS = tuple(PHRASES)

# These do not change the number of parameters. It separates nets with equal knobs and different shapes, such as
# 300-100-10 and 300-50-10.
SAME_PARAMETERS = ("batch", "n_seeds")

MACHINE = "machine"  # column that is part of a row's identity: the rows of a sweep or grid have one value

LEAST_FILLED = 0.5  # a size with cases at a smaller share of the other knob's sizes belongs to a sweep, not to the grid


@dataclass(frozen=True)
class _Group:
    fixed: Mapping[str, Any]
    rows: pd.DataFrame

    @property
    def held(self) -> str:
        """Short description of the other knobs and their values, without defaults and missing ones."""
        values = [(phrase, self.fixed.get(knob, math.nan), default) for knob, (phrase, default) in PHRASES.items()]
        return ", ".join(
            phrase.format(value) for phrase, value, default in values if pd.notna(value) and value != default
        )

    @property
    def machine(self) -> str | float:
        """Key of the machine; NaN if it is unknown."""
        machine: str | float = self.fixed.get(MACHINE, math.nan)
        return machine


@dataclass(frozen=True)
class Sweep(_Group):
    """Rows that differ in one knob, a key of ``KNOBS``, ordered by it; `fixed`: the other knobs, NaN where missing."""

    knob: str

    @property
    def sizes(self) -> list[float]:
        """The distinct values of the knob, ascending."""
        return sorted(self.rows[self.knob].unique().tolist())


@dataclass(frozen=True)
class Grid(_Group):
    """Rows that differ in two knobs, ``x`` and ``y``; otherwise as `Sweep`, with rows in the order of the table."""

    x: str
    y: str

    def sizes(self, knob: str) -> list[float]:
        """Return the distinct values of one of the two knobs, ascending."""
        return sorted(self.rows[knob].unique().tolist())


def find_sweeps(table: pd.DataFrame, knob: str, *, min_sizes: int = 2) -> list[Sweep]:
    """Find the groups of rows of a tidy table that differ in one knob only, in `min_sizes` distinct sizes or more.

    The longest are first, equally long ones in the order of the table. Rows of different machines are in different
    groups. Rows without the knob are left out. So are groups with several cases per size: these cases differ in
    something that has no column, such as a seed. Raises BadInput if the knob is unknown.
    """
    if knob not in KNOBS:
        raise unknown("knob", knob, KNOBS)
    sweeps = [
        Sweep(fixed, rows.sort_values(knob, kind="stable"), knob)
        for fixed, rows in _groups(table, [knob])
        if rows[knob].nunique() >= min_sizes
    ]
    return sorted(sweeps, key=lambda sweep: -len(sweep.sizes))


def order_of_sweeps(tables: Iterable[pd.DataFrame], knob: str) -> list[str]:
    """Return what the sweeps of tables hold fixed, in their order if the cases of all machines count as one sweep."""
    sweeps = (sweep for table in tables for sweep in find_sweeps(table.drop(columns=MACHINE), knob))
    return list(dict.fromkeys(sweep.held for sweep in sweeps))


def drawable_sweeps(table: pd.DataFrame, knob: str) -> list[Sweep]:
    """Find the sweeps to plot: those of three sizes or more or, if there are none, of two."""
    return find_sweeps(table, knob, min_sizes=3) or find_sweeps(table, knob)


def find_grids(table: pd.DataFrame) -> list[Grid]:
    """Find the groups of rows of a tidy table that differ in two knobs only, with two sizes or more of either knob.

    They are in the order of ``KNOBS``; per pair of knobs the largest is first. Each size has cases at half of the other
    knob's sizes or more. Groups with several cases per place are left out.
    """
    found = []
    for x, y in combinations(KNOBS, 2):
        grids = [Grid(fixed, _filled(rows, x, y), x, y) for fixed, rows in _groups(table, [x, y])]
        whole = [grid for grid in grids if min(len(grid.sizes(x)), len(grid.sizes(y))) >= 2]
        found += sorted(whole, key=lambda grid: -grid.rows["case"].nunique())
    return found


def _groups(table: pd.DataFrame, knobs: Sequence[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the other knobs and the rows of each group that has one case per place."""
    others = [name for name in GRAPH_KNOBS if name not in knobs] + [MACHINE] * (MACHINE in table)
    keys = [*others, "n_parameters"] if set(knobs) <= set(SAME_PARAMETERS) else others
    sized = table[table[list(knobs)].notna().all(axis=1)]
    for _, rows in sized.groupby(keys, dropna=False, sort=False):
        if not rows.duplicated([*knobs, "strategy", "phase"]).any():
            yield {name: rows[name].iloc[0] for name in others}, rows


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
