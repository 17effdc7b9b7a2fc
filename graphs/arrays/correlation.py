"""Cross-correlation and pooling in NumPy. Windows are unfolded for a few rows at a time, which limits the memory."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.structures.windows import last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.calls import Call
    from jacobench.graphs.structures.windows import Windows

PART_BYTES = 2**20
"""Bytes of windows unfolded at once; at least one row. With 256 KiB, 1 MiB and 4 MiB, LeNet-5's first layer at batch 32 took
3.3, 0.9 and 0.5 ms, its kernel's cotangents 3.6, 1.2 and 0.7. Layers of 32 channels do not depend on it."""


def rows_at_once(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return the number of rows whose windows are unfolded at once."""
    return max(1, min(n_rows, PART_BYTES // (channels * windows.n_taps * windows.n_windows * itemsize)))


def part_bytes(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return the bytes of the windows unfolded at once."""
    rows = rows_at_once(n_rows, channels, windows, itemsize)
    return rows * channels * windows.n_taps * windows.n_windows * itemsize


def parts(n_rows: int, channels: int, windows: Windows, dtype: np.dtype[np.floating]) -> Iterator[tuple[slice, Array]]:
    """Yield a few rows at a time, with one buffer for their windows, (rows, channels, *kernel, *out)."""
    step = rows_at_once(n_rows, channels, windows, dtype.itemsize)
    allocate = np.zeros if windows.padded else np.empty
    buffer = allocate((step, channels, *windows.kernel, *windows.out), dtype)
    for start in range(0, n_rows, step):
        rows = slice(start, min(n_rows, start + step))
        yield rows, buffer[: rows.stop - start]


def windows_of(x: Array, windows: Windows) -> Array:
    """View x (rows, channels, *lengths), padded with zeros, as (rows, *out, channels, *kernel)."""
    n = len(windows.out)
    if windows.padded:
        x = np.pad(x, [(0, 0), (0, 0), *((width, width) for width in windows.padding)])
    seen = np.lib.stride_tricks.sliding_window_view(x, windows.kernel, axis=tuple(range(2, 2 + n)))
    steps = tuple(slice(None, None, step) for step in windows.stride)
    view: Array = np.moveaxis(seen[(slice(None), slice(None), *steps)], 1, 1 + n)
    return view


def unfold(x: Array, windows: Windows, buffer: Array) -> Array:
    """Write the windows of x (rows, channels, *lengths) to `buffer`; return a view of it, (rows, channels · taps, windows)."""
    for tap, inside, positions in windows.taps():
        buffer[last((*tap, *inside))] = x[last(positions)]
    return buffer.reshape(len(buffer), -1, windows.n_windows)


def unfolding(x: Array, windows: Windows, buffer: Array) -> list[Call]:
    """Return the calls of `unfold`."""
    return [(np.copyto, (buffer[last((*tap, *inside))], x[last(places)])) for tap, inside, places in windows.taps()]


def correlate(x: Array, W: Array, windows: Windows) -> Array:
    """Return the cross-correlation of x (rows, channels, *lengths) with W (outputs, channels, *kernel)."""
    rows, channels = x.shape[:2]
    y = np.empty((rows, len(W), windows.n_windows), x.dtype)
    for part, buffer in parts(rows, channels, windows, x.dtype):
        np.matmul(W.reshape(len(W), -1), unfold(x[part], windows, buffer), out=y[part])
    return y.reshape(rows, len(W), *windows.out)


def correlate_floor(x: Array, W: Array, windows: Windows, y: Array) -> list[Call]:
    """Return the calls that write the result of `correlate` to y, in C order."""
    rows, channels = x.shape[:2]
    flat, kernel = y.reshape(rows, len(W), -1), W.reshape(len(W), -1)
    calls: list[Call] = []
    for part, buffer in parts(rows, channels, windows, x.dtype):
        seen = buffer.reshape(len(buffer), -1, windows.n_windows)
        calls += [*unfolding(x[part], windows, buffer), (np.matmul, (kernel, seen, flat[part]))]
    return calls


def spread(g: Array, W: Array, windows: Windows) -> Array:
    """Return the cotangents of x, (rows, channels, *lengths), for g (rows, outputs, *out)."""
    rows, channels = len(g), W.shape[1]
    flat = g.reshape(rows, len(W), -1)
    x_bar = np.zeros((rows, channels, *windows.lengths), g.dtype)
    for part, buffer in parts(rows, channels, windows, g.dtype):
        np.matmul(W.reshape(len(W), -1).T, flat[part], out=buffer.reshape(len(buffer), -1, windows.n_windows))
        bars = x_bar[part]
        for tap, inside, positions in windows.taps():
            bars[last(positions)] += buffer[last((*tap, *inside))]
    return x_bar


def spread_floor(g: Array, W: Array, windows: Windows, x_bar: Array) -> list[Call]:
    """Return the calls that write the result of `spread` to x_bar."""
    rows, channels = len(g), W.shape[1]
    flat, kernel = g.reshape(rows, len(W), -1), W.reshape(len(W), -1).T
    calls: list[Call] = [(x_bar.fill, (0,))]
    for part, buffer in parts(rows, channels, windows, g.dtype):
        calls.append((np.matmul, (kernel, flat[part], buffer.reshape(len(buffer), -1, windows.n_windows))))
        for tap, inside, positions in windows.taps():
            bars = x_bar[part][last(positions)]
            calls.append((np.add, (bars, buffer[last((*tap, *inside))], bars)))
    return calls


def gather(g: Array, x: Array, windows: Windows) -> Array:
    """Return the cotangents of the kernel, (S, outputs, channels · taps), for g (S, rows, outputs, *out)."""
    rows, channels = x.shape[:2]
    flat = g.reshape(*g.shape[:3], -1)
    W_bar = np.zeros((len(g), g.shape[2], channels * windows.n_taps), g.dtype)
    for part, buffer in parts(rows, channels, windows, g.dtype):
        seen = unfold(x[part], windows, buffer).transpose(0, 2, 1)
        for gradient, row in zip(flat[:, part].transpose(1, 0, 2, 3), seen, strict=True):
            W_bar += np.matmul(gradient, row)
    return W_bar


def gather_floor(g: Array, x: Array, windows: Windows, W_bar: Array) -> list[Call]:
    """Return the calls that write the result of `gather` to W_bar."""
    rows, channels = x.shape[:2]
    flat, total = g.reshape(*g.shape[:3], -1).transpose(1, 0, 2, 3), W_bar.reshape(len(g), g.shape[2], -1)
    product = np.empty_like(total)
    calls: list[Call] = [(total.fill, (0,))]
    for part, buffer in parts(rows, channels, windows, g.dtype):
        calls += unfolding(x[part], windows, buffer)
        seen = buffer.reshape(len(buffer), -1, windows.n_windows).transpose(0, 2, 1)
        for gradient, row in zip(flat[part], seen, strict=True):
            calls += [(np.matmul, (gradient, row, product)), (np.add, (total, product, total))]
    return calls


def gather_each_floor(g: Array, x: Array, windows: Windows, W_bar: Array) -> list[Call]:
    """Return the calls that write the result of `gather_each` to W_bar."""
    rows, channels = x.shape[:2]
    flat = g.reshape(*g.shape[:3], -1).transpose(1, 0, 2, 3)
    bars = W_bar.reshape(rows, len(g), g.shape[2], -1)
    calls: list[Call] = []
    for part, buffer in parts(rows, channels, windows, g.dtype):
        seen = buffer.reshape(len(buffer), -1, windows.n_windows).transpose(0, 2, 1)[:, None]
        calls += [*unfolding(x[part], windows, buffer), (np.matmul, (flat[part], seen, bars[part]))]
    return calls


def gather_each(g: Array, x: Array, windows: Windows) -> Array:
    """Return the same for each row separately: (rows, S, outputs, channels · taps)."""
    rows, channels = x.shape[:2]
    flat = g.reshape(*g.shape[:3], -1).transpose(1, 0, 2, 3)
    W_bar = np.empty((rows, len(g), g.shape[2], channels * windows.n_taps), g.dtype)
    for part, buffer in parts(rows, channels, windows, g.dtype):
        np.matmul(flat[part], unfold(x[part], windows, buffer).transpose(0, 2, 1)[:, None], out=W_bar[part])
    return W_bar


def _by_taps(combine: np.ufunc, x: Array, windows: Windows) -> Array:
    (_, _, first), *others = windows.taps()
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
    (_, _, first), *others = windows.taps()
    into = partial(combine, out=y)  # np.maximum takes its output by name only
    combined: list[Call] = [(into, (y, x[last(positions)])) for _, _, positions in others]
    return [(np.copyto, (y, x[last(first)])), *combined]
