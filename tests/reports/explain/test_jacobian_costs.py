"""Predicted sizes of each Jacobian agree with the arrays of the strategies; predicting allocates nothing large."""

import tracemalloc
from dataclasses import asdict, replace

import pytest

import jacobench as jb
from jacobench.graphs.architectures import architecture_graph
from jacobench.graphs.builder import DTYPES
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.graphs.structures.sparsity import Pattern
from jacobench.reports.explain.jacobian_costs import jacobian_costs, to_frame, value_names
from jacobench.strategies.registry import DEFAULT_STRATEGIES, load
from jacobench.strategies.tape import steps

PIB = 2**50


def edges_of(strategy, graph):
    """Return the pull of each edge and what it keeps, from the tape that the pullback holds."""
    tape, *_ = load(strategy).prepare(graph).linearize(graph.sample(0)).pullback.args
    return [(pull, kept) for _, edges in tape for _, pull, kept in edges]


def sparse_parts(graph):
    """Return the stored values of the one Jacobian of a graph, and its pattern, which its pull holds."""
    ((pull, values),) = edges_of("sparse", graph)
    return values, next(cell.cell_contents for cell in pull.__closure__ if isinstance(cell.cell_contents, Pattern))


def one_edge_graphs(name, dtype, **lengths):
    graph = op_graph(name, dtype, **lengths)
    return [replace(graph, wrt=(leaf,)) for leaf in graph.wrt]


@pytest.mark.parametrize("lengths", [{}, {"batch": 1, "size": 6}, {"batch": 5, "size": 9}], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPS)
def test_bytes_and_counts_are_those_of_the_stored_arrays(name, dtype, lengths):
    for graph in one_edge_graphs(name, dtype, **lengths):
        (told,) = jacobian_costs(graph).jacobians
        ((_, dense),), (values, pattern) = edges_of("dense", graph), sparse_parts(graph)
        assert (told.n_rows, told.n_columns) == dense.shape == pattern.shape
        assert (told.n_entries, told.dense_bytes) == (dense.size, dense.nbytes)
        assert (told.n_nonzeros, told.values_bytes) == (values.size, values.nbytes)
        assert told.pattern_bytes == pattern.indices.nbytes + pattern.indptr.nbytes
        assert told.sparse_bytes == told.pattern_bytes + told.values_bytes


def test_every_edge_that_is_needed_has_a_row_in_order():
    graph, _ = jb.mlp([5, 4, 3], batch=2)
    assert [cost.jacobian for cost in jacobian_costs(graph).jacobians] == [
        "∂affine1/∂W1", "∂affine1/∂b1", "∂tanh/∂affine1", "∂affine2/∂tanh", "∂affine2/∂W2", "∂affine2/∂b2", "∂mse/∂affine2",
    ]  # fmt: skip


def test_the_frame_has_a_row_a_jacobian():
    graph, _ = jb.mlp([5, 4, 3], batch=2)
    table, weights = jb.explain(graph), jacobian_costs(graph).jacobians
    assert table.to_dict("records") == [asdict(cost) for cost in weights]


def test_arithmetic_is_that_of_the_products():
    graph, _ = jb.mlp([5, 4], batch=2, loss=None)
    cost = jacobian_costs(graph, n_seeds=3).jacobians[0]
    assert cost.n_entries == 8 * 20
    assert cost.n_nonzeros == 2 * 4 * 5
    assert cost.dense_apply_flops == 2 * 3 * 160
    assert cost.sparse_apply_flops == 2 * 3 * 40
    assert cost.vjp_flops == 3 * 2 * 40


def test_what_several_rules_keep_counts_once_and_leaves_do_not():
    """The rules of tanh and of W2 read tanh's output; that of W1 reads the leaf x, which is there anyway."""
    graph, _ = jb.mlp([5, 4, 3], batch=2, loss=None)
    found = jacobian_costs(graph)
    assert [cost.vjp_reads for cost in found.jacobians] == ["x", "", "tanh", "W2", "tanh", ""]
    assert [cost.vjp_kept_bytes for cost in found.jacobians] == [0, 0, 64, 0, 64, 0]
    assert [total.kept_bytes for total in found.totals] == [0, 0, 64]


def test_a_view_of_a_leaf_is_a_leaf():
    g = jb.GraphBuilder()
    x = g.input("x", (2, 3, 4))
    graph = g.build(g.affine(g.reshape(x, shape=(2, 12)), g.parameter("W", (5, 12)), g.parameter("b", (5,))))
    cost = jacobian_costs(graph).jacobians[0]
    assert (cost.vjp_reads, cost.vjp_kept_bytes) == ("reshape", 0)


@pytest.mark.parametrize("n_seeds", [1, 4])
def test_totals_are_the_strategies_own_predictions(n_seeds):
    graph, _ = jb.mlp([6, 5, 4], batch=3, weight_density=0.5)
    found = jacobian_costs(graph, n_seeds)
    assert [total.strategy for total in found.totals] == list(DEFAULT_STRATEGIES)
    sums = {
        name: sum(getattr(cost, f"{name}_bytes") for cost in found.jacobians) for name in ("dense", "sparse", "pattern")
    }
    for total in found.totals:
        predicted = load(total.strategy).predict(graph, n_seeds)
        assert total.n_nonzeros == predicted.n_nonzeros
        assert total.flops == predicted.phases["gradient"].flops
        patterns = sums["pattern"] if total.strategy == "sparse" else 0
        assert total.peak_bytes == predicted.phases["gradient"].peak_bytes
        assert total.total_bytes == total.peak_bytes + patterns
        assert total.jacobian_bytes == sums.get(total.strategy, 0)


def test_names_of_values_differ():
    g = jb.GraphBuilder()
    x, y = g.input("tanh", (2, 3)), g.parameter("add2", (2, 3))
    z = g.add(g.add(g.tanh(x), y), y)
    assert value_names(g.build(z)) == ["tanh", "add2", "tanh()", "add1", "add2()"]


def test_a_leaf_alone_has_no_jacobian():
    g = jb.GraphBuilder()
    found = jacobian_costs(g.build(g.parameter("p", (3,))))
    assert found.jacobians == ()
    assert [total.jacobian_bytes for total in found.totals] == [0, 0, 0]
    assert list(to_frame(found).columns) == list(jb.explain(jb.mlp([2, 2])[0]).columns)


def test_no_cotangent_is_bad_input():
    with pytest.raises(BadInput, match="n_seeds is 0"):
        jb.explain(jb.mlp([2, 2])[0], n_seeds=0)


def traced(call):
    tracemalloc.start()
    try:
        found = call()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_petabyte_is_predicted_with_a_megabyte():
    jacobian_costs(architecture_graph("transformer-ffn-large"))  # what is made once for all graphs is made here
    found, peak = traced(lambda: jacobian_costs(architecture_graph("transformer-ffn-large", batch=2**13)))
    assert found.totals[0].jacobian_bytes > PIB
    assert peak < 2**20


@pytest.mark.parametrize("name", OPS)
def test_no_prediction_of_an_op_takes_much_memory(name):
    """At a size with large Jacobians, a prediction allocates at most the size of a vector."""
    graph = op_graph(name, batch=64, size=256)
    assert len(steps(graph)) == len(graph.nodes)
    found, peak = traced(lambda: jacobian_costs(graph))
    assert peak < max(max(cost.dense_bytes for cost in found.jacobians) / 64, 2**18)


def test_more_entries_than_64_bits_can_count():
    graph = op_graph("affine", batch=2**31 - 1, size=2**20)
    assert jb.explain(graph)["n_entries"].max() > 2**63
