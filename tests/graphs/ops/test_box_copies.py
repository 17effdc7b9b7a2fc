"""Ops that copy boxes, at random shapes: values, cotangents and tangents against NumPy and JAX."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jacobench.graphs.builder import GraphBuilder

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
LENGTHS = st.lists(st.integers(1, 5), max_size=3).map(tuple)


def one_op(shape, name, /, **attrs):
    """Return the only node of a graph, and its argument."""
    g = GraphBuilder()
    graph = g.build(getattr(g, name)(g.input("x", shape), **attrs), wrt=["x"])
    return graph, graph.nodes[-1], graph.sample(0)["x"]


def pulled_and_pushed(node, x):
    """Return y, two random cotangents and what the vjp rule makes of them, two tangents and what the jvp rule does."""
    (ctx,) = node.contexts
    y, argument, rng = None, node.op.argument(0), np.random.default_rng(1)
    u, v = rng.standard_normal((2, *ctx.out)), rng.standard_normal((2, *ctx.x))
    return u, argument.vjp(u, y, (x,), ctx), v, argument.jvp(v, y, (x,), ctx)


@st.composite
def slices(draw):
    shape = draw(LENGTHS)
    bounds = [st.none() | st.integers(-n - 1, n + 1) for n in shape]
    steps = st.none() | st.sampled_from([1, 2, -1, -2, -3])
    return shape, [slice(draw(bound), draw(bound), draw(steps)) for bound in bounds]


@QUICK
@given(slices())
def test_slices_are_those_of_numpy(case):
    shape, index = case
    at = tuple(index)
    if not np.zeros(shape)[at].size:
        return
    parts = {name: [getattr(part, name[:-1]) for part in index] for name in ("starts", "stops", "steps")}
    graph, node, x = one_op(shape, "slice", **parts)
    y = graph.evaluate({"x": x})
    np.testing.assert_array_equal(y, x[at])
    assert np.shares_memory(y, x) or not shape  # x[()] is a number
    u, x_bar, v, y_dot = pulled_and_pushed(node, x)
    expected = np.zeros((2, *shape))
    expected[(slice(None), *at)] = u
    np.testing.assert_array_equal(x_bar, expected)
    np.testing.assert_array_equal(y_dot, v[(slice(None), *at)])


def padded(x, pairs, interior, value):
    """Pad entry by entry, as `lax.pad` is defined."""
    for axis, ((before, after), gap) in enumerate(zip(pairs, interior, strict=True)):
        rows = list(np.moveaxis(x, axis, 0))
        empty = np.full_like(rows[0], value)
        spread = [row for entry in rows for row in (entry, *[empty] * gap)][: len(rows) * (gap + 1) - gap]
        spread = [empty] * max(0, before) + spread[max(0, -before) :]
        spread = spread[: len(spread) + min(0, after)] + [empty] * max(0, after)
        x = np.moveaxis(np.array(spread), 0, axis) if spread else None
        if x is None:
            return None
    return x


@QUICK
@given(st.data())
def test_pads_are_those_of_their_definition(data):
    shape = data.draw(LENGTHS)
    pairs = [(data.draw(st.integers(-2, 2)), data.draw(st.integers(-2, 2))) for _ in shape]
    interior = [data.draw(st.integers(0, 2)) for _ in shape]
    if any(
        low + (n - 1) * (gap + 1) + 1 + high < 1 for n, (low, high), gap in zip(shape, pairs, interior, strict=True)
    ):
        return
    if any(-low > (n - 1) * (gap + 1) + 1 for n, (low, _), gap in zip(shape, pairs, interior, strict=True)):
        return  # the reference cuts in order
    graph, node, x = one_op(shape, "pad", pairs=pairs, interior=interior, value=0.5)
    np.testing.assert_array_equal(graph.evaluate({"x": x}), padded(x, pairs, interior, 0.5))
    u, x_bar, v, y_dot = pulled_and_pushed(node, x)
    np.testing.assert_array_equal(y_dot, [padded(own, pairs, interior, 0) for own in v])
    np.testing.assert_allclose(np.sum(u * y_dot), np.sum(x_bar * v), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "pairs", "interior"),
    [
        ((3,), [(1, 2)], [0]),
        ((4,), [(-2, 1)], [1]),
        ((2, 3), [(0, -1), (-1, -1)], [2, 1]),
        ((3, 2), [(-1, -1), (2, 0)], [0, 3]),
    ],
)
def test_pads_and_their_cotangents_are_those_of_jax(shape, pairs, interior):
    jax = pytest.importorskip("jax")
    graph, node, x = one_op(shape, "pad", pairs=pairs, interior=interior, value=-1.5)
    u, x_bar, *_ = pulled_and_pushed(node, x)
    config = [(*pair, gap) for pair, gap in zip(pairs, interior, strict=True)]
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: jax.lax.pad(x, -1.5, config), jax.numpy.asarray(x))
        np.testing.assert_array_equal(graph.evaluate({"x": x}), y)
        np.testing.assert_array_equal(x_bar[0], pull(jax.numpy.asarray(u[0]))[0])


@QUICK
@given(st.data())
def test_flips_rolls_and_joins_are_those_of_numpy(data):
    shape = data.draw(LENGTHS.filter(len))
    axes = data.draw(st.lists(st.integers(-len(shape), -1), unique=True))
    shifts = [data.draw(st.integers(-6, 6)) for _ in axes]
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    g = GraphBuilder()
    x = g.input("x", shape)
    for value, function in [
        (g.flip(x, axes=axes), lambda a: np.flip(a, tuple(axes))),
        (g.roll(x, shifts=shifts, axes=axes), lambda a: np.roll(a, shifts, axes)),
        (g.concat(x, g.neg(x), x, axis=axis), lambda a: np.concatenate([a, -a, a], axis)),
    ]:
        graph = g.build(value, wrt="all")
        array = graph.sample(0)["x"]
        np.testing.assert_array_equal(graph.evaluate({"x": array}), function(array))
        node = graph.nodes[-1]
        if len(node.args) == 1:
            u, x_bar, v, y_dot = pulled_and_pushed(node, array)
            np.testing.assert_array_equal(y_dot, [function(own) for own in v])
            np.testing.assert_array_equal([function(own) for own in x_bar], u)


@QUICK
@given(st.data())
def test_broadcasts_are_those_of_numpy(data):
    out = data.draw(LENGTHS)
    axes = [axis for axis in range(len(out)) if data.draw(st.booleans())]
    shape = tuple(data.draw(st.sampled_from([1, out[axis]])) for axis in axes)
    graph, node, x = one_op(shape, "broadcast", shape=out, axes=axes)
    among = np.expand_dims(x, [axis for axis in range(len(out)) if axis not in axes])
    np.testing.assert_array_equal(graph.evaluate({"x": x}), np.broadcast_to(among, out))
    u, x_bar, v, y_dot = pulled_and_pushed(node, x)
    np.testing.assert_allclose(np.sum(u * y_dot), np.sum(x_bar * v), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(y_dot[1], graph.evaluate({"x": v[1]}))
