"""Graphs of one op or of all ops."""

import numpy as np
import pytest

from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.one_op import EVERY, op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry


def test_one_graph_holds_every_op_with_leaves_of_its_own():
    graph = op_graph(EVERY, batch=2, size=4)
    assert {node.op.name for node in graph.nodes if node.op is not None} == set(OPS)
    alone = {name: op_graph(name, batch=2, size=4) for name in OPS}
    assert set(graph.wrt) == {f"{name}_{leaf}" for name, own in alone.items() for leaf in own.wrt}


@pytest.mark.parametrize("strategy", ["dense", "sparse"])
def test_its_gradients_agree(strategy):
    graph = op_graph(EVERY, batch=2, size=4)
    leaves = graph.sample(rng_seed=0)
    found, expected = (registry.load(name).prepare(graph).linearize(leaves) for name in (strategy, "vjp"))
    y_bar = np.random.default_rng(1).standard_normal((1, *graph.output_shape))
    for name, bar in expected.pullback(y_bar).items():
        np.testing.assert_allclose(found.pullback(y_bar)[name], bar, rtol=1e-10, atol=1e-12)


def test_an_unknown_op_offers_the_nearest():
    with pytest.raises(BadInput, match="did you mean"):
        op_graph("tahn")
