"""Slopes at kinks, ties and edges of domains: those of the library that an attribute names, in every strategy and library."""

import warnings
from math import inf, nan

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.ops.choices import MANY
from jacobench.strategies.registry import load
from jacobench.strategies.tape import steps


def graph_of(op, attrs, n):
    g = GraphBuilder()
    leaves = [g.input(name, (1, n)) for name in "xy"[: 2 if op in TWO_ARGUMENTS else 1]]
    return g.build(getattr(g, op)(*leaves, **attrs), wrt="all")


TWO_ARGUMENTS = {"maximum", "minimum", "prelu", "power", "atan2", "mod"}

CASES = {
    # op, attributes, points x (and y), expected slopes
    "relu": ("relu", {}, [[0]], [[0]]),
    "leaky_relu": ("leaky_relu", {"slope": 0.2}, [[0, 1, -1]], [[0.2, 1, 0.2]]),
    "leaky_relu negative": ("leaky_relu", {"slope": -0.5}, [[0, 1, -1]], [[-0.5, 1, -0.5]]),
    "prelu": ("prelu", {}, [[0, 2, -2], [0.25, 0.25, 0.25]], [[0.25, 1, 0.25], [0, 0, -2]]),
    "abs": ("abs", {}, [[0, -0.0, 2, -2]], [[0, 0, 1, -1]]),
    "abs of JAX": ("abs", {"at_zero": 1}, [[0, 2, -2]], [[1, 1, -1]]),
    "clamp": ("clamp", {"low": -1, "high": 2}, [[-1, 2, 0, -3, 3]], [[1, 1, 1, 0, 0]]),
    "clamp below": ("clamp", {"low": -1}, [[-1, 2, -3]], [[1, 1, 0]]),
    "relu6": ("clamp", {"low": 0, "high": 6, "ends": 0}, [[0, 6, 3, -1, 7]], [[0, 0, 1, 0, 0]]),
    "clip of JAX": ("clamp", {"low": -1, "high": 2, "ends": 0.5}, [[-1, 2, 0, -3]], [[0.5, 0.5, 1, 0]]),
    "hardswish": ("hardswish", {}, [[-3, 3, 0, -4, 4]], [[0, 1, 0.5, 0, 1]]),
    "hardsigmoid": ("hardsigmoid", {}, [[-3, 3, 0]], [[0, 0, 1 / 6]]),
    "elu": ("elu", {"alpha": 2}, [[0, 1]], [[2, 1]]),
    "softshrink": ("softshrink", {}, [[-0.5, 0.5, 0.6, -0.6]], [[0, 0, 1, 1]]),
    "hardshrink": ("hardshrink", {}, [[-0.5, 0.5, 0.6, -0.6]], [[0, 0, 1, 1]]),
    "threshold": ("threshold", {"threshold": 0.5, "value": 3}, [[0.5, 0.6]], [[0, 1]]),
    "softplus": ("softplus", {"beta": 2, "threshold": 1}, [[0.5, 0.51]], [[1 / (1 + np.exp(-1)), 1]]),
    "maximum": ("maximum", {}, [[1, 2, 1], [1, 1, 2]], [[0.5, 1, 0], [0.5, 0, 1]]),
    "minimum": ("minimum", {}, [[1, 2, 1], [1, 1, 2]], [[0.5, 0, 1], [0.5, 1, 0]]),
    "maximum, first": ("maximum", {"ties": "first"}, [[1, 2, 1], [1, 1, 2]], [[1, 1, 0], [0, 0, 1]]),
    "minimum, first": ("minimum", {"ties": "first"}, [[1, 2, 1], [1, 1, 2]], [[1, 0, 1], [0, 1, 0]]),
    "maximum, second": ("maximum", {"ties": "second"}, [[1, 2, 1], [1, 1, 2]], [[0, 1, 0], [1, 0, 1]]),
    "minimum, second": ("minimum", {"ties": "second"}, [[1, 2, 1], [1, 1, 2]], [[0, 0, 1], [1, 1, 0]]),
    "atan2": ("atan2", {}, [[0, 0], [0, 1]], [[nan, 1], [nan, 0]]),
    "atan2 of torch": ("atan2", {"origin": "zero"}, [[0, 0], [0, 1]], [[0, 1], [0, 0]]),
    "power": ("power", {}, [[0, 0, 0, 2], [2, 1, 0.5, 0]], [[0, 1, inf, 0], [0, 0, 0, np.log(2)]]),
    "power 0": ("power_of", {"exponent": 0}, [[0, 2]], [[0, 0]]),
    "power 1": ("power_of", {"exponent": 1}, [[0, 2]], [[1, 1]]),
    "power 1/2": ("power_of", {"exponent": 0.5}, [[0, 4]], [[inf, 0.25]]),
    "sqrt": ("sqrt", {}, [[0, 4, -1]], [[inf, 0.25, nan]]),
    "rsqrt": ("rsqrt", {}, [[0, 4]], [[-inf, -1 / 16]]),
    "log": ("log", {}, [[0, 2]], [[inf, 0.5]]),
    "reciprocal": ("reciprocal", {}, [[0, 2]], [[-inf, -0.25]]),
    "mod": ("mod", {}, [[-1, 5], [3, 3]], [[1, 1], [1, -1]]),
    "mod, trunc": ("mod", {"kind": "trunc"}, [[-4, 5], [3, 3]], [[1, 1], [1, -1]]),
}  # fmt: skip
each_case = pytest.mark.parametrize("point", CASES)


def given(point):
    op, attrs, points, expected = CASES[point]
    graph = graph_of(op, attrs, len(points[0]))
    leaves = {name: np.array([values], float) for name, values in zip(graph.leaves, points, strict=True)}
    return graph, leaves, dict(zip(graph.leaves, expected, strict=True))


@each_case
@pytest.mark.parametrize("strategy", ["vjp", "dense", "sparse"])
def test_slopes_are_those_of_the_convention(point, strategy):
    """Without a warning, also where a value or a slope is not finite."""
    graph, leaves, expected = given(point)
    if strategy == "dense" and not np.all(np.isfinite(list(expected.values()))):
        pytest.skip("zeros of the matrix times infinity are NaN")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bars = load(strategy).prepare(graph).linearize(leaves).pullback(np.ones((2, *graph.output_shape)))
    for name, slopes in expected.items():
        np.testing.assert_allclose(bars[name], [[slopes], [slopes]], rtol=1e-14)


def in_jax(graph, leaves):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        bars = jax.grad(lambda leaves: graph.evaluate(leaves, xp=jax.numpy).sum())(leaves)
    return {name: np.asarray(bar) for name, bar in bars.items()}


def in_torch(graph, leaves):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(leaf, requires_grad=True) for name, leaf in leaves.items()}
    graph.evaluate(tensors, xp=torch).sum().backward()
    return {name: tensor.grad.numpy() for name, tensor in tensors.items()}


SMOOTH_ELSEWHERE = {"power", "atan2", "sqrt", "rsqrt", "log", "reciprocal", "power 1/2", "power 0"}
"""Cases in which a library's own rule has another value where the function has no derivative."""


@pytest.mark.parametrize("point", sorted(CASES.keys() - SMOOTH_ELSEWHERE))
@pytest.mark.parametrize("slopes_of", [pytest.param(in_jax, marks=pytest.mark.long), in_torch])
def test_other_libraries_evaluate_a_graph_with_the_same_slopes(slopes_of, point):
    graph, leaves, expected = given(point)
    for name, bar in slopes_of(graph, leaves).items():
        np.testing.assert_allclose(bar, [expected[name]], rtol=1e-12)


TORCH = {
    "relu": lambda F, x: F.relu(x),
    "leaky_relu": lambda F, x: F.leaky_relu(x, 0.2),
    "leaky_relu negative": lambda F, x: F.leaky_relu(x, -0.5),
    "abs": lambda _F, x: x.abs(),
    "clamp": lambda _F, x: x.clamp(-1, 2),
    "clamp below": lambda _F, x: x.clamp(min=-1),
    "relu6": lambda F, x: F.relu6(x),
    "hardswish": lambda F, x: F.hardswish(x),
    "hardsigmoid": lambda F, x: F.hardsigmoid(x),
    "elu": lambda F, x: F.elu(x, 2),
    "softshrink": lambda F, x: F.softshrink(x),
    "hardshrink": lambda F, x: F.hardshrink(x),
    "threshold": lambda F, x: F.threshold(x, 0.5, 3),
    "softplus": lambda F, x: F.softplus(x, 2, 1),
    "maximum": lambda _F, x, y: x.maximum(y),
    "minimum": lambda _F, x, y: x.minimum(y),
    "atan2 of torch": lambda _F, x, y: x.atan2(y),
    "power": lambda _F, x, y: x.pow(y),
    "power 0": lambda _F, x: x.pow(0),
    "power 1/2": lambda _F, x: x.pow(0.5),
    "sqrt": lambda _F, x: x.sqrt(),
    "rsqrt": lambda _F, x: x.rsqrt(),
    "log": lambda _F, x: x.log(),
    "reciprocal": lambda _F, x: x.reciprocal(),
    "mod": lambda _F, x, y: x.remainder(y),
    "mod, trunc": lambda _F, x, y: x.fmod(y),
}


@pytest.mark.parametrize("point", TORCH)
def test_slopes_are_those_of_torch(point):
    torch = pytest.importorskip("torch")
    _, leaves, expected = given(point)
    tensors = [torch.tensor(leaf, requires_grad=True) for leaf in leaves.values()]
    TORCH[point](torch.nn.functional, *tensors).sum().backward()
    for tensor, slopes in zip(tensors, expected.values(), strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), [slopes], rtol=1e-7)


JAX = {
    "abs of JAX": lambda jax, x: jax.numpy.abs(x),
    "relu": lambda jax, x: jax.nn.relu(x),
    "relu6": lambda jax, x: jax.lax.clamp(0.0, x, 6.0),
    "clip of JAX": lambda jax, x: jax.numpy.minimum(jax.numpy.maximum(x, -1.0), 2.0),
    "maximum": lambda jax, x, y: jax.lax.max(x, y),
    "minimum": lambda jax, x, y: jax.lax.min(x, y),
    "atan2": lambda jax, x, y: jax.lax.atan2(x, y),
    "power": lambda jax, x, y: jax.lax.pow(x, y),
    "power 0": lambda jax, x: jax.lax.integer_pow(x, 0),
    "power 1/2": lambda _jax, x: x**0.5,
    "sqrt": lambda jax, x: jax.lax.sqrt(x),
    "rsqrt": lambda jax, x: jax.lax.rsqrt(x),
    "log": lambda jax, x: jax.lax.log(x),
    "mod, trunc": lambda jax, x, y: jax.lax.rem(x, y),
}


@pytest.mark.long
@pytest.mark.parametrize("point", JAX)
def test_slopes_are_those_of_jax(point):
    jax = pytest.importorskip("jax")
    _, leaves, expected = given(point)
    with jax.enable_x64(True):
        bars = jax.grad(lambda *xs: JAX[point](jax, *xs).sum(), argnums=tuple(range(len(leaves))))(*leaves.values())
    for bar, slopes in zip(bars, expected.values(), strict=True):
        np.testing.assert_allclose(np.asarray(bar), [slopes], rtol=1e-12)


def test_where_keeps_the_other_branch_out():
    """√x has the slope ∞ at 0: ``where`` passes 0 to it, whatever the cotangent is, as JAX does."""
    g = GraphBuilder()
    x = g.input("x", (1, 3))
    positive = g.greater(x, g.constant(0.0))
    safe = g.where(positive, x, g.constant(1.0))
    graph = g.build(g.where(positive, g.log(safe), g.constant(-1.0)), wrt="all")
    lin = load("vjp").prepare(graph).linearize({"x": np.array([[-1.0, 0.0, 2.0]])})
    np.testing.assert_array_equal(lin.output, [[-1, -1, np.log(2)]])
    np.testing.assert_array_equal(lin.pullback(np.array([[[nan, inf, 1.0]]]))["x"], [[[0, 0, 0.5]]])


def test_a_constant_number_costs_no_edge():
    g = GraphBuilder()
    x = g.input("x", (3, 4))
    graph = g.build(g.multiply(g.add(x, g.constant(2.0)), g.constant(3.0)), wrt="all")
    costs = load("sparse").predict(graph, 1)
    assert costs.n_nonzeros == 2 * 12
    assert [[edge.ctx.k for edge in step.edges] for step in steps(graph)] == [[0], [0]]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n_seeds", [1, 3])
@pytest.mark.parametrize("condition", [(MANY,), (1,), (2, 1)])
def test_where_selects_cotangents_of_many_entries_bit_by_bit(condition, n_seeds, dtype):
    g = GraphBuilder(dtype)
    mask = np.random.default_rng(0).random(condition) < 0.5
    graph = g.build(g.where(g.constant(mask), g.input("x", (2, MANY)), g.input("y", (2, MANY))), wrt="all")
    seeds = np.random.default_rng(1).standard_normal((n_seeds, 2, MANY)).astype(dtype)
    seeds[0, 0, :4] = nan, inf, -inf, -0.0
    bars = load("vjp").prepare(graph).linearize(graph.sample(0)).pullback(seeds)
    for name, chosen in (("x", mask), ("y", ~mask)):
        assert bars[name].dtype == dtype
        np.testing.assert_array_equal(bars[name], np.where(chosen, seeds, 0))
