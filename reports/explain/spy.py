"""A pattern as a picture of few points, taken from some rows and some of their entries: nothing of its size is allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacobench.strategies.dense_layout import columns_of_entries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext
    from jacobench.graphs.structures.sparsity import Structure

    Numbers = NDArray[np.int64]

PROBED = 3
"""Rows of each line of the picture that are looked at first: the first, the middle and the last that share it."""

ENTRIES_A_LINE = 600
"""That are looked at, about: of as many rows as that allows, three at least."""


def raster(structure: Structure, ctx: ArgumentContext, n_lines: int, n_points: int) -> NDArray[np.bool_]:
    """Draw a pattern.

    Parameters
    ----------
    structure : Structure
        The pattern's family.
    ctx : ArgumentContext
        Where the Jacobian is.
    n_lines, n_points : int
        The picture's height and width, at most as many as there are outputs and inputs.

    Returns
    -------
    NDArray of bool
        Shape (n_lines, n_points). A point is true where one of the entries that were looked at lies in it. Where lines and
        points are as many as outputs and inputs, that is every entry.
    """
    probes = _rows(ctx.n_out, n_lines, PROBED)
    each = _sampled(structure, ctx, probes, n_points)[1].size / probes.size
    n_each = max(PROBED, int(ENTRIES_A_LINE / max(each, 1.0)))
    rows, columns = _sampled(structure, ctx, _rows(ctx.n_out, n_lines, n_each), n_points)
    filled = np.zeros((n_lines, n_points), bool)
    filled[rows * n_lines // ctx.n_out, columns * n_points // ctx.n_in] = True
    return filled


def _rows(n_out: int, n_lines: int, n_each: int) -> Numbers:
    """Return the rows to look at, up to `n_each` of each line, its first and last among them; in order."""
    ends = np.array([-(-line * n_out // n_lines) for line in range(n_lines + 1)])
    first, last = ends[:-1], ends[1:] - 1
    return np.unique([first + (last - first) * part // (n_each - 1) for part in range(n_each)])


def _sampled(structure: Structure, ctx: ArgumentContext, rows: Numbers, n_points: int) -> tuple[Numbers, Numbers]:
    """Return row and column of some entries of each row: as many as it takes to mark each point that it reaches over."""
    begin, count = _entries_of(structure, ctx, rows)
    rows, begin, count = (part[count > 0] for part in (rows, begin, count))
    left, right = (columns_of_entries(structure, ctx, at) * n_points // ctx.n_in for at in (begin, begin + count - 1))
    taken = np.minimum(count, 2 * (np.abs(right - left) + 1))
    of = np.repeat(np.arange(rows.size), taken)
    nth = np.arange(of.size) - np.repeat(np.cumsum(taken) - taken, taken)
    numbers = begin[of] + nth * (count[of] - 1) // np.maximum(taken[of] - 1, 1)
    return rows[of], columns_of_entries(structure, ctx, numbers)


def _entries_of(structure: Structure, ctx: ArgumentContext, rows: Numbers) -> tuple[Numbers, Numbers]:
    """Return the number of the first entry of each row, in CSR order, and how many it has."""
    if structure.per_row is None:
        each = structure.n_nonzeros(ctx) // ctx.n_out
        return rows * each, np.full(rows.shape, each)
    counts = structure.per_row(ctx).astype(np.int64)
    return (np.cumsum(counts) - counts)[rows], counts[rows]
