"""A strategy on a case before anything is timed: predictions, budget, verification, and the result of each failure."""

import math
import sys
from collections import Counter
from dataclasses import replace
from math import prod
from types import SimpleNamespace

import numpy as np
import pytest

from jacobench.bench.cell import prepared_cell
from jacobench.bench.cell.phase_costs import input_bytes, predict, step_bytes
from jacobench.bench.cell.prepared_cell import LONGEST_REASON, one_line
from jacobench.bench.cell.problem import OverBudget, make_problem, solve
from jacobench.bench.cell.verification import value_bytes
from jacobench.bench.run.run_estimate import predicted_table
from jacobench.bench.suites.case import BY_STRATEGY, Case, Suite, cells_of, problem_of
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry
from jacobench.strategies.contract import Prediction

BUDGET = 2**31
GIB = 2**30


def prepare_cell(spec, problem, budget):
    return prepared_cell.prepare_cell(spec, problem, budget, registry.load, is_reference=spec == registry.REFERENCE)


@pytest.fixture
def problem(make_case):
    return problem_of(make_case(n_seeds=3), BUDGET)


@pytest.fixture
def tried(plugin_file, problem):
    """Return a function that tries the class `Mine`, whose body is given, in a file of its own."""

    def attempted(body, budget=BUDGET):
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        file = plugin_file(f"class Mine(Right):\n    name = 'mine'\n{lines}")
        return prepare_cell(f"{file}:Mine", problem, budget)

    return attempted


def statuses(prepared):
    return {phase: status for phase, (status, _) in prepared.failed.items()}


def reason(prepared, phase="gradient"):
    return prepared.failed[phase][1]


# ---- the problem


def test_the_problem_is_the_same_each_time_and_of_the_graphs_dtype(make_case):
    one, again = problem_of(make_case(n_seeds=3), BUDGET), problem_of(make_case(n_seeds=3), BUDGET)
    assert one.seeds.shape == (3, *one.graph.output_shape)
    assert one.seeds.dtype == one.graph.dtype
    assert np.array_equal(one.seeds, again.seeds)
    assert np.abs(one.seeds).max() <= 1
    assert one.leaves.keys() == again.leaves.keys()
    assert all(np.array_equal(one.leaves[name], again.leaves[name]) for name in one.leaves)
    assert set(one.reference) == set(one.graph.wrt)


def test_another_rng_seed_is_another_problem(make_case):
    one, other = problem_of(make_case(), BUDGET), problem_of(replace(make_case(), rng_seed=1), BUDGET)
    assert not np.array_equal(one.seeds, other.seeds)


# ---- what goes well


@pytest.mark.parametrize("name", registry.DEFAULT_STRATEGIES)
def test_the_default_strategies_may_be_timed(name, problem):
    prepared = prepare_cell(name, problem, BUDGET)
    assert prepared.name == name
    assert not prepared.failed
    assert set(BY_STRATEGY) <= set(prepared.predictions.phases)
    if name == registry.REFERENCE:
        assert math.isnan(prepared.max_relative_error)
    else:
        assert 0 <= prepared.max_relative_error <= 1e-10
    prepare, linearize, pullback, gradient = (prepared.call(phase)() for phase in BY_STRATEGY)
    assert callable(prepare.linearize)
    assert linearize.output.shape == problem.graph.output_shape
    for bars in (pullback, gradient):
        assert all(np.allclose(bars[leaf], problem.reference[leaf]) for leaf in problem.graph.wrt)


def test_a_plugin_that_is_right_may_be_timed_and_has_no_predictions(tried):
    prepared = tried("pass")
    assert (prepared.name, prepared.failed, prepared.predictions) == ("mine", {}, None)
    assert prepared.max_relative_error == 0


def test_the_pullback_is_measured_on_one_linearization(tried):
    prepared = tried(
        "linearized = 0\ndef Linearized(self, *a):\n    Mine.linearized += 1\n    return Right.Linearized(*a)"
    )
    module = type(prepared.strategy)
    before = module.linearized
    call = prepared.call("pullback")
    call()
    call()
    assert module.linearized == before + 1


# ---- budgets


def test_a_case_that_needs_one_byte_more_than_the_budget_is_over_it(problem):
    phases = prepare_cell("dense", problem, BUDGET).predictions.phases
    need = max(step_bytes(problem.graph, len(problem.seeds), phases).values())
    need += sum(array.nbytes for array in (*problem.leaves.values(), problem.seeds))
    assert not prepare_cell("dense", problem, need).failed
    prepared = prepare_cell("dense", problem, need - 1)
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "over_budget")
    assert prepared.prepared is None


MODEL = """
from jacobench.strategies.contract import Prediction, Predictions
calls = []
class Mine(Right):
    name = "mine"
    def predict(self, graph, n_seeds):
        calls.append(n_seeds)
        small, large = Prediction(8, 8, 2), Prediction(3 * 2**30, 8, 2)
        phases = dict.fromkeys(("prepare", "linearize", "pullback"), small)
        return Predictions({**phases, "gradient": large}, 7)
    def prepare(self, graph):
        calls.append("prepare")
        return super().prepare(graph)
"""


def test_a_strategy_over_the_budget_is_never_tried(plugin_file, problem):
    prepared = prepare_cell(f"{plugin_file(MODEL)}:Mine", problem, 2 * GIB)
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "over_budget")
    assert "gradient" in reason(prepared)
    assert "3.00 GiB" in reason(prepared)
    assert "2.00 GiB" in reason(prepared)
    assert prepared.strategy.prepare.__globals__["calls"] == [3]


def test_a_plugins_own_model_is_used(plugin_file, problem):
    prepared = prepare_cell(f"{plugin_file(MODEL)}:Mine", problem, 4 * GIB)
    assert not prepared.failed
    assert prepared.predictions.n_nonzeros == 7
    assert predict(prepared.strategy, problem.graph, 1).phases["gradient"] == Prediction(3 * GIB, 8, 2)


@pytest.mark.parametrize(
    "body",
    [
        "def predict(self, graph, n_seeds):\n    return None",
        "def predict(self, graph, n_seeds):\n    return 12",
        "def predict(self, graph):\n    return None",
        "def predict(self, graph, n_seeds):\n    1 / 0",
    ],
)
def test_a_plugins_broken_model_raises_nothing(tried, body):
    assert set(statuses(tried(body)).values()) <= {"error"}


def test_a_reason_is_one_line_of_bounded_length():
    assert one_line("array\n  of   zeros") == "array of zeros"
    assert len(one_line("x" * 1000)) == LONGEST_REASON
    assert one_line("word " * 1000).endswith(" …")


# ---- what goes wrong, and at which step


RAISED = [
    ("raise RuntimeError('no luck')", "error", "RuntimeError: no luck"),
    ("raise MemoryError('64 GiB')", "out_of_memory", "64 GiB"),
    ("raise MemoryError", "out_of_memory", "MemoryError"),
    ("raise SystemExit(3)", "error", "SystemExit: 3"),
    (
        "from jacobench.strategies.contract import Unsupported\n        raise Unsupported('no softmax')",
        "unsupported",
        "no",
    ),
    ("raise type('Unsupported', (Exception,), {})('no softmax here')", "unsupported", "no softmax here"),
    ("raise type('Rude', (BaseException,), {})('anything')", "error", "Rude: anything"),
]


@pytest.mark.parametrize(("statement", "status", "message"), RAISED)
def test_what_prepare_raises_costs_every_phase(tried, statement, status, message):
    prepared = tried(f"def prepare(self, graph):\n        {statement}")
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, status)
    assert message in reason(prepared)
    assert "prepare" in prepared.traceback


@pytest.mark.parametrize(("statement", "status", "message"), RAISED)
def test_what_linearize_or_pullback_raises_leaves_prepare(tried, statement, status, message):
    prepared = tried(f"class Linearized(Right.Linearized):\n    def pullback(self, seeds):\n        {statement}")
    assert statuses(prepared).keys() >= {"pullback", "gradient"}
    assert "prepare" not in statuses(prepared)
    assert set(statuses(prepared).values()) == {status}
    assert message in reason(prepared)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("bars['W1'] *= 1 + 1e-6", "W1"),
        ("bars['b2'] = bars['b2'].astype('float32')", "b2"),
        ("bars['W1'] = bars['W1'][0]", "W1"),
        ("bars['W1'][0, 0, 0] = np.nan", "NaN"),
        ("del bars['b1']", "b1"),
        ("bars['b3'] = bars['b1']", "b3"),
        ("bars['x'] = bars['b1']", "x"),
        ("seeds[...] = 0", "seeds"),
        ("self.n = getattr(self, 'n', 0) + 1; bars['W1'] *= self.n", "second pullback differs"),
        ("bars = None", "pullback returned"),
        ("bars = {name: bar.tolist() for name, bar in bars.items()}", "list"),
        ("bars['b1'].flags.writeable = False", "read-only"),
        ("bars['W2'] = self.kept = getattr(self, 'kept', bars['W2'])", "W2"),
    ],
)
def test_a_wrong_answer_may_not_be_timed(tried, answer, message):
    prepared = tried(
        "class Linearized(Right.Linearized):\n    def pullback(self, seeds):\n"
        f"        bars = super().pullback(seeds)\n        {answer}\n        return bars"
    )
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "wrong")
    assert message in reason(prepared)


def test_a_wrong_output_may_not_be_timed(tried):
    body = "class Linearized(Right.Linearized):\n    def __init__(self, *a):\n        super().__init__(*a)\n"
    prepared = tried(f"{body}        self.output = 2 * self.output")
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "wrong")
    assert "output" in reason(prepared)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("raise ImportError('no torch')\nMine = None", "no torch"),
        ("1 +", "is not Python: invalid syntax"),
        ("raise SystemExit(5)\nMine = None", "SystemExit: 5"),
        ("class Mine: pass", "name"),
        ("class Mine(Right):\n    def __init__(self, needed): pass", "needed"),
        ("class Other: pass", "unknown strategy"),
    ],
)
def test_a_file_that_cannot_be_imported_costs_its_own_rows(plugin_file, problem, content, message):
    prepared = prepare_cell(f"{plugin_file(content)}:Mine", problem, BUDGET)
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "error")
    assert message in reason(prepared)
    assert prepared.traceback


def test_a_package_that_is_not_there_costs_its_own_rows(problem):
    prepared = prepare_cell("no_such_package.at_all:Mine", problem, BUDGET)
    assert set(statuses(prepared).values()) == {"error"}
    assert "no_such_package" in reason(prepared)


# ---- the reference itself


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_central_differences_catch_a_wrong_reference(make_case, monkeypatch, dtype):
    case = replace(make_case(dtype=dtype), make=lambda: mlp_graph([3, 4, 2], batch=2, dtype=dtype))
    assert not prepare_cell(registry.REFERENCE, problem_of(case, BUDGET), BUDGET).failed
    (rule,) = OPS["tanh"].arguments
    wrong = replace(rule, vjp=lambda y_bar, y, _xs, _ctx: (y_bar * (1 - y * y * y)).astype(dtype))
    monkeypatch.setitem(vars(OPS["tanh"]), "arguments", (wrong,))
    prepared = prepare_cell(registry.REFERENCE, problem_of(case, BUDGET), BUDGET)
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "wrong")
    assert "central differences" in reason(prepared)


RECTIFIERS = [(activation, rng_seed) for activation in ("relu", "leaky_relu") for rng_seed in range(100)] + [
    ("relu", 55), ("leaky_relu", 203),  # both called wrong by three central differences
]  # fmt: skip


def rectifier_case(activation, rng_seed):
    def make():
        return mlp_graph([64] * 4, batch=16, activation=activation)

    return Case(f"{activation}-{rng_seed}", {"n_seeds": 1}, (), make, rng_seed)


def test_a_kink_does_not_make_the_reference_wrong():
    prepareds = {
        case: prepare_cell(registry.REFERENCE, problem_of(rectifier_case(*case), BUDGET), BUDGET) for case in RECTIFIERS
    }
    assert {case: reason(prepared) for case, prepared in prepareds.items() if prepared.failed} == {}


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_kinks_do_not_hide_a_rule_that_is_one_per_cent_off(activation, monkeypatch):
    (rule,) = OPS[activation].arguments
    wrong = replace(rule, vjp=lambda *a: 1.01 * rule.vjp(*a))
    monkeypatch.setitem(vars(OPS[activation]), "arguments", (wrong,))
    monkeypatch.setitem(vars(OPS[activation]), "rules", None)
    for rng_seed in range(50):
        prepared = prepare_cell(registry.REFERENCE, problem_of(rectifier_case(activation, rng_seed), BUDGET), BUDGET)
        assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "wrong"), rng_seed


def test_the_reference_is_compared_with_central_differences_at_every_size(make_case, monkeypatch):
    case = replace(make_case(), make=lambda: mlp_graph([512] * 4, batch=32, loss=None))
    problem = problem_of(case, BUDGET)
    wrong = solve(problem, Scaled(), BUDGET)
    prepared = prepare_cell(registry.REFERENCE, wrong, BUDGET)
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "wrong")
    assert not solve(problem, Scaled(), BUDGET, differences=False).fault


class Scaled:
    """The reference with cotangents that are one per cent too large."""

    name = "vjp"

    def prepare(self, graph):
        return ScaledPrepared(registry.load("vjp").prepare(graph))


class ScaledPrepared:
    def __init__(self, right):
        self.right = right

    def linearize(self, leaves):
        right = self.right.linearize(leaves)
        return SimpleNamespace(
            output=right.output,
            pullback=lambda seeds: {name: 1.01 * bar for name, bar in right.pullback(seeds).items()},
        )


def test_a_wrong_reference_judges_no_other_strategy(problem):
    wrong = solve(problem, Scaled(), BUDGET)
    prepared = prepare_cell("dense", wrong, BUDGET)
    assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "error")
    assert reason(prepared).startswith("vjp, the reference, is wrong: its cotangents are off by")


def test_an_output_that_is_not_finite_is_an_error_of_every_strategy(problem):
    leaves = {name: np.full_like(leaf, np.nan) for name, leaf in problem.leaves.items()}
    for reference in ({}, problem.reference):
        broken = replace(problem, leaves=leaves, reference=reference)
        broken = solve(broken, registry.load("vjp"), BUDGET) if reference else broken
        for name in registry.DEFAULT_STRATEGIES:
            prepared = prepare_cell(name, broken, BUDGET)
            assert prepared.failed["gradient"] == ("error", "the output is not finite at this point")


def test_an_infinite_gradient_of_a_finite_output_is_named(monkeypatch):
    (rule,) = OPS["tanh"].arguments
    monkeypatch.setitem(vars(OPS["tanh"]), "arguments", (replace(rule, vjp=lambda *a: rule.vjp(*a) * np.inf),))
    g = GraphBuilder()
    graph = g.build(output=g.tanh(g.parameter("W", (3,))))
    problem = make_problem(graph, "gradient", 1, 0, BUDGET)
    at_zero = solve(problem, registry.load("vjp"), BUDGET)
    for name in ("vjp", "dense"):
        prepared = prepare_cell(name, at_zero, BUDGET)
        assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "error")
        assert reason(prepared) == (
            "the gradient that vjp computes is not finite, with respect to W: "
            "the graph has none at this point, or vjp is wrong"
        )


# ---- the memory budget


def test_arrays_over_the_budget_are_never_drawn(monkeypatch):
    graph = mlp_graph([64] * 3, batch=4, loss=None)
    least = input_bytes(graph, 2)
    problem = make_problem(graph, "gradient", 2, 0, least)
    assert least == sum(array.nbytes for array in (*problem.leaves.values(), problem.seeds))
    monkeypatch.setattr(type(graph), "sample", None)
    with pytest.raises(OverBudget, match="leaves and seeds need"):
        make_problem(graph, "gradient", 2, 0, least - 1)


def test_as_many_seeds_as_fit_are_verified_and_the_reason_counts_them():
    graph = mlp_graph([64, 64], batch=1, loss=None)
    leaves = sum(8 * prod(leaf.shape) for leaf in graph.leaves.values())
    budget = input_bytes(graph, 64) + 20 * leaves
    problem = make_problem(graph, "gradient", 64, 0, budget)
    solved = solve(problem, registry.load("vjp"), budget)
    whole = solve(problem, registry.load("vjp"), BUDGET)
    assert 0 < solved.n_verified < len(problem.seeds) == whole.n_verified
    for name, bar in solved.reference.items():
        assert np.array_equal(bar, whole.reference[name][: solved.n_verified])
    prepared = prepare_cell("vjp", solved, BUDGET)
    assert not prepared.failed
    assert f"{solved.n_verified} of 64 seeds" in prepared.note
    assert "central differences" not in prepare_cell("vjp", whole, BUDGET).note


@pytest.mark.parametrize("name", ["vjp", "dense", "sparse"])
def test_a_dry_run_predicts_what_is_over_the_budget(make_case, name):
    case = replace(make_case(n_seeds=3), strategies=(name,))
    suite = Suite("s", (case,))
    planned = SimpleNamespace(suite=suite, cells=cells_of(suite), budget_bytes=BUDGET)
    table = predicted_table(planned)
    (needed,) = table.loc[table["strategy"] == name, "needs_bytes"].unique()
    (forward,) = table.loc[table["strategy"] == "forward", "needs_bytes"]
    assert forward <= needed
    problem = problem_of(case, BUDGET)
    assert not prepare_cell(name, problem, int(needed)).failed
    assert statuses(prepare_cell(name, problem, int(needed) - 1)) == dict.fromkeys(BY_STRATEGY, "over_budget")


def test_patterns_that_prepare_keeps_count(problem):
    phases = predict(registry.load("sparse"), problem.graph, 3).phases
    assert phases["prepare"].retained_bytes > 0
    expected = phases["prepare"].retained_bytes + phases["gradient"].peak_bytes
    assert step_bytes(problem.graph, 3, phases)["gradient"] == expected


def test_values_or_cotangents_over_the_budget_are_not_computed_for_a_strategy_without_a_model(plugin_file):
    file = plugin_file("class Mine(Right):\n    name = 'mine'\n")
    values = mlp_graph([4, 64, 4], batch=64)
    cotangents = mlp_graph([64, 64], batch=1, loss=None)
    for graph, n_seeds, least in (
        (values, 1, value_bytes(values)),
        (cotangents, 9, 9 * 8 * (64 * 64 + 64)),
    ):
        problem = make_problem(graph, "gradient", n_seeds, 0, BUDGET)
        budget = input_bytes(graph, n_seeds) + least
        assert not prepare_cell(f"{file}:Mine", problem, budget).failed
        prepared = prepare_cell(f"{file}:Mine", problem, budget - 1)
        assert statuses(prepared) == dict.fromkeys(BY_STRATEGY, "over_budget")
        assert reason(prepared).startswith("verification is predicted to need")
        assert prepared.prepared is None


def test_a_reference_that_does_not_fit_is_never_computed(problem, monkeypatch):
    reference = registry.load("vjp")
    budget = input_bytes(problem.graph, 3)
    monkeypatch.setattr(type(reference), "prepare", None)
    assert solve(problem, reference, budget) == problem


def test_central_differences_without_enough_memory_are_noted(problem, monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr("jacobench.bench.cell.problem.difference_breach", fails)
    prepared = prepare_cell(registry.REFERENCE, solve(problem, registry.load("vjp"), BUDGET), BUDGET)
    assert not prepared.failed
    assert "not compared with central differences" in prepared.note


# ---- deep networks


def n_calls(depth):
    """Return the number of calls that the reference, central differences and the verification of ``dense`` take."""
    counted = Counter()
    registry.load("dense")
    graph = mlp_graph([2] * (depth + 1), batch=1)
    sys.setprofile(lambda _frame, event, _argument: counted.update([event]))
    try:
        problem = make_problem(graph, "gradient", 1, 0, BUDGET)
        prepared = prepare_cell("dense", solve(problem, registry.load("vjp"), BUDGET), BUDGET)
    finally:
        sys.setprofile(None)
    assert not prepared.failed
    return counted["call"] + counted["c_call"]


def test_twice_as_many_layers_take_twice_as_many_calls_to_verify():
    n_calls(1)  # fills caches
    assert n_calls(80) < 2.2 * n_calls(40)


@pytest.mark.long
@pytest.mark.parametrize("name", ["vjp", "dense", "sparse"])
def test_a_network_of_3000_layers_is_verified(name):
    graph = mlp_graph([2] * 3001, batch=1)
    problem = make_problem(graph, "gradient", 1, 0, BUDGET)
    prepared = prepare_cell(name, solve(problem, registry.load("vjp"), BUDGET), BUDGET)
    assert prepared.failed == {}
    assert "central differences" not in prepared.note


def test_a_graph_that_stops_a_gradient_is_not_compared_with_central_differences():
    g = GraphBuilder()
    x = g.input("x", (2, 3))
    graph = g.build(g.multiply(x, g.stop_gradient(x)), wrt="inputs")
    solved = problem_of(Case("stops", {}, (), lambda: graph), BUDGET)
    assert not solved.fault
    assert "stop_gradient" in solved.note
