"""Floors: the calls that are timed compute what the rules return. Sums are tested with given times."""

from __future__ import annotations

import pytest

import jacobench as jb
from jacobench.bench.floor import floors
from jacobench.bench.floor.floor_loop import loop
from jacobench.bench.floor.floors import Floors
from jacobench.bench.suites.case import Case, problem_of
from jacobench.graphs.generators.mlp import mlp_graph


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
    vjp = jb.strategy("vjp")
    bound, by_hand = Floors(at), loop(at, vjp)
    forward, backward = len(by_hand.linearize), len(by_hand.pullback)
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


def test_reading_and_multiplying_go_on_at_the_same_time(clock, monkeypatch):
    at, dense = case_problem(batch=2), jb.strategy("dense")
    reading = Floors(at).of(dense, "pullback")
    monkeypatch.setattr(floors, "seconds_per_flop", lambda _dtype: 1.0)
    flops = dense.predict(at.graph, 1).phases["pullback"].flops
    assert Floors(at).of(dense, "pullback") == pytest.approx(flops)
    assert flops > reading
