"""Structures with one block of the Jacobian for each vector along the last axis, or for each pair of vectors."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.structures.sparsity import Structure, einsum_view, split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Indices


def _vectors(ctx: ArgumentContext) -> int:
    """Return the number of vectors along the last axis of the argument."""
    return prod(ctx.x[:-1])


def _row_shape(ctx: ArgumentContext) -> tuple[int, ...]:
    rows = ctx.n_out // ctx.samples
    return (ctx.samples, rows, rows, ctx.x[-1])


# One output for each vector: y_r = Σ_i a_ri x_ri.
ROW_BLOCKS = Structure(
    "block diagonal, one row a block",
    extent=lambda ctx: (ctx.n_out, ctx.x[-1]),
    columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
    view=einsum_view("bppi->bpi", _row_shape),
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


def _triangle_columns(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
    """Return 0, 0, 1, 0, 1, 2 … for each vector."""
    n = ctx.x[-1]
    counts = np.arange(1, n + 1, dtype=dtype)
    within = np.arange(n * (n + 1) // 2, dtype=dtype)
    within -= np.repeat(np.cumsum(counts, dtype=dtype) - counts, counts)
    if ctx.n_in == n:
        return within
    columns: Indices = np.add.outer(np.arange(0, ctx.n_in, n, dtype=dtype), within)
    return columns


TRIANGULAR = Structure(
    "block diagonal, lower triangular blocks",
    extent=lambda ctx: (_vectors(ctx), ctx.x[-1] * (ctx.x[-1] + 1) // 2),
    columns=_triangle_columns,
    view=split,
    index=lambda ctx: np.tril_indices(ctx.x[-1]),
    per_row=lambda ctx: np.tile(np.arange(1, ctx.x[-1] + 1), _vectors(ctx)),
    scratch=lambda ctx: ctx.x[-1] * (ctx.x[-1] + 1) // 2,
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
