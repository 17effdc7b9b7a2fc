"""Floors compute what they stand for: the output of every op, the cotangents of every argument, of whole graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import jacobench as jb
from jacobench.bench.cell.problem import Problem, make_problem
from jacobench.bench.cell.whole_jacobian import shape_of, unit_seeds
from jacobench.bench.floor.floor_loop import fastest_calls, loop
from jacobench.bench.floor.floor_rules import RULES, vjp_calls_by_sample
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.calls import run
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.graphs.generators.one_op import EVERY, op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies import dense
from jacobench.strategies.tape import Edge

TOLERANCES = {"float64": {"rtol": 1e-11, "atol": 1e-12}, "float32": {"rtol": 2e-4, "atol": 1e-5}}
EACH_OP = pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if op.is_differentiable))


def node_of(name, dtype):
    graph = op_graph(name, dtype)
    (node,) = graph.nodes
    values = graph.values_of(graph.sample(1))
    return node, tuple(values[i] for i in node.args)


def assert_written(calls, array, expected):
    """Check that the calls of a floor write what is expected, each time that they run; a floor is timed in a loop."""
    chosen = fastest_calls(calls)
    for _ in range(2):
        array.fill(np.nan)
        run(chosen)
        np.testing.assert_allclose(array, expected, **TOLERANCES[array.dtype.name])


@EACH_OP
def test_forward_calls_write_the_output(name):
    for dtype in TOLERANCES:
        node, xs = node_of(name, dtype)
        if not node.op.is_view:
            y = np.empty(node.shape, dtype)
            assert_written(node.op.floor(xs, y, node.attrs), y, node.op.forward(NUMPY, *xs, **node.attrs))


def edges_of(name):
    """Yield each argument of an op's example, its primals, and cotangents of one and of three seeds, in both dtypes."""
    for dtype in TOLERANCES:
        node, xs = node_of(name, dtype)
        y = np.asarray(node.op.forward(NUMPY, *xs, **node.attrs))
        for n_seeds in (1, 3):
            y_bar = np.random.default_rng(0).standard_normal((n_seeds, *node.shape)).astype(dtype)
            for ctx in (ctx for ctx in node.contexts if node.op.has_rules(ctx.k)):
                yield Edge(ctx.k, node.op.argument(ctx.k), ctx), y, xs, y_bar


@EACH_OP
def test_backward_calls_write_the_cotangents(name):
    for edge, y, xs, y_bar in edges_of(name):
        if not edge.argument.returns_cotangent(edge.ctx):
            x_bar = np.empty((len(y_bar), *edge.ctx.x), y_bar.dtype)
            _, pull = RULES["vjp"](edge, y, xs)
            assert_written(pull(y_bar, x_bar), x_bar, edge.argument.vjp(y_bar, y, xs, edge.ctx))


@EACH_OP
def test_calls_by_sample_write_the_cotangents_of_each_sample(name):
    for edge, y, xs, y_bar in edges_of(name):
        if edge.argument.per_sample_vjp is not None:
            x_bar = np.empty((len(y), len(y_bar), *edge.ctx.x), y_bar.dtype)
            _, pull = vjp_calls_by_sample(edge, y, xs)
            assert_written(pull(y_bar, x_bar), x_bar, edge.argument.per_sample_vjp(y_bar, y, xs, edge.ctx))


@EACH_OP
@pytest.mark.parametrize("strategy", ["dense", "dense-blocks", "sparse"])
def test_calls_write_the_local_jacobian_and_multiply_with_it(name, strategy):
    for edge, y, xs, y_bar in edges_of(name):
        calls, pull = RULES[strategy](edge, y, xs)
        for _ in range(2):
            run(fastest_calls(calls))
        x_bar = np.empty((len(y_bar), *edge.ctx.x), y_bar.dtype)
        J = dense.materialize(edge.argument.jacobian, y, xs, edge.ctx)
        assert_written(pull(y_bar, x_bar), x_bar, (y_bar.reshape(len(y_bar), -1) @ J).reshape(x_bar.shape))


def test_a_jacobian_that_is_computed_needs_a_floor():
    edge, y, xs, _ = next(edges_of("tanh"))
    jacobian = replace(edge.argument.jacobian, floor=None)
    without = edge._replace(argument=replace(edge.argument, jacobian=jacobian))
    with pytest.raises(NotImplementedError, match="has no floor"):
        RULES["dense"](without, y, xs)


def problem_of(graph, kind, n_seeds):
    if kind == "identity":
        return Problem(graph, graph.sample(0), unit_seeds(graph, np.arange(shape_of(graph)[0])))
    return make_problem(graph, "gradient", n_seeds, 0, 2**31)


def network(**knobs):
    sizes = {"batch": 4, "residual": True, "normalization": "layer_norm", "loss": None}
    return mlp_graph([3] * 5, **(sizes | knobs))


def with_input():
    return replace(network(), wrt=("x", *network().wrt))


def constant_first():
    g = jb.GraphBuilder()
    x, W, b = g.input("x", (2, 3)), g.parameter("W", (4, 3)), g.parameter("b", (4,))
    return g.build(g.tanh(g.affine(g.tanh(x), W, b)))  # the first tanh has no cotangent


def skips():
    g = jb.GraphBuilder()
    x, y = g.input("x", (2, 3)), g.input("y", (2, 3))
    both = g.concat(g.add(x, x), g.reshape(g.multiply(x, y), shape=(2, 3)))
    return g.build(g.add(g.pad(g.sin(both), before=1), g.pad(both, after=1)), wrt=("x", "y"))


def stretched():
    g = jb.GraphBuilder()
    x, c = g.input("x", (4, 2, 3)), g.input("c", (4, 1, 1))
    s, t, u = g.parameter("s", (1, 2, 1)), g.parameter("t", (3,)), g.parameter("u", ())
    h = g.maximum(g.divide(g.add(g.multiply(x, s), t), g.exp(c)), u)
    return g.build(g.where(g.constant([True, False, True]), h, g.tanh(g.subtract(t, h))), wrt="all")


def moved():
    """Return a graph of views, of which a change of shape copies one, and of indexed entries."""
    g = jb.GraphBuilder()
    x, u = g.input("x", (2, 3, 4)), g.parameter("u", (3,))
    part = g.reshape(g.slice(g.sin(x), starts=(None, 0, 3), stops=(None, 2, 0), steps=(1, 1, -1)), shape=(12,))
    h = g.scatter(part, u, positions=[3, -1, 3], mode="add")
    return g.build(g.gather(g.broadcast(h, shape=(2, 12)), positions=[[0, 23, -1], [0, 5, 5]]), wrt="all")


def untouched():
    g = jb.GraphBuilder()
    x, _ = g.input("x", (2, 3)), g.input("y", (2, 3))
    return g.build(x, wrt=("x",))


GRAPHS = {
    "network": (network, "random"),
    "whole Jacobian of a batch": (network, "identity"),
    "with respect to the input, too": (with_input, "identity"),
    "arguments that broadcast": (stretched, "identity"),
    "arguments that broadcast, not joined": (stretched, "random"),
    "sparse weights": (lambda: network(weight_density=0.5), "identity"),
    "an op before the leaves": (constant_first, "random"),
    "skips": (skips, "random"),
    "views and indices": (moved, "random"),
    "a leaf as output": (untouched, "random"),
    "every op": (lambda: op_graph(EVERY), "random"),
}


@pytest.mark.parametrize("strategy", sorted(RULES))
@pytest.mark.parametrize("case", GRAPHS)
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_the_loop_of_a_graph_computes_its_output_and_its_cotangents(case, n_seeds, strategy):
    make, kind = GRAPHS[case]
    problem, strategy = problem_of(make(), kind, n_seeds), jb.strategy(strategy)
    by_hand = loop(problem, strategy)
    run(by_hand.linearize)
    run(by_hand.pullback)
    at = strategy.prepare(problem.graph).linearize(problem.leaves)
    np.testing.assert_allclose(by_hand.output, at.output, rtol=1e-12)
    for name, expected in at.pullback(problem.seeds).items():
        np.testing.assert_allclose(by_hand.cotangents[name], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", ["dense", "sparse"])
def test_a_factor_that_is_not_contiguous_is_copied(rule):
    g = jb.GraphBuilder()
    x, w = g.input("x", (2, 3)), g.parameter("w", (3, 2))
    node = g.build(g.multiply(g.transpose(x, axes=(1, 0)), w)).nodes[-1]
    factor, other, y_bar = np.arange(6.0).reshape(2, 3).T, np.ones((3, 2)), np.ones((1, 3, 2))
    (ctx,) = (ctx for ctx in node.contexts if ctx.k == 1)
    calls, pull = RULES[rule](Edge(1, node.op.argument(1), ctx), factor * other, (factor, other))
    run(fastest_calls(calls))
    assert_written(pull(y_bar, x_bar := np.empty((1, 3, 2))), x_bar, factor[None])
