"""Sweeps: cases of a table that differ in one knob only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

# Knobs that have a size → the word in titles and file names.
KNOBS = {
    "width": "width",
    "depth": "depth",
    "batch": "batch",
    "weight_density": "weight density",
    "n_seeds": "seeds",
}

GRAPH_KNOBS = (
    "graph",
    "depth",
    "width",
    "batch",
    "n_seeds",
    "activation",
    "loss",
    "residual",
    "normalization",
    "weight_density",
    "dtype",
)

# Knob, its phrase, and the values that need no mention.
FIXED: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("graph", "{}", ()),
    ("width", "width {:g}", ()),
    ("depth", "depth {:g}", ()),
    ("batch", "batch {:g}", ()),
    ("n_seeds", "{:g} seeds", (1.0,)),
    ("activation", "{}", ()),
    ("loss", "{}", ()),
    ("residual", "residual", (False,)),
    ("normalization", "{}", ()),
    ("weight_density", "weight density {:g}", (1.0,)),
    ("dtype", "{}", ()),
)

# These do not change the number of parameters. It separates nets with equal knobs and different shapes, such as 300-100-10
# and 300-50-10.
SAME_PARAMETERS = ("batch", "n_seeds")


@dataclass(frozen=True)
class Sweep:
    """Rows that differ in one knob.

    Attributes
    ----------
    knob : str
        The swept knob, a key of ``KNOBS``.
    fixed : mapping
        The other knobs and their values, NaN where missing.
    rows : DataFrame
        Ordered by the knob.
    """

    knob: str
    fixed: Mapping[str, Any]
    rows: pd.DataFrame

    @property
    def sizes(self) -> list[float]:
        """The distinct values of the knob, ascending."""
        return sorted(self.rows[self.knob].unique().tolist())

    @property
    def held(self) -> str:
        """Description of the other knobs."""
        return held(self.fixed)


def held(fixed: Mapping[str, Any]) -> str:
    """Return a short description of knobs and their values, without defaults and missing ones."""
    known = [(phrase, fixed.get(knob, math.nan), off) for knob, phrase, off in FIXED]
    return ", ".join(
        phrase.format(value)
        for phrase, value, off in known
        if value == value and value not in off  # noqa: PLR0124
    )


def find_sweeps(table: pd.DataFrame, knob: str, *, min_sizes: int = 2) -> list[Sweep]:
    """Find the groups of rows that differ in one knob only.

    Parameters
    ----------
    table : DataFrame
        The tidy table, or part of it.
    knob : str
        A key of ``KNOBS``.
    min_sizes : int
        Smallest number of distinct sizes of a group.

    Returns
    -------
    list of Sweep
        The longest first, equally long ones in the order of the table. Rows without the knob are left out. So are groups with
        several cases per size: these cases differ in something that has no column, such as a seed.

    Raises
    ------
    BadInput
        If the knob is unknown.
    """
    if knob not in KNOBS:
        raise unknown("knob", knob, KNOBS)
    others = [name for name in GRAPH_KNOBS if name != knob]
    keys = [*others, "n_parameters"] if knob in SAME_PARAMETERS else others
    sized = table[table[knob].notna()]
    sweeps = [
        Sweep(knob, {name: rows[name].iloc[0] for name in others}, rows.sort_values(knob, kind="stable"))
        for _, rows in sized.groupby(keys, dropna=False, sort=False)
        if rows[knob].nunique() >= min_sizes and not rows.duplicated([knob, "strategy", "phase"]).any()
    ]
    return sorted(sweeps, key=lambda sweep: -len(sweep.sizes))


def drawable_sweeps(table: pd.DataFrame, knob: str) -> list[Sweep]:
    """Find the sweeps to plot: those of three sizes or more or, if there are none, of two."""
    return find_sweeps(table, knob, min_sizes=3) or find_sweeps(table, knob)
