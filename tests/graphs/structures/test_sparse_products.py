"""Products with a CSR matrix, by each algorithm, against dense products."""

import numpy as np
import pytest
from scipy.sparse import random_array

from jacobench.graphs.structures import sparse_products
from jacobench.graphs.structures.sparsity import Pattern


def csr(n_rows, n_columns, density, dtype):
    return random_array((n_rows, n_columns), density=density, format="csr", dtype=dtype, random_state=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n_vectors", [1, sparse_products.FEW_VECTORS, 9])
@pytest.mark.parametrize("sizes", [(30, 20, 0.3), (700, 900, 0.001)])  # only the second is thin
def test_products_are_those_of_the_dense_matrix(sizes, n_vectors, dtype):
    """SciPy's compiled functions are private. This fails if they change."""
    A = csr(*sizes, dtype)
    pattern = Pattern(A.indptr, A.indices, A.shape)
    assert sparse_products.is_thin(A.shape, A.nnz) == (sizes[0] == 700)
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((n_vectors, size)).astype(dtype) for size in A.shape)
    product, transposed = (np.ones((n_vectors, size), dtype) for size in A.shape[::-1])
    sparse_products.add_product(x, A.data, pattern, product)
    sparse_products.add_transposed_product(y, A.data, pattern, transposed)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(product, 1 + x @ A.toarray(), rtol=0, atol=tolerance)
    np.testing.assert_allclose(transposed, 1 + y @ A.toarray().T, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(sparse_products.dense_copy(A.data, pattern), A.toarray())


def test_columns_are_scaled_in_place():
    A = csr(30, 20, 0.3, "float64")
    values, factors = A.data.copy(), np.arange(20.0)
    sparse_products.scale_columns(values, factors, Pattern(A.indptr, A.indices, A.shape))
    np.testing.assert_array_equal(values, A.data * factors[A.indices])
