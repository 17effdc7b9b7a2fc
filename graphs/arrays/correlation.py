"""Cross-correlation and pooling in NumPy: windows are laid out for some rows at a time, so that no array of all of them is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.structures.windows import last

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.structures.windows import Windows

PART_BYTES = 2**20
"""Of laid-out windows at once, or one row's where that is more. LeNet-5's first layer at batch 32 took 3.3 ms with 256 KiB, most
of it Python's, 0.9 with 1 MiB and 0.5 with 4 MiB, its kernel's cotangents 3.6, 1.2 and 0.7; layers of 32 channels do not care."""


def rows_at_once(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return how many rows' windows are laid out at once."""
    return max(1, min(n_rows, PART_BYTES // (channels * windows.n_taps * windows.n_windows * itemsize)))


def part_bytes(n_rows: int, channels: int, windows: Windows, itemsize: int) -> int:
    """Return the bytes of windows laid out at once."""
    rows = rows_at_once(n_rows, channels, windows, itemsize)
    return rows * channels * windows.n_taps * windows.n_windows * itemsize


def parts(n_rows: int, channels: int, windows: Windows, dtype: np.dtype[np.floating]) -> Iterator[tuple[slice, Array]]:
    """Yield some rows at a time, and room for their windows: (rows, channels, *kernel, *out), the same each time."""
    step = rows_at_once(n_rows, channels, windows, dtype.itemsize)
    allocate = np.zeros if windows.padded else np.empty
    room = allocate((step, channels, *windows.kernel, *windows.out), dtype)
    for start in range(0, n_rows, step):
        rows = slice(start, min(n_rows, start + step))
        yield rows, room[: rows.stop - start]


def windows_of(x: Array, windows: Windows) -> Array:
    """View x (rows, channels, *lengths), laid between zeros where it is padded, as (rows, *out, channels, *kernel)."""
    n = len(windows.out)
    if windows.padded:
        margins = [(0, 0), (0, 0), *((width, width) for width in windows.padding)]
        x = np.pad(x, margins)
    seen = np.lib.stride_tricks.sliding_window_view(x, windows.kernel, axis=tuple(range(2, 2 + n)))
    steps = tuple(slice(None, None, step) for step in windows.stride)
    view: Array = np.moveaxis(seen[(slice(None), slice(None), *steps)], 1, 1 + n)
    return view


def unfold(x: Array, windows: Windows, room: Array) -> Array:
    """Lay out the windows of x (rows, channels, *lengths) in `room`, 0 where there is no place; return a view of it.

    Returns
    -------
    NDArray
        Shape (rows, channels · taps, windows).
    """
    for tap, inside, places in windows.taps():
        room[last((*tap, *inside))] = x[last(places)]
    return room.reshape(len(room), -1, windows.n_windows)


def correlate(x: Array, W: Array, windows: Windows) -> Array:
    """Return the cross-correlation of x (rows, channels, *lengths) with W (outputs, channels, *kernel)."""
    rows, channels = x.shape[:2]
    y = np.empty((rows, len(W), windows.n_windows), x.dtype)
    for part, room in parts(rows, channels, windows, x.dtype):
        np.matmul(W.reshape(len(W), -1), unfold(x[part], windows, room), out=y[part])
    return y.reshape(rows, len(W), *windows.out)


def spread(g: Array, W: Array, windows: Windows) -> Array:
    """Return the transpose: what g (rows, outputs, *out) adds to each place, shape (rows, channels, *lengths)."""
    rows, channels = len(g), W.shape[1]
    flat = g.reshape(rows, len(W), -1)
    x_bar = np.zeros((rows, channels, *windows.lengths), g.dtype)
    for part, room in parts(rows, channels, windows, g.dtype):
        np.matmul(W.reshape(len(W), -1).T, flat[part], out=room.reshape(len(room), -1, windows.n_windows))
        bars = x_bar[part]
        for tap, inside, places in windows.taps():
            bars[last(places)] += room[last((*tap, *inside))]
    return x_bar


def gather(g: Array, x: Array, windows: Windows) -> Array:
    """Return the kernel's cotangents: g (S, rows, outputs, *out) and x (rows, channels, *lengths) → (S, outputs, ch. · taps)."""
    rows, channels = x.shape[:2]
    flat = g.reshape(*g.shape[:3], -1)
    W_bar = np.zeros((len(g), g.shape[2], channels * windows.n_taps), g.dtype)
    for part, room in parts(rows, channels, windows, g.dtype):
        seen = unfold(x[part], windows, room).transpose(0, 2, 1)
        for gradient, row in zip(flat[:, part].transpose(1, 0, 2, 3), seen, strict=True):
            W_bar += np.matmul(gradient, row)
    return W_bar


def gather_each(g: Array, x: Array, windows: Windows) -> Array:
    """Do the same for each row by itself: shape (rows, S, outputs, channels · taps)."""
    rows, channels = x.shape[:2]
    flat = g.reshape(*g.shape[:3], -1).transpose(1, 0, 2, 3)
    W_bar = np.empty((rows, len(g), g.shape[2], channels * windows.n_taps), g.dtype)
    for part, room in parts(rows, channels, windows, g.dtype):
        np.matmul(flat[part], unfold(x[part], windows, room).transpose(0, 2, 1)[:, None], out=W_bar[part])
    return W_bar


def largest(x: Array, windows: Windows) -> Array:
    """Return the largest of each window of x (rows, *lengths), tap by tap: nothing is laid out."""
    (_, _, first), *others = windows.taps()
    y: Array = x[last(first)].copy()
    for _, _, places in others:
        np.maximum(y, x[last(places)], out=y)
    return y


def average(x: Array, windows: Windows) -> Array:
    """Return the mean of each window of x (rows, *lengths), tap by tap."""
    (_, _, first), *others = windows.taps()
    y: Array = x[last(first)].copy()
    for _, _, places in others:
        y += x[last(places)]
    y /= windows.n_taps
    return y
