"""Floors: the calls that are timed compute what the rules return. Sums are tested with given times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import jacobench as jb
from jacobench.bench.floor import floors
from jacobench.bench.floor.floors import Floors, loop, run
from jacobench.bench.suites.case import Case, problem_of
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS

WITH_FLOOR = sorted(name for name, op in OPS.items() if op.floor)
DIFFERENTIATED = sorted(
    name for name in WITH_FLOOR if any(argument.floor for argument in OPS[name].arguments if argument)
)
TOLERANCES = {"float64": {"rtol": 1e-11, "atol": 1e-12}, "float32": {"rtol": 1e-4, "atol": 1e-6}}


def test_ops_with_a_floor():
    assert set(WITH_FLOOR) >= {
        *("affine", "add", "multiply", "scale", "concat", "relu", "leaky_relu", "tanh", "sigmoid", "softplus"),
        *("gelu", "silu", "sin", "softmax", "layer_norm", "mse", "cross_entropy"),
    }


@pytest.mark.parametrize("dtype", sorted(TOLERANCES))
@pytest.mark.parametrize("name", WITH_FLOOR)
def test_forward_calls_write_the_output(name, dtype):
    graph = op_graph(name, dtype)
    (node,) = graph.nodes
    xs = tuple(graph.sample(1).values())
    y = np.full(node.shape, np.nan, dtype)
    calls = node.op.floor(xs, y, node.attrs)
    run(calls)
    run(calls)  # a floor is timed in a loop
    np.testing.assert_allclose(y, node.op.forward(NUMPY, *xs, **node.attrs), **TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", sorted(TOLERANCES))
@pytest.mark.parametrize("name", DIFFERENTIATED)
@pytest.mark.parametrize("n_seeds", [1, 3])
def test_backward_calls_write_the_cotangents(name, dtype, n_seeds):
    graph = op_graph(name, dtype)
    (node,) = graph.nodes
    xs = tuple(graph.sample(1).values())
    y = np.asarray(node.op.forward(NUMPY, *xs, **node.attrs))
    y_bar = np.random.default_rng(0).standard_normal((n_seeds, *node.shape)).astype(dtype)
    for ctx in node.contexts:
        argument = node.op.argument(ctx.k)
        if argument.floor is not None:
            x_bar = np.full((n_seeds, *ctx.x), np.nan, dtype)
            calls = argument.floor(y_bar, y, xs, x_bar, ctx)
            run(calls)
            run(calls)
            np.testing.assert_allclose(x_bar, argument.vjp(y_bar, y, xs, ctx), **TOLERANCES[dtype])


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_the_loop_of_a_network_computes_its_output_and_its_cotangents(n_seeds):
    sizes = {"batch": 4, "residual": True, "normalization": "layer_norm", "loss": None}
    problem = problem_of(Case("case", {"n_seeds": n_seeds}, (), lambda: mlp_graph([3] * 5, **sizes)), 2**31)
    graph, by_hand = problem.graph, loop(problem)
    run(by_hand.forward)
    run(by_hand.backward)
    at = jb.strategy("vjp").prepare(graph).linearize(problem.leaves)
    np.testing.assert_allclose(by_hand.output, at.output, rtol=1e-12)
    for name, expected in at.pullback(problem.seeds).items():
        np.testing.assert_allclose(by_hand.cotangents[list(graph.leaves).index(name)], expected, rtol=1e-9, atol=1e-12)


def test_the_loop_skips_ops_that_depend_on_no_leaf_in_wrt():
    def graph():
        g = jb.GraphBuilder()
        x, W, b = g.input("x", (2, 3)), g.parameter("W", (4, 3)), g.parameter("b", (4,))
        return g.build(g.tanh(g.affine(g.tanh(x), W, b)))  # the first tanh has no cotangent

    problem = problem_of(Case("case", {"n_seeds": 1}, (), graph), 2**31)
    by_hand = loop(problem)
    run(by_hand.forward)
    run(by_hand.backward)
    expected = jb.strategy("vjp").prepare(problem.graph).linearize(problem.leaves).pullback(problem.seeds)
    for name, bar in expected.items():
        found = by_hand.cotangents[list(problem.graph.leaves).index(name)]
        np.testing.assert_allclose(found, bar, rtol=1e-12)


def case_problem(**knobs):
    return problem_of(Case("case", {"n_seeds": 1}, (), lambda: mlp_graph([5, 4, 3], **knobs)), 2**31)


@pytest.fixture
def clock(monkeypatch):
    """Let every loop take a second, each byte 1 ms to write and 2 ms to read, and flops no time."""
    monkeypatch.setattr(floors, "fastest", lambda _call: 1.0)
    monkeypatch.setattr(floors, "write_seconds", lambda n_bytes: n_bytes * 1e-3)
    monkeypatch.setattr(floors, "read_seconds", lambda n_bytes: n_bytes * 2e-3)
    monkeypatch.setattr(floors, "seconds_per_flop", lambda _dtype: 0.0)


def test_the_floor_of_vjp_is_the_loop_and_that_of_its_gradient_the_whole_loop(monkeypatch):
    monkeypatch.setattr(floors, "fastest", lambda call: call())
    monkeypatch.setattr(floors, "run", lambda calls: float(len(calls)))
    at = case_problem()
    bound, by_hand, vjp = Floors(at), loop(at), jb.strategy("vjp")
    forward, backward = len(by_hand.forward), len(by_hand.backward)
    assert [bound.of(vjp, phase) for phase in floors.PHASES] == [forward, backward, forward + backward]
    assert bound.of(vjp, "prepare") is None


@pytest.mark.parametrize("name", ["dense", "sparse", "dense-blocks"])
def test_materializing_adds_each_jacobian_written_once_and_read_once(name, clock):
    at = case_problem(batch=2)
    bound, strategy = Floors(at), jb.strategy(name)
    predictions = strategy.predict(at.graph, 1)
    values = 8 * predictions.n_nonzeros
    indices = predictions.phases["prepare"].retained_bytes
    assert bound.of(strategy, "linearize") == pytest.approx(1.0 + values * 1e-3)
    assert bound.of(strategy, "pullback") == pytest.approx((values + indices) * 2e-3)
    assert bound.of(strategy, "gradient") == pytest.approx(1.0 + values * 3e-3 + indices * 2e-3)


@pytest.mark.parametrize("name", ["forward-dense", "linear-operator"])
def test_no_model_no_floor(name):
    assert Floors(case_problem()).of(jb.strategy(name), "gradient") is None


def test_seeds_that_share_pullbacks_have_no_floor():
    at = problem_of(Case("case", {"n_seeds": 6}, (), lambda: mlp_graph([5, 4, 3], batch=2, loss=None)), 2**31)
    assert loop(at) is not None
    identity = np.eye(6).reshape(6, 2, 3)
    assert loop(replace(at, seeds=identity)) is None


def test_reading_and_multiplying_go_on_at_the_same_time(clock, monkeypatch):
    at, dense = case_problem(batch=2), jb.strategy("dense")
    reading = Floors(at).of(dense, "pullback")
    monkeypatch.setattr(floors, "seconds_per_flop", lambda _dtype: 1.0)
    flops = dense.predict(at.graph, 1).phases["pullback"].flops
    assert Floors(at).of(dense, "pullback") == pytest.approx(flops)
    assert flops > reading


def test_an_op_without_kernels_has_no_floor():
    at = case_problem(weight_density=0.5)
    assert loop(at) is None
    assert Floors(at).of(jb.strategy("vjp"), "gradient") is None
