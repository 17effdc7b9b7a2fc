"""Structure of cumulative sums and products: a triangle for each vector along an axis."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.structures.sparsity import Structure

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Indices


def _lengths(ctx: ArgumentContext) -> tuple[int, int, int]:
    """Return the numbers of entries before, along and behind the axis. A slab is what has one index before it."""
    axis: int = ctx.attrs["axis"]
    return prod(ctx.x[:axis]), ctx.x[axis], prod(ctx.x[axis + 1 :])


def _n_entries(ctx: ArgumentContext) -> int:
    """Return the number of entries of a slab's triangles."""
    _, n, behind = _lengths(ctx)
    return behind * n * (n + 1) // 2


def _counts(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
    """Return the number of entries in each row of a slab."""
    _, n, behind = _lengths(ctx)
    counts = np.arange(1, n + 1, dtype=dtype)
    return np.repeat(counts[::-1] if ctx.attrs.get("reverse") else counts, behind)


def _along(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
    """Return the position along the axis of each entry of a slab: 0, 0, 1, 0, 1, 2, …, or 0, 1, 2, …, 1, 2, … in reverse."""
    counts = _counts(ctx, dtype)
    along = np.arange(_n_entries(ctx), dtype=dtype)
    starts = np.cumsum(counts, dtype=dtype) - counts
    if ctx.attrs.get("reverse"):
        starts -= np.arange(counts.size, dtype=dtype) // dtype(_lengths(ctx)[2])
    along -= np.repeat(starts, counts)
    return along


def _columns(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
    before, n, behind = _lengths(ctx)
    within = _along(ctx, dtype)
    if behind > 1:
        within *= dtype(behind)
        counts = _counts(ctx, dtype)
        within += np.repeat(np.arange(counts.size, dtype=dtype) % dtype(behind), counts)
    if before == 1:
        return within
    columns: Indices = np.add.outer(np.arange(0, ctx.n_in, n * behind, dtype=dtype), within)
    return columns


def _apart(J: Array, ctx: ArgumentContext) -> Array:
    """View J as (samples, slabs, rows along, rows behind, columns along, columns behind)."""
    before, n, behind = _lengths(ctx)
    slabs = before // ctx.samples
    view: Array = np.einsum("spoqpir->spoqir", J.reshape(ctx.samples, slabs, n, behind, slabs, n, behind))
    return view


def diagonal_blocks(J: Array, ctx: ArgumentContext) -> Array:
    """View J as one block for each vector, shape (samples, slabs, behind, rows, columns)."""
    view: Array = np.einsum("spoqiq->spqoi", _apart(J, ctx))
    return view


def rows_of(entries: Array, ctx: ArgumentContext, i: int) -> Array:
    """View the entries, not in reverse, of row i of all triangles, shape (before, behind, i + 1)."""
    before, _, behind = _lengths(ctx)
    start = behind * i * (i + 1) // 2
    return entries.reshape(before, -1)[:, start : start + behind * (i + 1)].reshape(before, behind, i + 1)


def _view(J: Array, ctx: ArgumentContext) -> Array:
    apart = _apart(J, ctx)
    return apart[:, :, :, 0, :, 0] if _lengths(ctx)[2] == 1 else apart


def _index(ctx: ArgumentContext) -> tuple[Indices, ...]:
    """Return the indices of the view's axes: rows and columns along, and behind if there is such an axis."""
    behind, counts = _lengths(ctx)[2], _counts(ctx, np.intp)
    rows = np.repeat(np.arange(counts.size), counts)
    if behind == 1:
        return rows, _along(ctx, np.intp)
    rows, place = np.divmod(rows, behind)
    return rows, place, _along(ctx, np.intp), place


def _scratch(ctx: ArgumentContext) -> int:
    """Count the entries of one slab, twice if their columns depend on the position behind the axis."""
    before, _, behind = _lengths(ctx)
    return _n_entries(ctx) * (2 if behind > 1 and before == 1 else 1)


TRIANGULAR = Structure(
    "block diagonal, lower triangular blocks",
    extent=lambda ctx: (_lengths(ctx)[0], _n_entries(ctx)),
    columns=_columns,
    view=_view,
    index=_index,
    per_row=lambda ctx: np.tile(_counts(ctx, np.intp), _lengths(ctx)[0]),
    scratch=_scratch,
)
