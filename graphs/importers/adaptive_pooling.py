"""Adaptive pooling: as many windows as wished along each axis, whose lengths may differ by one (Lin et al., 2014)."""

from __future__ import annotations

from string import ascii_letters
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.array_types import Array, Indices, Shape
    from jacobench.graphs.builder import GraphBuilder, Value


def adaptive_avg_pool(g: GraphBuilder, x: Value, sizes: Sequence[int]) -> Value:
    """Add the mean of each of PyTorch's adaptive windows.

    Parameters
    ----------
    g : GraphBuilder
        Builder of the graph.
    x : Value
        Argument, shape (…, *lengths).
    sizes : sequence of int
        Number of windows along each of the last axes; each is 1 or more.

    Returns
    -------
    Value
        Shape (…, *sizes). If the windows along an axis differ in length, it is a product with a constant matrix.
    """
    window = _even_window(x.shape, sizes)
    if window:
        return g.avg_pool(x, window=window)
    labels = ascii_letters[: len(x.shape)]
    for axis, size in zip(range(len(x.shape) - len(sizes), len(x.shape)), sizes, strict=True):
        if size != x.shape[axis]:
            old, new = labels[axis], ascii_letters[len(labels)]
            shares = g.constant(_shares(x.shape[axis], size))
            x = g.einsum(x, shares, subscripts=f"{labels},{new}{old}->{labels.replace(old, new)}")
    return x


def adaptive_max_pool(g: GraphBuilder, x: Value, sizes: Sequence[int]) -> Value:
    """Add the maximum, the first of equals, of the same windows.

    If these differ in length, their entries are gathered, and shorter windows repeat their last entry.
    """
    window = _even_window(x.shape, sizes)
    if window:
        return g.max_pool(x, window=window)
    positions = _positions(x.shape, sizes)
    return g.max(g.gather(x, positions=positions), axes=(-1,), ties="first")


def _even_window(shape: Shape, sizes: Sequence[int]) -> Shape:
    """Return the length of the windows along each axis; () if those along one axis differ."""
    lengths = shape[len(shape) - len(sizes) :]
    if any(length % size for length, size in zip(lengths, sizes, strict=True)):
        return ()
    return tuple(length // size for length, size in zip(lengths, sizes, strict=True))


def _ends(length: int, size: int) -> tuple[Indices, Indices]:
    """Return the start and the end of each window: ⌊i · length / size⌋ and ⌈(i + 1) · length / size⌉."""
    number = np.arange(size)
    return number * length // size, -(-(number + 1) * length // size)


def _shares(length: int, size: int) -> Array:
    """Return the matrix (size, length) of the means."""
    start, end = (ends[:, None] for ends in _ends(length, size))
    position = np.arange(length)
    shares: Array = ((start <= position) & (position < end)) / (end - start)
    return shares


def _positions(shape: Shape, sizes: Sequence[int]) -> Indices:
    """Return the flat position of each entry of each window, shape (…, *sizes, entries)."""
    n_axes = len(sizes)
    leading, lengths = shape[: len(shape) - n_axes], shape[len(shape) - n_axes :]
    found = np.arange(int(np.prod(leading))).reshape(*leading, *(1,) * (2 * n_axes))
    for axis, (length, size) in enumerate(zip(lengths, sizes, strict=True)):
        start, end = _ends(length, size)
        along = np.minimum(start[:, None] + np.arange(np.max(end - start)), end[:, None] - 1)
        ones = [1] * (2 * n_axes)
        ones[axis], ones[n_axes + axis] = along.shape
        found = found * length + along.reshape(ones)
    return found.reshape(*leading, *sizes, -1)
