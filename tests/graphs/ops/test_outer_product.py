"""`outer_product` writes g zᵀ by the BLAS, in one part or in several, or by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.graphs.arrays.namespaces import LONG_ROW
from jacobench.graphs.ops import products
from jacobench.graphs.ops.linear import PART_BYTES, outer_product

SHORT, LONG = LONG_ROW // 8 - 1, LONG_ROW // 4
SHAPES = {
    "one number": (1, 1),
    "one part": (70, 50),
    "several parts": (2 * PART_BYTES // (8 * SHORT) + 3, SHORT),
    "long rows in one part": (40, LONG),
    "long rows": (PART_BYTES // (4 * LONG) + 1, LONG),
    "rows longer than a part": (3, PART_BYTES // 8 + 1),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_equals_the_product_entry_by_entry(shape, dtype):
    rng = np.random.default_rng(0)
    g, z = (rng.standard_normal(shape).astype(dtype) for shape in ((shape[0], 1), (1, shape[1])))
    out = np.full(shape, np.nan, dtype)
    outer_product(g, z, out)
    np.testing.assert_array_equal(out, g * z)


def test_of_a_strided_column_and_row():
    both = np.arange(1.0, 13.0).reshape(3, 4)
    out = np.empty((3, 2))
    outer_product(both[:, 1:2], both[:1, ::2], out)
    np.testing.assert_array_equal(out, [[2, 6], [6, 18], [10, 30]])


def test_keeps_the_buffer_and_the_error_state_of_the_caller():
    rows = PART_BYTES // LONG_ROW + 1
    before = np.getbufsize(), np.geterr()
    outer_product(np.ones((rows, 1)), np.ones((1, LONG)), np.empty((rows, LONG)))
    assert (np.getbufsize(), np.geterr()) == before


@pytest.mark.parametrize("streamed", [0, 2**40])
def test_pullbacks_of_outer_for_matrices_inside_and_outside_the_cache(streamed, monkeypatch):
    monkeypatch.setattr(products, "STREAMED", streamed)
    rng = np.random.default_rng(0)
    x, y, G = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 5, 4)), rng.standard_normal((3, 2, 5, 3, 4))
    for given in (False, True):
        x_bar, y_bar = (np.empty((3, *z.shape)) if given else None for z in (x, y))
        x_bar, y_bar = products.times_right(G, y, x_bar), products.times_left(G, x, y_bar)
        np.testing.assert_allclose(x_bar, np.sum(G * y[..., None, :], axis=-1), atol=1e-14)
        np.testing.assert_allclose(y_bar, np.sum(G * x[..., None], axis=-2), atol=1e-14)
