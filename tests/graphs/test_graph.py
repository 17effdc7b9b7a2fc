"""Graph: attributes, evaluation in all array libraries, and checks of leaves."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.mlp import mlp
from jacobench.graphs.ops import OPS
from jacobench.strategies.registry import load


def small(dtype="float64"):
    g = GraphBuilder(dtype)
    x, W, b = g.input("x", (3, 4)), g.parameter("W", (4, 4)), g.parameter("b", (4,))
    h = g.tanh(g.affine(x, W, b))
    return g.build(g.affine(g.add(h, x), W, b))  # W and b twice, x twice


def test_a_graph_shows_what_it_is():
    graph = small()
    assert graph.output_shape == (3, 4)
    assert graph.wrt == ("W", "b")
    assert graph.n_parameters == 20
    assert {name: (leaf.shape, leaf.role) for name, leaf in graph.leaves.items()} == {
        "x": ((3, 4), "input"),
        "W": ((4, 4), "parameter"),
        "b": ((4,), "parameter"),
    }
    assert [node.op.name for node in graph.nodes] == ["affine", "tanh", "add", "affine"]
    with pytest.raises(FrozenInstanceError):
        graph.wrt = ()


def test_evaluate_computes_the_function():
    graph = small()
    leaves = graph.sample(0)
    x, W, b = leaves["x"], leaves["W"], leaves["b"]
    np.testing.assert_allclose(graph.evaluate(leaves), (np.tanh(x @ W.T + b) + x) @ W.T + b, rtol=1e-14)


def in_jax(leaves, dtype):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(dtype == "float64"):
        yield jax.numpy, {name: jax.numpy.asarray(leaf) for name, leaf in leaves.items()}


def in_torch(leaves, dtype):
    torch = pytest.importorskip("torch")
    yield torch, {name: torch.tensor(leaf) for name, leaf in leaves.items()}


def in_autograd(leaves, dtype):
    yield pytest.importorskip("autograd.numpy"), leaves


@pytest.mark.long
@pytest.mark.parametrize("library", [in_jax, in_torch, in_autograd])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPS)
def test_every_library_evaluates_every_op_alike(name, dtype, library):
    g = GraphBuilder(dtype)
    graph = g.build(OPS[name].example(g), wrt="all")
    leaves = graph.sample(3)
    expected = np.asarray(graph.evaluate(leaves))
    assert expected.dtype == dtype
    assert expected.shape == graph.output_shape
    for xp, arrays in library(leaves, dtype):
        output = np.asarray(graph.evaluate(arrays, xp=xp))
        assert output.dtype == dtype
        tolerance = 1e-14 if dtype == "float64" else 1e-6
        np.testing.assert_allclose(output, expected, rtol=tolerance, atol=tolerance)


def test_no_library_is_imported_that_was_not_asked_for():
    script = """
import sys
from jacobench.graphs.generators.mlp import mlp
graph, leaves = mlp([3, 4, 2], batch=2, activation="gelu", loss="cross_entropy", weight_density=0.5)
graph.evaluate(leaves)
found = {"jax", "torch", "autograd", "matplotlib", "pandas", "pytest", "typer", "rich", "sklearn"} & sys.modules.keys()
found |= {name for name in sys.modules if name.startswith(("jacobench.strategies", "jacobench.bench", "jacobench.reports"))}
print(sorted(found))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def without(name):
    return lambda leaves: {key: leaf for key, leaf in leaves.items() if key != name}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without("W"), "leaves given: x, b; expected exactly: x, W, b"),
        (lambda leaves: {**leaves, "c": leaves["b"]}, "leaves given: x, W, b, c; expected exactly: x, W, b"),
        (lambda _leaves: {}, "leaves given: ; expected exactly: x, W, b"),
        (lambda leaves: {**leaves, "W": leaves["W"][:3]}, r"leaf 'W' has shape \(3, 4\): expected \(4, 4\)"),
        (lambda leaves: {**leaves, "b": leaves["b"][None]}, r"leaf 'b' has shape \(1, 4\): expected \(4,\)"),
        (lambda leaves: {**leaves, "b": leaves["b"].astype("f4")}, "leaf 'b' has dtype float32: expected float64"),
        (lambda leaves: {**leaves, "b": np.arange(4)}, "leaf 'b' has dtype int64: expected float64"),
    ],
)
@pytest.mark.parametrize("take", ["evaluate", "vjp", "forward-sparse"])
def test_wrong_leaves_are_named(spoil, message, take):
    graph = small()
    spoiled = spoil(graph.sample(0))
    with pytest.raises(ValueError, match=message) as caught:
        graph.evaluate(spoiled) if take == "evaluate" else load(take).prepare(graph).linearize(spoiled)
    assert isinstance(caught.value, BadInput)


def test_float32_of_another_library_is_rejected_for_float64():
    jax = pytest.importorskip("jax")
    graph = small()
    with pytest.raises(BadInput, match="leaf 'x' has dtype float32: expected float64"):
        graph.evaluate(
            {name: jax.numpy.asarray(leaf.astype("f4")) for name, leaf in graph.sample(0).items()}, jax.numpy
        )


def test_the_order_of_the_leaves_does_not_matter():
    graph = small()
    leaves = graph.sample(0)
    backward = dict(reversed(leaves.items()))
    np.testing.assert_array_equal(graph.evaluate(leaves), graph.evaluate(backward))


def test_a_sample_does_not_depend_on_other_leaves():
    g = GraphBuilder()
    y, x = g.input("y", (3, 4)), g.input("x", (3, 4))
    first = g.build(g.add(x, y), wrt="all").sample(5)
    g = GraphBuilder()
    alone = g.build(g.input("x", (3, 4)), wrt="all").sample(5)
    np.testing.assert_array_equal(first["x"], alone["x"])
    assert not np.array_equal(first["x"], first["y"])


def test_samples_follow_their_distributions():
    g = GraphBuilder()
    hot = g.input("hot", (50, 7, 3), distribution="one_hot")
    wide, bias, few = g.parameter("wide", (50, 400)), g.parameter("bias", (400,)), g.parameter("few", (50, 9), fan_in=4)
    scalar = g.parameter("scalar", ())
    assert [value.shape for value in (wide, bias, few, scalar)] == [(50, 400), (400,), (50, 9), ()]
    leaves = g.build(hot).sample(0)
    assert set(np.unique(leaves["hot"])) == {0, 1}
    assert np.all(leaves["hot"].sum(-1) == 1)
    assert leaves["hot"].sum((0, 1)).min() > 0
    for name, bound in {"wide": 1 / 20, "bias": 1 / 20, "few": 1 / 2, "scalar": 1}.items():
        assert np.all(np.abs(leaves[name]) <= bound)
    assert np.max(np.abs(leaves["wide"])) > 0.99 / 20
    assert all(isinstance(leaf, np.ndarray) and leaf.flags.writeable for leaf in leaves.values())


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_of_arrays_count_as_arrays_and_lists_are_bad_input():
    graph, leaves = mlp([3, 4, 2], batch=2, rng_seed=0)
    expected = graph.evaluate(leaves)
    for kind in (np.asmatrix, np.ma.masked_array):
        values = {name: kind(leaf) if leaf.ndim == 2 else leaf for name, leaf in leaves.items()}
        found = graph.evaluate(values)
        assert type(found) in {np.ndarray, np.float64}
        np.testing.assert_array_equal(found, expected)
    hidden = np.ma.masked_array(leaves["W1"], leaves["W1"] > 0)
    with pytest.raises(BadInput, match="leaf 'W1' has masked entries: expected an array without a mask"):
        graph.evaluate(leaves | {"W1": hidden})
    with pytest.raises(BadInput, match=r"leaf 'W1' is a list: expected an array float64 \(4, 3\)"):
        graph.evaluate(leaves | {"W1": leaves["W1"].tolist()})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_float32_samples_are_the_rounded_float64_ones(dtype):
    rounded = {name: leaf.astype(dtype) for name, leaf in small("float64").sample(9).items()}
    for name, leaf in small(dtype).sample(9).items():
        assert leaf.dtype == dtype
        np.testing.assert_array_equal(leaf, rounded[name])


@pytest.mark.parametrize(
    "strategy", ["dense", "dense-blocks", "sparse", "vjp", "forward-dense", "forward-sparse", "linear-operator"]
)
def test_a_thousand_nodes_are_not_too_deep(strategy):
    """Python's recursion limit is 1,000."""
    g = GraphBuilder()
    value = g.input("x", (2, 1))
    for k in range(1000):
        value = g.scale(value, factor=-1.0) if k % 2 else g.sin(value)
    graph = g.build(value, wrt=["x"])
    leaves = graph.sample(0)
    assert graph.evaluate(leaves).shape == (2, 1)
    bars = load(strategy).prepare(graph).linearize(leaves).pullback(np.ones((2, 2, 1)))
    h = 1e-6
    ends = [graph.evaluate({"x": leaves["x"] + way * h}) for way in (1, -1)]
    np.testing.assert_allclose(bars["x"][1], (ends[0] - ends[1]) / (2 * h), rtol=1e-6)


def test_only_what_depends_on_wrt_is_active():
    graph, _ = mlp([3, 4, 5, 2], batch=2)
    order = list(graph.leaves)
    last_layer = GraphBuilder()
    x, W = last_layer.input("x", (2, 3)), last_layer.parameter("W", (4, 3))
    b, V, c = last_layer.parameter("b", (4,)), last_layer.parameter("V", (2, 4)), last_layer.parameter("c", (2,))
    h = last_layer.tanh(last_layer.affine(x, W, b))
    partly = last_layer.build(last_layer.affine(h, V, c), wrt=["V"])
    assert {order.index(name) for name in graph.wrt} <= graph.active
    assert order.index("x") not in graph.active
    assert partly.active == {list(partly.leaves).index("V"), len(partly.leaves) + 2}


@pytest.mark.parametrize("strategy", ["vjp", "dense", "sparse", "forward-dense"])
def test_values_from_which_the_output_does_not_depend_differentiably_are_not_active(strategy):
    g = GraphBuilder()
    x, y = g.input("x", (2, 3)), g.input("y", (2, 3))
    graph = g.build(g.where(g.greater(g.neg(x), y), x, y), wrt="all")
    assert graph.active == {0, 1, 4}
    leaves = {"x": np.array([[-1.0, 2, 3]] * 2), "y": np.zeros((2, 3))}
    bars = load(strategy).prepare(graph).linearize(leaves).pullback(np.ones((1, 2, 3)))
    np.testing.assert_array_equal(bars["x"], [[[1, 0, 0]] * 2])
    np.testing.assert_array_equal(bars["y"], [[[0, 1, 1]] * 2])
