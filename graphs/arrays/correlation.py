"""Cross-correlation and pooling in NumPy. Windows are unfolded for a part of the rows at a time, which limits the memory.

Unfolding copies x once for each tap of the kernel. Here it has two stages: along the last axis, then along the axis before,
where whole images are contiguous. So short rows are copied once for each tap of the last axis only. Microseconds of
`correlate`, `spread` and `gather`, against one stage: 29, 50, 32 and 40, 66, 44 for an image of 64 × 64 and a kernel of
3 × 3; for 512 × 512 1,330, 2,370, 1,500 and 3,140, 4,310, 3,420, because only a band of the image is unfolded at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.calls import run, written
from jacobench.graphs.structures.windows import last

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jacobench.graphs.array_types import Array, Shape
    from jacobench.graphs.calls import Call
    from jacobench.graphs.structures.windows import Phase, Windows

PART_BYTES = 2**20
"""Bytes of windows unfolded at once; at least one row of windows. 256 KiB take up to twice as long, 4 MiB 0 to 15 % less."""


@dataclass(frozen=True)
class Part:
    """A few rows of x, or a band of the windows of one row, with scratch memory for unfolding them. All have two axes.

    - `rows`, `windows`: the rows, and the windows in flat order.
    - `seen`, `inside`: positions along the first axis that the windows cover, and where these are in `lines`; both empty if
      the windows cover only padding.
    - `lines`: scratch (rows, channels, taps of the last axis, positions of the first axis, windows of the last axis).
    - `buffer`: scratch (rows, channels, *kernel, *windows).
    """

    rows: slice
    windows: slice
    seen: slice
    inside: slice
    lines: Array
    buffer: Array

    def matrices(self, groups: int) -> Array:
        """View `buffer` as (rows, groups, channels per group · taps, windows)."""
        return self.buffer.reshape(len(self.buffer), groups, -1, self.windows.stop - self.windows.start)

    def by_tap(self, stride: int, dilation: int) -> Iterator[tuple[Array, Array]]:
        """Yield for each tap of the first axis its part of `lines`, and its part of `buffer`."""
        taps, n_windows = self.buffer.shape[2], self.buffer.shape[4]
        for tap in range(taps):
            first = tap * dilation
            yield self.lines[:, :, :, first : first + (n_windows - 1) * stride + 1 : stride], self.buffer[:, :, tap]


def _steps(n_rows: int, channels: int, windows: Windows, itemsize: int) -> tuple[int, int]:
    """Return how many rows, and how many windows of the first axis, are unfolded at once."""
    each = channels * windows.n_taps * windows.out[1] * itemsize
    return max(1, min(n_rows, PART_BYTES // (each * windows.out[0]))), max(1, min(windows.out[0], PART_BYTES // each))


def _has_two_stages(windows: Windows) -> bool:
    """Return whether `lines` and `buffer` differ."""
    return windows.kernel[0] > 1 or windows.out[0] > 1


def _line_shape(n_rows: int, channels: int, windows: Windows, band: int) -> Shape:
    return n_rows, channels, windows.kernel[1], _covered(band, windows), windows.out[1]


def _covered(band: int, windows: Windows) -> int:
    """Return how many positions a band of windows spans along the first axis."""
    return (band - 1) * windows.stride[0] + windows.span[0]


def part_bytes(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return the bytes of the scratch memory of `parts`; of the phase with the largest, if the input is dilated."""
    return (
        max((_part_size(n_rows, channels, inner, itemsize) for inner in _inner_windows(windows)), default=0) * itemsize
    )


def _part_size(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    rows, band = _steps(n_rows, channels, windows, itemsize)
    buffer = rows * channels * windows.n_taps * band * windows.out[1] if _has_two_stages(windows) else 0
    return prod(_line_shape(rows, channels, windows, band)) + buffer


def product_size(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return the largest number of rows whose products `gathering` sums, times the taps; 0 for one row at a time."""
    inner_windows = _inner_windows(windows)
    rows = [_steps(n_rows, channels, inner, itemsize)[0] for inner in inner_windows]
    return max(
        (n * inner.n_taps for n, inner in zip(rows, inner_windows, strict=True) if n > 1),
        default=0,
    )


def phase_size(n_kernels: int, n_images: int, windows: Windows) -> int:
    """Return the entries of scratch copies of kernels, and of images of the windows, for one phase of a dilated input."""
    return sum(_phase_sizes(n_kernels, n_images, windows.over_two_axes)) if windows.is_spread else 0


def _phase_sizes(n_kernels: int, n_images: int, windows: Windows) -> tuple[int, int]:
    inner = [phase.inner for phase in windows.phases]
    n_taps, n_windows = (max((getattr(each, name) for each in inner), default=0) for name in ("n_taps", "n_windows"))
    return n_kernels * n_taps, n_images * n_windows


def _inner_windows(windows: Windows) -> list[Windows]:
    """Return the windows over two axes that are unfolded one after another."""
    windows = windows.over_two_axes
    return [phase.inner for phase in windows.phases] if windows.is_spread else [windows]


def _by_phase(windows: Windows, W: Array, y: Array) -> Iterator[tuple[Phase, Array, Array]]:
    """Yield each phase with scratch arrays for its taps of W (…, *kernel) and its windows of y (…, *out).

    The phases share the scratch memory.
    """
    n_kernel, n_out = _phase_sizes(prod(W.shape[:-2]), prod(y.shape[:-2]), windows)
    taps, windows_of_y = np.empty(n_kernel, y.dtype), np.empty(n_out, y.dtype)
    for phase in windows.phases:
        kernel, out = (*W.shape[:-2], *phase.inner.kernel), (*y.shape[:-2], *phase.inner.out)
        yield phase, taps[: prod(kernel)].reshape(kernel), windows_of_y[: prod(out)].reshape(out)


def parts(n_rows: int, channels: int, windows: Windows, dtype: np.dtype[np.floating]) -> Iterator[Part]:
    """Yield parts of the rows, for windows over two axes; they share the scratch memory."""
    rows, band = _steps(n_rows, channels, windows, dtype.itemsize)
    width, n_windows, stride = windows.out[1], windows.out[0], windows.stride[0]
    lines = np.zeros(_line_shape(rows, channels, windows, band), dtype)
    memory = np.empty(rows * channels * windows.n_taps * band * width, dtype) if _has_two_stages(windows) else lines
    for start in range(0, n_rows, rows):
        stop = min(n_rows, start + rows)
        for top in range(0, n_windows, band):
            n = min(band, n_windows - top)
            first = top * stride - windows.padding[0][0]
            covered = _covered(n, windows)
            low, high = max(0, first), min(windows.lengths[0], first + covered)
            seen, inside = (
                (slice(low, high), slice(low - first, high - first)) if low < high else (slice(0, 0), slice(0, 0))
            )
            shape = (stop - start, channels, *windows.kernel, n, width)
            yield Part(
                slice(start, stop),
                slice(top * width, (top + n) * width),
                seen,
                inside,
                lines[: stop - start, :, :, :covered],
                memory.reshape(-1)[: prod(shape)].reshape(shape),
            )


def windows_of(x: Array, windows: Windows) -> Array:
    """View x (rows, channels, *lengths), dilated and padded with zeros, as (rows, *out, channels, *kernel)."""
    n = len(windows.out)
    if windows.is_spread or any(map(any, windows.padding)):
        x = _widened(x, windows)
    seen = np.lib.stride_tricks.sliding_window_view(x, windows.span, axis=tuple(range(2, 2 + n)))
    steps = tuple(slice(None, None, step) for step in (*windows.stride, *windows.dilation))
    view: Array = np.moveaxis(seen[(slice(None), slice(None), *steps)], 1, 1 + n)
    return view


def _widened(x: Array, windows: Windows) -> Array:
    wide = np.zeros((*x.shape[:2], *windows.wide), x.dtype)
    axes = zip(windows.padding, windows.input_dilation, windows.lengths, windows.wide, strict=True)
    wide_at, x_at = zip(*(_inside(*axis) for axis in axes), strict=True)
    wide[last(wide_at)] = x[last(x_at)]
    return wide


def _inside(padding: tuple[int, int], step: int, length: int, wide: int) -> tuple[slice, slice]:
    """Return where the positions of an axis are in the wide axis, and which these are; a negative padding crops."""
    before, _ = padding
    first = max(0, -(before // step))
    stop = max(first, min(length, (wide - 1 - before) // step + 1))
    start = before + first * step
    return slice(start, start + (stop - first) * step, step), slice(first, stop)


def _unfolding(x: Array, windows: Windows, part: Part) -> Iterator[Call]:
    """Yield the calls that write the windows of x (rows, channels, *lengths) to the part's buffer."""
    x, lines, inside = x[part.rows, :, part.seen], part.lines, part.inside
    if max(windows.padding[0]) > 0:  # the last part may have left other values there
        yield np.copyto, (lines[:, :, :, : inside.start], 0)
        yield np.copyto, (lines[:, :, :, inside.stop :], 0)
    for tap, (columns, positions) in enumerate(windows.spans[1]):
        yield np.copyto, (lines[:, :, tap, inside, columns], x[..., positions])
    if _has_two_stages(windows):
        for line, copied in part.by_tap(windows.stride[0], windows.dilation[0]):
            yield np.copyto, (copied, line)


def _folding(part: Part, windows: Windows, x_bar: Array) -> Iterator[Call]:
    """Yield the calls that add the part's buffer to the positions that its windows cover in x_bar."""
    x_bar, lines = x_bar[part.rows, :, part.seen], part.lines
    if _has_two_stages(windows):
        yield lines.fill, (0,)
        for line, added in part.by_tap(windows.stride[0], windows.dilation[0]):
            yield np.add, (line, added, line)
    for tap, (columns, positions) in enumerate(windows.spans[1]):
        bars = x_bar[..., positions]
        yield np.add, (bars, lines[:, :, tap, part.inside, columns], bars)


# The rules run the calls of these functions one by one. As a list they are the floors, because outputs are preallocated.
# Channels and outputs are in `groups` of equal size; the outputs of a group see its channels only.


def correlating(x: Array, W: Array, windows: Windows, groups: int, y: Array) -> Iterator[Call]:
    """Yield the calls that write the cross-correlation of x (rows, channels, *lengths) with W (outputs, channels, *kernel)."""
    (x, W, y), windows = _images(windows, x, W, y), windows.over_two_axes
    if not windows.is_spread:
        yield from _correlating(x, W, windows, groups, y)
        return
    yield y.fill, (0,)
    for phase, kernel, part in _by_phase(windows, W, y):
        yield np.copyto, (kernel, W[last(phase.taps)])
        yield from _correlating(x, kernel, phase.inner, groups, part)
        yield np.copyto, (y[last(phase.windows)], part)


def spreading(g: Array, W: Array, windows: Windows, groups: int, x_bar: Array) -> Iterator[Call]:
    """Yield the calls that write the cotangents of x, (rows, channels, *lengths), for g (rows, outputs, *out)."""
    (g, W), windows = _images(windows, g, W), windows.over_two_axes
    x_bar = x_bar.reshape(len(g), groups * W.shape[1], *windows.lengths)
    yield x_bar.fill, (0,)
    if not windows.is_spread:
        yield from _spreading(g, W, windows, groups, x_bar)
        return
    for phase, kernel, part in _by_phase(windows, W, g):
        yield np.copyto, (kernel, W[last(phase.taps)])
        yield np.copyto, (part, g[last(phase.windows)])
        yield from _spreading(part, kernel, phase.inner, groups, x_bar)


def gathering(g: Array, x: Array, windows: Windows, groups: int, W_bar: Array) -> Iterator[Call]:
    """Yield the calls that write the cotangents of the kernel, (S, *W.shape), for g (S, rows, outputs, *out)."""
    return _gathered(_gathering, g, x, windows, groups, W_bar)


def gathering_each(g: Array, x: Array, windows: Windows, groups: int, W_bar: Array) -> Iterator[Call]:
    """Yield the calls that write the same for each row separately, (rows, S, *W.shape)."""
    return _gathered(_gathering_each, g, x, windows, groups, W_bar)


def _gathered(
    calls: Callable[[Array, Array, Windows, int, Array], Iterator[Call]],
    g: Array,
    x: Array,
    windows: Windows,
    groups: int,
    W_bar: Array,
) -> Iterator[Call]:
    (g, x, W_bar), windows = _images(windows, g, x, W_bar), windows.over_two_axes
    if not windows.is_spread:
        yield from calls(g, x, windows, groups, W_bar)
        return
    yield W_bar.fill, (0,)
    for phase, bars, part in _by_phase(windows, W_bar, g):
        yield np.copyto, (part, g[last(phase.windows)])
        yield from calls(part, x, phase.inner, groups, bars)
        yield np.copyto, (W_bar[last(phase.taps)], bars)


def _correlating(x: Array, W: Array, windows: Windows, groups: int, y: Array) -> Iterator[Call]:
    kernel, y = W.reshape(groups, len(W) // groups, -1), y.reshape(len(y), groups, len(W) // groups, -1)
    for part in parts(len(x), x.shape[1], windows, x.dtype):
        yield from _unfolding(x, windows, part)
        yield np.matmul, (kernel, part.matrices(groups), y[part.rows, ..., part.windows])


def _spreading(g: Array, W: Array, windows: Windows, groups: int, x_bar: Array) -> Iterator[Call]:
    """Yield the calls that add to the cotangents of x."""
    flat, kernel = g.reshape(len(g), groups, len(W) // groups, -1), W.reshape(groups, len(W) // groups, -1)
    # One output in each group: 0.26 ms instead of 0.99 for 512 groups of 9 taps and 196 windows.
    multiply = np.multiply if len(W) == groups else np.matmul
    for part in parts(len(x_bar), x_bar.shape[1], windows, g.dtype):
        yield multiply, (kernel.transpose(0, 2, 1), flat[part.rows, ..., part.windows], part.matrices(groups))
        yield from _folding(part, windows, x_bar)


def _gathering(g: Array, x: Array, windows: Windows, groups: int, W_bar: Array) -> Iterator[Call]:
    """Yield the calls of `gathering`.

    The products of several rows are summed afterwards; of fewer rows for several seeds, which limits their memory.
    """
    outputs = g.shape[2] // groups
    flat, W_bar = g.reshape(*g.shape[:2], groups, outputs, -1), W_bar.reshape(len(g), groups, outputs, -1)
    step, total = _steps(len(x), x.shape[1], windows, g.itemsize)[0] // len(g), np.empty_like(W_bar)
    products = np.empty((len(g), step, *W_bar.shape[1:]), g.dtype) if step > 1 else None
    yield W_bar.fill, (0,)
    for part in parts(len(x), x.shape[1], windows, g.dtype):
        yield from _unfolding(x, windows, part)
        seen, given = part.matrices(groups).swapaxes(2, 3), flat[:, part.rows, ..., part.windows]
        for first in range(0, len(seen), max(1, step)):
            if products is None:
                yield np.matmul, (given[:, first], seen[first], total)
            else:
                few = slice(first, first + step)
                some = products[:, : len(seen[few])]
                yield np.matmul, (given[:, few], seen[few], some)
                yield np.add.reduce, (some, 1, None, total)
            yield np.add, (W_bar, total, W_bar)


def _gathering_each(g: Array, x: Array, windows: Windows, groups: int, W_bar: Array) -> Iterator[Call]:
    outputs = g.shape[2] // groups
    flat = g.reshape(*g.shape[:2], groups, outputs, -1).swapaxes(0, 1)
    W_bar = W_bar.reshape(len(x), len(g), groups, outputs, -1)
    for part in parts(len(x), x.shape[1], windows, g.dtype):
        yield from _unfolding(x, windows, part)
        seen = part.matrices(groups).swapaxes(2, 3)[:, None]
        given, bars = flat[part.rows, ..., part.windows], W_bar[part.rows]
        if part.windows.start == 0:
            yield np.matmul, (given, seen, bars)
        else:  # a further band of one row
            product = np.empty_like(bars)
            yield np.matmul, (given, seen, product)
            yield np.add, (bars, product, bars)


def _images(windows: Windows, *arrays: Array) -> Sequence[Array]:
    """Return arrays whose last axes are those of the windows, as views with two such axes."""
    return arrays if len(windows.out) == 2 else [array[..., None, :] for array in arrays]


def correlate(x: Array, W: Array, windows: Windows, groups: int) -> Array:
    """Return the cross-correlation of x (rows, channels, *lengths) with W (outputs, channels per group, *kernel)."""
    y = np.empty((len(x), len(W), *windows.out), x.dtype)
    return written(correlating(x, W, windows, groups, y), y)


def _by_taps(combine: np.ufunc, x: Array, windows: Windows) -> Array:
    if windows.padded:
        y: Array = np.empty((len(x), *windows.out), x.dtype)
        run(by_taps_floor(combine, x, windows, y))
        return y
    (_, _, first), *others = windows.taps
    y = x[last(first)].copy()
    for _, _, positions in others:
        combine(y, x[last(positions)], out=y)
    return y


def largest(x: Array, windows: Windows) -> Array:
    """Return the maximum of each window of x (rows, *lengths), tap by tap, without unfolding."""
    return _by_taps(np.maximum, x, windows)


def window_sums(x: Array, windows: Windows) -> Array:
    """Return the sum of each window of x (rows, *lengths), tap by tap."""
    return _by_taps(np.add, x, windows)


def by_taps_floor(combine: np.ufunc, x: Array, windows: Windows, y: Array) -> list[Call]:
    """Return the calls that combine the entries below all taps and write the result to y (rows, *out)."""
    taps = [(y[last(inside)], x[last(positions)]) for _, inside, positions in windows.taps]
    if windows.padded:
        start: Call = (y.fill, (0.0 if combine is np.add else -np.inf,))
    else:
        start, *taps = (np.copyto, taps[0]), *taps[1:]
    into = [(partial(combine, out=one), (one, seen)) for one, seen in taps]  # np.maximum takes its output by name only
    return [start, *into]
