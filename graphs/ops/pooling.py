"""Pooling over the last axis or the last two: the maximum or the mean of each window."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.correlation import by_taps_floor
from jacobench.graphs.calls import run, zeroed
from jacobench.graphs.errors import BadInput
from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op
from jacobench.graphs.ops.convolution import per_axis
from jacobench.graphs.structures.toeplitz import Layout, fill_toeplitz, toeplitz
from jacobench.graphs.structures.windows import Windows, last, windows_over

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.calls import Call
    from jacobench.graphs.structures.windows import Slices


def _as_window(attrs: Attrs, _shapes: Shapes) -> Attrs:
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


def hits(x: Array, y: Array, windows: Windows) -> Iterator[tuple[Slices, NDArray[np.bool_], list[Call]]]:
    """Yield for each tap its positions, a mask, and calls that mark in it the windows whose first maximum the tap is.

    All taps share one mask, so the calls of a tap must run before the mask is read.
    """
    x, y = x.reshape(-1, *windows.lengths), y.reshape(-1, *windows.out)
    taken, hit = np.empty(y.shape, bool), np.empty(y.shape, bool)
    for tap, (_, _, positions) in enumerate(windows.taps):
        equal: Call = (np.equal, (x[last(positions)], y, hit))
        others: list[Call] = [(np.greater, (hit, taken, hit)), (np.logical_or, (hit, taken, taken))]
        yield positions, hit, [equal, *others] if tap else [equal, (np.copyto, (taken, hit))]


def _max_back(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Add each cotangent to the position of the maximum."""
    layout = _layout(ctx)
    windows = layout.windows
    g = y_bar.reshape(len(y_bar), layout.rows, *windows.out)
    x_bar = np.zeros((len(y_bar), layout.rows, *windows.lengths), y_bar.dtype)
    for positions, hit, calls in hits(xs[0], y, windows):
        run(calls)
        x_bar[last(positions)] += g * hit
    return x_bar.reshape(len(y_bar), *ctx.x)


def _to_positions(
    layout: Layout, x_bar: Array, taps: Iterable[tuple[Slices, tuple[Any, Any], list[Call]]]
) -> list[Call]:
    """Return the calls that add the product of two factors for each tap to its positions in x_bar.

    `taps` are positions, factors, and calls before the product. Windows that do not overlap need no sums.
    """
    windows = layout.windows
    bars = x_bar.reshape(-1, layout.rows, *windows.lengths)
    apart = all(step >= length for step, length in zip(windows.stride, windows.kernel, strict=True))
    covered = apart and windows.n_windows * windows.n_taps == windows.n_positions
    product = np.empty((len(bars), layout.rows, *windows.out), x_bar.dtype)
    calls: list[Call] = [] if covered else [zeroed(x_bar)]
    for positions, factors, before in taps:
        place = bars[last(positions)]
        added: list[Call] = [(np.multiply, (*factors, product)), (np.add, (place, product, place))]
        calls += [*before, *([(np.multiply, (*factors, place))] if apart else added)]
    return calls


def _max_floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    layout = _layout(ctx)
    g = y_bar.reshape(len(y_bar), layout.rows, *layout.windows.out)
    taps = ((positions, (g, hit), calls) for positions, hit, calls in hits(xs[0], y, layout.windows))
    return _to_positions(layout, x_bar, taps)


def _mean_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    layout = _layout(ctx)
    g = y_bar.reshape(len(y_bar), layout.rows, *layout.windows.out)
    share = np.asarray(_share(ctx), g.dtype)
    return _to_positions(layout, x_bar, ((positions, (g, share), []) for _, _, positions in layout.windows.taps))


def _max_values_floor(y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> list[Call]:
    windows = _layout(ctx).windows
    by_tap = np.moveaxis(values.reshape(-1, *windows.out, windows.n_taps), -1, 0)
    found = zip(by_tap, hits(xs[0], y, windows), strict=True)
    return [call for column, (_, hit, calls) in found for call in (*calls, (np.copyto, (column, hit)))]


def _max_values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    layout = _layout(ctx)
    values = np.empty((layout.rows, *layout.windows.out, layout.windows.n_taps), y.dtype)
    run(_max_values_floor(y, xs, values, ctx))
    return values


def _max_fill(J: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Iterator[Call]:
    layout = _layout(ctx)
    found = hits(xs[0], y, layout.windows)
    shape = (ctx.samples, layout.rows // ctx.samples, 1, *layout.windows.out, 1)
    before: list[Call] = []

    def weights(_tap: Shape) -> NDArray[np.bool_]:
        _, hit, before[:] = next(found)
        return hit.reshape(shape)

    for call in fill_toeplitz(J, ctx, layout, weights):
        yield from before
        yield call


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
                    _max_values_floor,
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
