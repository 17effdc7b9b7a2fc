"""Random convolutions and poolings against the definitions in JAX and PyTorch: values, cotangents and tangents."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jacobench.graphs.builder import GraphBuilder
from jacobench.strategies.registry import load

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


def per_axis(draw, n_axes, low, high):
    return tuple(draw(st.integers(low, high)) for _ in range(n_axes))


def pairs(draw, n_axes, low, high):
    return tuple(per_axis(draw, 2, low, high) for _ in range(n_axes))


@st.composite
def convolutions(draw):
    """Draw a graph of one convolution over one or two axes."""
    n_axes, groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    rows, channels, outputs = per_axis(draw, 3, 1, 3)
    attrs = {
        "stride": per_axis(draw, n_axes, 1, 3),
        "padding": pairs(draw, n_axes, -1, 3),
        "dilation": per_axis(draw, n_axes, 1, 3),
        "input_dilation": per_axis(draw, n_axes, 1, 3),
        "groups": groups,
    }
    x = (rows, groups * channels, *per_axis(draw, n_axes, 1, 6))
    W = (groups * outputs, channels, *per_axis(draw, n_axes, 1, 4))
    sizes = zip(x[2:], W[2:], *(attrs[name] for name in ("padding", "dilation", "input_dilation")), strict=True)
    assume(all((n - 1) * e + 1 + sum(ends) > (taps - 1) * step for n, taps, ends, step, e in sizes))
    g = GraphBuilder(draw(st.sampled_from(sorted(TOLERANCE))))
    return g.build(g.conv(g.input("x", x), g.parameter("W", W), **attrs), wrt="all"), draw(st.integers(0, 99))


@st.composite
def poolings(draw):
    """Draw a graph of one pooling over up to three axes; a window may not cover only padding."""
    n_axes = draw(st.integers(1, 3))
    window = per_axis(draw, n_axes, 1, 3)
    dilation = per_axis(draw, n_axes, 1, 2)
    padding = tuple(per_axis(draw, 2, 0, (taps - 1) * step) for taps, step in zip(window, dilation, strict=True))
    lengths = tuple((taps - 1) * step + draw(st.integers(1, 3)) for taps, step in zip(window, dilation, strict=True))
    attrs = {"window": window, "stride": per_axis(draw, n_axes, 1, 3), "padding": padding, "dilation": dilation}
    name = draw(st.sampled_from(["max_pool", "avg_pool", "sum_pool"]))
    if name == "avg_pool":
        attrs["count_padding"] = draw(st.booleans())
    g = GraphBuilder(draw(st.sampled_from(sorted(TOLERANCE))))
    return g.build(getattr(g, name)(g.input("x", (2, *lengths)), **attrs), wrt="all"), draw(st.integers(0, 99))


def jax_convolution(x, W, attrs):
    lax = pytest.importorskip("jax").lax
    return lax.conv_general_dilated(
        x,
        W,
        attrs["stride"],
        attrs["padding"],
        attrs["input_dilation"],
        attrs["dilation"],
        feature_group_count=attrs["groups"],
    )


def torch_convolution(x, W, attrs):
    """Return it with zeros between the entries and around them, because PyTorch's function pads both ends equally."""
    torch = pytest.importorskip("torch")
    n_axes = W.ndim - 2
    for axis, step in enumerate(attrs["input_dilation"], 2):
        apart = x.new_zeros((*x.shape[:axis], (x.shape[axis] - 1) * step + 1, *x.shape[axis + 1 :]))
        x = apart.index_copy(axis, torch.arange(x.shape[axis]) * step, x)
    wide = torch.nn.functional.pad(x, [n for ends in reversed(attrs["padding"]) for n in ends])
    convolve = getattr(torch.nn.functional, f"conv{n_axes}d")
    return convolve(wide, W, stride=attrs["stride"], dilation=attrs["dilation"], groups=attrs["groups"])


def jax_pooling(name, x, attrs):
    jax = pytest.importorskip("jax")
    window, steps, padding, dilation = (
        ((0, 0) if key == "padding" else 1, *attrs[key]) for key in ("window", "stride", "padding", "dilation")
    )

    def reduced(x, start, join):
        return jax.lax.reduce_window(x, x.dtype.type(start), join, window, steps, padding, None, dilation)

    if name == "max_pool":
        return reduced(x, -np.inf, jax.lax.max)
    total = reduced(x, 0, jax.lax.add)
    if name == "sum_pool":
        return total
    counted = jax.numpy.ones_like(x)
    return total / (np.prod(attrs["window"]) if attrs["count_padding"] else reduced(counted, 0, jax.lax.add))


def torch_pooling(name, x, attrs):
    """Return it from windows unfolded along each axis."""
    torch = pytest.importorskip("torch")
    ends = [n for pair in reversed(attrs["padding"]) for n in pair]

    def unfolded(x, value):
        x = torch.nn.functional.pad(x, ends, value=value)
        keys = zip(attrs["window"], attrs["stride"], attrs["dilation"], strict=True)
        for axis, (taps, step, dilation) in enumerate(keys, 1):
            x = x.unfold(axis, (taps - 1) * dilation + 1, step)[..., ::dilation]
        return x.flatten(1 + len(attrs["window"]))

    if name == "max_pool":
        return unfolded(x, -np.inf).max(dim=-1).values
    total = unfolded(x, 0.0).sum(dim=-1)
    if name == "sum_pool":
        return total
    counts = unfolded(torch.ones_like(x), 0.0).sum(dim=-1)
    return total / (np.prod(attrs["window"]) if attrs["count_padding"] else counts)


FUNCTIONS = {
    ("jax", "conv"): jax_convolution,
    ("torch", "conv"): torch_convolution,
    **{("jax", f"{kind}_pool"): lambda x, attrs, kind=kind: jax_pooling(f"{kind}_pool", x, attrs) for kind in ("max", "avg", "sum")},
    **{("torch", f"{kind}_pool"): lambda x, attrs, kind=kind: torch_pooling(f"{kind}_pool", x, attrs) for kind in ("max", "avg", "sum")},
}  # fmt: skip


def derivatives(library, graph, xs, seed):
    """Return the output and the cotangents of the arguments for one seed by the library, and its output of the graph."""
    (node,) = graph.nodes

    def function(*xs):
        return FUNCTIONS[library, node.op.name](*xs, node.attrs)

    def evaluated(*xs):
        return graph.evaluate(dict(zip(graph.leaves, xs, strict=True)), xp=pytest.importorskip(module))

    module = {"jax": "jax.numpy", "torch": "torch"}[library]
    if library == "jax":
        jax = pytest.importorskip("jax")
        with jax.enable_x64(True):
            y, pullback = jax.vjp(function, *xs)
            bars = pullback(jax.numpy.asarray(seed))
            return np.asarray(y), [np.asarray(bar) for bar in bars], np.asarray(evaluated(*map(jax.numpy.asarray, xs)))
    torch = pytest.importorskip("torch")
    tensors = [torch.tensor(x, requires_grad=True) for x in xs]
    y = function(*tensors)
    bars = torch.autograd.grad(y, tensors, torch.tensor(seed))
    return y.detach().numpy(), [bar.numpy() for bar in bars], evaluated(*tensors).detach().numpy()


def assert_equal_to(library, case):
    graph, rng_seed = case
    (node,) = graph.nodes
    dilated_maximum = node.op.name == "max_pool" and max(node.attrs["dilation"]) > 1
    assume(not (library == "jax" and dilated_maximum))  # JAX has no vjp of it
    leaves, rng = graph.sample(rng_seed), np.random.default_rng(rng_seed)
    xs = tuple(leaves.values())
    seeds = rng.standard_normal((2, *graph.output_shape)).astype(graph.dtype)
    y, bars, same = derivatives(library, graph, xs, seeds[1])

    def close(given, expected):
        assert given.shape == expected.shape
        assert given.dtype == graph.dtype
        assert np.max(np.abs(given - expected)) <= TOLERANCE[graph.dtype.name] * max(1, np.max(np.abs(expected)))

    close(same, y)
    for strategy in ("vjp", "sparse", "dense"):
        lin = load(strategy).prepare(graph).linearize(leaves)
        close(lin.output, y)
        found = lin.pullback(seeds)
        for name, bar in zip(graph.leaves, bars, strict=True):
            close(found[name][1], bar)
    for ctx, x, bar in zip(node.contexts, xs, bars, strict=True):
        tangents = rng.standard_normal((2, *x.shape)).astype(graph.dtype)
        moved = node.op.argument(ctx.k).jvp(tangents, y, xs, ctx)
        assert moved.shape == (2, *y.shape)
        expected = np.tensordot(tangents, bar, x.ndim)  # ⟨u, J v⟩ = ⟨Jᵀ u, v⟩
        close(np.tensordot(moved, seeds[1], y.ndim).astype(graph.dtype), expected.astype(graph.dtype))


@pytest.mark.long
@settings(max_examples=30, deadline=None)  # JAX compiles each of them
@given(case=convolutions() | poolings())
def test_equal_to_jax(case):
    assert_equal_to("jax", case)


@pytest.mark.models
@settings(max_examples=150, deadline=None)
@given(case=convolutions() | poolings())
def test_equal_to_torch(case):
    assert_equal_to("torch", case)
