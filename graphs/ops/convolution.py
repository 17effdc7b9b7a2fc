"""Convolutions over one and two axes: cross-correlations of all channels, without a bias."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays import correlation
from jacobench.graphs.calls import Fastest, vjp_of, written
from jacobench.graphs.errors import BadInput, whole_number, whole_numbers
from jacobench.graphs.op import Argument, Jacobian, Op, arrays, never
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.data_movement import take_into
from jacobench.graphs.structures.toeplitz import Layout, fill_kernels, fill_toeplitz, kernels, toeplitz
from jacobench.graphs.structures.windows import Windows, last, windows_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.calls import Call, Calls
    from jacobench.graphs.op import VjpFloor


def per_axis(what: str, given: Any, n_axes: int, least: int) -> tuple[int, ...]:
    """Return one number per axis from one number or one per axis; BadInput if one is below `least` or the count is wrong."""
    numbers = (whole_number(what, given),) * n_axes if np.ndim(given) == 0 else whole_numbers(what, given)
    if len(numbers) != n_axes or min(numbers) < least:
        raise BadInput(f"{what} is {given}: expected one number for each of {n_axes} axes, each {least} or more")
    return numbers


def _as_steps(attrs: Attrs, _shapes: Shapes, n_axes: int) -> Attrs:
    return {
        "stride": per_axis("the stride", attrs["stride"], n_axes, 1),
        "padding": per_axis("the padding", attrs["padding"], n_axes, 0),
    }


def _windows(x: Shape, W: Shape, attrs: Attrs) -> Windows:
    return windows_over(x[2:], W[2:], attrs["stride"], attrs["padding"])


def _layout(ctx: ArgumentContext) -> Layout:
    x, W = ctx.shapes
    return Layout(_windows(x, W, ctx.attrs), rows=x[0], outputs=W[0], channels=W[1])


def _forward(xp: Any, x: Any, W: Any, stride: Shape, padding: Shape) -> Any:
    return xp.correlate(x, W, windows_over(tuple(x.shape[2:]), tuple(W.shape[2:]), stride, padding))


def _flops(ctx: ArgumentContext) -> int:
    return 2 * ctx.n_out * prod(ctx.shapes[1][1:])


def _part_bytes(ctx: ArgumentContext) -> int:
    layout = _layout(ctx)
    return correlation.part_bytes(layout.rows, layout.channels, layout.windows, ctx.dtype.itemsize)


def _products_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of the kernel's cotangents for each row of a part."""
    layout = _layout(ctx)
    rows = correlation.rows_at_once(layout.rows, layout.channels, layout.windows, ctx.dtype.itemsize)
    return rows * ctx.n_in * ctx.dtype.itemsize


def _floor(xs: Arrays, y: Array, attrs: Attrs) -> Calls:
    x, W = xs
    return list(correlation.correlating(x, W, _windows(x.shape, W.shape, attrs), y))


def _spreading(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Iterator[Call]:
    return correlation.spreading(y_bar.reshape(-1, *ctx.out[1:]), xs[1], _layout(ctx).windows, x_bar)


def _gathering(y_bar: Array, _y: Array, xs: Arrays, W_bar: Array, ctx: ArgumentContext) -> Iterator[Call]:
    return correlation.gathering(y_bar, xs[0], _layout(ctx).windows, W_bar)


def _gathering_each(y_bar: Array, _y: Array, xs: Arrays, W_bar: Array, ctx: ArgumentContext) -> Iterator[Call]:
    return correlation.gathering_each(y_bar, xs[0], _layout(ctx).windows, W_bar)


def _floor_of(calls: Callable[..., Iterator[Call]]) -> VjpFloor:
    return lambda *given: list(calls(*given))


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
    seen = correlation.windows_of(xs[0], layout.windows)
    if layout.windows.padded:
        for row, stored in zip(seen, values, strict=True):
            stored[...] = _select_valid(row, layout)
    else:
        values.reshape(layout.rows, layout.outputs, *seen.shape[1:])[...] = seen[:, None]
    return values


def _values_x_floor(_y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> Calls:
    layout = _layout(ctx)
    windows = layout.windows
    taken = take_into(xs[1].reshape(layout.outputs, -1), layout.flat(by_kernel=True, dtype=np.intp), 1, values[0])
    repeated: list[Call] = [*taken, (np.copyto, (values[1:], values[:1]))]
    if windows.padded:
        return repeated
    kernel = xs[1].reshape(layout.outputs, *(1,) * len(windows.out), *xs[1].shape[1:])
    whole = values.reshape(layout.rows, layout.outputs, *windows.out, *xs[1].shape[1:])
    return [Fastest((repeated, [(np.copyto, (whole, kernel))]))]


def _values_W_floor(_y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> Calls:
    layout = _layout(ctx)
    seen = np.empty((layout.rows, layout.n_entries), ctx.dtype)
    taken = take_into(xs[0].reshape(layout.rows, -1), layout.flat(by_kernel=False, dtype=np.intp), 1, seen)
    repeated: list[Call] = [*taken, (np.copyto, (values, seen[:, None]))]
    if layout.windows.padded:
        return repeated
    view = correlation.windows_of(xs[0], layout.windows)
    whole = values.reshape(layout.rows, layout.outputs, *view.shape[1:])
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
    wide = prod(length + 2 * n for length, n in zip(windows.lengths, windows.padding, strict=True))
    padded = layout.rows * layout.channels * wide if ctx.k else 0
    return (layout.n_entries + padded) * ctx.dtype.itemsize + windows.n_windows * windows.n_taps


def _fill_x(J: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Iterator[Call]:
    layout = _layout(ctx)
    ones = (1,) * len(layout.windows.out)
    return fill_toeplitz(J, ctx, layout, lambda tap: xs[1][last(tap)].reshape(len(xs[1]), *ones, -1))


def _fill_W(J: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Iterator[Call]:
    return fill_kernels(J, xs[0], _layout(ctx))


ARGUMENTS = (
    Argument(
        vjp=vjp_of(_spreading),
        jacobian=Jacobian(
            toeplitz("block diagonal, Toeplitz blocks", _layout, padded=True),
            _values_x,
            _values_x_floor,
            allocates=True,
            scratch=_selected_bytes,
            fill=_fill_x,
        ),
        floor=_floor_of(_spreading),
        residuals=(1,),
        flops=_flops,
        scratch_once=_part_bytes,
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
        scratch=arrays(2),
        scratch_once=lambda ctx: _part_bytes(ctx) + _products_bytes(ctx),
    ),
)


def _shape(given: Shapes, attrs: Attrs, n_axes: int) -> Shape:
    x, W = shapes.convolution(given, n_axes)
    out = _windows(x, W, attrs).out
    if min(out) < 1:
        raise BadInput(f"a kernel {W[2:]} does not fit into {x[2:]} with a padding of {attrs['padding']}")
    return (x[0], W[0], *out)


def _conv(n_axes: int, source: str, example: Any) -> Op:
    return Op(
        name=f"conv{n_axes}d",
        forward=_forward,
        floor=_floor,
        shape=partial(_shape, n_axes=n_axes),
        arguments=ARGUMENTS,
        flops=_flops,
        source=source,
        example=example,
        attrs={"stride": 1, "padding": 0},
        prepare=partial(_as_steps, n_axes=n_axes),
        scratch=_part_bytes,
    )


OPS = (
    _conv(
        1,
        "y[b, o, p] = Σ W[o, c, k] x[b, c, p · stride + k − padding]; Waibel et al., Phoneme Recognition (1989)",
        lambda g, batch=3, size=4: g.conv1d(g.input("x", (batch, 2, size)), g.parameter("W", (2, 2, 3)), padding=1),
    ),
    _conv(
        2,
        "the same over two axes; LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998), section II",
        lambda g, batch=3, size=4: g.conv2d(
            g.input("x", (batch, 1, size, size)), g.parameter("W", (2, 1, 3, 3)), padding=1
        ),
    ),
)
