"""The task "jacobian": the whole matrix, its verification against the contract and the reference, and its predictions."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

import jacobench as jb
from jacobench.bench.cell import heap_memory, prepared_cell
from jacobench.bench.cell.phase_costs import predict_task
from jacobench.bench.cell.prepared_cell import prepare_cell
from jacobench.bench.cell.problem import make_problem, rows_to_verify, solve
from jacobench.bench.cell.whole_jacobian import rows_by_leaf, shape_of, whole_jacobian
from jacobench.bench.suites.case import problem_of
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.strategies import registry

BUDGET = 2**30

STRATEGIES = ("vjp", "dense", "dense-blocks", "sparse", "forward-dense", "forward-sparse", "linear-operator")


def network(**knobs):
    return mlp_graph([3, 4, 2], batch=2, loss=None, **knobs)


def linear(n=6):
    """Return a graph of a diagonal Jacobian, by a leaf of a larger one."""
    g = GraphBuilder()
    return g.build(g.multiply(g.input("x", (1, n)), g.input("y", (1, n))), wrt=["x"])


def only_a_leaf():
    g = GraphBuilder()
    g.parameter("unused", (4,))
    return g.build(g.input("x", (2, 3)), wrt=["unused", "x"])


def unreached_and_whole():
    g = GraphBuilder()
    g.parameter("unused", (3,))
    return g.build(g.reshape(g.input("x", (2, 3)), shape=(3, 2)), wrt=["unused", "x"])


def solved(graph, budget=BUDGET):
    return solve(make_problem(graph, "jacobian", 1, 0, budget), registry.load("vjp"), budget)


GRAPHS = {
    "network": network,
    "leaves in another order": lambda: network(wrt=["b2", "x", "W1"]),
    "one leaf": lambda: network(wrt="inputs"),
    "a scalar": lambda: mlp_graph([3, 4, 2], batch=2),
    "float32": lambda: network(dtype="float32"),
    "sparse weights": lambda: mlp_graph([6, 6], weight_density=0.5, loss=None),
    "a view of a leaf": unreached_and_whole,
    "only a leaf": only_a_leaf,
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_strategy_gives_the_derivatives_of_each_output_by_each_input(graph, name):
    graph = GRAPHS[graph]()
    problem = solved(graph)
    cell = prepare_cell(name, problem, BUDGET, registry.load, is_reference=name == "vjp")
    assert not cell.failed
    jacobian = cell.call("jacobian")()
    dense = jacobian.toarray() if scipy.sparse.issparse(jacobian) else jacobian
    assert scipy.sparse.issparse(jacobian) == (name == "forward-sparse")
    assert (dense.shape, dense.dtype) == (shape_of(graph), graph.dtype)
    column = 0
    for leaf in graph.wrt:
        size = np.size(problem.leaves[leaf])
        for k in range(size):
            tolerance = {"rtol": 1e-6, "atol": 1e-8} if graph.dtype == "float64" else {"rtol": 1e-2, "atol": 1e-4}
            np.testing.assert_allclose(dense[:, column], _difference(problem, leaf, k), **tolerance)
            column += 1
    assert column == dense.shape[1]


def _difference(problem, leaf, k):
    """Return central differences of all outputs by one entry of a leaf, in float64."""
    graph = replace(problem.graph, dtype=np.dtype(np.float64))
    wide = {name: array.astype(np.float64) for name, array in problem.leaves.items()}

    def moved(distance):
        array = wide[leaf].copy()
        array.reshape(-1)[k] += distance
        return np.asarray(graph.evaluate({**wide, leaf: array})).reshape(-1)

    return (moved(1e-6) - moved(-1e-6)) / 2e-6


# ---- breaches of the contract


@dataclass
class Own:
    """Strategy whose method jacobian changes the true matrix by `change`, a function of the matrix and the instance."""

    change: object
    name: str = "own"
    kept: object = None

    def prepare(self, graph):
        vjp = registry.load("vjp").prepare(graph)

        def linearize(leaves):
            linearized = vjp.linearize(leaves)
            whole = whole_jacobian(linearized, graph)
            return SimpleNamespace(
                output=linearized.output, pullback=linearized.pullback, jacobian=lambda: self.change(whole.copy(), self)
            )

        return SimpleNamespace(linearize=linearize)


def off(J, _):
    J[0, 0] += 1e-2 * abs(J).max()
    return J


def with_nan(J, _):
    J[0, 0] = np.nan
    return J


def read_only(J, _):
    J.flags.writeable = False
    return J


def the_same_again(J, own):
    own.kept = J if own.kept is None else own.kept
    return own.kept


def the_same_pattern_again(J, own):
    J = scipy.sparse.csr_array(J)
    own.kept = J.indices if own.kept is None else own.kept
    J.indices = own.kept
    return J


def overwrites(J, own):
    if own.kept is not None:
        own.kept[...] = 0
    own.kept = J
    return J


def moody(J, own):
    own.kept = 0 if own.kept is None else own.kept + 1
    return J + 1e-3 * own.kept


BREACHES = {
    "values": (off, r"cotangent of W1 is off by .* from the reference"),
    "shape": (lambda J, _: J.T.copy(), r"the Jacobian is float64 \(26, 4\): expected float64 \(4, 26\)"),
    "dtype": (lambda J, _: J.astype("f4"), r"the Jacobian is float32 \(4, 26\): expected float64 \(4, 26\)"),
    "kind": (lambda J, _: J.tolist(), "the Jacobian is a list: expected an array or a sparse array"),
    "NaN": (with_nan, "the Jacobian has 1 entries that are NaN or infinite"),
    "read-only": (read_only, "the Jacobian is read-only"),
    "shared": (the_same_again, "the Jacobian shares memory with the Jacobian of a second call"),
    "shared pattern": (
        the_same_pattern_again,
        "indices of the Jacobian shares memory with indices of the Jacobian of a",
    ),
    "overwritten": (overwrites, "a later call changed what jacobian had returned: the Jacobian"),
    "moody": (moody, "the second jacobian differs from the first by"),
    "format": (lambda J, _: scipy.sparse.lil_array(J), "the Jacobian has the sparse format lil: expected one of csr"),
    "sparse values": (lambda J, own: scipy.sparse.csr_array(off(J, own)), "cotangent of W1 is off by"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_of_the_contract_is_wrong_with_the_reason(breach):
    change, message = BREACHES[breach]
    cell = prepare_cell("own", solved(network()), BUDGET, lambda _: Own(change))
    assert {phase: status for phase, (status, _) in cell.failed.items()} == dict.fromkeys(
        ("prepare", "jacobian"), "wrong"
    )
    (reason,) = {reason for _, reason in cell.failed.values()}
    assert re.match(message, reason), reason


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_every_sparse_format_of_arrays_is_accepted(kind):
    cell = prepare_cell(
        "own", solved(linear()), BUDGET, lambda _: Own(lambda J, _own: scipy.sparse.coo_array(J).asformat(kind))
    )
    assert not cell.failed
    assert cell.max_relative_error == 0
    assert cell.first_seconds["jacobian"] > 0


def test_an_exception_in_the_method_fails_only_the_jacobian():
    def raises(_J, _own):
        raise jb.Unsupported("no such matrix")

    cell = prepare_cell("own", solved(network()), BUDGET, lambda _: Own(raises))
    assert cell.failed == {"jacobian": ("unsupported", "no such matrix")}


def test_the_reference_is_compared_with_central_differences_in_every_output(monkeypatch):
    problem = make_problem(network(), "jacobian", 1, 0, BUDGET)

    class Wrong:
        name = "vjp"

        def prepare(self, graph):
            right = registry.load("vjp").prepare(graph)

            def linearize(leaves):
                at = right.linearize(leaves)

                def pullback(seeds):
                    bars = at.pullback(seeds)
                    bars["b2"][-1] *= 1.1  # of the last output
                    return bars

                return SimpleNamespace(output=at.output, pullback=pullback)

            return SimpleNamespace(linearize=linearize)

    assert solve(problem, Wrong(), BUDGET).is_wrong
    assert not solve(problem, registry.load("vjp"), BUDGET).fault


# ---- the memory budget


def test_evenly_spaced_rows_are_verified_if_not_all_fit():
    graph = linear(3000)
    budget = 2**23
    rows = rows_to_verify(graph, budget)
    assert 1 < len(rows) < 3000
    assert set(np.diff(rows)) <= {3000 // len(rows), 3000 // len(rows) + 1}
    assert rows_to_verify(network(), BUDGET).tolist() == [0, 1, 2, 3]
    assert rows_to_verify(graph, 1).tolist() == [0]


def test_a_sparse_jacobian_larger_than_the_budget_is_compared_without_becoming_dense():
    graph, budget = linear(3000), 2**23
    assert 8 * budget < 8 * 3000 * 3000
    problem = solved(graph, budget)
    strategy = registry.load("forward-sparse")
    tracemalloc.start()
    cell = prepare_cell("forward-sparse", problem, budget, lambda _: strategy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not cell.failed
    assert cell.max_relative_error == 0
    assert f"compared with the reference for {len(problem.rows)} of 3000 rows" in cell.note
    assert peak < budget


def test_one_wrong_row_among_those_verified_is_found():
    graph, budget = linear(3000), 2**23
    problem = solved(graph, budget)
    wrong = int(problem.rows[-1])

    class Diagonal:
        name = "diagonal"

        def prepare(self, graph):
            def linearize(leaves):
                values = leaves["y"].reshape(-1).copy()
                values[wrong] *= 2
                return SimpleNamespace(
                    output=graph.evaluate(leaves),
                    jacobian=lambda: scipy.sparse.diags_array(values, format="csr").copy(),
                )

            return SimpleNamespace(linearize=linearize)

    cell = prepare_cell("diagonal", problem, budget, lambda _: Diagonal())
    assert cell.failed["jacobian"][0] == "wrong"


def test_a_second_call_is_left_out_where_two_jacobians_exceed_the_budget():
    graph = linear(500)
    n_bytes = 8 * 500 * 500
    calls = []

    def counted(J, _own):
        calls.append(1)
        return J

    problem = replace(solved(graph, 4 * n_bytes), rows=np.array([0]))
    problem = replace(problem, seeds=problem.seeds[:1], reference={"x": problem.reference["x"][:1]}, n_verified=1)
    cell = prepare_cell("own", problem, int(1.5 * n_bytes), lambda _: Own(counted))
    assert not cell.failed
    assert len(calls) == 1
    assert "called once only" in cell.note


def test_a_strategy_over_the_budget_is_not_computed():
    problem = solved(mlp_graph([40, 40], loss=None), 2**22)
    cell = prepare_cell("dense", problem, 2**20, registry.load)
    assert cell.failed["jacobian"][0] == "over_budget"
    assert cell.prepared is None


# ---- predictions


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "wrt"),
    [
        *(("vjp", wrt) for wrt in ("parameters", "inputs", "all")),
        *(("sparse", wrt) for wrt in ("parameters", "inputs")),
        *((name, "parameters") for name in ("forward-dense", "forward-sparse")),
    ],
)
def test_the_predicted_bytes_are_those_of_the_call(name, wrt):
    graph = mlp_graph([60, 50, 40], batch=3, loss=None, wrt=wrt)
    problem = make_problem(graph, "jacobian", 1, 0, BUDGET)
    strategy = registry.load(name)
    predicted = predict_task(strategy, graph, "jacobian", 1).phases
    assert list(predicted) == ["prepare", "jacobian"]
    cell = prepared_cell.PreparedCell(name, problem, strategy, strategy.prepare(graph))
    call = cell.call("jacobian")
    call()
    measured = heap_memory.measure(call)
    assert measured.peak_bytes > 2**17
    assert predicted["jacobian"].peak_bytes == pytest.approx(measured.peak_bytes, rel=0.03)
    assert predicted["jacobian"].retained_bytes == pytest.approx(measured.retained_bytes, rel=0.03)


def test_rows_of_a_matrix_are_cotangents():
    graph = network(wrt=["x", "b2"])
    problem = solved(graph)
    jacobian = whole_jacobian(registry.load("vjp").prepare(graph).linearize(problem.leaves), graph)
    rows = np.array([3, 1])
    found = rows_by_leaf(scipy.sparse.coo_array(jacobian), rows, graph)
    for name, bars in problem.reference.items():
        np.testing.assert_array_equal(found[name], bars[rows])


def test_a_problem_of_a_case_has_its_task(make_case):
    problem = problem_of(replace(make_case(n_seeds=None), task="jacobian", make=network), BUDGET)
    assert problem.task == "jacobian"
    assert problem.has_all_seeds
    assert problem.first_seconds["jacobian"] > problem.first_seconds["linearize"]
