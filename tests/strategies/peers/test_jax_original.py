"""The strategy `jax-original` differentiates the function itself, not the graph that it was converted to."""

import jax.numpy as jnp
import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import Unsupported
from jacobench.graphs.graph import Origin
from jacobench.strategies.registry import load


def graph_of(origin):
    g = GraphBuilder()
    return g.build(g.tanh(g.input("x", (2, 3))), wrt="all").with_origin(origin)


def test_the_function_is_differentiated():
    """It has another value here than the graph."""
    graph = graph_of(Origin("jax", evaluate=lambda leaves: 3 * jnp.sin(leaves["x"])))
    leaves, seeds = graph.sample(0), np.random.default_rng(0).standard_normal((2, 2, 3))
    lin = load("jax-original").prepare(graph).linearize(leaves)
    np.testing.assert_allclose(lin.output, 3 * np.sin(leaves["x"]), rtol=1e-14)
    np.testing.assert_allclose(lin.pullback(seeds)["x"], seeds * 3 * np.cos(leaves["x"]), rtol=1e-14)


@pytest.mark.parametrize("origin", [None, Origin("onnx"), Origin("torch", evaluate=lambda leaves: leaves["x"])])
def test_other_graphs_are_unsupported(origin):
    with pytest.raises(Unsupported, match="the graph is not imported from JAX"):
        load("jax-original").prepare(graph_of(origin))
