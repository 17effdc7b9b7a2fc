"""Pooling over the last axis or the last two: the maximum or the mean of each window."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.correlation import by_taps_floor
from jacobench.graphs.errors import BadInput
from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op
from jacobench.graphs.ops.convolution import per_axis
from jacobench.graphs.structures.toeplitz import Layout, fill_toeplitz, toeplitz
from jacobench.graphs.structures.windows import Windows, last, windows_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.calls import Call


def _as_window(attrs: Attrs) -> Attrs:
    given = attrs["window"]
    n_axes = np.size(given)
    if np.ndim(given) > 1 or n_axes not in {1, 2}:
        raise BadInput(f"the window is {given}: expected one length, or two for the last two axes")
    window = per_axis("the window", given, n_axes, 1)
    stride = window if attrs["stride"] is None else per_axis("the stride", attrs["stride"], n_axes, 1)
    return {"window": window, "stride": stride}


def _windows(x: Shape, window: Shape, stride: Shape) -> Windows:
    return windows_over(x[len(x) - len(window) :], window, stride, (0,) * len(window))


def _layout(ctx: ArgumentContext) -> Layout:
    windows = _windows(ctx.x, ctx.attrs["window"], ctx.attrs["stride"])
    return Layout(windows, rows=ctx.n_in // windows.n_positions)


def _shape(given: Shapes, attrs: Attrs) -> Shape:
    (x,), window = given, attrs["window"]
    if len(x) < len(window):
        raise BadInput(f"the argument has shape {x}, the window {window}: expected an axis for each of its lengths")
    out = _windows(x, window, attrs["stride"]).out
    if min(out) < 1:
        raise BadInput(f"a window {window} does not fit into an argument of shape {x}")
    return (*x[: len(x) - len(window)], *out)


def _other_axes(given: Shapes, attrs: Attrs) -> bool:
    """Return whether the argument has an axis that is not pooled."""
    return len(given[0]) > len(attrs["window"])


def _pool(way: str, xp: Any, x: Any, window: Shape, stride: Shape) -> Any:
    windows = _windows(tuple(x.shape), window, stride)
    rows = x.reshape((-1, *windows.lengths))
    return getattr(xp, way)(rows, windows).reshape((*x.shape[: len(x.shape) - len(window)], *windows.out))


def _pool_floor(combine: np.ufunc, xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    windows = _windows(xs[0].shape, attrs["window"], attrs["stride"])
    rows, pooled = xs[0].reshape(-1, *windows.lengths), y.reshape(-1, *windows.out)
    mean: list[Call] = [(np.multiply, (y, y.dtype.type(1 / windows.n_taps), y))] if combine is np.add else []
    return [*by_taps_floor(combine, rows, windows, pooled), *mean]


def hits(x: Array, y: Array, windows: Windows) -> Iterator[tuple[tuple[slice, ...], NDArray[np.bool_]]]:
    """Yield for each tap its positions, and a mask of the windows whose first maximum it is; the mask is overwritten."""
    x, y = x.reshape(-1, *windows.lengths), y.reshape(-1, *windows.out)
    free, hit = np.ones(y.shape, bool), np.empty(y.shape, bool)
    for _, _, positions in windows.taps:
        np.equal(x[last(positions)], y, out=hit)
        hit &= free
        free ^= hit
        yield positions, hit


def _max_back(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Add each cotangent to the position of the maximum."""
    layout = _layout(ctx)
    windows = layout.windows
    g = y_bar.reshape(len(y_bar), layout.rows, *windows.out)
    x_bar = np.zeros((len(y_bar), layout.rows, *windows.lengths), y_bar.dtype)
    for positions, hit in hits(xs[0], y, windows):
        x_bar[last(positions)] += g * hit
    return x_bar.reshape(len(y_bar), *ctx.x)


def hit_calls(x: Array, y: Array, windows: Windows) -> tuple[list[Call], list[NDArray[np.bool_]]]:
    """Return the calls that compute the masks of `hits`, and these masks, one for each tap."""
    x, y = x.reshape(-1, *windows.lengths), y.reshape(-1, *windows.out)
    taken, masks = np.empty(y.shape, bool), []
    calls: list[Call] = []
    for tap, (_, _, positions) in enumerate(windows.taps):
        hit = np.empty(y.shape, bool)
        calls.append((np.equal, (x[last(positions)], y, hit)))
        if tap:
            calls += [(np.greater, (hit, taken, hit)), (np.logical_or, (hit, taken, taken))]
        else:
            calls.append((np.copyto, (taken, hit)))
        masks.append(hit)
    return calls, masks


def _add_to_positions(layout: Layout, x_bar: Array, parts: Sequence[Sequence[Any]]) -> list[Call]:
    """Return the calls that add a product for each tap to its positions in x_bar; windows that touch need no sum."""
    windows = layout.windows
    bars = x_bar.reshape(-1, layout.rows, *windows.lengths)
    apart = all(step >= length for step, length in zip(windows.stride, windows.kernel, strict=True))
    covered = apart and windows.n_windows * windows.n_taps == windows.n_positions
    calls: list[Call] = [] if covered else [(bars.fill, (0,))]
    product = np.empty((len(bars), layout.rows, *windows.out), x_bar.dtype)
    for (_, _, positions), factors in zip(windows.taps, parts, strict=True):
        place = bars[last(positions)]
        if apart:
            calls.append((np.multiply, (*factors, place)))
        else:
            calls += [(np.multiply, (*factors, product)), (np.add, (place, product, place))]
    return calls


def _max_floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    layout = _layout(ctx)
    calls, masks = hit_calls(xs[0], y, layout.windows)
    g = y_bar.reshape(len(y_bar), layout.rows, *layout.windows.out)
    return [*calls, *_add_to_positions(layout, x_bar, [(g, hit) for hit in masks])]


def _mean_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    layout = _layout(ctx)
    g = y_bar.reshape(len(y_bar), layout.rows, *layout.windows.out)
    return _add_to_positions(layout, x_bar, [(g, g.dtype.type(_share(ctx)))] * layout.windows.n_taps)


def _max_values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    layout = _layout(ctx)
    windows = layout.windows
    values = np.empty((layout.rows, *windows.out, windows.n_taps), y.dtype)
    for tap, (_, hit) in enumerate(hits(xs[0], y, windows)):
        values[..., tap] = hit
    return values


def _max_fill(J: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> None:
    layout = _layout(ctx)
    found = hits(xs[0], y, layout.windows)
    shape = (ctx.samples, layout.rows // ctx.samples, 1, *layout.windows.out, 1)
    fill_toeplitz(J, ctx, layout, lambda _tap: next(found)[1].reshape(shape))


def _share(ctx: ArgumentContext) -> float:
    return 1 / _layout(ctx).windows.n_taps


def _mean_back(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    layout = _layout(ctx)
    g = (y_bar * y_bar.dtype.type(_share(ctx))).reshape(len(y_bar), layout.rows, *layout.windows.out)
    x_bar = np.zeros((len(y_bar), layout.rows, *layout.windows.lengths), y_bar.dtype)
    for _, _, positions in layout.windows.taps:
        x_bar[last(positions)] += g
    return x_bar.reshape(len(y_bar), *ctx.x)


def _output_bytes(ctx: ArgumentContext) -> int:
    return ctx.n_out * ctx.dtype.itemsize


def _flops(ctx: ArgumentContext) -> int:
    return ctx.n_out * _layout(ctx).windows.n_taps


OPS = (
    Op(
        name="max_pool",
        forward=partial(_pool, "largest"),
        floor=partial(_pool_floor, np.maximum),
        shape=_shape,
        arguments=(
            Argument(
                vjp=_max_back,
                jacobian=Jacobian(
                    toeplitz("block diagonal, banded blocks", _layout, padded=False),
                    _max_values,
                    allocates=True,
                    flops=_flops,
                    scratch=lambda ctx: 2 * ctx.n_out,
                    fill=_max_fill,
                    fill_scratch=lambda ctx: 2 * ctx.n_out,
                ),
                floor=_max_floor,
                residuals=(OUTPUT, 0),
                flops=lambda ctx: 2 * _flops(ctx),
                per_sample=_other_axes,
                scratch=_output_bytes,
                scratch_once=lambda ctx: 2 * ctx.n_out,
            ),
        ),
        flops=_flops,
        source="the largest of each window over the last axis or two, the first of equals; Ranzato et al., "
        "Unsupervised Learning of Invariant Feature Hierarchies (2007)",
        example=lambda g, batch=3, size=4: g.max_pool(g.input("x", (batch, 2, size)), window=2),
        attrs={"window": (), "stride": None},
        prepare=_as_window,
    ),
    Op(
        name="avg_pool",
        forward=partial(_pool, "average"),
        floor=partial(_pool_floor, np.add),
        shape=_shape,
        arguments=(
            Argument(
                vjp=_mean_back,
                jacobian=Jacobian(
                    toeplitz("block diagonal, Toeplitz blocks", _layout, padded=False),
                    lambda y, _xs, ctx: np.full(1, _share(ctx), y.dtype),
                    fill=lambda J, _y, _xs, ctx: fill_toeplitz(J, ctx, _layout(ctx), lambda _tap: _share(ctx)),
                ),
                floor=_mean_floor,
                flops=lambda ctx: _flops(ctx) + ctx.n_out,
                per_sample=_other_axes,
                scratch=_output_bytes,
            ),
        ),
        flops=lambda ctx: _flops(ctx) + ctx.n_out,
        source="the mean of each window over the last axis or two; LeCun et al., Gradient-Based Learning (1998), section II",
        example=lambda g, batch=3, size=4: g.avg_pool(g.input("x", (batch, 2, size)), window=2),
        attrs={"window": (), "stride": None},
        prepare=_as_window,
    ),
)
