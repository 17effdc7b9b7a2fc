"""Structures of products and sums along the last axis: one block of the Jacobian for each vector, or pair of them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.structures.sparsity import Structure, split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Array, Site

    Indices = NDArray[np.signedinteger]


def _vectors(site: Site) -> int:
    """Count the vectors along the last axis of the argument."""
    return prod(site.x[:-1])


def _row_blocks(J: Array, site: Site) -> Array:
    rows = site.n_out // site.samples
    view: Array = np.einsum("bppi->bpi", J.reshape(site.samples, rows, rows, site.x[-1]))
    return view


# A number for each vector: y_r = Σ_i a_ri x_ri.
ROW_BLOCKS = Structure(
    "block diagonal, one row a block",
    extent=lambda site: (site.n_out, site.x[-1]),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype),
    view=_row_blocks,
)

OFF_DIAGONAL = np.array([[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]])
"""Rows and columns of a 3×3 matrix without its diagonal."""

SKEW = Structure(
    "skew-symmetric 3×3 blocks",
    extent=lambda site: (_vectors(site), OFF_DIAGONAL.shape[1]),
    columns=lambda site, dtype: np.add.outer(np.arange(0, site.n_in, 3, dtype=dtype), OFF_DIAGONAL[1].astype(dtype)),
    view=split,
    index=lambda _site: (OFF_DIAGONAL[0], OFF_DIAGONAL[1]),
    scratch=lambda _site: 0,
)


def _triangle_columns(site: Site, dtype: type[np.signedinteger]) -> Indices:
    """Return 0, 0, 1, 0, 1, 2 … for each vector."""
    n = site.x[-1]
    counts = np.arange(1, n + 1, dtype=dtype)
    within = np.arange(n * (n + 1) // 2, dtype=dtype)
    within -= np.repeat(np.cumsum(counts, dtype=dtype) - counts, counts)
    if site.n_in == n:
        return within
    columns: Indices = np.add.outer(np.arange(0, site.n_in, n, dtype=dtype), within)
    return columns


TRIANGULAR = Structure(
    "block diagonal, lower triangular blocks",
    extent=lambda site: (_vectors(site), site.x[-1] * (site.x[-1] + 1) // 2),
    columns=_triangle_columns,
    view=split,
    index=lambda site: np.tril_indices(site.x[-1]),
    per_row=lambda site: np.tile(np.arange(1, site.x[-1] + 1), _vectors(site)),
    scratch=lambda site: site.x[-1] * (site.x[-1] + 1) // 2,
)


def _outer_shape(site: Site) -> tuple[int, int, int, int]:
    """Return (samples, pairs a sample, n, m) of an output (…, n, m)."""
    *leading, n, m = site.out
    return site.samples, prod(leading) // site.samples, n, m


def _outer_left(J: Array, site: Site) -> Array:
    samples, pairs, n, m = _outer_shape(site)
    view: Array = np.einsum("bpijpi->bpij", J.reshape(samples, pairs, n, m, pairs, n))
    return view


def _outer_right(J: Array, site: Site) -> Array:
    samples, pairs, n, m = _outer_shape(site)
    view: Array = np.einsum("bpijpj->bpij", J.reshape(samples, pairs, n, m, pairs, m))
    return view


# x yᵀ against x: I ⊗ y for each pair …
OUTER_LEFT = Structure(
    "Kronecker, identity ⊗ column",
    extent=lambda site: (prod(site.out[:-2]), *site.out[-2:]),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype).reshape(-1, site.x[-1], 1),
    view=_outer_left,
)

# … and against y: x ⊗ I.
OUTER_RIGHT = Structure(
    "Kronecker, column ⊗ identity",
    OUTER_LEFT.extent,
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype).reshape(-1, 1, site.x[-1]),
    view=_outer_right,
)


def _product_left(J: Array, site: Site) -> Array:
    samples, pairs, n, m = _outer_shape(site)
    view: Array = np.einsum("bpijpik->bpijk", J.reshape(samples, pairs, n, m, pairs, n, site.x[-1]))
    return view


def _product_right(J: Array, site: Site) -> Array:
    samples, pairs, n, m = _outer_shape(site)
    view: Array = np.einsum("bpijpkj->bpijk", J.reshape(samples, pairs, n, m, pairs, site.x[-2], m))
    return view


# X Y against X: I ⊗ Yᵀ for each pair …
PRODUCT_LEFT = Structure(
    "Kronecker, identity ⊗ matrix",
    extent=lambda site: (prod(site.out[:-2]), *site.out[-2:], site.x[-1]),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype).reshape(-1, site.x[-2], 1, site.x[-1]),
    view=_product_left,
)

# … and against Y: X ⊗ I.
PRODUCT_RIGHT = Structure(
    "Kronecker, matrix ⊗ identity",
    extent=lambda site: (prod(site.out[:-2]), *site.out[-2:], site.x[-2]),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype).reshape(-1, *site.x[-2:]).transpose(0, 2, 1)[:, None],
    view=_product_right,
)


def kept(site: Site) -> NDArray[np.bool_]:
    """Return which entries a mask over the last axes keeps, in the argument's shape: a view of the mask."""
    return np.broadcast_to(site.attrs["mask"], site.x)


def _kept_places(site: Site) -> tuple[Indices, Indices]:
    return np.divmod(np.flatnonzero(kept(site)), site.n_in // site.samples)


KEPT_DIAGONAL = Structure(
    "diagonal, masked",
    extent=lambda site: (site.n_in // site.attrs["mask"].size * int(np.count_nonzero(site.attrs["mask"])),),
    columns=lambda site, dtype: np.flatnonzero(kept(site)).astype(dtype),
    view=lambda J, _site: np.einsum("bii->bi", J),
    index=_kept_places,
    per_row=lambda site: kept(site).reshape(-1).astype(np.int32),
    scratch=lambda site: site.n_in,
)
