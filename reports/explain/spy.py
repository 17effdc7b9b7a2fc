"""Raster of a sparsity pattern, sampled from some rows and some of their entries; allocates nothing of its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacobench.strategies.dense import columns_of_entries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext
    from jacobench.graphs.structures.sparsity import Structure

    Numbers = NDArray[np.int64]

PROBED = 3  # rows of each line that are sampled first: the first, the middle and the last
ENTRIES_PER_LINE = 600  # approximate number of entries sampled per line, from at least three rows


def raster(structure: Structure, ctx: ArgumentContext, n_lines: int, n_points: int) -> NDArray[np.bool_]:
    """Rasterize a pattern: (n_lines, n_points) booleans, true where a point contains a sampled entry.

    `n_lines` and `n_points` are at most the numbers of outputs and inputs. With one line per output and one point per
    input, every entry is sampled.
    """
    probes = _rows(ctx.n_out, n_lines, PROBED)
    each = _sampled(structure, ctx, probes, n_points)[1].size / probes.size
    n_each = max(PROBED, int(ENTRIES_PER_LINE / max(each, 1.0)))
    rows, columns = _sampled(structure, ctx, _rows(ctx.n_out, n_lines, n_each), n_points)
    filled = np.zeros((n_lines, n_points), bool)
    filled[rows * n_lines // ctx.n_out, columns * n_points // ctx.n_in] = True
    return filled


def _rows(n_out: int, n_lines: int, n_each: int) -> Numbers:
    """Return up to `n_each` rows of each line, its first and last included, in order."""
    ends = np.array([-(-line * n_out // n_lines) for line in range(n_lines + 1)])
    first, last = ends[:-1], ends[1:] - 1
    return np.unique([first + (last - first) * part // (n_each - 1) for part in range(n_each)])


def _sampled(structure: Structure, ctx: ArgumentContext, rows: Numbers, n_points: int) -> tuple[Numbers, Numbers]:
    """Return row and column of some entries of each row, enough to mark each point between its first and last entry."""
    begin, count = _entries_of(structure, ctx, rows)
    rows, begin, count = (part[count > 0] for part in (rows, begin, count))
    left, right = (columns_of_entries(structure, ctx, at) * n_points // ctx.n_in for at in (begin, begin + count - 1))
    taken = np.minimum(count, 2 * (np.abs(right - left) + 1))
    of = np.repeat(np.arange(rows.size), taken)
    nth = np.arange(of.size) - np.repeat(np.cumsum(taken) - taken, taken)
    numbers = begin[of] + nth * (count[of] - 1) // np.maximum(taken[of] - 1, 1)
    return rows[of], columns_of_entries(structure, ctx, numbers)


def _entries_of(structure: Structure, ctx: ArgumentContext, rows: Numbers) -> tuple[Numbers, Numbers]:
    """Return the index of the first entry of each row in CSR order, and the number of its entries."""
    per_row = structure.per_row(ctx)
    if per_row is None:
        each = structure.n_nonzeros(ctx) // ctx.n_out
        return rows * each, np.full(rows.shape, each)
    counts = per_row.astype(np.int64)
    return (np.cumsum(counts) - counts)[rows], counts[rows]
