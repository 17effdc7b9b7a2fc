"""Attention: formula and accepted shapes."""

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.attention import attention


def built(*shapes):
    g = GraphBuilder()
    return g.build(attention(g, *(g.parameter(name, shape) for name, shape in zip("QKV", shapes, strict=True))))


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_it_is_softmax_of_scores_times_values(lead):
    graph = built((*lead, 4, 5), (*lead, 6, 5), (*lead, 6, 2))
    leaves = graph.sample(0)
    Q, K, V = leaves["Q"], leaves["K"], leaves["V"]
    weights = np.exp(Q @ K.swapaxes(-1, -2) / np.sqrt(5))
    expected = weights / weights.sum(axis=-1, keepdims=True) @ V
    assert graph.output_shape == (*lead, 4, 2)
    np.testing.assert_allclose(graph.evaluate(leaves), expected, rtol=1e-13)


def test_samples_do_not_mix():
    """dense-blocks and batched seeds need one block per sample."""
    g = GraphBuilder()
    graph = g.build(attention(g, *(g.input(name, (3, 4, 2)) for name in "QKV")), wrt=["Q", "K", "V"])
    assert {ctx.samples for node in graph.nodes for ctx in node.contexts} == {3}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((4, 5), (6, 3), (6, 2)), r"matmul: shapes \(4, 5\) and \(3, 6\) do not fit"),
        (((4, 5), (6, 5), (4, 2)), "matmul: shapes"),
        (((5,), (5,), (5,)), r"attention: the keys have shape \(5,\)"),
    ],
)
def test_what_does_not_fit_is_named(shapes, message):
    with pytest.raises(BadInput, match=message):
        built(*shapes)
