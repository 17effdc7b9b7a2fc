"""Transposed convolutions against PyTorch and ONNX, and convolutions over groups of samples against JAX."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.importers.transposed_convolution import conv_over_batch_groups, conv_transposed, convolution
from jacobench.strategies.registry import load


def cotangents(graph, leaves, seed):
    return load("vjp").prepare(graph).linearize(leaves).pullback(seed[None])


@st.composite
def transposed(draw):
    """Draw a graph of a transposed convolution, and its attributes."""

    def per_axis(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n_axes))

    n_axes, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    inputs, outputs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    attrs = {"stride": per_axis(1, 3), "padding": per_axis(0, 2), "dilation": per_axis(1, 3), "groups": groups}
    attrs["output_padding"] = tuple(
        draw(st.integers(0, max(pair) - 1)) for pair in zip(attrs["stride"], attrs["dilation"], strict=True)
    )
    g = GraphBuilder(draw(st.sampled_from(["float64", "float32"])))
    lengths, kernel = per_axis(1, 5), per_axis(1, 4)
    axes = zip(lengths, attrs["stride"], attrs["padding"], attrs["dilation"], kernel, strict=True)
    assume(all((n - 1) * step - 2 * cut + dilation * (taps - 1) >= 0 for n, step, cut, dilation, taps in axes))
    x, W = g.input("x", (2, groups * inputs, *lengths)), g.parameter("W", (groups * inputs, outputs, *kernel))
    return g.build(conv_transposed(g, x, W, **attrs), wrt="all"), attrs


@pytest.mark.models
@settings(max_examples=60, deadline=None)
@given(transposed())
def test_equal_to_torch(case):
    torch = pytest.importorskip("torch")
    graph, attrs = case
    leaves = graph.sample(0)
    tensors = {name: torch.tensor(leaf, requires_grad=True) for name, leaf in leaves.items()}
    y = getattr(torch.nn.functional, f"conv_transpose{len(attrs['stride'])}d")(*tensors.values(), **attrs)
    seed = np.random.default_rng(0).standard_normal(y.shape).astype(graph.dtype)
    bars = torch.autograd.grad(y, list(tensors.values()), torch.tensor(seed))
    tolerance = 1e-12 if graph.dtype == np.float64 else 1e-5
    found = cotangents(graph, leaves, seed)
    np.testing.assert_allclose(graph.evaluate(leaves), y.detach().numpy(), atol=10 * tolerance)
    for name, bar in zip(graph.leaves, bars, strict=True):
        np.testing.assert_allclose(found[name][0], bar.numpy(), atol=20 * tolerance, rtol=tolerance)


@pytest.mark.models
def test_three_axes_are_equal_to_torch():
    torch = pytest.importorskip("torch")
    g = GraphBuilder()
    attrs = {"stride": (2, 1, 3), "padding": (1, 2, 0), "dilation": (2, 1, 1), "groups": 2}
    graph = g.build(
        convolution(g, g.input("x", (2, 4, 5, 4, 6)), g.parameter("W", (6, 2, 3, 2, 3)), **attrs), wrt="all"
    )
    leaves = graph.sample(0)
    x, W = (torch.tensor(leaf, requires_grad=True) for leaf in leaves.values())
    y = torch.nn.functional.conv3d(x, W, **attrs)
    seed = np.random.default_rng(0).standard_normal(y.shape)
    np.testing.assert_allclose(graph.evaluate(leaves), y.detach().numpy(), atol=1e-12)
    bars = cotangents(graph, leaves, seed)
    for name, bar in zip(graph.leaves, torch.autograd.grad(y, [x, W], torch.tensor(seed)), strict=True):
        np.testing.assert_allclose(bars[name][0], bar.numpy(), atol=1e-12)


def test_a_kernel_over_three_axes_that_does_not_fit_is_named():
    g = GraphBuilder()
    with pytest.raises(BadInput, match=r"conv: a kernel \(3, 1, 1\) does not fit into \(2, 4, 4\)"):
        convolution(g, g.input("x", (1, 1, 2, 4, 4)), g.parameter("W", (1, 1, 3, 1, 1)))


@pytest.mark.models
def test_a_padding_for_each_side_crops_as_in_onnx():
    """The attribute pads of ConvTranspose has all starts, then all ends."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    g = GraphBuilder()
    x, W = g.input("x", (1, 2, 4, 3)), g.parameter("W", (2, 2, 3, 2))
    y = conv_transposed(g, x, W, stride=(2, 3), padding=((1, 2), (0, 1)), output_padding=(1, 0))
    graph = g.build(y, wrt="all")
    node = onnx.helper.make_node(
        "ConvTranspose", ["x", "W"], ["y"], strides=[2, 3], pads=[1, 0, 2, 1], output_padding=[1, 0]
    )
    leaves = graph.sample(0)
    np.testing.assert_allclose(graph.evaluate(leaves), ReferenceEvaluator(node).run(None, leaves)[0], atol=1e-14)


def test_each_entry_is_spread_by_the_kernel():
    """By hand: an entry is added to its stride's position times each tap; the output is cropped by the padding."""
    g = GraphBuilder()
    y = conv_transposed(g, g.input("x", (1, 1, 2)), g.parameter("W", (1, 1, 3)), stride=2, padding=1, output_padding=1)
    leaves = {"x": np.array([[[1.0, 10.0]]]), "W": np.array([[[1.0, 2.0, 3.0]]])}
    assert g.build(y).evaluate(leaves).tolist() == [[[2, 3 + 10, 20, 30]]]


def test_groups_exchange_their_own_inputs_and_outputs():
    g = GraphBuilder()
    x, W = g.input("x", (1, 4, 1)), g.parameter("W", (4, 2, 1))
    graph = g.build(conv_transposed(g, x, W, groups=2))
    leaves = {"x": np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 4, 1), "W": np.arange(1.0, 9.0).reshape(4, 2, 1)}
    assert graph.evaluate(leaves).ravel().tolist() == [1 + 30, 2 + 40, 500 + 7000, 600 + 8000]


def test_a_negative_output_padding_is_refused():
    g = GraphBuilder()
    with pytest.raises(
        BadInput, match="the output padding is -1: expected one number for each of 1 axes, each 0 or more"
    ):
        conv_transposed(g, g.input("x", (1, 1, 2)), g.parameter("W", (1, 1, 3)), output_padding=-1)


def test_outputs_see_the_samples_of_their_group():
    """By hand: the first output sees the first two of four samples, the second output the others."""
    g = GraphBuilder()
    graph = g.build(conv_over_batch_groups(g, g.input("x", (4, 1, 1)), g.parameter("W", (2, 1, 1)), 2))
    leaves = {"x": np.array([1.0, 2, 3, 4]).reshape(4, 1, 1), "W": np.array([1.0, 10]).reshape(2, 1, 1)}
    assert graph.evaluate(leaves).tolist() == [[[1], [30]], [[2], [40]]]


@pytest.mark.long
def test_groups_of_samples_are_those_of_jax():
    jax = pytest.importorskip("jax")
    g = GraphBuilder("float32")
    x, W = g.input("x", (4, 3, 5)), g.parameter("W", (6, 3, 2))
    graph = g.build(conv_over_batch_groups(g, x, W, 2, stride=2, padding=((1, 0),)), wrt="all")
    leaves = graph.sample(0)

    def function(x, W):
        return jax.lax.conv_general_dilated(x, W, (2,), [(1, 0)], batch_group_count=2)

    y, pullback = jax.vjp(function, *leaves.values())
    seed = np.random.default_rng(0).standard_normal(y.shape).astype("float32")
    np.testing.assert_allclose(graph.evaluate(leaves), y, atol=1e-5)
    for (name, bars), bar in zip(cotangents(graph, leaves, seed).items(), pullback(seed), strict=True):
        np.testing.assert_allclose(bars[0], bar, atol=1e-5, err_msg=name)
