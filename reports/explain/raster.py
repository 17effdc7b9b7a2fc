"""A pattern as a picture of few points, taken from some rows and some of their entries: nothing of its size is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacobench.strategies.places import columns_of_entries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jacobench.graphs.op import Site
    from jacobench.graphs.structures import Structure

POINTS = 240
"""Along each side, at most."""

ENTRIES_A_ROW = 2 * POINTS
"""That are looked at, at most: the first, the last, and evenly many between."""

ENTRIES_A_LINE = 3 * ENTRIES_A_ROW
"""Of a line of the picture, about: three of its rows where they are long, more where they are short, up to `POINTS`."""


def raster(structure: Structure, site: Site) -> NDArray[np.bool_]:
    """Draw a pattern to scale.

    Parameters
    ----------
    structure : Structure
        The pattern's family.
    site : Site
        Where the Jacobian is.

    Returns
    -------
    NDArray of bool
        Shape (outputs, inputs), each at most `POINTS`. A point is true where an entry that was looked at lies in it: up to
        `POINTS` rows and columns that is every entry.
    """
    n_lines, n_points = min(site.n_out, POINTS), min(site.n_in, POINTS)
    looked_at = min(ENTRIES_A_ROW, -(-structure.n_nonzeros(site) // site.n_out))
    rows = _rows(site.n_out, n_lines, min(POINTS, ENTRIES_A_LINE // looked_at))
    first, counts = _entries_of(structure, site, rows)
    numbers, of = _numbers(first, counts)
    filled = np.zeros((n_lines, n_points), bool)
    columns = columns_of_entries(structure, site, numbers)
    filled[_point(rows[of], n_lines, site.n_out), _point(columns, n_points, site.n_in)] = True
    return filled


def _rows(n_out: int, n_lines: int, n_each: int) -> NDArray[np.int64]:
    """Return the rows that are looked at, up to `n_each` of each line, its first and last among them; in order."""
    ends = np.array(
        [line * n_out // n_lines for line in range(n_lines + 1)]
    )  # exact: Python's integers do not overflow
    first, last = ends[:-1], ends[1:] - 1
    return np.unique([first + (last - first) * part // (n_each - 1) for part in range(n_each)])


def _entries_of(
    structure: Structure, site: Site, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of the first entry of each row, in CSR order, and how many it has."""
    if structure.per_row is None:
        each = structure.n_nonzeros(site) // site.n_out
        return rows * each, np.full(rows.shape, each)
    counts = structure.per_row(site)
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))[rows], counts[rows].astype(np.int64)


def _numbers(first: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of the entries that are looked at, and for each of them its row's place among `first`."""
    taken = np.minimum(counts, ENTRIES_A_ROW)
    of = np.repeat(np.arange(first.size), taken)
    nth = np.arange(of.size) - np.repeat(np.cumsum(taken) - taken, taken)
    steps = np.maximum(taken - 1, 1)[of]
    return first[of] + nth * (counts[of] - 1) // steps, of


def _point(at: NDArray[np.int64], n_points: int, length: int) -> NDArray[np.int64]:
    """Return which of a side's points a row or column lies in."""
    return at * n_points // length
