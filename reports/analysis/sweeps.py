"""Sweeps: the cases of a table that differ in one knob and in nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

# Knobs that have a size, with the word that titles and file names use.
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

# knob, its phrase, and the values that go without saying
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

# These leave the parameters alone, so nets that share every knob but are shaped differently (300-100-10, 300-50-10) can be
# kept apart by counting them.
SAME_PARAMETERS = ("batch", "n_seeds")


@dataclass(frozen=True)
class Sweep:
    """Rows that differ in one knob.

    Attributes
    ----------
    knob : str
        The knob that is swept, a key of ``KNOBS``.
    fixed : mapping
        The other knobs and their values, NaN where missing.
    rows : DataFrame
        The rows, ordered by the knob.
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
        """The other knobs in a few words."""
        return held(self.fixed)


def held(fixed: Mapping[str, Any]) -> str:
    """Return knobs and their values in a few words, without those that are off or missing."""
    known = [(phrase, fixed.get(knob, math.nan), off) for knob, phrase, off in FIXED]
    return ", ".join(
        phrase.format(value)
        for phrase, value, off in known
        if value == value and value not in off  # noqa: PLR0124
    )


def find_sweeps(table: pd.DataFrame, knob: str, *, min_sizes: int = 2) -> list[Sweep]:
    """Find the groups of rows that are equal in all knobs but one.

    Parameters
    ----------
    table : DataFrame
        The tidy table, or part of it.
    knob : str
        A key of ``KNOBS``.
    min_sizes : int
        How many distinct sizes a group must have.

    Returns
    -------
    list of Sweep
        The longest first, among equals as the table has them. Rows where the knob is missing are in none, and so are
        groups with several cases at a size, which differ in something that is no column: a seed, one's own argument.

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
    """Find the sweeps worth a picture: those of three sizes and more, or of two where there are none longer."""
    return find_sweeps(table, knob, min_sizes=3) or find_sweeps(table, knob)
