"""Cost of each op: compared with the whole gradient, with counts by hand, and with the table of `explain`."""

import pandas as pd
import pytest

from jacobench.graphs.architectures import architecture_graph
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.graphs.ops import OPS
from jacobench.reports.explain.edge_costs import argument_name, op_costs
from jacobench.reports.explain.jacobian_costs import jacobian_costs
from jacobench.strategies import registry
from jacobench.strategies.registry import DEFAULT_STRATEGIES

GRAPHS = {
    "mlp": mlp_graph((8, 16, 4), batch=3),
    "sparse weights": mlp_graph((8, 16, 4), batch=3, weight_density=0.25),
    "residual": mlp_graph((8, 8, 8, 8), batch=2, residual=True, normalization="layer_norm", activation="gelu"),
    "pinn": architecture_graph("pinn", batch=2),
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("strategy", ["dense", "dense-blocks", "sparse", "vjp", "linear-operator"])
@pytest.mark.parametrize("n_seeds", [1, 5])
def test_the_ops_add_up_to_the_whole_gradient(graph, strategy, n_seeds):
    loaded = registry.load(strategy)
    found = op_costs(graph, loaded, n_seeds)
    assert found["flops"].sum() == loaded.predict(graph, n_seeds).phases["gradient"].flops
    assert not found.duplicated(["op", "argument"]).any()
    assert (found[["flops", "kept_bytes", "cotangent_bytes"]] >= 0).all(axis=None)


def line(strategy, op, argument, n_seeds=1):
    graph = mlp_graph((5, 7), batch=2, dtype="float64")  # one affine layer, and the loss
    found = op_costs(graph, registry.load(strategy), n_seeds)
    return found[(found["op"] == op) & (found["argument"] == argument)].iloc[0].to_dict()


def test_a_dense_jacobian_by_a_weight_is_outputs_times_inputs_times_outputs():
    found = line("dense", "affine", "W", n_seeds=3)
    assert found["n_edges"] == 1
    assert found["kept_bytes"] == 8 * (2 * 7) * (7 * 5)
    assert found["cotangent_bytes"] == 3 * 8 * 7 * 5
    assert found["flops"] >= 2 * 3 * (2 * 7) * (7 * 5)


def test_matrix_free_keeps_no_jacobian():
    found = line("vjp", "affine", "W")
    assert found["kept_bytes"] == 0  # the input is the caller's
    assert found["cotangent_bytes"] == 8 * 7 * 5
    assert found["flops"] == line("sparse", "affine", "W")["flops"] == 2 * 2 * 7 * 5


def test_equal_ops_are_added_up_and_inputs_are_left_out():
    found = op_costs(mlp_graph((4, 4, 4, 4)), registry.load("vjp"), 1).set_index(["op", "argument"])
    assert found.loc[("affine", "W"), "n_edges"] == 3
    assert found.loc[("affine", "z"), "n_edges"] == 2  # the cotangent of x is not needed
    assert found.loc[("affine", "forward"), "n_edges"] == 3


def test_a_value_of_the_graph_that_a_rule_reads_is_kept():
    """The rule of the second weight reads the output of tanh, which the strategy keeps; a graph of that op alone hides it."""
    found = op_costs(mlp_graph((5, 4, 3), batch=2, loss=None), registry.load("vjp"), 1).set_index(["op", "argument"])
    assert found.loc[("affine", "W"), "kept_bytes"] == 8 * 2 * 4


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("n_seeds", [1, 5])
def test_ops_and_the_table_of_explain_agree(graph, n_seeds):
    jacobians = pd.DataFrame([
        {
            "op": cost.op,
            "argument": argument_name(OPS[cost.op], cost.argument),
            "dense flops": cost.build_flops + cost.dense_apply_flops,
            "sparse flops": cost.build_flops + cost.sparse_apply_flops,
            "vjp flops": cost.vjp_flops,
            "dense bytes": cost.dense_bytes,
            "sparse bytes": cost.sparse_bytes,
            "vjp bytes": cost.vjp_kept_bytes,
        }
        for cost in jacobian_costs(graph, n_seeds).jacobians
    ])  # fmt: skip
    explained = jacobians.groupby(["op", "argument"]).sum()
    for name in DEFAULT_STRATEGIES:
        ops = op_costs(graph, registry.load(name), n_seeds)
        ops = ops[ops["argument"] != "forward"].set_index(["op", "argument"]).sort_index()
        assert ops["flops"].to_dict() == explained[f"{name} flops"].to_dict()
        assert ops["kept_bytes"].to_dict() == explained[f"{name} bytes"].to_dict()
