"""Perceptron generator: graph, options and arrays."""

from hashlib import sha256
from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import log_softmax

from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.mlp import ACTIVATIONS, LOSSES, mlp, mlp_graph, random_pattern
from jacobench.graphs.ops import OPS


def fingerprint(leaves):
    """Hash names and little-endian numbers; the same on all machines."""
    digest = sha256()
    for name, leaf in sorted(leaves.items()):
        digest.update(name.encode() + leaf.astype(leaf.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()[:16]


def test_leaves_are_named_and_shaped_as_the_contract_says():
    graph, leaves = mlp([784, 300, 100, 10], batch=32)
    expected = {
        "x": (32, 784),
        "W1": (300, 784),
        "b1": (300,),
        "W2": (100, 300),
        "b2": (100,),
        "W3": (10, 100),
        "b3": (10,),
        "target": (32, 10),
    }
    assert {name: leaf.shape for name, leaf in graph.leaves.items()} == expected
    assert {name: leaf.shape for name, leaf in leaves.items()} == expected
    assert {name for name, leaf in graph.leaves.items() if leaf.role == "input"} == {"x", "target"}
    assert graph.wrt == ("W1", "b1", "W2", "b2", "W3", "b3")
    assert graph.n_parameters == 784 * 300 + 300 + 300 * 100 + 100 + 100 * 10 + 10
    assert graph.output_shape == ()
    assert mlp_graph([5, 3], batch=4, loss=None).output_shape == (4, 3)
    assert "target" not in mlp_graph([5, 3], loss=None).leaves


def test_mse_is_half_the_mean_squared_distance():
    graph, v = mlp([4, 6, 3], batch=5)
    t = np.tanh(v["x"] @ v["W1"].T + v["b1"]) @ v["W2"].T + v["b2"]
    np.testing.assert_allclose(graph.evaluate(v), np.sum((t - v["target"]) ** 2) / 10, rtol=1e-14)


def test_cross_entropy_is_the_mean_over_the_batch():
    graph, v = mlp([4, 6, 3], batch=5, loss="cross_entropy", activation="relu")
    assert np.all(np.sort(v["target"], axis=-1) == [0, 0, 1])
    t = np.maximum(v["x"] @ v["W1"].T + v["b1"], 0) @ v["W2"].T + v["b2"]
    np.testing.assert_allclose(graph.evaluate(v), -np.sum(v["target"] * log_softmax(t, axis=-1)) / 5, rtol=1e-14)


def test_every_hidden_layer_is_normalized_activated_and_added_where_widths_allow():
    graph, v = mlp([4, 4, 5, 5, 3], batch=2, residual=True, normalization="layer_norm", loss=None)
    names = [node.op.name for node in graph.nodes]
    layer = ["affine", "layer_norm", "tanh"]
    assert names == [*layer, "add", *layer, *layer, "add", "affine"]

    def normalized(t):
        return (t - t.mean(-1, keepdims=True)) / np.sqrt(t.var(-1, keepdims=True) + 1e-5)

    z = v["x"]
    for k in (1, 2, 3):
        h = np.tanh(normalized(z @ v[f"W{k}"].T + v[f"b{k}"]))
        z = h + z if h.shape == z.shape else h
    np.testing.assert_allclose(graph.evaluate(v), z @ v["W4"].T + v["b4"], rtol=1e-13)


def test_a_single_layer_is_neither_activated_nor_added():
    graph = mlp_graph([3, 3], residual=True, normalization="layer_norm", loss=None)
    assert [node.op.name for node in graph.nodes] == ["affine"]


@pytest.mark.parametrize("density", [0.01, 0.3, 0.99])
def test_weights_below_full_density_are_their_stored_values(density):
    graph, v = mlp([20, 30, 7], batch=3, weight_density=density, loss=None)
    masks = [node.attrs["mask"] for node in graph.nodes if node.op.name == "masked_affine"]
    assert [mask.shape for mask in masks] == [(30, 20), (7, 30)]
    for k, mask in enumerate(masks, 1):
        assert v[f"W{k}"].shape == (max(1, round(density * np.prod(mask.shape))),)
    W1, W2 = (csr_array((v[f"W{k}"], m.indices, m.indptr), shape=m.shape).toarray() for k, m in enumerate(masks, 1))
    t = np.tanh(v["x"] @ W1.T + v["b1"]) @ W2.T + v["b2"]
    np.testing.assert_allclose(graph.evaluate(v), t, rtol=1e-12, atol=1e-15)
    assert graph.n_parameters == v["W1"].size + v["W2"].size + 37


def test_full_density_is_the_dense_op():
    assert [node.op.name for node in mlp_graph([3, 2], weight_density=1, loss=None).nodes] == ["affine"]


def test_even_the_thinnest_weight_stores_one_value():
    assert mlp_graph([3, 2], weight_density=1e-9).leaves["W1"].shape == (1,)


def test_patterns_are_sorted_and_all_positions_are_equally_likely():
    counts = np.zeros((4, 5))
    for rng_seed in range(600):
        pattern = random_pattern((4, 5), 0.35, rng_seed)
        positions = pattern.rows * 5 + pattern.indices
        assert pattern.indptr[-1] == positions.size == 7
        assert np.all(np.diff(positions) > 0)
        counts.reshape(-1)[positions] += 1
    # 600 draws of 7 in 20: 210 each, standard deviation 11.7
    assert np.all(np.abs(counts - 210) < 5 * 11.7)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("activation", "loss"), list(product(ACTIVATIONS, [*LOSSES, None])))
def test_every_knob_keeps_its_dtype(activation, loss, dtype):
    graph, leaves = mlp(
        [3, 4, 4, 2], batch=2, activation=activation, loss=loss, dtype=dtype, residual=True, normalization="layer_norm"
    )
    assert activation in OPS
    assert graph.dtype == dtype
    assert {leaf.dtype.name for leaf in leaves.values()} == {dtype}
    assert np.asarray(graph.evaluate(leaves)).dtype == dtype


def test_arrays_are_pinned():
    """The same arguments give the same arrays on all machines. A change here changes all published cases."""
    graph, leaves = mlp([3, 4, 2], batch=2, loss="cross_entropy", weight_density=0.5, rng_seed=7)
    assert leaves["x"][0].tolist() == [-0.23668204000172066, -0.11809745081669099, -0.4824342079581836]
    assert leaves["W1"][:2].tolist() == [0.061902026055882464, 0.8064871070354587]
    assert leaves["b2"].tolist() == [0.5611694919537805, 0.6751766010387162]
    masks = [node.attrs["mask"] for node in graph.nodes if "mask" in node.attrs]
    assert [(mask.indptr.tolist(), mask.indices.tolist()) for mask in masks] == [
        ([0, 2, 2, 5, 6], [1, 2, 0, 1, 2, 2]),
        ([0, 2, 4], [1, 3, 1, 2]),
    ]
    assert fingerprint(leaves) == "61de378db1ba4601"
    assert fingerprint(mlp([3, 4, 2], batch=2)[1]) == "bc283cfb3daecb65"
    assert fingerprint(mlp([3, 4, 2], batch=2, dtype="float32")[1]) == "3ed8ed17b5ae748e"


def test_same_arguments_same_arrays_and_another_seed_others():
    knobs = {"batch": 2, "weight_density": 0.4}
    first, again, other = (mlp([5, 6, 2], rng_seed=seed, **knobs)[1] for seed in (3, 3, 4))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    assert not np.shares_memory(first["x"], again["x"])


def test_leaves_are_the_graphs_sample():
    graph, leaves = mlp([5, 6, 2], rng_seed=3)
    assert fingerprint(graph.sample(3)) == fingerprint(leaves)


def test_depth_leaves_the_first_layers_as_they_were():
    short, long = mlp([5, 6, 6], rng_seed=3)[1], mlp([5, 6, 6, 6], rng_seed=3)[1]
    for name in ("x", "W1", "b1", "W2", "b2"):
        np.testing.assert_array_equal(short[name], long[name])


@pytest.mark.parametrize("widths", [(3, 2), [np.int64(3), np.int32(2)], np.array([3, 2]), range(3, 1, -1)])
def test_widths_may_be_any_whole_numbers(widths):
    assert mlp_graph(widths).leaves["W1"].shape == (2, 3)


@pytest.mark.parametrize(
    ("widths", "knobs", "message"),
    [
        ([], {}, r"widths are \[\]: expected at least two numbers, each 1 or more"),
        ([3], {}, r"widths are \[3\]: expected at least two numbers"),
        ([3, 0, 2], {}, r"widths are \[3, 0, 2\]: expected .* each 1 or more"),
        ([3, -4], {}, r"widths are \[3, -4\]"),
        ([3, 2.5], {}, r"widths is \[3, 2.5\]: expected a sequence of whole numbers"),
        ("32", {}, "widths is '32': expected a sequence of whole numbers"),
        (32, {}, "widths is 32: expected a sequence of whole numbers"),
        ([3, 2], {"batch": 0}, "batch is 0: expected 1 or more"),
        ([3, 2], {"batch": -1}, "batch is -1: expected 1 or more"),
        ([3, 2], {"batch": 1.5}, "batch is 1.5: expected a whole number"),
        ([3, 2], {"rng_seed": -1}, "rng_seed is -1: expected 0 or more"),
        ([3, 2], {"rng_seed": 0.5}, "rng_seed is 0.5: expected a whole number"),
        ([3, 2], {"weight_density": 0}, r"weight_density is 0(\.0)?: expected a number in \(0, 1\]"),
        ([3, 2], {"weight_density": 1.01}, r"weight_density is 1.01: expected a number in \(0, 1\]"),
        ([3, 2], {"weight_density": -0.5}, r"weight_density is -0.5: expected a number in \(0, 1\]"),
        ([3, 2], {"weight_density": float("nan")}, r"weight_density is nan: expected a number in \(0, 1\]"),
        ([3, 2], {"weight_density": "0.5"}, "weight_density is '0.5': expected a number"),
        ([3, 2], {"activation": "rleu"}, "unknown activation 'rleu': expected one of .*; did you mean 'relu'"),
        ([3, 2], {"activation": None}, "unknown activation None"),
        ([3, 2], {"loss": "cross-entropy"}, "unknown loss 'cross-entropy'.*; did you mean 'cross_entropy'"),
        ([3, 2], {"normalization": "layernorm"}, "unknown normalization 'layernorm'.*; did you mean 'layer_norm'"),
        ([3, 2], {"dtype": "float16"}, "unknown dtype 'float16': expected one of float32, float64; did you mean"),
    ],
)
def test_bad_arguments_are_named(widths, knobs, message):
    with pytest.raises(ValueError, match=message) as caught:
        mlp(widths, **knobs)
    assert isinstance(caught.value, BadInput)
    assert "\n" not in str(caught.value)
