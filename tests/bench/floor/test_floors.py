"""Floors: the calls that are timed compute what the rules return. Sums are tested with given times."""

from __future__ import annotations

import numpy as np
import pytest

import jacobench as jb
from jacobench.bench.cell.problem import Problem
from jacobench.bench.cell.whole_jacobian import unit_seeds, whole_jacobian
from jacobench.bench.floor import floors
from jacobench.bench.floor.floor_loop import Loop, loop
from jacobench.bench.floor.floor_rules import RULES
from jacobench.bench.floor.floors import Floors, joining, loop_seconds
from jacobench.bench.suites.case import Case, problem_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.calls import run
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.graphs.ops import OPS


def case_problem(**knobs):
    return problem_of(Case("case", {"n_seeds": 1}, (), lambda: mlp_graph([5, 4, 3], **knobs)), 2**31)


def test_the_floor_of_a_gradient_is_the_whole_loop(monkeypatch):
    log = []

    def calls_of(call, *_):
        log.clear()
        call()
        return "".join(log)

    monkeypatch.setattr(floors.timing, "fastest", calls_of)
    by_hand = Loop([(log.append, ("forward ",))], [(log.append, ("backward",))], None, {})
    assert loop_seconds(by_hand) == {"linearize": "forward ", "pullback": "backward", "gradient": "forward backward"}


@pytest.mark.parametrize("name", sorted(RULES))
def test_each_phase_but_prepare_has_a_floor(name):
    bound, strategy = Floors(case_problem()), jb.strategy(name)
    for phase in ("linearize", "pullback", "gradient"):
        seconds, reason = bound.of(strategy, phase)
        assert seconds > 0
        assert not reason
    assert bound.of(strategy, "prepare") == (None, "")


@pytest.mark.parametrize("name", ["forward-dense", "linear-operator"])
def test_strategies_whose_work_is_not_defined_have_no_floor(name):
    assert Floors(case_problem()).of(jb.strategy(name), "gradient") == (None, "")


def test_a_floor_that_cannot_be_measured_is_missing_with_a_reason(monkeypatch):
    tried = []

    def too_large(*_):
        tried.append(1)
        raise MemoryError("Unable to allocate 3 GiB")

    monkeypatch.setattr(floors, "loop", too_large)
    bound = Floors(case_problem())
    for phase in floors.PHASES:
        assert bound.of(jb.strategy("dense"), phase) == (None, "no floor: Unable to allocate 3 GiB")
    assert len(tried) == 1


def test_the_sweep_for_wrong_floors_has_every_op():
    found = {case.knobs["graph"] for case in load_suite("docs/figures/every_op.toml").cases}
    assert found == {name for name, op in OPS.items() if op.like is None and op.is_differentiable}


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_whole_jacobian_has_a_floor(name, monkeypatch):
    case = Case("case", {}, (), lambda: mlp_graph([5, 4, 3], batch=2, loss=None, wrt=["b2", "x"]), task="jacobian")
    bound, strategy = Floors(problem_of(case, 2**31)), jb.strategy(name)
    seconds, reason = bound.of(strategy, "jacobian")
    assert seconds > 0
    assert not reason
    assert bound.of(strategy, "gradient") == bound.of(strategy, "prepare") == (None, "")


def test_the_floor_of_a_whole_jacobian_computes_it():
    graph = mlp_graph([5, 4, 3], batch=2, loss=None, wrt=["b2", "x"])
    problem = Problem(graph, graph.sample(0), unit_seeds(graph, np.arange(6)))
    by_hand = loop(problem, jb.strategy("vjp"))
    copies = joining(by_hand, graph)
    for calls in (by_hand.linearize, by_hand.pullback, copies):
        run(calls)
    expected = whole_jacobian(jb.strategy("dense").prepare(graph).linearize(problem.leaves), graph)
    np.testing.assert_allclose(copies[0][1][0].base, expected, atol=1e-12)


def test_a_single_leaf_needs_no_copy():
    graph = mlp_graph([5, 4, 3], loss=None, wrt="inputs")
    problem = Problem(graph, graph.sample(0), unit_seeds(graph, np.arange(3)))
    assert joining(loop(problem, jb.strategy("vjp")), graph) == []
