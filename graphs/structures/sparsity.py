"""Where a local Jacobian can be non-zero: the pattern as CSR arrays, and the same places as a view of the dense matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext

    View = Callable[[NDArray[np.floating], ArgumentContext], NDArray[np.floating]]

INT32_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Pattern:
    """The places of a sparse matrix's entries, in CSR order.

    Attributes
    ----------
    indptr : NDArray
        Shape (rows + 1,): where each row begins in `indices`. int32 wherever it suffices, as scipy.sparse wants it.
    indices : NDArray
        Shape (nnz,), the dtype of `indptr`: the column of each entry, ascending within a row.
    shape : tuple of int
        (rows, columns).
    """

    indptr: NDArray[np.signedinteger]
    indices: NDArray[np.signedinteger]
    shape: tuple[int, int]

    @cached_property
    def rows(self) -> NDArray[np.signedinteger]:
        """Return the row of each entry, shape (nnz,)."""
        return np.repeat(np.arange(self.shape[0], dtype=self.indptr.dtype), np.diff(self.indptr))


def index_dtype(*largest: int) -> type[np.signedinteger]:
    """Return the smaller of int32 and int64 that can hold every number given."""
    return np.int32 if max(largest) <= INT32_MAX else np.int64


def index_bytes(n_rows: int, n_columns: int, nnz: int) -> int:
    """Return the bytes that a CSR pattern's two index arrays take; scipy widens both where either side is long."""
    return np.dtype(index_dtype(n_rows, n_columns, nnz)).itemsize * (nnz + n_rows + 1)


@dataclass(frozen=True)
class Structure:
    """A family of patterns, told by the shapes at a ctx.

    Attributes
    ----------
    name : str
        The mathematician's word for it.
    extent : callable
        ctx → the shape of the array of values, whose C order is the CSR order; its product is the number of non-zeros.
    columns : callable
        (ctx, dtype) → the column of each entry, broadcastable to `extent`.
    view : callable
        (J, ctx) → the entries' places in the dense J, whose shape is (samples, outputs per sample, inputs per sample), as
        a strided view of it: nothing is scattered.
    index : callable
        ctx → arrays that index the view's last axes, where no view alone can hold the places; indexed, it has the C order
        of `extent`.
    per_row : callable or None
        ctx → the number of entries in each row, shape (outputs,); None where all rows have as many.
    scratch : callable
        ctx → how many numbers of columns, or of entries in rows, `pattern` holds at most beside what it returns. By
        default one for each input, where the columns are repeated, before there is one for each output.
    """

    name: str
    extent: Callable[[ArgumentContext], tuple[int, ...]]
    columns: Callable[[ArgumentContext, type[np.signedinteger]], NDArray[np.signedinteger]]
    view: View
    index: Callable[[ArgumentContext], tuple[NDArray[np.signedinteger], ...]] = lambda _ctx: ()
    per_row: Callable[[ArgumentContext], NDArray[np.signedinteger]] | None = None
    scratch: Callable[[ArgumentContext], int] | None = None

    def n_nonzeros(self, ctx: ArgumentContext) -> int:
        """Return how many entries the pattern has, from the shapes alone."""
        return prod(self.extent(ctx))

    def scratch_bytes(self, ctx: ArgumentContext) -> int:
        """Return the bytes that `pattern` allocates and frees beside what it returns."""
        nnz = self.n_nonzeros(ctx)
        repeated = ctx.n_in - ctx.n_out if nnz != ctx.n_in else 0
        count = repeated if self.scratch is None else self.scratch(ctx)
        return np.dtype(index_dtype(nnz, ctx.n_in, ctx.n_out)).itemsize * max(0, count)

    def pattern(self, ctx: ArgumentContext) -> Pattern:
        """Return the pattern as CSR index arrays."""
        nnz = self.n_nonzeros(ctx)
        dtype = index_dtype(nnz, ctx.n_in, ctx.n_out)
        indices = self._indices(ctx, dtype)
        if self.per_row is None:
            indptr = np.arange(0, nnz + 1, nnz // ctx.n_out, dtype=dtype)
        else:
            indptr = np.zeros(ctx.n_out + 1, dtype)
            np.cumsum(self.per_row(ctx), out=indptr[1:])
        return Pattern(indptr, indices, (ctx.n_out, ctx.n_in))

    def _indices(self, ctx: ArgumentContext, dtype: type[np.signedinteger]) -> NDArray[np.signedinteger]:
        columns, extent = self.columns(ctx, dtype), self.extent(ctx)
        return columns.reshape(-1) if columns.size == prod(extent) else np.broadcast_to(columns, extent).flatten()


def _rows(ctx: ArgumentContext) -> int:
    """Count the vectors along the last axis of the output."""
    return prod(ctx.out[:-1])


def split(J: NDArray[np.floating], ctx: ArgumentContext) -> NDArray[np.floating]:
    """View J's diagonal blocks, one for each vector along the last axis: shape (samples, vectors a sample, O, I)."""
    vectors = _rows(ctx) // ctx.samples
    view: NDArray[np.floating] = np.einsum(
        "bpopi->bpoi", J.reshape(ctx.samples, vectors, ctx.out[-1], vectors, ctx.x[-1])
    )
    return view


DIAGONAL = Structure(
    "diagonal",
    extent=lambda ctx: (ctx.n_out,),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=lambda J, _ctx: np.einsum("bii->bi", J),
)

IDENTITY_MULTIPLE = Structure("identity multiple", DIAGONAL.extent, DIAGONAL.columns, DIAGONAL.view)

BLOCK_DIAGONAL = Structure(
    "block diagonal",
    extent=lambda ctx: (_rows(ctx), ctx.out[-1], ctx.x[-1]),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(-1, 1, ctx.x[-1]),
    view=split,
)

DENSE = Structure(
    "dense",
    extent=lambda ctx: (ctx.n_out, ctx.n_in),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=lambda J, _ctx: J,
)

# t = z Wᵀ + b against W: row (r, o) holds z[r] in the columns of W[o]. For one row this is I ⊗ zᵀ.
KRONECKER = Structure(
    "Kronecker with identity",
    extent=lambda ctx: (_rows(ctx), *ctx.x),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(ctx.x),
    view=lambda J, ctx: np.einsum("rooi->roi", J.reshape(_rows(ctx), ctx.x[0], *ctx.x)),
)

# … and against b: one identity under the other.
STACKED_IDENTITY = Structure(
    "stacked identity",
    extent=lambda ctx: (_rows(ctx), ctx.n_in),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=lambda J, ctx: np.einsum("roo->ro", J.reshape(_rows(ctx), ctx.n_in, ctx.n_in)),
)


def _mask(ctx: ArgumentContext) -> Pattern:
    mask: Pattern = ctx.attrs["mask"]
    return mask


def _rows_of_mask(ctx: ArgumentContext) -> NDArray[np.signedinteger]:
    return np.tile(np.diff(_mask(ctx).indptr), _rows(ctx))


# t = z Wᵀ + b with W on a fixed pattern, against z: the pattern once for every row …
MASKED_BLOCKS = Structure(
    "block diagonal, sparse blocks",
    extent=lambda ctx: (_rows(ctx), _mask(ctx).indices.size),
    columns=lambda ctx, dtype: np.arange(0, ctx.n_in, ctx.x[-1], dtype=dtype)[:, None] + _mask(ctx).indices,
    view=split,
    index=lambda ctx: (_mask(ctx).rows, _mask(ctx).indices),
    per_row=_rows_of_mask,
    scratch=lambda ctx: ctx.n_out,
)

# … and against W's stored values: entry k of W, in row o of the pattern, stands in row (r, o), column k.
MASKED_KRONECKER = Structure(
    "Kronecker with identity, masked",
    extent=lambda ctx: (_rows(ctx), ctx.n_in),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=lambda J, ctx: J.reshape(_rows(ctx), -1, ctx.n_in),
    index=lambda ctx: (_mask(ctx).rows, np.arange(ctx.n_in)),
    per_row=_rows_of_mask,
    scratch=lambda ctx: ctx.n_out,
)
