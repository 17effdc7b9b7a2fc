"""The vjp strategy against the gradients of other libraries, which get the same graph through `Graph.evaluate`."""

from functools import partial

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.generators.attention import attention
from jacobench.graphs.generators.mlp import ACTIVATIONS, mlp
from jacobench.graphs.ops import OPS
from jacobench.strategies.registry import load

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


def op_example(name, dtype):
    """Return the op's own example, every leaf to be differentiated."""
    g = GraphBuilder(dtype)
    output = OPS[name].example(g)
    graph = g.build(output, wrt="all")
    return graph, graph.sample(1)


def tied(dtype):
    """Return a graph in which a weight is used twice, a value three times, and a vector stands where a weight may."""
    g = GraphBuilder(dtype)
    x, W, b = g.input("x", (3, 4)), g.parameter("W", (4, 4)), g.parameter("b", (4,))
    h = g.relu(g.affine(x, W, b))
    gated = g.multiply(g.softmax(h), g.layer_norm(g.add(h, x)))
    graph = g.build(
        g.affine(g.concat(gated, h), g.parameter("V", (2, 8)), g.parameter("c", (2,))), wrt=["x", "W", "b", "V"]
    )
    return graph, graph.sample(2)


def heads(dtype):
    """Return attention of two heads, whose queries, keys and values are one weight's work."""
    g = GraphBuilder(dtype)
    x, W, b = g.input("x", (2, 4, 6)), g.parameter("W", (18, 6)), g.parameter("b", (18,))
    joined = g.reshape(g.affine(x, W, b), shape=(2, 4, 2, 9))
    split = g.transpose(joined, axes=(0, 2, 1, 3))
    parts = (g.permute(g.flip(split), order=np.roll(np.arange(9), k)) for k in (0, 3, 6))
    graph = g.build(attention(g, *parts), wrt=["x", "W"])
    return graph, graph.sample(3)


def one_op(make, dtype):
    """Return a graph of one op as the test of ops has it, every leaf to be differentiated."""
    g = GraphBuilder(dtype)
    output = make(g)
    graph = g.build(output, wrt="all")
    return graph, graph.sample(4)


STEPS = {
    "stretched": lambda g: g.divide(g.multiply(g.input("x", (3, 1, 4)), g.parameter("s", (2, 1))), g.input("y", (3, 2, 1), distribution="positive")),
    "conv1d-stride-padding": lambda g: g.conv1d(g.input("x", (2, 2, 6)), g.parameter("W", (3, 2, 3)), stride=2, padding=2),
    "conv2d-stride-padding": lambda g: g.conv2d(g.input("x", (2, 2, 5, 4)), g.parameter("W", (3, 2, 3, 2)), stride=(2, 1), padding=(1, 0)),
    "max_pool-2d": lambda g: g.max_pool(g.input("x", (2, 3, 4, 5)), window=(2, 2), stride=(2, 1)),
    "avg_pool-2d": lambda g: g.avg_pool(g.input("x", (2, 3, 4, 5)), window=(2, 2), stride=(1, 2)),
}  # fmt: skip

CASES = {
    **{name: partial(op_example, name) for name in OPS},
    **{f"mlp-{name}": partial(lambda name, dtype: mlp([5, 7, 7, 3], activation=name, dtype=dtype), name) for name in ACTIVATIONS},
    "mlp-wide": lambda dtype: mlp([30, 64, 10], batch=16, activation="gelu", loss="cross_entropy", dtype=dtype),
    "mlp-deep": lambda dtype: mlp([6] * 9, batch=3, residual=True, normalization="layer_norm", loss=None, dtype=dtype),
    "mlp-masked": lambda dtype: mlp([12, 20, 9], batch=4, weight_density=0.2, activation="relu", dtype=dtype),
    "tied": tied,
    "attention": heads,
    **{name: partial(one_op, make) for name, make in STEPS.items()},
}  # fmt: skip


def seed_for(graph):
    return np.random.default_rng(5).standard_normal(graph.output_shape).astype(graph.dtype)


def assert_vjp_gives(graph, leaves, seed, expected):
    """Compare per leaf, relative to its largest entry, or where it cancels out, to the largest of all."""
    bars = load("vjp").prepare(graph).linearize(leaves).pullback(seed[None])
    largest = max(np.max(np.abs(array)) for array in expected.values())
    assert largest > 0
    for name, array in expected.items():
        scale = max(np.max(np.abs(array)), 1e-3 * largest)
        assert array.dtype == graph.dtype
        assert np.max(np.abs(bars[name][0] - array)) <= TOLERANCE[graph.dtype.name] * scale, name


@pytest.mark.long
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_vjp_agrees_with_jax(case, dtype):
    jax = pytest.importorskip("jax")
    graph, leaves = CASES[case](dtype)
    seed = seed_for(graph)
    with jax.enable_x64(True):

        @jax.jit  # one compilation, where each op of its own would be one
        def output_and_bars(leaves, seed):
            moved = {name: leaves[name] for name in graph.wrt}
            output, pullback = jax.vjp(lambda moved: graph.evaluate({**leaves, **moved}, xp=jax.numpy), moved)
            return output, *pullback(seed)

        output, expected = jax.tree.map(np.asarray, output_and_bars(leaves, seed))
    assert output.dtype == dtype
    np.testing.assert_allclose(output, graph.evaluate(leaves), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert_vjp_gives(graph, leaves, seed, expected)


def test_x64_stays_as_it_was():
    jax = pytest.importorskip("jax")
    assert jax.numpy.asarray(np.ones(1)).dtype == "float32"


@pytest.mark.parametrize("case", CASES)
def test_vjp_agrees_with_autograd(case):
    autograd = pytest.importorskip("autograd")
    graph, leaves = CASES[case]("float64")
    seed = seed_for(graph)
    xp = autograd.numpy

    def weighed(moved):
        return xp.sum(seed * graph.evaluate({**leaves, **moved}, xp=xp))

    expected = autograd.grad(weighed)({name: leaves[name] for name in graph.wrt})
    assert_vjp_gives(graph, leaves, seed, expected)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("case", CASES)
def test_vjp_agrees_with_torch(case, dtype):
    torch = pytest.importorskip("torch")
    graph, leaves = CASES[case](dtype)
    seed = seed_for(graph)
    tensors = {name: torch.tensor(leaf, requires_grad=name in graph.wrt) for name, leaf in leaves.items()}
    output = graph.evaluate(tensors, xp=torch)
    assert output.dtype == getattr(torch, dtype)
    gradients = torch.autograd.grad(output, [tensors[name] for name in graph.wrt], torch.tensor(seed))
    expected = {name: gradient.numpy() for name, gradient in zip(graph.wrt, gradients, strict=True)}
    assert_vjp_gives(graph, leaves, seed, expected)


def slope_in_jax(graph, x):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        return np.asarray(jax.grad(lambda x: graph.evaluate({"x": x}, xp=jax.numpy).sum())(jax.numpy.asarray(x)))


def slope_in_autograd(graph, x):
    autograd = pytest.importorskip("autograd")
    return autograd.grad(lambda x: autograd.numpy.sum(graph.evaluate({"x": x}, xp=autograd.numpy)))(x)


def slope_in_torch(graph, x):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(x, requires_grad=True)
    graph.evaluate({"x": tensor}, xp=torch).sum().backward()
    return tensor.grad.numpy()


def slope_in_vjp(graph, x):
    return load("vjp").prepare(graph).linearize({"x": x}).pullback(np.ones((1, *graph.output_shape)))["x"][0]


@pytest.mark.parametrize("slope", [slope_in_vjp, slope_in_jax, slope_in_autograd, slope_in_torch])
def test_every_library_gives_a_maximum_of_equals_the_slope_of_the_first(slope):
    g = GraphBuilder()
    graph = g.build(g.max_pool(g.input("x", (1, 5)), window=3, stride=1), wrt=["x"])
    np.testing.assert_array_equal(slope(graph, np.array([[2.0, 2.0, 1.0, 2.0, 0.0]])), [[1, 1, 0, 1, 0]])


@pytest.mark.parametrize("slope", [slope_in_vjp, slope_in_jax, slope_in_autograd, slope_in_torch])
@pytest.mark.parametrize(("name", "at_zero"), [("relu", 0), ("leaky_relu", 0.01)])
def test_every_library_gives_a_kink_the_same_slope(name, at_zero, slope):
    """The maximum of x and 0 would do for the values, but JAX and autograd give it the slope 1/2 at 0."""
    g = GraphBuilder()
    graph = g.build(getattr(g, name)(g.input("x", (1, 3))), wrt=["x"])
    np.testing.assert_array_equal(slope(graph, np.array([[-1.0, 0.0, 1.0]])), [[at_zero, at_zero, 1]])
