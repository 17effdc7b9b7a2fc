"""Slopes of reductions where they are not smooth: ties, zeros and the norm of zero, and products with zeros."""

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.strategies.registry import load

NAN = float("nan")


def slopes(op, x, **attrs):
    """Return the slope of the sum of the outputs, by `vjp` and by `sparse`, which must agree."""
    x = np.array(x, float)
    g = GraphBuilder()
    graph = g.build(getattr(g, op)(g.input("x", x.shape), **attrs), wrt="all")
    ones = np.ones((1, *graph.output_shape))
    found = [load(name).prepare(graph).linearize({"x": x}).pullback(ones)["x"][0] for name in ("vjp", "sparse")]
    np.testing.assert_array_equal(*found)
    return found[0].tolist()


@pytest.mark.parametrize(
    ("op", "attrs", "x", "expected"),
    [
        ("max", {}, [[2, 1, 2], [0, 3, 1]], [[0.5, 0, 0.5], [0, 1, 0]]),
        ("max", {"ties": "first"}, [[2, 1, 2], [3, 3, 3]], [[1, 0, 0], [1, 0, 0]]),
        ("max", {"ties": "first", "axes": (0,)}, [[2, 1], [2, 1], [0, 3]], [[1, 0], [0, 0], [0, 1]]),
        ("max", {"axes": None}, [[2, 1], [2, 2]], [[1 / 3, 0], [1 / 3, 1 / 3]]),
        ("min", {}, [[2, 1, 1]], [[0, 0.5, 0.5]]),
        ("min", {"ties": "first", "axes": None}, [[2, 1], [1, 5]], [[0, 1], [0, 0]]),
        ("norm", {}, [[0, 0], [3, 4]], [[0, 0], [0.6, 0.8]]),
        ("norm", {"order": 1}, [[0, -2, 3]], [[0, -1, 1]]),
        ("norm", {"order": np.inf}, [[1, -2, 2]], [[0, -0.5, 0.5]]),
        ("norm", {"order": np.inf}, [[0, 0]], [[0, 0]]),
        ("prod", {}, [[0, 2, 3], [0, 0, 3], [1, 2, 3]], [[6, 0, 0], [0, 0, 0], [6, 3, 2]]),
        ("cumprod", {}, [[2, 0, 3]], [[1, 8, 0]]),
    ],
)
def test_slopes_where_functions_are_not_smooth(op, attrs, x, expected):
    np.testing.assert_allclose(slopes(op, x, **attrs), expected, rtol=1e-15)


def test_the_slope_of_the_norm_at_zero_is_an_attribute():
    """It is 0 in torch and nan in JAX."""
    assert np.all(np.isnan(slopes("norm", [[0, 0]], at_zero=NAN)))
    assert slopes("norm", [[3, 4]], at_zero=NAN) == [[0.6, 0.8]]
