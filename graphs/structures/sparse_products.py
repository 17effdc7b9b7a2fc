"""Products of vectors and a CSR matrix, by the compiled functions of scipy.sparse.

SciPy's operators take 3 µs more for each product, and `csr_array` 18 µs for each new matrix.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import _sparsetools as compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.structures.sparsity import Pattern

FEW_VECTORS = 3
"""Number of vectors up to which one product for each is faster than one product of all, which needs transposed copies."""

THIN = 512
"""Transposed copies of a vector and its product take 1 to 2 ns per number. A product for each vector takes 0.7 µs, and 0.3 ns
more for each stored entry."""

DENSE_FROM = 3 / 8
"""Density from which a dense copy of the matrix is faster, for more than `FEW_VECTORS`. At sizes 64 to 512 and 4 to 64 vectors
this is 1/4 to 1/2. At density 1/2 and 64 vectors it is 1.6 times as fast."""


def is_thin(shape: tuple[int, int], n_stored: int) -> bool:
    """Return whether transposed copies would take longer than they save, for a matrix of this shape."""
    return sum(shape) > THIN + n_stored // 3


def scratch_bytes(n_vectors: int, shape: tuple[int, int], n_stored: int, itemsize: int) -> int:
    """Return the bytes of the transposed copies that a product allocates and frees."""
    return 0 if n_vectors <= FEW_VECTORS or is_thin(shape, n_stored) else n_vectors * sum(shape) * itemsize


def is_dense(n_vectors: int, pattern: Pattern) -> bool:
    """Return whether products with a dense copy are faster."""
    return n_vectors > FEW_VECTORS and pattern.density >= DENSE_FROM


def dense_copy(values: Array, pattern: Pattern) -> Array:
    """Return the matrix as a dense array."""
    A = np.zeros(prod(pattern.shape), values.dtype)
    A[pattern.positions] = values
    return A.reshape(pattern.shape)


def add_product(x: Array, values: Array, pattern: Pattern, y: Array) -> None:
    """Add x A to y, shape (vectors, columns), for x (vectors, rows) and A with these values on the pattern."""
    # The arrays of A, read as CSC, are its transpose.
    _add(compiled.csc_matvec, compiled.csc_matvecs, pattern.shape[::-1], x, values, pattern, y)


def add_transposed_product(x: Array, values: Array, pattern: Pattern, y: Array) -> None:
    """Add x Aᵀ to y, shape (vectors, rows), for x (vectors, columns)."""
    _add(compiled.csr_matvec, compiled.csr_matvecs, pattern.shape, x, values, pattern, y)


def scale_columns(values: Array, factors: Array, pattern: Pattern) -> None:
    """Multiply the stored values, shape (nnz,), by the factor of their column, in place."""
    compiled.csr_scale_columns(*pattern.shape, pattern.indptr, pattern.indices, values, factors)


def _add(
    one: Callable[..., Any],
    many: Callable[..., Any],
    sizes: tuple[int, ...],
    x: Array,
    values: Array,
    pattern: Pattern,
    y: Array,
) -> None:
    indptr, indices = pattern.indptr, pattern.indices
    if len(x) == 1:
        one(*sizes, indptr, indices, values, x, y)
    elif len(x) <= FEW_VECTORS or is_thin(pattern.shape, indices.size):
        for row, out in zip(x, y, strict=True):
            one(*sizes, indptr, indices, values, row, out)
    else:
        yT = np.zeros((sizes[0], len(x)), y.dtype)
        many(*sizes, len(x), indptr, indices, values, x.T.copy(), yT)
        y += yT.T
