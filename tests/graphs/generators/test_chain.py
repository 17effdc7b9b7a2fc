"""Chains: products of matrices, and equal gradients of all strategies."""

import numpy as np
import pytest

from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.chain import LINKS, chain
from jacobench.strategies.registry import load

OURS = ("dense", "dense-blocks", "sparse", "vjp", "forward-dense", "forward-sparse", "linear-operator")


def identity(graph):
    n = int(np.prod(graph.output_shape))
    return np.eye(n, dtype=graph.dtype).reshape(n, *graph.output_shape)


def jacobian(graph, leaves, strategy="vjp"):
    """Return the Jacobian of a chain's output with respect to e."""
    seeds = identity(graph)
    bar = load(strategy).prepare(graph).linearize(leaves).pullback(seeds)["e"]
    return bar.reshape(len(seeds), -1)


def test_a_chain_is_the_product_of_its_links_the_last_first():
    """For linear links, A B e = A (B e)."""
    graph, leaves = chain(["cumsum", "flip"], 4)
    cumsum, flip = np.tri(4), np.eye(4)[::-1]
    np.testing.assert_array_equal(graph.evaluate(leaves), leaves["e"] @ (cumsum @ flip).T)
    np.testing.assert_array_equal(jacobian(graph, leaves), cumsum @ flip)
    assert not np.array_equal(cumsum @ flip, flip @ cumsum)


def test_the_links_of_the_question_are_the_matrices_that_they_are_named_for():
    size = 6
    matrices = {name: jacobian(*chain([name], size)) for name in ("neg", "permute", "cross", "conv1d")}
    np.testing.assert_array_equal(matrices["neg"], -np.eye(size))
    assert sorted(matrices["permute"].argmax(axis=1)) == list(range(size))
    assert matrices["permute"].sum() == size
    np.testing.assert_array_equal(matrices["cross"], -matrices["cross"].T)
    assert np.count_nonzero(matrices["cross"]) == 2 * size
    assert len(np.unique(np.diag(matrices["conv1d"], 1))) == 1
    assert np.count_nonzero(matrices["conv1d"]) == 3 * size - 2
    graph, leaves = chain(list(matrices), size)
    assert graph.output_shape == (1, 1, size)
    assert jacobian(graph, leaves).shape == (size, size)


@pytest.mark.parametrize("name", LINKS)
def test_each_link_keeps_the_size_and_depends_on_e(name):
    graph, leaves = chain([name], 6, batch=2)
    assert np.prod(graph.output_shape) == leaves["e"].size == 12
    assert len(graph.nodes) == 1
    assert np.any(jacobian(graph, leaves))
    assert all(leaf.shape[0] == 2 for leaf in graph.leaves.values() if leaf.role == "input")


def test_links_of_different_shapes_are_joined_by_reshapes():
    assert [node.op.name for node in chain(["neg", "cross", "tanh", "cross"], 6)[0].nodes] == [
        "cross",
        "tanh",
        "cross",
        "neg",
    ]
    graph, leaves = chain(["cross", "conv1d", "cross", "cross", "affine"], 6, batch=2)
    assert [node.op.name for node in graph.nodes] == [
        "affine", "reshape", "cross", "cross", "reshape", "conv1d", "reshape", "cross",
    ]  # fmt: skip
    assert (leaves["e"].shape, graph.output_shape) == ((2, 1, 6), (2, 2, 3))


@pytest.mark.parametrize("strategy", OURS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_strategy_takes_a_chain_of_all_links(strategy, dtype):
    """E and the leaves of all links are differentiated."""
    graph, leaves = chain([*LINKS, *reversed(LINKS)], 6, batch=2, dtype=dtype, wrt="all")
    seeds = np.random.default_rng(0).standard_normal((3, *graph.output_shape)).astype(dtype)
    bars, expected = (load(name).prepare(graph).linearize(leaves).pullback(seeds) for name in (strategy, "vjp"))
    assert set(bars) == set(graph.leaves)
    largest = max(np.max(np.abs(bar)) for bar in expected.values())
    for name, bar in expected.items():
        scale = max(np.max(np.abs(bar)), 1e-3 * largest)
        np.testing.assert_allclose(bars[name], bar, rtol=0, atol=scale * (1e-10 if dtype == "float64" else 1e-3))


def test_links_are_constant_unless_asked():
    assert chain(["affine", "conv1d"], 4)[0].wrt == ("e",)
    assert set(chain(["affine", "conv1d"], 4, wrt="all")[0].wrt) == {"e", "W1", "b1", "W2"}


def test_the_seed_draws_permutations_masks_and_arrays():
    (one, leaves), (same, again), (_, other) = (chain(["permute", "dropout"], 9, rng_seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.evaluate(leaves), same.evaluate(again))
    assert not np.array_equal(leaves["e"], other["e"])
    orders = [chain(["permute"] * 2, 9, rng_seed=seed)[0].nodes[k].attrs["order"] for seed in (1, 2) for k in (0, 1)]
    assert len({tuple(order.positions) for order in orders}) == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([], 4), r"ops is \[\]: expected the names of one link or more"),
        (("neg", 4), "ops is 'neg': expected the names of one link or more"),
        ((["neg", "permut"], 4), "unknown link 'permut': .*; did you mean 'permute'"),
        ((["neg"], 0), "size is 0: expected 1 or more"),
        ((["neg"], 1.5), "size is 1.5: expected a whole number"),
        ((["cross"], 4), "size is 4: expected a multiple of 3 for a cross product"),
    ],
)
def test_invalid_chains_are_rejected(given, message):
    with pytest.raises(BadInput, match=message):
        chain(*given)


@pytest.mark.parametrize("knob", [{"batch": 0}, {"rng_seed": -1}, {"dtype": "float16"}])
def test_knobs_out_of_bounds_are_named(knob):
    with pytest.raises(BadInput, match=next(iter(knob))):
        chain(["neg"], 4, **knob)
