"""Convolutions over one and two axes: cross-correlations of all channels, or of those of a group, without a bias."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays import correlation
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.calls import Fastest, vjp_of, written
from jacobench.graphs.errors import BadInput, check_least, whole_number, whole_numbers
from jacobench.graphs.op import Argument, Jacobian, Op, never
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.data_movement import take_into
from jacobench.graphs.structures.toeplitz import Layout, fill_kernels, fill_toeplitz, kernels, toeplitz
from jacobench.graphs.structures.windows import Windows, last, windows_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.calls import Call, Calls
    from jacobench.graphs.op import VjpFloor
    from jacobench.graphs.structures.windows import Pairs


def per_axis(what: str, given: Any, n_axes: int, least: int) -> tuple[int, ...]:
    """Return one number per axis from one number or one per axis; BadInput if one is below `least` or the count is wrong."""
    numbers = (whole_number(what, given),) * n_axes if np.ndim(given) == 0 else whole_numbers(what, given)
    if len(numbers) != n_axes or min(numbers) < least:
        raise BadInput(f"{what} is {given}: expected one number for each of {n_axes} axes, each {least} or more")
    return numbers


def padding_per_axis(given: Any, n_axes: int) -> Pairs:
    """Return the padding before and after each axis from one number, one per axis, or one pair per axis.

    Only the numbers of pairs may be negative. They crop.
    """
    if not isinstance(given, list | tuple) or not any(isinstance(one, list | tuple) for one in given):
        return tuple((number, number) for number in per_axis("the padding", given, n_axes, 0))
    pairs = tuple(whole_numbers("the padding", pair) for pair in given)
    if len(pairs) != n_axes or any(len(pair) != 2 for pair in pairs):
        raise BadInput(f"the padding is {given}: expected one number or one pair for each of {n_axes} axes")
    return tuple((before, after) for before, after in pairs)


STEPS = ("stride", "dilation", "input_dilation")


def _as_steps(attrs: Attrs, given: Shapes, n_axes: int | None) -> Attrs:
    groups = attrs["groups"]
    check_least(1, groups=groups)
    _, W = shapes.convolution(given, n_axes, groups)
    steps = {name: per_axis(f"the {name.replace('_', ' ')}", attrs[name], len(W) - 2, 1) for name in STEPS}
    return {**steps, "padding": padding_per_axis(attrs["padding"], len(W) - 2), "groups": index(groups)}


def _windows(x: Shape, W: Shape, attrs: Attrs) -> Windows:
    return windows_over(x[2:], W[2:], attrs["stride"], attrs["padding"], attrs["dilation"], attrs["input_dilation"])


def _layout(ctx: ArgumentContext) -> Layout:
    """Return the axes by sample: W as (outputs, channels per group, *kernel)."""
    x, W = ctx.shapes
    return Layout(_windows(x, W, ctx.attrs), rows=x[0], outputs=W[0], channels=W[1])


def _layout_of_groups(ctx: ArgumentContext) -> Layout:
    """Return the axes by sample and group, because groups are independent."""
    layout, groups = _layout(ctx), ctx.attrs["groups"]
    return replace(layout, rows=layout.rows * groups, outputs=layout.outputs // groups)


def _forward(xp: Any, x: Any, W: Any, groups: int, **attrs: Any) -> Any:
    return xp.correlate(x, W, _windows(tuple(x.shape), tuple(W.shape), attrs), groups)


def _flops(ctx: ArgumentContext) -> int:
    layout = _layout(ctx)
    return 2 * layout.rows * layout.outputs * layout.channels * layout.windows.n_products


def _part_bytes(ctx: ArgumentContext) -> int:
    (rows, channels, *_), _ = ctx.shapes
    return correlation.part_bytes(rows, channels, _layout(ctx).windows, ctx.dtype.itemsize)


def _phase_bytes(ctx: ArgumentContext, n_kernels: int, n_images: int) -> int:
    """Return the bytes of scratch copies of kernels (outputs, channels per group) and images (rows, outputs)."""
    layout = _layout(ctx)
    kernels, images = n_kernels * layout.outputs * layout.channels, n_images * layout.rows * layout.outputs
    return correlation.phase_size(kernels, images, layout.windows) * ctx.dtype.itemsize


def _kernel_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of a sum of the kernel's cotangents, of one phase if there are several."""
    return _phase_bytes(ctx, 2, 1) or ctx.n_in * ctx.dtype.itemsize


def _products_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of the kernel's cotangents for each row of a part."""
    x, W = ctx.shapes
    size = correlation.product_size(x[0], x[1], _layout(ctx).windows, ctx.dtype.itemsize)
    return size * prod(W[:2]) * ctx.dtype.itemsize


def _floor(xs: Arrays, y: Array, attrs: Attrs) -> Calls:
    x, W = xs
    return list(correlation.correlating(x, W, _windows(x.shape, W.shape, attrs), attrs["groups"], y))


def _spreading(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Iterator[Call]:
    g = y_bar.reshape(-1, *ctx.out[1:])
    return correlation.spreading(g, xs[1], _layout(ctx).windows, ctx.attrs["groups"], x_bar)


def _gathering(y_bar: Array, _y: Array, xs: Arrays, W_bar: Array, ctx: ArgumentContext) -> Iterator[Call]:
    return correlation.gathering(y_bar, xs[0], _layout(ctx).windows, ctx.attrs["groups"], W_bar)


def _gathering_each(y_bar: Array, _y: Array, xs: Arrays, W_bar: Array, ctx: ArgumentContext) -> Iterator[Call]:
    return correlation.gathering_each(y_bar, xs[0], _layout(ctx).windows, ctx.attrs["groups"], W_bar)


def _floor_of(calls: Callable[..., Iterator[Call]]) -> VjpFloor:
    return lambda *given: list(calls(*given))


def _jvp_x(x_dot: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    y_dot = _forward(NUMPY, x_dot.reshape(-1, *ctx.x[1:]), xs[1], **ctx.attrs)
    return np.asarray(y_dot).reshape(len(x_dot), *ctx.out)


def _jvp_W(W_dot: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    return np.stack([_forward(NUMPY, xs[0], one, **ctx.attrs) for one in W_dot])


def _vjp_W_each(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    W_bar = np.empty((y_bar.shape[1], len(y_bar), *ctx.x), y_bar.dtype)
    return written(_gathering_each(y_bar, y, xs, W_bar, ctx), W_bar)


def _values_x(_y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the kernel, repeated for each window and row."""
    layout = _layout(ctx)
    windows = layout.windows
    values = np.empty((layout.rows, layout.outputs, layout.n_entries), ctx.dtype)
    ones = (1,) * len(windows.out)
    W = xs[1].reshape(layout.outputs, *ones, *xs[1].shape[1:])
    if windows.padded:
        for weights, stored in zip(W, values[0], strict=True):
            stored[...] = _select_valid(weights, layout)
        values[1:] = values[0]
    else:
        values.reshape(layout.rows, layout.outputs, *windows.out, *xs[1].shape[1:])[...] = W
    return values


def _values_W(_y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the windows of each row, repeated for each output."""
    layout = _layout(ctx)
    values = np.empty((layout.rows, layout.outputs, layout.n_entries), ctx.dtype)
    groups = ctx.attrs["groups"]
    seen = correlation.windows_of(_by_group(xs[0], layout), layout.windows)
    by_group = values.reshape(len(seen), layout.outputs // groups, layout.n_entries)
    if layout.windows.padded:
        for group, stored in zip(seen, by_group, strict=True):
            stored[...] = _select_valid(group, layout)
    else:
        by_group.reshape(*by_group.shape[:2], *seen.shape[1:])[...] = seen[:, None]
    return values


def _by_group(x: Array, layout: Layout) -> Array:
    """View x (rows, groups · channels, *lengths) as (rows · groups, channels, *lengths)."""
    return x.reshape(-1, layout.channels, *layout.windows.lengths)


def _values_x_floor(_y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> Calls:
    layout = _layout(ctx)
    windows, values = layout.windows, values.reshape(layout.rows, layout.outputs, -1)
    taken = take_into(xs[1].reshape(layout.outputs, -1), layout.flat(by_kernel=True, dtype=np.intp), 1, values[0])
    repeated: list[Call] = [*taken, (np.copyto, (values[1:], values[:1]))]
    if windows.padded:
        return repeated
    kernel = xs[1].reshape(layout.outputs, *(1,) * len(windows.out), *xs[1].shape[1:])
    whole = values.reshape(layout.rows, layout.outputs, *windows.out, *xs[1].shape[1:])
    return [Fastest((repeated, [(np.copyto, (whole, kernel))]))]


def _values_W_floor(_y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> Calls:
    layout = _layout(ctx)
    x = _by_group(xs[0], layout)
    seen = np.empty((len(x), layout.n_entries), ctx.dtype)
    taken = take_into(x.reshape(len(x), -1), layout.flat(by_kernel=False, dtype=np.intp), 1, seen)
    by_group = values.reshape(len(x), -1, layout.n_entries)
    repeated: list[Call] = [*taken, (np.copyto, (by_group, seen[:, None]))]
    if layout.windows.padded:
        return repeated
    view = correlation.windows_of(x, layout.windows)
    whole = by_group.reshape(*by_group.shape[:2], *view.shape[1:])
    return [Fastest((repeated, [(np.copyto, (whole, view[:, None]))]))]


def _select_valid(values: Array, layout: Layout) -> Array:
    """Select the entries of the pattern, in its order, from values that broadcast to (*windows, channels, *taps)."""
    windows = layout.windows
    valid = windows.valid().reshape(*windows.out, 1, *windows.kernel)
    full = (*windows.out, layout.channels, *windows.kernel)
    selected: Array = np.broadcast_to(values, full)[np.broadcast_to(valid, full)]
    return selected


def _selected_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of the entries selected for one row, and of the padded argument."""
    layout = _layout(ctx)
    windows = layout.windows
    if not windows.padded:
        return 0
    padded = layout.rows * layout.channels * ctx.attrs["groups"] * prod(windows.wide) if ctx.k else 0
    return (layout.n_entries + padded) * ctx.dtype.itemsize + windows.n_windows * windows.n_taps


def _fill_x(J: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Iterator[Call]:
    layout, groups = _layout_of_groups(ctx), ctx.attrs["groups"]
    ones, W = (1,) * len(layout.windows.out), xs[1].reshape(groups, layout.outputs, layout.channels, *xs[1].shape[2:])
    shape = (layout.rows // ctx.samples // groups, groups, layout.outputs, *ones, layout.channels)

    def weights(tap: Shape) -> Array:
        each = W[last(tap)].reshape(groups, layout.outputs, *ones, -1)
        return np.broadcast_to(each, shape).reshape(-1, *shape[2:])

    return fill_toeplitz(J, ctx, layout, weights)


def _fill_W(J: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Iterator[Call]:
    return fill_kernels(J, xs[0], _layout(ctx), ctx.attrs["groups"])


ARGUMENTS = (
    Argument(
        vjp=vjp_of(_spreading),
        jacobian=Jacobian(
            toeplitz("block diagonal, Toeplitz blocks", _layout_of_groups),
            _values_x,
            _values_x_floor,
            allocates=True,
            scratch=_selected_bytes,
            fill=_fill_x,
        ),
        floor=_floor_of(_spreading),
        residuals=(1,),
        flops=_flops,
        scratch=lambda ctx: _phase_bytes(ctx, 0, 1),
        scratch_once=lambda ctx: _part_bytes(ctx) + _phase_bytes(ctx, 1, 0),
        jvp=_jvp_x,
    ),
    Argument(
        vjp=vjp_of(_gathering),
        jacobian=Jacobian(
            kernels(_layout), _values_W, _values_W_floor, allocates=True, scratch=_selected_bytes, fill=_fill_W
        ),
        floor=_floor_of(_gathering),
        residuals=(0,),
        flops=_flops,
        per_sample_vjp=_vjp_W_each,
        per_sample_floor=_floor_of(_gathering_each),
        per_sample=never,
        scratch=_kernel_bytes,
        scratch_once=lambda ctx: _part_bytes(ctx) + _products_bytes(ctx),
        jvp=_jvp_W,
    ),
)


def _shape(given: Shapes, attrs: Attrs) -> Shape:
    x, W = given
    windows = _windows(x, W, attrs)
    if min(windows.out) < 1:
        raise BadInput(
            f"a kernel {W[2:]} that spans {windows.span} does not fit into {x[2:]} with a padding of {attrs['padding']}"
        )
    return (x[0], W[0], *windows.out)


def _conv(name: str, n_axes: int | None, source: str, example: Any, like: str | None = None) -> Op:
    return Op(
        name=name,
        forward=_forward,
        floor=_floor,
        shape=_shape,
        arguments=ARGUMENTS,
        flops=_flops,
        source=source,
        example=example,
        attrs={"stride": 1, "padding": 0, "dilation": 1, "input_dilation": 1, "groups": 1},
        prepare=partial(_as_steps, n_axes=n_axes),
        scratch=lambda ctx: _part_bytes(ctx) + _phase_bytes(ctx, 1, 1),
        like=like,
    )


OPS = (
    _conv(
        "conv1d",
        1,
        "y[b, o, p] = Σ W[o, c, k] x[b, c, p · stride + k − padding]; Waibel et al., Phoneme Recognition (1989)",
        lambda g, batch=3, size=4: g.conv1d(g.input("x", (batch, 2, size)), g.parameter("W", (2, 2, 3)), padding=1),
    ),
    _conv(
        "conv2d",
        2,
        "the same over two axes; LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998), section II",
        lambda g, batch=3, size=4: g.conv2d(
            g.input("x", (batch, 1, size, size)), g.parameter("W", (2, 1, 3, 3)), padding=1
        ),
    ),
    _conv(
        "conv",
        None,
        "the same over one or two axes, in groups of channels, with zeros between the taps (dilation) or the positions "
        "(input dilation: a transposed convolution); Dumoulin & Visin, A Guide to Convolution Arithmetic (2016)",
        lambda g, batch=3, size=4: g.conv(
            g.input("x", (batch, 2, size)),
            g.parameter("W", (4, 1, 3)),
            padding=((2, 1),),
            dilation=2,
            input_dilation=2,
            groups=2,
        ),
        like="conv2d",
    ),
)
