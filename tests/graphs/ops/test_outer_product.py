"""`outer_product` writes g zᵀ by the BLAS, in one part or in several, or by NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.graphs.ops.linear import LONG_ROW, PART_BYTES, outer_product

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
