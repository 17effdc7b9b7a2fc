"""The strategy `torch-original` differentiates the module itself, not the graph that it was converted to."""

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.graph import Origin
from jacobench.strategies.contract import Unsupported
from jacobench.strategies.registry import load

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.models


def graph_of(origin):
    """Return the graph p · x, and an origin that may compute something else."""
    g = GraphBuilder()
    graph = g.build(g.multiply(g.input("x", (2, 3)), g.parameter("p", (2, 3))), wrt=["p", "x"])
    return graph if origin is None else graph.with_origin(origin)


def test_it_differentiates_the_model_and_not_the_graph():
    graph = graph_of(Origin("torch", evaluate=lambda leaves: leaves["p"] * leaves["x"] ** 2))
    leaves, seeds = graph.sample(0), np.ones((2, 2, 3))
    seeds[1] = 3.0
    linearization = load("torch-original").prepare(graph).linearize(leaves)
    np.testing.assert_allclose(linearization.output, leaves["p"] * leaves["x"] ** 2, rtol=1e-15)
    bars = linearization.pullback(seeds)
    np.testing.assert_allclose(bars["p"], seeds * leaves["x"] ** 2, rtol=1e-15)
    np.testing.assert_allclose(bars["x"], seeds * 2 * leaves["p"] * leaves["x"], rtol=1e-15)


@pytest.mark.parametrize("origin", [None, Origin("jax", evaluate=lambda leaves: leaves["x"]), Origin("torch")])
def test_a_graph_without_a_torch_model_is_unsupported(origin):
    with pytest.raises(Unsupported, match="the graph was not imported from torch"):
        load("torch-original").prepare(graph_of(origin))


def test_wrong_leaves_are_named():
    graph = graph_of(Origin("torch", evaluate=lambda leaves: leaves["x"]))
    leaves = graph.sample(0)
    with pytest.raises(BadInput, match="leaf 'x' has shape"):
        load("torch-original").prepare(graph).linearize({**leaves, "x": leaves["x"][:1]})
