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

from jacobench.graphs.calls import written
from jacobench.graphs.structures.windows import last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.graphs.array_types import Array, Shape
    from jacobench.graphs.calls import Call
    from jacobench.graphs.structures.windows import Windows

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

    def matrices(self) -> Array:
        """View `buffer` as (rows, channels · taps, windows)."""
        return self.buffer.reshape(len(self.buffer), -1, self.windows.stop - self.windows.start)

    def by_tap(self, stride: int) -> Iterator[tuple[Array, Array]]:
        """Yield for each tap of the first axis its part of `lines`, and its part of `buffer`."""
        taps, n_windows = self.buffer.shape[2], self.buffer.shape[4]
        for tap in range(taps):
            yield self.lines[:, :, :, tap : tap + (n_windows - 1) * stride + 1 : stride], self.buffer[:, :, tap]


def _steps(n_rows: int, channels: int, windows: Windows, itemsize: int) -> tuple[int, int]:
    """Return how many rows, and how many windows of the first axis, are unfolded at once."""
    each = channels * windows.n_taps * windows.out[1] * itemsize
    return max(1, min(n_rows, PART_BYTES // (each * windows.out[0]))), max(1, min(windows.out[0], PART_BYTES // each))


def _has_two_stages(windows: Windows) -> bool:
    """Return whether `lines` and `buffer` differ."""
    return windows.kernel[0] > 1 or windows.out[0] > 1


def _line_shape(n_rows: int, channels: int, windows: Windows, band: int) -> Shape:
    covered = (band - 1) * windows.stride[0] + windows.kernel[0]
    return n_rows, channels, windows.kernel[1], covered, windows.out[1]


def part_bytes(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return the bytes of the scratch memory of `parts`."""
    windows = windows.over_two_axes
    rows, band = _steps(n_rows, channels, windows, itemsize)
    buffer = rows * channels * windows.n_taps * band * windows.out[1] if _has_two_stages(windows) else 0
    return (prod(_line_shape(rows, channels, windows, band)) + buffer) * itemsize


def rows_at_once(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return the number of rows that are unfolded at once."""
    return _steps(n_rows, channels, windows.over_two_axes, itemsize)[0]


def parts(n_rows: int, channels: int, windows: Windows, dtype: np.dtype[np.floating]) -> Iterator[Part]:
    """Yield parts of the rows; they share the scratch memory."""
    windows = windows.over_two_axes
    rows, band = _steps(n_rows, channels, windows, dtype.itemsize)
    width, n_windows, stride = windows.out[1], windows.out[0], windows.stride[0]
    lines = np.zeros(_line_shape(rows, channels, windows, band), dtype)
    memory = np.empty(rows * channels * windows.n_taps * band * width, dtype) if _has_two_stages(windows) else lines
    for start in range(0, n_rows, rows):
        stop = min(n_rows, start + rows)
        for top in range(0, n_windows, band):
            n = min(band, n_windows - top)
            first = top * stride - windows.padding[0]
            covered = (n - 1) * stride + windows.kernel[0]
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
    """View x (rows, channels, *lengths), padded with zeros, as (rows, *out, channels, *kernel)."""
    n = len(windows.out)
    if windows.padded:
        x = np.pad(x, [(0, 0), (0, 0), *((width, width) for width in windows.padding)])
    seen = np.lib.stride_tricks.sliding_window_view(x, windows.kernel, axis=tuple(range(2, 2 + n)))
    steps = tuple(slice(None, None, step) for step in windows.stride)
    view: Array = np.moveaxis(seen[(slice(None), slice(None), *steps)], 1, 1 + n)
    return view


def _unfolding(x: Array, windows: Windows, part: Part) -> Iterator[Call]:
    """Yield the calls that write the windows of x (rows, channels, *lengths) to the part's buffer."""
    x, lines, inside = x[part.rows, :, part.seen], part.lines, part.inside
    if windows.padding[0]:  # the last part may have left other values there
        yield np.copyto, (lines[:, :, :, : inside.start], 0)
        yield np.copyto, (lines[:, :, :, inside.stop :], 0)
    for tap, (columns, positions) in enumerate(windows.spans[1]):
        yield np.copyto, (lines[:, :, tap, inside, columns], x[..., positions])
    if _has_two_stages(windows):
        for line, copied in part.by_tap(windows.stride[0]):
            yield np.copyto, (copied, line)


def _folding(part: Part, windows: Windows, x_bar: Array) -> Iterator[Call]:
    """Yield the calls that add the part's buffer to the positions that its windows cover in x_bar."""
    x_bar, lines = x_bar[part.rows, :, part.seen], part.lines
    if _has_two_stages(windows):
        yield lines.fill, (0,)
        for line, added in part.by_tap(windows.stride[0]):
            yield np.add, (line, added, line)
    for tap, (columns, positions) in enumerate(windows.spans[1]):
        bars = x_bar[..., positions]
        yield np.add, (bars, lines[:, :, tap, part.inside, columns], bars)


# The rules run the calls of these functions one by one. As a list they are the floors, because outputs are preallocated.


def correlating(x: Array, W: Array, windows: Windows, y: Array) -> Iterator[Call]:
    """Yield the calls that write the cross-correlation of x (rows, channels, *lengths) with W (outputs, channels, *kernel)."""
    windows = windows.over_two_axes
    rows, channels = x.shape[:2]
    x, kernel, y = x.reshape(rows, channels, *windows.lengths), W.reshape(len(W), -1), y.reshape(rows, len(W), -1)
    for part in parts(rows, channels, windows, x.dtype):
        yield from _unfolding(x, windows, part)
        yield np.matmul, (kernel, part.matrices(), y[part.rows, :, part.windows])


def spreading(g: Array, W: Array, windows: Windows, x_bar: Array) -> Iterator[Call]:
    """Yield the calls that write the cotangents of x, (rows, channels, *lengths), for g (rows, outputs, *out)."""
    windows = windows.over_two_axes
    rows, channels = len(g), W.shape[1]
    flat, kernel = g.reshape(rows, len(W), -1), W.reshape(len(W), -1).T
    x_bar = x_bar.reshape(rows, channels, *windows.lengths)
    yield x_bar.fill, (0,)
    for part in parts(rows, channels, windows, g.dtype):
        yield np.matmul, (kernel, flat[part.rows, :, part.windows], part.matrices())
        yield from _folding(part, windows, x_bar)


def gathering(g: Array, x: Array, windows: Windows, W_bar: Array) -> Iterator[Call]:
    """Yield the calls that write the cotangents of the kernel, (S, *W.shape), for g (S, rows, outputs, *out).

    The products of several rows are summed afterwards; of fewer rows for several seeds, which limits their memory.
    """
    windows = windows.over_two_axes
    rows, channels = x.shape[:2]
    x, flat, W_bar = x.reshape(rows, channels, *windows.lengths), _flat(g), W_bar.reshape(len(g), g.shape[2], -1)
    step = max(1, rows_at_once(rows, channels, windows, g.itemsize) // len(g))
    products, total = np.empty((len(g), step, *W_bar.shape[1:]), g.dtype), np.empty_like(W_bar)
    yield W_bar.fill, (0,)
    for part in parts(rows, channels, windows, g.dtype):
        yield from _unfolding(x, windows, part)
        seen, given = part.matrices().transpose(0, 2, 1), flat[:, part.rows, :, part.windows]
        for start in range(0, len(seen), step):
            few = slice(start, start + step)
            some = products[:, : len(seen[few])]
            yield np.matmul, (given[:, few], seen[few], some)
            yield np.add.reduce, (some, 1, None, total)
            yield np.add, (W_bar, total, W_bar)


def gathering_each(g: Array, x: Array, windows: Windows, W_bar: Array) -> Iterator[Call]:
    """Yield the calls that write the same for each row separately, (rows, S, *W.shape)."""
    windows = windows.over_two_axes
    rows, channels = x.shape[:2]
    x, flat = x.reshape(rows, channels, *windows.lengths), _flat(g).transpose(1, 0, 2, 3)
    W_bar = W_bar.reshape(rows, len(g), g.shape[2], -1)
    for part in parts(rows, channels, windows, g.dtype):
        yield from _unfolding(x, windows, part)
        seen = part.matrices().transpose(0, 2, 1)[:, None]
        given, bars = flat[part.rows, ..., part.windows], W_bar[part.rows]
        if part.windows.start == 0:
            yield np.matmul, (given, seen, bars)
        else:  # a further band of one row
            product = np.empty_like(bars)
            yield np.matmul, (given, seen, product)
            yield np.add, (bars, product, bars)


def _flat(g: Array) -> Array:
    """View g (S, rows, outputs, *out) as (S, rows, outputs, windows)."""
    return g.reshape(*g.shape[:3], -1)


def correlate(x: Array, W: Array, windows: Windows) -> Array:
    """Return the cross-correlation of x (rows, channels, *lengths) with W (outputs, channels, *kernel)."""
    y = np.empty((len(x), len(W), *windows.out), x.dtype)
    return written(correlating(x, W, windows, y), y)


def _by_taps(combine: np.ufunc, x: Array, windows: Windows) -> Array:
    (_, _, first), *others = windows.taps
    y: Array = x[last(first)].copy()
    for _, _, positions in others:
        combine(y, x[last(positions)], out=y)
    return y


def largest(x: Array, windows: Windows) -> Array:
    """Return the maximum of each window of x (rows, *lengths), tap by tap, without unfolding."""
    return _by_taps(np.maximum, x, windows)


def average(x: Array, windows: Windows) -> Array:
    """Return the mean of each window of x (rows, *lengths), tap by tap."""
    y = _by_taps(np.add, x, windows)
    y /= windows.n_taps
    return y


def by_taps_floor(combine: np.ufunc, x: Array, windows: Windows, y: Array) -> list[Call]:
    """Return the calls that combine the entries below all taps and write the result to y (rows, *out)."""
    (_, _, first), *others = windows.taps
    into = partial(combine, out=y)  # np.maximum takes its output by name only
    combined: list[Call] = [(into, (y, x[last(positions)])) for _, _, positions in others]
    return [(np.copyto, (y, x[last(first)])), *combined]
