"""Gather and scatter at random positions: values, cotangents and tangents against NumPy and JAX."""

from functools import partial
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jacobench.bench.floor.predicted_rows import held_bytes
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.structures.positions import positions_in

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
LENGTHS = st.lists(st.integers(1, 4), max_size=3).map(tuple)
REDUCE = {"add": np.add.at, "multiply": np.multiply.at, "max": np.maximum.at, "min": np.minimum.at}


@st.composite
def cases(draw):
    """Draw the shape of an array, and positions in it: of entries, or of rows; repeated, missing and in any order."""
    x = draw(LENGTHS)
    width = draw(st.sampled_from([1, x[-1] if x else 1]))
    runs = np.array(draw(st.lists(st.integers(-1, prod(x) // width - 1), min_size=1, max_size=6)))
    rows = np.where(runs[:, None] < 0, -1, runs[:, None] * width + np.arange(width))
    return x, draw(st.sampled_from([rows, rows.reshape(-1), rows[None]]))


@QUICK
@given(cases())
def test_gather_reads_the_entries_and_adds_the_cotangents(case):
    shape, positions = case
    g = GraphBuilder()
    graph = g.build(g.gather(g.input("x", shape), positions=positions, fill=2.5), wrt="all")
    x, (node,) = graph.sample(0)["x"], graph.nodes
    np.testing.assert_array_equal(
        graph.evaluate({"x": x}), np.where(positions < 0, 2.5, x.reshape(-1)[np.maximum(positions, 0)])
    )
    (ctx,), argument = node.contexts, node.op.argument(0)
    u, v = np.random.default_rng(1).standard_normal((2, *ctx.out)), np.ones((2, *shape))
    expected = np.zeros((2, prod(shape)))
    for own, bar in zip(u, expected, strict=True):
        np.add.at(bar, positions[positions >= 0], own[positions >= 0])
    np.testing.assert_allclose(argument.vjp(u, None, (None,), ctx), expected.reshape(2, *shape), rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(argument.jvp(v, None, (x,), ctx)[1], positions >= 0)


def one_by_one(x, updates, positions, mode):
    y = np.array(x)
    flat = y.reshape(-1)
    for position, update in zip(positions.reshape(-1), updates.reshape(-1), strict=True):
        if position < 0:
            continue
        if mode == "set":
            flat[position] = update
        else:
            REDUCE[mode](flat, position, update)
    return y


@QUICK
@given(cases(), st.sampled_from(["set", *REDUCE]))
def test_scatter_writes_one_update_after_another(case, mode):
    """Of updates that are set at one position, the last remains."""
    shape, positions = case
    g = GraphBuilder()
    scatter = g.scatter if mode in ("set", "add") else g.scatter_reduce
    value = scatter(g.input("x", shape), g.input("u", positions.shape), positions=positions, mode=mode)
    graph = g.build(value, wrt="all")
    leaves = graph.sample(0)
    expected = one_by_one(leaves["x"], leaves["u"], positions, mode)
    np.testing.assert_allclose(graph.evaluate(leaves), expected, rtol=1e-14)
    (node,), xs = graph.nodes, tuple(leaves.values())
    for k, ctx in enumerate(node.contexts):
        v = np.random.default_rng(k).standard_normal((1, *ctx.x))
        step = 1e-6 if mode in ("multiply", "max", "min") else 1.0
        ends = [
            one_by_one(*(a + s * v[0] if i == k else a for i, a in enumerate(xs)), positions, mode)
            for s in (-step, step)
        ]
        found = node.op.argument(k).jvp(v, expected, xs, ctx)[0]
        np.testing.assert_allclose(found, (ends[1] - ends[0]) / (2 * step), rtol=1e-6, atol=1e-8)
        u = np.random.default_rng(9).standard_normal((1, *shape))
        pulled = node.op.argument(k).vjp(u, expected, xs, ctx)
        np.testing.assert_allclose(np.sum(pulled * v), np.sum(u[0] * found), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ["set", "add", "max", "min"])
def test_scatter_is_that_of_jax(mode):
    jax = pytest.importorskip("jax")
    g = GraphBuilder()
    positions = np.array([[4, 0, 5], [2, 1, 5]]) if mode == "add" else np.array([[4, 0, 5], [2, 1, 3]])
    scatter = g.scatter if mode in ("set", "add") else g.scatter_reduce
    graph = g.build(scatter(g.input("x", (3, 2)), g.input("u", (2, 3)), positions=positions, mode=mode), wrt="all")
    leaves = graph.sample(0)
    with jax.enable_x64(True):

        def in_jax(x, u):
            return getattr(x.reshape(-1).at[positions], mode)(u).reshape(x.shape)

        arrays = [jax.numpy.asarray(leaf) for leaf in leaves.values()]
        np.testing.assert_array_equal(graph.evaluate(leaves), in_jax(*arrays))
        if mode in ("set", "add"):
            _, pull = jax.vjp(in_jax, *arrays)
            u = np.arange(6.0).reshape(3, 2)
            for ctx, expected in zip(graph.nodes[0].contexts, pull(jax.numpy.asarray(u)), strict=True):
                found = graph.nodes[0].op.argument(ctx.k).vjp(u[None], None, (None, None), ctx)[0]
                np.testing.assert_array_equal(found, expected)


def test_equally_large_numbers_share_the_derivative():
    g = GraphBuilder()
    value = g.scatter_reduce(g.input("x", (2,)), g.input("u", (3,)), positions=[0, 0, 1], mode="max")
    (node,) = g.build(value, wrt="all").nodes
    xs, y = (np.array([1.0, 0.0]), np.array([1.0, 1.0, 2.0])), np.array([1.0, 2.0])
    pulled = [node.op.argument(k).vjp(np.ones((1, 2)), y, xs, ctx)[0] for k, ctx in enumerate(node.contexts)]
    np.testing.assert_allclose(pulled[0], [1 / 3, 0])
    np.testing.assert_allclose(pulled[1], [1 / 3, 1 / 3, 1])


@pytest.mark.parametrize(
    ("positions", "width"),
    [
        ([[4, 5], [0, 1]], 2),
        ([[[4, 5], [6, 7]], [[0, 1], [2, 3]]], 4),
        ([[4, 5], [-1, -1]], 2),
        ([[4, 5], [0, -1]], 1),
        ([[5, 6], [1, 2]], 1),
        ([0, 1, 2], 1),
    ],
)
def test_consecutive_positions_are_runs(positions, width):
    """A run begins at a multiple of its length, which divides the number of entries."""
    found = positions_in((2, 4), np.array(positions))
    assert found.width == width
    np.testing.assert_array_equal(found.flat(), positions)
    np.testing.assert_array_equal(found.in_single_runs().runs, np.reshape(positions, -1))


def test_samples_are_kept_apart_where_positions_stay_in_their_sample():
    inside = np.array([[2, 0, -1], [4, 4, 3]])
    assert positions_in((2, 3), inside).keeps_samples
    assert not positions_in((2, 3), inside[::-1]).keeps_samples
    assert not positions_in((3, 2), inside).keeps_samples
    assert not positions_in((), np.array([0])).keeps_samples


@pytest.mark.parametrize(("make", "kept"), [(partial(np.zeros, dtype=int), 1), (lambda n: -np.ones(n, int), 0)])
def test_positions_are_counted_among_the_bytes_of_a_graph(make, kept):
    g = GraphBuilder()
    small, large = (g.build(g.gather(g.input(f"x{n}", (3,)), positions=make(n)), wrt=[f"x{n}"]) for n in (10, 1010))
    assert held_bytes(large, 1) - held_bytes(small, 1) >= 8 * 1000 * (1 + kept)
