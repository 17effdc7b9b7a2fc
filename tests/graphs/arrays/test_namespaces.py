"""NumPy's functions of this package against exact values."""

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from jacobench.graphs.arrays import namespaces
from jacobench.graphs.arrays.namespaces import LONG_ROW, MANY_ROWS, NUMPY, SHORT_ROW, in_c_order

QUARTERS = np.arange(-600, 600) * np.pi / 2
ANGLES = np.concatenate(
    [np.random.default_rng(0).uniform(-1e6, 1e6, 4000), QUARTERS, np.nextafter(QUARTERS, 0), [-0.0]]
)


@pytest.mark.parametrize("by_half_angle", [False, True])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_are_exact_to_rounding(name, by_half_angle, monkeypatch):
    monkeypatch.setattr(namespaces, "_has_vector_tangent", lambda: by_half_angle)
    exact = getattr(np, name)(ANGLES.astype(np.longdouble))
    found = getattr(NUMPY, name)(ANGLES)
    assert found.dtype == np.float64
    assert np.abs(found - exact).max() < 5e-16
    assert np.array_equal(found[:10], getattr(np, name)(ANGLES[:10])) != by_half_angle
    if name == "sin":
        assert np.all(np.abs(found - exact) <= 5e-16 * np.abs(exact))
        assert np.signbit(found[-1])


def test_few_angles_and_float32_use_numpy(monkeypatch):
    monkeypatch.setattr(namespaces, "_has_vector_tangent", lambda: True)
    for angles in (ANGLES[:100], ANGLES.astype(np.float32)):
        assert np.array_equal(NUMPY.sin(angles), np.sin(angles))
        assert np.array_equal(NUMPY.cos(angles), np.cos(angles))


@pytest.mark.parametrize("n", [1, 3, LONG_ROW // 8 - 1, LONG_ROW // 8, 300])
def test_outer_products_of_short_and_long_rows(n):
    x, y = np.random.default_rng(0).standard_normal((2, 2, 3, n))
    before = np.getbufsize()
    assert np.array_equal(NUMPY.outer_last(x, y), x[..., None] * y[..., None, :])
    assert np.getbufsize() == before


@pytest.mark.parametrize(
    "shape", [(), (3,), (1, 2), (2, MANY_ROWS), (1, MANY_ROWS + 1), (3, 2, MANY_ROWS), (SHORT_ROW + 1, 2000)]
)
def test_copies_of_transposed_arrays_are_in_c_order(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    for out in (None, np.empty(shape[::-1])):
        copied = in_c_order(x.T, out)
        assert np.array_equal(copied, x.T)
        assert copied.flags.c_contiguous
        assert not np.shares_memory(copied, x)


def test_where_of_autograd_sums_over_axes_that_broadcast():
    xp = namespaces.namespace(anp)
    x, y = np.array([[-1.0], [2.0]]), np.array([3.0, 4.0, 5.0])
    by_x, by_y = (autograd.grad(lambda x, y: anp.sum(xp.where(x > 0, x, y)), k)(x, y) for k in (0, 1))
    np.testing.assert_array_equal(by_x, [[0], [3]])
    np.testing.assert_array_equal(by_y, [1, 1, 1])


def test_fmod_of_autograd_has_a_derivative():
    xp = namespaces.namespace(anp)
    x, y = np.array([-7.0, 7.5]), np.array([2.0, -2.0])
    np.testing.assert_array_equal(xp.fmod(x, y), np.fmod(x, y))
    np.testing.assert_array_equal(autograd.grad(lambda y: anp.sum(xp.fmod(x, y)))(y), [3, 3])
