"""Predicted and measured heap of a graph of one op, for every op of the table."""

import tracemalloc

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies.registry import load

ENOUGH = {"dense": 8e6, "dense-blocks": 8e6, "forward-dense": 8e6, "sparse": 4e6, "vjp": 2e6}
"""Strategy → the bytes that it is to take at least."""

BUFFERS = 200 * 2**10
"""NumPy works through some operands in buffers of 8,192 entries: 64 KiB each, for up to three operands at once."""


def large_enough(name, strategy, batch):
    size = 4
    while True:
        graph = op_graph(name, size=size, batch=batch)
        phases = load(strategy).predict(graph, 1).phases
        if max(phase.peak_bytes for phase in phases.values()) > ENOUGH[strategy]:
            return graph, phases
        size = int(1.6 * size) + 1


def measured(call):
    """Return the highest the heap rose during a call, and what is held after it, in bytes."""
    call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = call()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result is not None
    return peak - before, held - before


@pytest.mark.parametrize("strategy", ENOUGH)
@pytest.mark.parametrize("name", OPS)
def test_predicted_bytes_hold_within_2_percent(name, strategy):
    graph, phases = large_enough(name, strategy, batch=3)
    assert_as_predicted(graph, strategy, phases)


def assert_as_predicted(graph, strategy, phases, buffers=BUFFERS):
    prepared = load(strategy).prepare(graph)
    leaves, seeds = graph.sample(0), np.ones((1, *graph.output_shape))
    lin = prepared.linearize(leaves)
    calls = {
        "prepare": lambda: load(strategy).prepare(graph),
        "linearize": lambda: prepared.linearize(leaves),
        "pullback": lambda: lin.pullback(seeds),
    }
    for phase, call in calls.items():
        peak, held = measured(call)
        assert peak == pytest.approx(phases[phase].peak_bytes, rel=0.02, abs=buffers), phase
        assert held == pytest.approx(phases[phase].retained_bytes, rel=0.02, abs=buffers), phase


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize(("strategy", "density"), [("vjp", 0.02), ("vjp", 0.1), ("vjp", 0.5), ("sparse", 0.2)])
def test_bytes_of_sparse_weights_are_predicted_for_each_algorithm(strategy, density, batch):
    """The op's example has few entries. These weights have 12,000 to 290,000, and 1 to 5 samples."""
    graph = mlp_graph([768, 768], batch=batch, weight_density=density, loss=None)
    assert_as_predicted(graph, strategy, load(strategy).predict(graph, 1).phases, buffers=BUFFERS // 2)


def product(subscripts, *shapes):
    g = GraphBuilder()
    factors = [g.input(f"x{k}", shape) for k, shape in enumerate(shapes)]
    return g.build(g.einsum(*factors, subscripts=subscripts), wrt="all")


PRODUCTS = {
    "direct": lambda: product("bqhd,bkhd->bhqk", (2, 32, 4, 40), (2, 40, 4, 40)),
    "copied factors": lambda: product("abc,dcb->da", (15, 50, 60), (10, 60, 50)),
    "copied result": lambda: product("ijb,jkb->ikb", (60, 5, 90), (5, 50, 90)),
    "diagonal": lambda: product("aab,bc->ac", (60, 60, 50), (50, 30)),
    "summed alone": lambda: product("ij,kx->j", (200, 120), (200, 120)),
}


def over_axes(name, shape=(20, 90, 70), **attrs):
    g = GraphBuilder()
    return g.build(getattr(g, name)(g.input("x", shape), **attrs), wrt="all")


OVER_AXES = {
    "sum": lambda: over_axes("sum", (200, 300), axes=(0,)),
    "max-first": lambda: over_axes("max", axes=(0, 1), ties="first"),
    "prod": lambda: over_axes("prod", axes=(1,)),
    "norm-largest": lambda: over_axes("norm", axes=(0, 1), order=float("inf")),
    "softmax": lambda: over_axes("softmax", (40, 50, 20), axis=1),
    "log_softmax": lambda: over_axes("log_softmax", (40, 50, 20), axis=1),
    "layer_norm": lambda: over_axes("layer_norm", (10, 50, 20), axes=(0, 2)),
    "rms_norm": lambda: over_axes("rms_norm", (20, 50, 20), axes=(1,)),
    "many short vectors": lambda: over_axes("layer_norm", (8000, 16)),
    "cumsum": lambda: over_axes("cumsum", (6, 70, 40), axis=1),
    "cumprod": lambda: over_axes("cumprod", (6, 70, 40), axis=1),
}


@pytest.mark.parametrize("strategy", ["vjp", "sparse", "dense"])
@pytest.mark.parametrize("case", PRODUCTS | OVER_AXES)
def test_bytes_are_predicted_for_each_kind_of_labels_and_axes(case, strategy):
    graph = (PRODUCTS | OVER_AXES)[case]()
    phases = load(strategy).predict(graph, 1).phases
    if max(phase.peak_bytes for phase in phases.values()) < 2**27:
        assert_as_predicted(graph, strategy, phases)


STRETCHED = {
    "a row": lambda g, op: op(g.input("x", (40, 500)), g.parameter("y", (500,))),
    "a column": lambda g, op: op(g.input("x", (40, 500)), g.input("y", (40, 1))),
    "a number": lambda g, op: op(g.parameter("y", ()), g.input("x", (400, 500))),
    "both": lambda g, op: op(g.input("x", (20, 1, 100)), g.input("y", (20, 100, 1))),
    "an axis and samples": lambda g, op: op(g.parameter("y", (100, 1)), g.input("x", (20, 100, 50))),
}


@pytest.mark.parametrize("shapes", STRETCHED)
@pytest.mark.parametrize(
    "op", ["multiply", *(pytest.param(op, marks=pytest.mark.long) for op in ("add", "divide", "where"))]
)
@pytest.mark.parametrize("strategy", ["vjp", "dense", pytest.param("dense-blocks", marks=pytest.mark.long), "sparse"])
def test_bytes_of_arguments_that_broadcast(shapes, op, strategy):
    g = GraphBuilder()
    rules = {"where": lambda x, y: g.where(g.constant(np.arange(g_width(x, y)) % 3 > 0), x, y)}
    graph = g.build(STRETCHED[shapes](g, rules.get(op, getattr(g, op))), wrt="all")
    predicted = load(strategy).predict(graph, 1).phases
    if max(phase.peak_bytes for phase in predicted.values()) < 5e8:
        assert_as_predicted(graph, strategy, predicted, buffers=BUFFERS // 2)


def g_width(x, y):
    return np.broadcast_shapes(x.shape, y.shape)[-1]


LENGTH = 30_000


def whole_cotangents():
    """Make views of values, and cotangents that are handed on whole: to one leaf many times, to another once."""
    g = GraphBuilder()
    x, p = g.input("x", (4, LENGTH)), g.parameter("p", (4, LENGTH))
    h = g.reshape(g.reshape(g.tanh(x), shape=(4 * LENGTH,)), shape=(4, LENGTH))
    for _ in range(4):
        h = g.add(h, p)
    return g.build(h, wrt=["x", "p"])


def parts_of_cotangents():
    """Make cotangents that are parts of others, along two ways to one leaf."""
    g = GraphBuilder()
    x = g.input("x", (4, LENGTH))
    return g.build(g.concat(g.pad(g.sin(x), before=9), x), wrt=["x"])


def views_alone():
    g = GraphBuilder()
    h = g.input("x", (2, 200_000))
    for shape in ((2, 100, 2000), (400_000,), (2, 200_000)):
        h = g.reshape(h, shape=shape)
    return g.build(g.neg(h), wrt=["x"])


def shapes_of_slices():
    """Change the shape of slices and of repeated values: once by a copy, once by a view."""
    g = GraphBuilder()
    x = g.tanh(g.input("x", (4, 3, LENGTH)))
    copied = g.reshape(g.slice(x, starts=(0, 1, 0)), shape=(8, LENGTH))
    viewed = g.reshape(g.slice(x, starts=(0, 1, 0), stops=(None, 2, None)), shape=(4, 2, -1))
    repeated = g.reshape(g.broadcast(g.sin(g.input("y", (1, LENGTH))), shape=(8, LENGTH)), shape=(-1,))
    joined = g.add(g.reshape(g.multiply(copied, copied), shape=(-1,)), g.exp(repeated))
    return g.build(g.concat(joined, g.reshape(g.exp(viewed), shape=(-1,))), wrt="all")


@pytest.mark.parametrize("make", [whole_cotangents, parts_of_cotangents, views_alone, shapes_of_slices])
@pytest.mark.parametrize("strategy", ["vjp", "sparse"])
def test_memory_that_values_share_counts_once(strategy, make):
    graph = make()
    assert_as_predicted(graph, strategy, load(strategy).predict(graph, 1).phases)


WINDOWED = {
    "groups": lambda g: g.conv(g.input("x", (3, 80, 60)), g.parameter("W", (160, 20, 3)), groups=4, padding=((2, 0),)),
    "depthwise": lambda g: g.conv(g.input("x", (3, 160, 12, 12)), g.parameter("W", (160, 1, 3, 3)), groups=160, padding=1),
    "transposed": lambda g: g.conv(g.input("x", (2, 8, 24, 24)), g.parameter("W", (8, 8, 4, 4)), input_dilation=2, padding=2),
    "transposed, large kernel": lambda g: g.conv(g.input("x", (2, 128, 4, 4)), g.parameter("W", (64, 128, 4, 4)), input_dilation=2),
    "maximum with padding": lambda g: g.max_pool(g.input("x", (1, 300, 300)), window=(3, 3), stride=1, padding=1),
    "mean without padding": lambda g: g.avg_pool(g.input("x", (1, 300, 300)), window=(3, 3), stride=1, padding=1, count_padding=False),
}  # fmt: skip


@pytest.mark.parametrize("strategy", ["vjp", "sparse"])
@pytest.mark.parametrize("make", WINDOWED.values(), ids=WINDOWED)
def test_bytes_of_windows_are_predicted_for_each_attribute(make, strategy):
    """The ops' examples have neither groups with large kernels nor windows of one image only."""
    g = GraphBuilder()
    graph = g.build(make(g), wrt="all")
    assert_as_predicted(graph, strategy, load(strategy).predict(graph, 1).phases)
