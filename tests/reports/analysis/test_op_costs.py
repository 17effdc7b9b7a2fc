"""What each op costs, against what the whole graph costs and against what is counted by hand."""

import pytest

from jacobench.graphs.architectures import architecture_graph
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.reports.analysis.op_costs import by_op
from jacobench.strategies import registry

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
    found = by_op(graph, loaded, n_seeds)
    assert found["flops"].sum() == loaded.predict(graph, n_seeds).phases["gradient"].flops
    assert not found.duplicated(["op", "argument"]).any()
    assert (found[["flops", "kept_bytes", "cotangent_bytes"]] >= 0).all(axis=None)


def line(strategy, op, argument, n_seeds=1):
    graph = mlp_graph((5, 7), batch=2, dtype="float64")  # one affine layer, and the loss
    found = by_op(graph, registry.load(strategy), n_seeds)
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
    found = by_op(mlp_graph((4, 4, 4, 4)), registry.load("vjp"), 1).set_index(["op", "argument"])
    assert found.loc[("affine", "W"), "n_edges"] == 3
    assert found.loc[("affine", "z"), "n_edges"] == 2  # nobody asked for the cotangent of x
    assert found.loc[("affine", "forward"), "n_edges"] == 3


def test_a_strategy_without_a_model_has_no_lines():
    class Mine:
        name = "mine"

    assert by_op(mlp_graph((4, 4)), Mine(), 1).empty
