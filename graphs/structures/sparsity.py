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

    from jacobench.graphs.array_types import Site

    View = Callable[[NDArray[np.floating], Site], NDArray[np.floating]]

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
    """A family of patterns, told by the shapes at a site.

    Attributes
    ----------
    name : str
        The mathematician's word for it.
    extent : callable
        site → the shape of the array of values, whose C order is the CSR order; its product is the number of non-zeros.
    columns : callable
        (site, dtype) → the column of each entry, broadcastable to `extent`.
    view : callable
        (J, site) → the entries' places in the dense J, whose shape is (samples, outputs per sample, inputs per sample), as
        a strided view of it: nothing is scattered.
    index : callable
        site → arrays that index the view's last axes, where no view alone can hold the places; indexed, it has the C order
        of `extent`.
    per_row : callable or None
        site → the number of entries in each row, shape (outputs,); None where all rows have as many.
    scratch : callable
        site → how many numbers of columns, or of entries in rows, `pattern` holds at most beside what it returns. By
        default one for each input, where the columns are repeated, before there is one for each output.
    """

    name: str
    extent: Callable[[Site], tuple[int, ...]]
    columns: Callable[[Site, type[np.signedinteger]], NDArray[np.signedinteger]]
    view: View
    index: Callable[[Site], tuple[NDArray[np.signedinteger], ...]] = lambda _site: ()
    per_row: Callable[[Site], NDArray[np.signedinteger]] | None = None
    scratch: Callable[[Site], int] | None = None

    def n_nonzeros(self, site: Site) -> int:
        """Return how many entries the pattern has, from the shapes alone."""
        return prod(self.extent(site))

    def scratch_bytes(self, site: Site) -> int:
        """Return the bytes that `pattern` allocates and frees beside what it returns."""
        nnz = self.n_nonzeros(site)
        repeated = site.n_in - site.n_out if nnz != site.n_in else 0
        count = repeated if self.scratch is None else self.scratch(site)
        return np.dtype(index_dtype(nnz, site.n_in, site.n_out)).itemsize * max(0, count)

    def pattern(self, site: Site) -> Pattern:
        """Return the pattern as CSR index arrays."""
        nnz = self.n_nonzeros(site)
        dtype = index_dtype(nnz, site.n_in, site.n_out)
        indices = self._indices(site, dtype)
        if self.per_row is None:
            indptr = np.arange(0, nnz + 1, nnz // site.n_out, dtype=dtype)
        else:
            indptr = np.zeros(site.n_out + 1, dtype)
            np.cumsum(self.per_row(site), out=indptr[1:])
        return Pattern(indptr, indices, (site.n_out, site.n_in))

    def _indices(self, site: Site, dtype: type[np.signedinteger]) -> NDArray[np.signedinteger]:
        columns, extent = self.columns(site, dtype), self.extent(site)
        return columns.reshape(-1) if columns.size == prod(extent) else np.broadcast_to(columns, extent).flatten()


def _rows(site: Site) -> int:
    """Count the vectors along the last axis of the output."""
    return prod(site.out[:-1])


def split(J: NDArray[np.floating], site: Site) -> NDArray[np.floating]:
    """View J's diagonal blocks, one for each vector along the last axis: shape (samples, vectors a sample, O, I)."""
    vectors = _rows(site) // site.samples
    view: NDArray[np.floating] = np.einsum(
        "bpopi->bpoi", J.reshape(site.samples, vectors, site.out[-1], vectors, site.x[-1])
    )
    return view


DIAGONAL = Structure(
    "diagonal",
    extent=lambda site: (site.n_out,),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype),
    view=lambda J, _site: np.einsum("bii->bi", J),
)

IDENTITY_MULTIPLE = Structure("identity multiple", DIAGONAL.extent, DIAGONAL.columns, DIAGONAL.view)

BLOCK_DIAGONAL = Structure(
    "block diagonal",
    extent=lambda site: (_rows(site), site.out[-1], site.x[-1]),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype).reshape(-1, 1, site.x[-1]),
    view=split,
)

DENSE = Structure(
    "dense",
    extent=lambda site: (site.n_out, site.n_in),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype),
    view=lambda J, _site: J,
)

# t = z Wᵀ + b against W: row (r, o) holds z[r] in the columns of W[o]. For one row this is I ⊗ zᵀ.
KRONECKER = Structure(
    "Kronecker with identity",
    extent=lambda site: (_rows(site), *site.x),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype).reshape(site.x),
    view=lambda J, site: np.einsum("rooi->roi", J.reshape(_rows(site), site.x[0], *site.x)),
)

# … and against b: one identity under the other.
STACKED_IDENTITY = Structure(
    "stacked identity",
    extent=lambda site: (_rows(site), site.n_in),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype),
    view=lambda J, site: np.einsum("roo->ro", J.reshape(_rows(site), site.n_in, site.n_in)),
)


def _mask(site: Site) -> Pattern:
    mask: Pattern = site.attrs["mask"]
    return mask


def _rows_of_mask(site: Site) -> NDArray[np.signedinteger]:
    return np.tile(np.diff(_mask(site).indptr), _rows(site))


# t = z Wᵀ + b with W on a fixed pattern, against z: the pattern once for every row …
MASKED_BLOCKS = Structure(
    "block diagonal, sparse blocks",
    extent=lambda site: (_rows(site), _mask(site).indices.size),
    columns=lambda site, dtype: np.arange(0, site.n_in, site.x[-1], dtype=dtype)[:, None] + _mask(site).indices,
    view=split,
    index=lambda site: (_mask(site).rows, _mask(site).indices),
    per_row=_rows_of_mask,
    scratch=lambda site: site.n_out,
)

# … and against W's stored values: entry k of W, in row o of the pattern, stands in row (r, o), column k.
MASKED_KRONECKER = Structure(
    "Kronecker with identity, masked",
    extent=lambda site: (_rows(site), site.n_in),
    columns=lambda site, dtype: np.arange(site.n_in, dtype=dtype),
    view=lambda J, site: J.reshape(_rows(site), -1, site.n_in),
    index=lambda site: (_mask(site).rows, np.arange(site.n_in)),
    per_row=_rows_of_mask,
    scratch=lambda site: site.n_out,
)
