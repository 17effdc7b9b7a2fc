"""Adaptive pooling, whose windows may differ in length, against PyTorch."""

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.importers.adaptive_pooling import adaptive_avg_pool, adaptive_max_pool
from jacobench.strategies.registry import load

X = np.array([[1.0, 5.0, 3.0, 2.0, 4.0]])


def test_windows_of_five_entries_in_three_overlap():
    """By hand: they start at ⌊5 i / 3⌋ and end before ⌈5 (i + 1) / 3⌉: two, three and two entries."""
    for add, expected in ((adaptive_avg_pool, [[3, 10 / 3, 3]]), (adaptive_max_pool, [[5, 5, 4]])):
        g = GraphBuilder()
        graph = g.build(add(g, g.input("x", X.shape), (3,)), wrt="all")
        np.testing.assert_allclose(graph.evaluate({"x": X}), expected, rtol=1e-15)


def test_even_windows_are_an_ordinary_pooling():
    g = GraphBuilder()
    x = g.input("x", (2, 4, 6))
    assert adaptive_avg_pool(g, x, (2, 3)).op.name == "avg_pool"
    assert adaptive_max_pool(g, x, (2, 3)).op.name == "max_pool"


@pytest.mark.models
@pytest.mark.parametrize("lengths", [(5,), (6, 4), (7, 5), (2, 9), (3, 4, 5)])
@pytest.mark.parametrize("sizes", [1, 3, 4])
@pytest.mark.parametrize(("kind", "add"), [("avg", adaptive_avg_pool), ("max", adaptive_max_pool)])
def test_equal_to_torch(kind, add, lengths, sizes):
    torch = pytest.importorskip("torch")
    n_axes = len(lengths)
    g = GraphBuilder()
    graph = g.build(add(g, g.input("x", (2, 3, *lengths)), (sizes,) * n_axes), wrt="all")
    x = np.round(4 * graph.sample(0)["x"]) / 4  # with ties
    tensor = torch.tensor(x, requires_grad=True)
    y = getattr(torch.nn.functional, f"adaptive_{kind}_pool{n_axes}d")(tensor, (sizes,) * n_axes)
    seed = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(torch.tensor(seed))
    np.testing.assert_allclose(graph.evaluate({"x": x}), y.detach().numpy(), atol=1e-14)
    bars = load("vjp").prepare(graph).linearize({"x": x}).pullback(seed[None])
    np.testing.assert_allclose(bars["x"][0], tensor.grad.numpy(), atol=1e-14)
