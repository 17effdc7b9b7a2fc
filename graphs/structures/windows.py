"""Sliding windows: positions that the taps of a kernel cover along one or more axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Indices, Shape

    Slices = tuple[slice, ...]


@dataclass(frozen=True)
class Windows:
    """Windows of a sliding kernel: in window p, tap k covers position p · stride + k − padding, if it exists."""

    lengths: Shape
    kernel: Shape
    stride: Shape
    padding: Shape

    @cached_property
    def out(self) -> Shape:
        """Number of windows along each axis."""
        each = zip(self.lengths, self.kernel, self.stride, self.padding, strict=True)
        return tuple((length + 2 * padding - taps) // stride + 1 for length, taps, stride, padding in each)

    @cached_property
    def n_positions(self) -> int:
        """Number of positions."""
        return prod(self.lengths)

    @cached_property
    def n_taps(self) -> int:
        """Number of taps."""
        return prod(self.kernel)

    @cached_property
    def n_windows(self) -> int:
        """Number of windows."""
        return prod(self.out)

    @cached_property
    def n_pairs(self) -> int:
        """Number of pairs of a window and a tap that covers a position in it."""
        return prod(sum(windows.stop - windows.start for windows, _ in spans) for spans in self.spans)

    @property
    def padded(self) -> bool:
        """Whether a tap may cover no position."""
        return any(self.padding)

    @cached_property
    def spans(self) -> list[list[tuple[slice, slice]]]:
        """For each axis and tap: the windows in which the tap covers a position, and these positions."""
        axes = zip(self.lengths, self.out, self.stride, self.padding, self.kernel, strict=True)
        return [[_span(k, *axis) for k in range(taps)] for *axis, taps in axes]

    @cached_property
    def taps(self) -> tuple[tuple[Shape, Slices, Slices], ...]:
        """For each tap: its position in the kernel, the windows in which it covers a position, and these positions."""
        found = []
        for tap in product(*map(range, self.kernel)):
            spans = [spans[k] for k, spans in zip(tap, self.spans, strict=True)]
            found.append((tap, tuple(windows for windows, _ in spans), tuple(positions for _, positions in spans)))
        return tuple(found)

    @cached_property
    def over_two_axes(self) -> Windows:
        """The same windows over two axes: a first axis of length 1 is added to one axis."""
        if len(self.lengths) == 2:
            return self
        return windows_over((1, *self.lengths), (1, *self.kernel), (1, *self.stride), (0, *self.padding))

    def positions(self, dtype: type[np.signedinteger] = np.intp) -> Indices:
        """Return the flat position of each window and tap, shape (windows, taps); undefined where `valid` is False."""
        found: Any = 0
        for axis, length in enumerate(self.lengths):
            first = np.arange(self.out[axis], dtype=dtype)[:, None] * dtype(self.stride[axis])
            position = first + np.arange(-self.padding[axis], self.kernel[axis] - self.padding[axis], dtype=dtype)
            found = found * dtype(length) + self._along(axis, position)
        return np.asarray(found).reshape(self.n_windows, self.n_taps)

    def valid(self) -> NDArray[np.bool_]:
        """Return whether each window and tap has a position, shape (windows, taps)."""
        found: Any = True
        for axis, spans in enumerate(self.spans):
            inside = np.zeros((self.out[axis], self.kernel[axis]), bool)
            for tap, (windows, _) in enumerate(spans):
                inside[windows, tap] = True
            found = found & self._along(axis, inside)
        return np.asarray(found).reshape(self.n_windows, self.n_taps)

    def _along(self, axis: int, values: NDArray[Any]) -> NDArray[Any]:
        """Reshape values (windows, taps) of one axis to (1, …, windows, …, 1, 1, …, taps, …, 1)."""
        shape = [1] * (2 * len(self.lengths))
        shape[axis], shape[len(self.lengths) + axis] = values.shape
        return values.reshape(shape)


@lru_cache(maxsize=1024)
def windows_over(lengths: Shape, kernel: Shape, stride: Shape, padding: Shape) -> Windows:
    """Return the windows. They are kept, because their properties took 40 of the 55 µs of a small pooling's gradient."""
    return Windows(lengths, kernel, stride, padding)


def last(positions: Iterable[int | slice]) -> Any:
    """Return an index into the last axes of an array."""
    return (..., *positions)


def _span(k: int, length: int, n_windows: int, stride: int, padding: int) -> tuple[slice, slice]:
    start = max(0, -((k - padding) // stride))
    stop = max(start, min(n_windows, (length - 1 + padding - k) // stride + 1))
    if start == stop:
        return slice(0, 0), slice(0, 0)
    return slice(start, stop), slice(start * stride + k - padding, (stop - 1) * stride + k - padding + 1, stride)
