"""Seeds that touch one sample each share a pullback; results are correct for any seeds, also where samples mix."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacobench.bench.cell.verification import TOLERANCE, relative_error
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.generators.mlp import mlp
from jacobench.strategies.registry import load
from jacobench.strategies.seed_batching import batch_seeds, samples_of
from jacobench.strategies.tape import steps

BATCH, WIDTH = 3, 4


def by_input(g):
    """Differentiate by the data, too: a leaf with a batch of its own."""
    x, W, b = g.input("x", (BATCH, WIDTH)), g.parameter("W", (WIDTH, WIDTH)), g.parameter("b", (WIDTH,))
    return g.build(g.add(x, g.tanh(g.affine(x, W, b))), wrt=["x", "W", "b"])


def tokens(g):
    """Several vectors a sample, and one weight in two places."""
    x, W, b = g.input("x", (BATCH, 2, WIDTH)), g.parameter("W", (WIDTH, WIDTH)), g.parameter("b", (WIDTH,))
    return g.build(g.affine(g.layer_norm(g.affine(x, W, b)), W, b))


def pictures(g):
    """Kernels and biases of channels, shared by all samples, before a layer."""
    x, K, c = g.input("x", (BATCH, 2, 4, 4)), g.parameter("K", (3, 2, 2, 2)), g.parameter("c", (3,))
    h = g.max_pool(g.channel_bias(g.conv2d(x, K, padding=1), c), window=(2, 2))
    flat = g.reshape(g.tanh(h), shape=(BATCH, -1))
    return g.build(g.affine(flat, g.parameter("W", (WIDTH, 12)), g.parameter("b", (WIDTH,))))


def stretched(g):
    """Scales and shifts that all samples share, with and without an axis of length 1 for them, and a column for each."""
    x, c = g.input("x", (BATCH, 2, WIDTH)), g.input("c", (BATCH, 1, 1))
    s, t, u = g.parameter("s", (1, 2, 1)), g.parameter("t", (WIDTH,)), g.parameter("u", ())
    h = g.maximum(g.divide(g.add(g.multiply(x, s), t), g.exp(c)), u)
    return g.build(g.where(g.constant([True, False, True, True]), h, g.tanh(g.subtract(t, h))), wrt="all")


JOINED = {
    "stretched": stretched(GraphBuilder()),
    "pictures": pictures(GraphBuilder()),
    "perceptron": mlp([3, 5, WIDTH], batch=BATCH, loss=None, residual=True, normalization="layer_norm")[0],
    "float32": mlp([3, 5, WIDTH], batch=BATCH, loss=None, activation="gelu", dtype="float32")[0],
    "masked": mlp([6, 5, WIDTH], batch=BATCH, loss=None, weight_density=0.4)[0],
    "wide": mlp([150, WIDTH], batch=BATCH, loss=None)[0],
    "by input": by_input(GraphBuilder()),
    "tokens": tokens(GraphBuilder()),
}
each_graph = pytest.mark.parametrize("graph", JOINED.values(), ids=JOINED)


def identity(graph):
    n = int(np.prod(graph.output_shape))
    return np.eye(n, dtype=graph.dtype).reshape(n, *graph.output_shape)


def one_by_one(graph, seeds):
    """Pull back without joining seeds."""
    strategy = replace(load("vjp"), samples_of=lambda _graph, _planned: None)
    return strategy.prepare(graph).linearize(graph.sample(0)).pullback(seeds)


def error(graph, seeds):
    lin = load("vjp").prepare(graph).linearize(graph.sample(0))
    before = seeds.copy()
    bars, again = lin.pullback(seeds), lin.pullback(seeds)
    np.testing.assert_array_equal(seeds, before)
    for name, bar in bars.items():
        assert (bar.shape, bar.dtype) == ((len(seeds), *graph.leaves[name].shape), graph.dtype)
        assert bar.flags.writeable
        assert not any(np.may_share_memory(bar, other) for other in (seeds, *again.values()))
        np.testing.assert_array_equal(bar, again[name])
    return relative_error(bars, one_by_one(graph, seeds)) / TOLERANCE[graph.dtype.name]


@each_graph
def test_identity_seeds_are_joined_and_give_the_jacobian(graph):
    seeds = identity(graph)
    joined = batch_seeds(seeds, BATCH)
    assert joined is not None
    assert joined.shape == (len(seeds) // BATCH, *graph.output_shape)
    assert error(graph, seeds) < 1
    lin = load("dense").prepare(graph).linearize(graph.sample(0))
    assert (
        relative_error(load("vjp").prepare(graph).linearize(graph.sample(0)).pullback(seeds), lin.pullback(seeds))
        < 1e-4
    )


def permuted(seeds):
    return seeds[np.random.default_rng(0).permutation(len(seeds))]


def overlapping(seeds):
    return seeds + np.roll(seeds, 1, axis=0)


def one_overlap_at_the_end(seeds):
    seeds = seeds.copy()
    seeds[-1, 0] = 1
    return seeds


SEEDS = {
    "permuted": (permuted, False),
    "overlapping": (overlapping, False),
    "one overlap at the end": (one_overlap_at_the_end, False),
    "unequal counts": (lambda seeds: seeds[1:-2], False),
    "fewer than samples": (lambda seeds: seeds[: BATCH - 1], False),
    "reversed": (lambda seeds: seeds[::-1], False),
    "zeros": (np.zeros_like, True),
    "some zeros": (lambda seeds: seeds * (np.arange(len(seeds)) % 3 > 0).reshape(-1, *(1,) * (seeds.ndim - 1)), True),
    "read-only": (lambda seeds: np.broadcast_to(seeds, seeds.shape), True),
    "in another order in memory": (np.asfortranarray, True),
}


@each_graph
@pytest.mark.parametrize("form", SEEDS)
def test_any_seeds_give_what_they_give_one_by_one(graph, form):
    make, joins = SEEDS[form]
    seeds = make(identity(graph))
    assert (batch_seeds(seeds, BATCH) is not None) == joins
    assert error(graph, seeds) < 1


@given(st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_random_seeds_that_touch_one_sample_or_more(n_seeds, rng_seed, density):
    rng = np.random.default_rng(rng_seed)
    graph = JOINED["by input"]
    touched = np.arange(n_seeds)[:, None] * BATCH // n_seeds == np.arange(BATCH)
    touched |= (rng.random((n_seeds, BATCH)) < density) & (rng.random() < 0.5)
    assert error(graph, rng.standard_normal((n_seeds, BATCH, WIDTH)) * touched[:, :, None]) < 1


def a_loss(g):
    return g.mse(
        g.affine(g.input("x", (BATCH, 2)), g.parameter("W", (2, 2)), g.parameter("b", (2,))), g.input("t", (BATCH, 2))
    )


def a_leaf(g):
    return g.parameter("p", (BATCH, 2))


def a_parameter_with_a_batch(g):
    return g.add(g.input("x", (BATCH, 2)), g.parameter("p", (BATCH, 2)))


def a_computed_weight(g):
    return g.affine(g.input("x", (BATCH, 2)), g.tanh(g.parameter("W", (2, 2))), g.parameter("b", (2,)))


def no_batch(g):
    return g.affine(g.parameter("z", (BATCH, 2)), g.parameter("W", (2, 2)), g.parameter("b", (2,)))


def a_batch_of_one(g):
    return g.affine(g.input("x", (1, 2)), g.parameter("W", (2, 2)), g.parameter("b", (2,)))


@pytest.mark.parametrize(
    "make", [a_loss, a_leaf, a_parameter_with_a_batch, a_computed_weight, no_batch, a_batch_of_one]
)
def test_samples_that_mix_are_recognized(make):
    g = GraphBuilder()
    output = make(g)
    graph = g.build(output)
    assert samples_of(graph, steps(graph)) is None
    if output.shape:
        assert error(graph, identity(graph)) < 1


@each_graph
def test_samples_that_do_not_mix_are_recognized(graph):
    samples = samples_of(graph, steps(graph))
    assert samples.count == BATCH
    assert {name for name, number in zip(graph.wrt, graph.wrt_values, strict=True) if number in samples.shared} == {
        name for name in graph.wrt if graph.leaves[name].role == "parameter"
    }
