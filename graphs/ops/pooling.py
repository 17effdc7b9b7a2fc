"""Pooling over the last axis or the last two or three: the maximum, the mean or the sum of each window."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.correlation import by_taps_floor
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.calls import run, zeroed
from jacobench.graphs.errors import BadInput
from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op
from jacobench.graphs.ops.convolution import padding_per_axis, per_axis
from jacobench.graphs.ops.data_movement import take_into
from jacobench.graphs.structures.toeplitz import Layout, fill_toeplitz, toeplitz
from jacobench.graphs.structures.windows import Windows, last, windows_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shape, Shapes
    from jacobench.graphs.calls import Call
    from jacobench.graphs.op import Example
    from jacobench.graphs.structures.windows import Slices


ONES = ((), (1,), (1, 1), (1, 1, 1))
"""Input dilation by number of axes."""


def _as_window(attrs: Attrs, _shapes: Shapes) -> Attrs:
    given = attrs["window"]
    n_axes = np.size(given)
    if np.ndim(given) > 1 or n_axes not in {1, 2, 3}:
        raise BadInput(f"the window is {given}: expected one length, or one for each of the last two or three axes")
    window = per_axis("the window", given, n_axes, 1)
    stride = window if attrs["stride"] is None else per_axis("the stride", attrs["stride"], n_axes, 1)
    dilation = per_axis("the dilation", attrs["dilation"], n_axes, 1)
    padding = padding_per_axis(attrs["padding"], n_axes)
    return {**attrs, "window": window, "stride": stride, "padding": padding, "dilation": dilation}


def _windows(x: Shape, attrs: Attrs) -> Windows:
    window = attrs["window"]
    n_axes = len(window)
    steps = attrs["stride"], attrs["padding"], attrs["dilation"]
    return windows_over(x[len(x) - n_axes :], window, *steps, ONES[n_axes])


def _layout(ctx: ArgumentContext) -> Layout:
    windows = _windows(ctx.x, ctx.attrs)
    return Layout(windows, rows=ctx.n_in // windows.n_positions)


def _shape(given: Shapes, attrs: Attrs) -> Shape:
    (x,), window = given, attrs["window"]
    if len(x) < len(window):
        raise BadInput(f"the argument has shape {x}, the window {window}: expected an axis for each of its lengths")
    windows = _windows(x, attrs)
    if min(windows.out) < 1:
        raise BadInput(
            f"a window {window} that spans {windows.span} does not fit into an argument of shape {x} with a padding of "
            f"{attrs['padding']}"
        )
    return (*x[: len(x) - len(window)], *windows.out)


def _shape_if_covered(given: Shapes, attrs: Attrs) -> Shape:
    """Require that each window covers a position: the maximum, or the mean, of no numbers is not defined."""
    out, windows = _shape(given, attrs), _windows(given[0], attrs)
    if windows.padded and not windows.counts.all():
        raise BadInput(f"a window {attrs['window']} covers only padding: expected less than {attrs['padding']}")
    return out


def _other_axes(given: Shapes, attrs: Attrs) -> bool:
    """Return whether the argument has an axis that is not pooled."""
    return len(given[0]) > len(attrs["window"])


def _pooled(way: str, xp: Any, x: Any, windows: Windows) -> Any:
    rows = x.reshape((-1, *windows.lengths))
    return getattr(xp, way)(rows, windows).reshape((*x.shape[: len(x.shape) - len(windows.out)], *windows.out))


def _largest(xp: Any, x: Any, **attrs: Any) -> Any:
    return _pooled("largest", xp, x, _windows(tuple(x.shape), attrs))


def _pool_floor(combine: np.ufunc, xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    windows = _windows(xs[0].shape, attrs)
    return by_taps_floor(combine, xs[0].reshape(-1, *windows.lengths), windows, y.reshape(-1, *windows.out))


Hit = tuple["Slices", "Slices", "NDArray[np.bool_]", "list[Call]"]


def hits(x: Array, y: Array, windows: Windows) -> Iterator[Hit]:
    """Yield for each tap the windows in which it covers a position, these positions, a mask of these windows, and calls.

    The calls mark in the mask the windows whose first maximum the tap is. All taps share its memory, so the calls of a tap
    must run before the mask is read.
    """
    x, y = x.reshape(-1, *windows.lengths), y.reshape(-1, *windows.out)
    taken, hit = np.empty(y.shape, bool), np.empty(y.shape, bool)
    for tap, (_, inside, positions) in enumerate(windows.taps):
        some_y, some_taken, some_hit = (
            (y, taken, hit) if not windows.padded else (z[last(inside)] for z in (y, taken, hit))
        )
        equal: Call = (np.equal, (x[last(positions)], some_y, some_hit))
        others: list[Call] = [
            (np.greater, (some_hit, some_taken, some_hit)),
            (np.logical_or, (some_hit, some_taken, some_taken)),
        ]
        if tap:
            calls = [equal, *others]
        elif windows.padded:
            calls = [(taken.fill, (False,)), equal, *others]
        else:
            calls = [equal, (np.copyto, (taken, hit))]
        yield inside, positions, some_hit, calls


def _max_back(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Add each cotangent to the position of the maximum."""
    layout = _layout(ctx)
    windows = layout.windows
    g = y_bar.reshape(len(y_bar), layout.rows, *windows.out)
    x_bar = np.zeros((len(y_bar), layout.rows, *windows.lengths), y_bar.dtype)
    for inside, positions, hit, calls in hits(xs[0], y, windows):
        run(calls)
        x_bar[last(positions)] += g[last(inside)] * hit
    return x_bar.reshape(len(y_bar), *ctx.x)


def _max_jvp(x_dot: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Select the tangent at the position of the maximum."""
    layout = _layout(ctx)
    dots = x_dot.reshape(len(x_dot), layout.rows, *layout.windows.lengths)
    y_dot = np.zeros((len(x_dot), layout.rows, *layout.windows.out), x_dot.dtype)
    for inside, positions, hit, calls in hits(xs[0], y, layout.windows):
        run(calls)
        y_dot[last(inside)] += dots[last(positions)] * hit
    return y_dot.reshape(len(x_dot), *ctx.out)


def _to_positions(
    layout: Layout, x_bar: Array, taps: Iterable[tuple[Slices, tuple[Any, Any], list[Call]]]
) -> list[Call]:
    """Return the calls that add the product of two factors for each tap to its positions in x_bar.

    `taps` are positions, factors, and calls before the product. Windows that do not overlap need no sums.
    """
    windows = layout.windows
    bars = x_bar.reshape(-1, layout.rows, *windows.lengths)
    apart = all(step >= length for step, length in zip(windows.stride, windows.span, strict=True))
    covered = apart and windows.n_pairs == windows.n_positions
    memory = np.empty(len(bars) * layout.rows * windows.n_windows, x_bar.dtype)
    calls: list[Call] = [] if covered else [zeroed(x_bar)]
    for positions, factors, before in taps:
        place = bars[last(positions)]
        product = memory[: place.size].reshape(place.shape)
        added: list[Call] = [(np.multiply, (*factors, product)), (np.add, (place, product, place))]
        calls += [*before, *([(np.multiply, (*factors, place))] if apart else added)]
    return calls


def _max_floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    layout = _layout(ctx)
    g = y_bar.reshape(len(y_bar), layout.rows, *layout.windows.out)
    found = hits(xs[0], y, layout.windows)
    return _to_positions(
        layout, x_bar, ((positions, (g[last(inside)], hit), calls) for inside, positions, hit, calls in found)
    )


def _max_values_floor(y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> list[Call]:
    layout = _layout(ctx)
    windows = layout.windows
    if windows.padded:
        every = np.empty((layout.rows, windows.n_windows * windows.n_taps), bool)
        found = np.empty((layout.rows, layout.n_entries), bool)
        valid = np.flatnonzero(windows.valid())
        selected = [*take_into(every, valid, 1, found), (np.copyto, (values.reshape(found.shape), found))]
    else:
        every, selected = values, []
    by_tap = np.moveaxis(every.reshape(-1, *windows.out, windows.n_taps), -1, 0)
    calls: list[Call] = []
    for column, (inside, _, hit, before) in zip(by_tap, hits(xs[0], y, windows), strict=True):
        calls += [*before, (np.copyto, (column[last(inside)], hit))]
    return [*calls, *selected]


def _max_values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    layout = _layout(ctx)
    values = np.empty((layout.rows, 1, layout.n_entries), y.dtype)
    run(_max_values_floor(y, xs, values, ctx))
    return values


def _max_values_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of the masks, and with padding of the entries as booleans and the indices of the valid ones."""
    layout = _layout(ctx)
    windows = layout.windows
    if not windows.padded:
        return 2 * ctx.n_out
    every = windows.n_windows * windows.n_taps
    held = layout.rows * (every + layout.n_entries) + np.dtype(np.intp).itemsize * windows.n_pairs
    return held + max(every, 2 * ctx.n_out)


def _max_fill(J: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Iterator[Call]:
    layout = _layout(ctx)
    found = hits(xs[0], y, layout.windows)
    before: list[Call] = []

    def weights(_tap: Shape) -> NDArray[np.bool_]:
        _, _, hit, before[:] = next(found)
        return hit.reshape(ctx.samples, layout.rows // ctx.samples, 1, *hit.shape[1:], 1)

    for call in fill_toeplitz(J, ctx, layout, weights):
        yield from before
        yield call


# Sums and means: the sum of a window, times a weight.


def _weights(windows: Windows, attrs: Attrs) -> NDArray[np.float64]:
    """Return the weight of each window: one, shape (), or for means of the covered positions one per window, shape `out`."""
    if "count_padding" not in attrs:
        return np.ones(())
    if attrs["count_padding"] or not windows.padded:
        return np.asarray(1 / windows.n_taps)
    return windows.shares


def _sums(xp: Any, x: Any, **attrs: Any) -> Any:
    windows = _windows(tuple(x.shape), attrs)
    y = _pooled("window_sums", xp, x, windows)
    weights = _weights(windows, attrs)
    if weights.ndim:
        y *= xp.constant(weights.astype(str(y.dtype).rpartition(".")[2], copy=False))
    elif "count_padding" in attrs:
        y *= weights.item()  # the sums are the rule's own
    return y


def _sums_floor(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    weights = _weights(_windows(xs[0].shape, attrs), attrs).astype(y.dtype)
    weighted: list[Call] = [(np.multiply, (y, weights, y))] if "count_padding" in attrs else []
    return [*_pool_floor(np.add, xs, y, attrs), *weighted]


def _sums_back(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    layout = _layout(ctx)
    windows = layout.windows
    g = y_bar.reshape(len(y_bar), layout.rows, *windows.out)
    if "count_padding" in ctx.attrs:
        g = g * _weights(windows, ctx.attrs).astype(ctx.dtype, copy=False)
    x_bar = np.zeros((len(y_bar), layout.rows, *windows.lengths), y_bar.dtype)
    for _, inside, positions in windows.taps:
        x_bar[last(positions)] += g[last(inside)]
    return x_bar.reshape(len(y_bar), *ctx.x)


def _sums_back_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    layout = _layout(ctx)
    windows = layout.windows
    g = y_bar.reshape(len(y_bar), layout.rows, *windows.out)
    weights = np.broadcast_to(_weights(windows, ctx.attrs).astype(ctx.dtype, copy=False), windows.out)
    factors = ((positions, (g[last(inside)], weights[inside])) for _, inside, positions in windows.taps)
    return _to_positions(layout, x_bar, ((positions, both, []) for positions, both in factors))


def _sums_values(y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the weights: one, or that of each entry's window."""
    windows = _layout(ctx).windows
    weights = _weights(windows, ctx.attrs).astype(y.dtype, copy=False)
    return np.repeat(weights, windows.counts.reshape(-1)) if weights.ndim else weights.reshape(1)


def _sums_values_floor(y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> list[Call]:
    return [] if values.size == 1 else [(np.copyto, (values, _sums_values(y, xs, ctx)))]


def _sums_fill(J: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Iterator[Call]:
    layout = _layout(ctx)
    weights = np.broadcast_to(_weights(layout.windows, ctx.attrs), layout.windows.out)
    inside = {tap: windows for tap, windows, _ in layout.windows.taps}
    return fill_toeplitz(J, ctx, layout, lambda tap: weights[inside[tap]][..., None])


def _sums_jvp(x_dot: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    y_dot: Array = _sums(NUMPY, x_dot, **ctx.attrs)
    return y_dot


def _output_bytes(ctx: ArgumentContext) -> int:
    return ctx.n_out * ctx.dtype.itemsize


def _flops(ctx: ArgumentContext) -> int:
    return ctx.n_out * _layout(ctx).windows.n_taps


def _sums_flops(ctx: ArgumentContext) -> int:
    return _flops(ctx) + ctx.n_out * ("count_padding" in ctx.attrs)


def _weights_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of a copy of the weights: they are stored in float64."""
    weights = _weights(_layout(ctx).windows, ctx.attrs)
    return 0 if ctx.dtype == weights.dtype else weights.size * ctx.dtype.itemsize


def _entries_bytes(ctx: ArgumentContext) -> int:
    """Return the bytes of the weights of all entries of one row, if they differ."""
    windows = _layout(ctx).windows
    if not _weights(windows, ctx.attrs).ndim:
        return 0
    return windows.n_pairs * ctx.dtype.itemsize


WINDOW = {"window": (), "stride": None, "padding": 0, "dilation": 1}


def _of_sums(name: str, shape: Callable[[Shapes, Attrs], Shape], source: str, attrs: Attrs, example: Example) -> Op:
    """Return the op of weighted sums."""
    return Op(
        name=name,
        forward=_sums,
        floor=_sums_floor,
        shape=shape,
        arguments=(
            Argument(
                vjp=_sums_back,
                jacobian=Jacobian(
                    toeplitz("block diagonal, Toeplitz blocks", _layout),
                    _sums_values,
                    _sums_values_floor,
                    scratch=_entries_bytes,
                    fill=_sums_fill,
                ),
                floor=_sums_back_floor,
                flops=_sums_flops,
                per_sample=_other_axes,
                scratch=lambda ctx: _output_bytes(ctx) * ("count_padding" in ctx.attrs),
                scratch_once=_weights_bytes,
                jvp=_sums_jvp,
            ),
        ),
        flops=_sums_flops,
        scratch=_weights_bytes,
        source=source,
        example=example,
        attrs={**WINDOW, **attrs},
        prepare=_as_window,
        like=None if name == "avg_pool" else "avg_pool",
    )


OPS = (
    Op(
        name="max_pool",
        forward=_largest,
        floor=partial(_pool_floor, np.maximum),
        shape=_shape_if_covered,
        arguments=(
            Argument(
                vjp=_max_back,
                jacobian=Jacobian(
                    toeplitz("block diagonal, banded blocks", _layout),
                    _max_values,
                    _max_values_floor,
                    allocates=True,
                    flops=_flops,
                    scratch=_max_values_bytes,
                    fill=_max_fill,
                    fill_scratch=lambda ctx: 2 * ctx.n_out,
                ),
                floor=_max_floor,
                residuals=(OUTPUT, 0),
                flops=lambda ctx: 2 * _flops(ctx),
                per_sample=_other_axes,
                scratch=_output_bytes,
                scratch_once=lambda ctx: 2 * ctx.n_out,
                jvp=_max_jvp,
            ),
        ),
        flops=_flops,
        source="the largest of each window over the last axis, two or three, the first of equals; Ranzato et al., "
        "Unsupervised Learning of Invariant Feature Hierarchies (2007)",
        example=lambda g, batch=3, size=4: g.max_pool(g.input("x", (batch, 2, size)), window=2),
        attrs=WINDOW,
        prepare=_as_window,
    ),
    _of_sums(
        "avg_pool",
        _shape_if_covered,
        "the mean of each window over the last axis, two or three, with or without the zeros of the padding; LeCun et al., "
        "Gradient-Based Learning (1998), section II",
        {"count_padding": True},
        lambda g, batch=3, size=4: g.avg_pool(g.input("x", (batch, 2, size)), window=2),
    ),
    _of_sums(
        "sum_pool",
        _shape,
        "the sum of each window over the last axis, two or three; Abadi et al., TensorFlow (2016)",
        {},
        lambda g, batch=3, size=4: g.sum_pool(g.input("x", (batch, 2, size)), window=3, stride=1, padding=1),
    ),
)
