"""Sparsity structure of a local Jacobian: the pattern as CSR arrays, and its positions as a view of the dense matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Indices

    View = Callable[[NDArray[np.floating], ArgumentContext], NDArray[np.floating]]

INT32_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Pattern:
    """Positions of a sparse matrix's entries in CSR order.

    `indptr` (rows + 1,) is the start of each row in `indices`, int32 where it suffices, as in scipy.sparse. `indices`
    (nnz,) is the column of each entry, ascending within a row, in the same dtype. `shape` is (rows, columns).
    """

    indptr: Indices
    indices: Indices
    shape: tuple[int, int]

    # NumPy indexes by intp. It would convert other indices in each call.

    @cached_property
    def counts(self) -> Indices:
        """Number of entries in each row, shape (rows,), intp."""
        return np.diff(self.indptr).astype(np.intp)

    @cached_property
    def rows(self) -> Indices:
        """Row of each entry, shape (nnz,), intp."""
        return np.repeat(np.arange(self.shape[0]), self.counts)

    @cached_property
    def columns(self) -> Indices:
        """Column of each entry, shape (nnz,), intp."""
        return self.indices.astype(np.intp)

    @cached_property
    def positions(self) -> Indices:
        """Number of each entry in the dense matrix in C order, shape (nnz,), intp."""
        return self.rows * self.shape[1] + self.columns

    @property
    def density(self) -> float:
        """Share of the dense matrix's entries that are stored."""
        return self.indices.size / prod(self.shape)

    def bytes_for(self, n_vectors: int) -> int:
        """Return the bytes of the index arrays that a masked product of so many vectors may use.

        For one vector, these are neither `rows` nor `positions`.
        """
        n_wide = 1 if n_vectors == 1 else 3
        wide = np.dtype(np.intp).itemsize * (self.shape[0] + n_wide * self.indices.size)
        return self.indptr.nbytes + self.indices.nbytes + wide


def index_dtype(*largest: int) -> type[np.signedinteger]:
    """Return int32 if it holds all numbers, else int64."""
    return np.int32 if max(largest) <= INT32_MAX else np.int64


def index_bytes(n_rows: int, n_columns: int, nnz: int) -> int:
    """Return the bytes of the two index arrays of a CSR pattern; scipy widens both if either side is long."""
    return np.dtype(index_dtype(n_rows, n_columns, nnz)).itemsize * (nnz + n_rows + 1)


@dataclass(frozen=True)
class Structure:
    """Family of patterns; the shapes in a context determine one of them.

    - `extent`: ctx → shape of the array of values, whose C order is the CSR order. Its product is the number of non-zeros.
    - `columns`: (ctx, dtype) → column of each entry, broadcastable to `extent`.
    - `view`: (J, ctx) → strided view of the entries in the dense J (samples, outputs per sample, inputs per sample).
    - `index`: ctx → arrays that index the view's last axes, where a view alone cannot select the entries.
    - `per_row`: ctx → number of entries in each row, shape (outputs,), or None if all rows have equally many.
    - `scratch`: ctx → largest number of indices that `pattern` holds in addition to its result. By default one for each
      input, where columns are repeated, before `indptr` exists.
    """

    name: str
    extent: Callable[[ArgumentContext], tuple[int, ...]]
    columns: Callable[[ArgumentContext, type[np.signedinteger]], Indices]
    view: View
    index: Callable[[ArgumentContext], tuple[Indices, ...]] = lambda _ctx: ()
    per_row: Callable[[ArgumentContext], Indices | None] = lambda _ctx: None
    scratch: Callable[[ArgumentContext], int] | None = None

    def n_nonzeros(self, ctx: ArgumentContext) -> int:
        """Return the number of entries of the pattern, from the shapes alone."""
        return prod(self.extent(ctx))

    def scratch_bytes(self, ctx: ArgumentContext) -> int:
        """Return the bytes that `pattern` allocates and frees in addition to its result."""
        nnz = self.n_nonzeros(ctx)
        repeated = ctx.n_in - ctx.n_out if nnz != ctx.n_in else 0
        count = repeated if self.scratch is None else self.scratch(ctx)
        return np.dtype(index_dtype(nnz, ctx.n_in, ctx.n_out)).itemsize * max(0, count)

    def pattern(self, ctx: ArgumentContext) -> Pattern:
        """Return the pattern as CSR index arrays."""
        nnz = self.n_nonzeros(ctx)
        dtype = index_dtype(nnz, ctx.n_in, ctx.n_out)
        indices = self._indices(ctx, dtype)
        counts = self.per_row(ctx)
        if counts is None:
            indptr = np.arange(0, nnz + 1, nnz // ctx.n_out, dtype=dtype)
        else:
            indptr = np.zeros(ctx.n_out + 1, dtype)
            np.cumsum(counts, out=indptr[1:])
        return Pattern(indptr, indices, (ctx.n_out, ctx.n_in))

    def _indices(self, ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
        columns, extent = self.columns(ctx, dtype), self.extent(ctx)
        return columns.reshape(-1) if columns.size == prod(extent) else np.broadcast_to(columns, extent).flatten()


def einsum_view(subscripts: str, shape: Callable[[ArgumentContext], tuple[int, ...]]) -> View:
    """Return the function (J, ctx) → the diagonal that `subscripts` select from J, reshaped to ``shape(ctx)``."""
    return lambda J, ctx: np.einsum(subscripts, J.reshape(shape(ctx)))


def _vectors_shape(ctx: ArgumentContext) -> tuple[int, ...]:
    vectors = ctx.n_vectors // ctx.samples
    return (ctx.samples, vectors, ctx.out[-1], vectors, ctx.x[-1])


split = einsum_view("bpopi->bpoi", _vectors_shape)
"""View of the diagonal blocks of J, one for each vector along the last axis: (samples, vectors per sample, O, I)."""


DIAGONAL = Structure(
    "diagonal",
    extent=lambda ctx: (ctx.n_out,),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=lambda J, _ctx: np.einsum("bii->bi", J),
)

IDENTITY_MULTIPLE = Structure("identity multiple", DIAGONAL.extent, DIAGONAL.columns, DIAGONAL.view)

BLOCK_DIAGONAL = Structure(
    "block diagonal",
    extent=lambda ctx: (ctx.n_vectors, ctx.out[-1], ctx.x[-1]),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(-1, 1, ctx.x[-1]),
    view=split,
)

DENSE = Structure(
    "dense",
    extent=lambda ctx: (ctx.n_out, ctx.n_in),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=lambda J, _ctx: J,
)

# Jacobian of t = z Wᵀ + b with respect to W: row (r, o) holds z[r] in the columns of W[o]; for one row, I ⊗ zᵀ.
KRONECKER = Structure(
    "Kronecker with identity",
    extent=lambda ctx: (ctx.n_vectors, *ctx.x),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(ctx.x),
    view=einsum_view("rooi->roi", lambda ctx: (ctx.n_vectors, ctx.x[0], *ctx.x)),
)

# … and with respect to b: stacked identities.
STACKED_IDENTITY = Structure(
    "stacked identity",
    extent=lambda ctx: (ctx.n_vectors, ctx.n_in),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=einsum_view("roo->ro", lambda ctx: (ctx.n_vectors, ctx.n_in, ctx.n_in)),
)


def _rows_of_mask(ctx: ArgumentContext) -> Indices:
    return np.tile(np.diff(ctx.attrs["mask"].indptr), ctx.n_vectors)


# Jacobian of t = z Wᵀ + b, W on a fixed pattern, with respect to z: the pattern once for each row …
MASKED_BLOCKS = Structure(
    "block diagonal, sparse blocks",
    extent=lambda ctx: (ctx.n_vectors, ctx.attrs["mask"].indices.size),
    columns=lambda ctx, dtype: np.arange(0, ctx.n_in, ctx.x[-1], dtype=dtype)[:, None] + ctx.attrs["mask"].indices,
    view=split,
    index=lambda ctx: (ctx.attrs["mask"].rows, ctx.attrs["mask"].columns),
    per_row=_rows_of_mask,
    scratch=lambda ctx: ctx.n_out,
)

# … and with respect to the stored values of W: entry k, in row o of the pattern, is in row (r, o), column k.
MASKED_KRONECKER = Structure(
    "Kronecker with identity, masked",
    extent=lambda ctx: (ctx.n_vectors, ctx.n_in),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=lambda J, ctx: J.reshape(ctx.n_vectors, -1, ctx.n_in),
    index=lambda ctx: (ctx.attrs["mask"].rows, np.arange(ctx.n_in)),
    per_row=_rows_of_mask,
    scratch=lambda ctx: max(ctx.n_out, 0 if ctx.n_vectors == 1 else ctx.n_in - ctx.n_out),
)


def _vectors(ctx: ArgumentContext) -> int:
    """Return the number of vectors along the last axis of the argument."""
    return prod(ctx.x[:-1])


# One output for each vector: y_r = Σ_i a_ri x_ri.
ROW_BLOCKS = Structure(
    "block diagonal, one row a block",
    extent=lambda ctx: (ctx.n_out, ctx.x[-1]),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=einsum_view("bppi->bpi", lambda ctx: (ctx.samples, *(ctx.n_out // ctx.samples,) * 2, ctx.x[-1])),
)

OFF_DIAGONAL = np.array([[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]])
"""Rows and columns of a 3×3 matrix without its diagonal."""

SKEW = Structure(
    "skew-symmetric 3×3 blocks",
    extent=lambda ctx: (_vectors(ctx), OFF_DIAGONAL.shape[1]),
    columns=lambda ctx, dtype: np.add.outer(np.arange(0, ctx.n_in, 3, dtype=dtype), OFF_DIAGONAL[1].astype(dtype)),
    view=split,
    index=lambda _ctx: (OFF_DIAGONAL[0], OFF_DIAGONAL[1]),
    scratch=lambda _ctx: 0,
)


def _pairs_shape(ctx: ArgumentContext) -> tuple[int, ...]:
    """Return (samples, pairs per sample, n, m, pairs per sample) of an output (…, n, m)."""
    *leading, n, m = ctx.out
    pairs = prod(leading) // ctx.samples
    return (ctx.samples, pairs, n, m, pairs)


# Jacobian of x yᵀ with respect to x: I ⊗ y for each pair …
OUTER_LEFT = Structure(
    "Kronecker, identity ⊗ column",
    extent=lambda ctx: (prod(ctx.out[:-2]), *ctx.out[-2:]),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(-1, ctx.x[-1], 1),
    view=einsum_view("bpijpi->bpij", lambda ctx: (*_pairs_shape(ctx), ctx.x[-1])),
)

# … and with respect to y: x ⊗ I.
OUTER_RIGHT = Structure(
    "Kronecker, column ⊗ identity",
    OUTER_LEFT.extent,
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(-1, 1, ctx.x[-1]),
    view=einsum_view("bpijpj->bpij", lambda ctx: (*_pairs_shape(ctx), ctx.x[-1])),
)


# Jacobian of X Y with respect to X: I ⊗ Yᵀ for each pair …
PRODUCT_LEFT = Structure(
    "Kronecker, identity ⊗ matrix",
    extent=lambda ctx: (prod(ctx.out[:-2]), *ctx.out[-2:], ctx.x[-1]),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(-1, ctx.x[-2], 1, ctx.x[-1]),
    view=einsum_view("bpijpik->bpijk", lambda ctx: (*_pairs_shape(ctx), *ctx.x[-2:])),
)

# … and with respect to Y: X ⊗ I.
PRODUCT_RIGHT = Structure(
    "Kronecker, matrix ⊗ identity",
    extent=lambda ctx: (prod(ctx.out[:-2]), *ctx.out[-2:], ctx.x[-2]),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype).reshape(-1, *ctx.x[-2:]).transpose(0, 2, 1)[:, None],
    view=einsum_view("bpijpkj->bpijk", lambda ctx: (*_pairs_shape(ctx), *ctx.x[-2:])),
)


def kept(ctx: ArgumentContext) -> NDArray[np.bool_]:
    """Return the entries that a mask over the last axes keeps: a view of the mask in the argument's shape."""
    return np.broadcast_to(ctx.attrs["mask"], ctx.x)


KEPT_DIAGONAL = Structure(
    "diagonal, masked",
    extent=lambda ctx: (ctx.n_in // ctx.attrs["mask"].size * int(np.count_nonzero(ctx.attrs["mask"])),),
    columns=lambda ctx, dtype: np.flatnonzero(kept(ctx)).astype(dtype),
    view=lambda J, _ctx: np.einsum("bii->bi", J),
    index=lambda ctx: np.divmod(np.flatnonzero(kept(ctx)), ctx.n_in // ctx.samples),
    per_row=lambda ctx: kept(ctx).reshape(-1).astype(np.int32),
    scratch=lambda ctx: ctx.n_in,
)
