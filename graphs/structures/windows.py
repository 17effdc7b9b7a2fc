"""Sliding windows: positions that the taps of a kernel cover along one or more axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import gcd, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import Indices, Shape

    Slices = tuple[slice, ...]
    Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Phase:
    """Every n-th window along each axis, and the taps that cover positions in these windows.

    `taps` and `windows` select them. They are the `inner` windows, without input dilation.
    """

    taps: Slices
    windows: Slices
    inner: Windows


@dataclass(frozen=True)
class Windows:
    """Windows of a sliding kernel over one or more axes.

    In window p, tap k covers position (p · stride + k · dilation − before) / input_dilation, if it is whole and exists.
    `padding` has two numbers for each axis, before and after; negative ones crop.
    """

    lengths: Shape
    kernel: Shape
    stride: Shape
    padding: Pairs
    dilation: Shape
    input_dilation: Shape

    @cached_property
    def out(self) -> Shape:
        """Number of windows along each axis; below 1 if the kernel does not fit."""
        axes = zip(self.wide, self.span, self.stride, strict=True)
        return tuple((length - span) // step + 1 for length, span, step in axes)

    @cached_property
    def span(self) -> Shape:
        """Length of each axis from the first tap to the last."""
        return _spanned(self.kernel, self.dilation)

    @cached_property
    def wide(self) -> Shape:
        """Length of each axis after its dilation and padding."""
        return tuple(
            span + before + after
            for span, (before, after) in zip(_spanned(self.lengths, self.input_dilation), self.padding, strict=True)
        )

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
        return prod(sum(_length(windows) for windows, _ in spans) for spans in self.spans)

    @cached_property
    def n_products(self) -> int:
        """Number of pairs of a window and a tap, those with padding included, but not those with zeros of a dilated input."""
        return sum(phase.inner.n_windows * phase.inner.n_taps for phase in self.phases)

    @cached_property
    def padded(self) -> bool:
        """Whether a tap may cover no position."""
        return self.is_spread or any(max(pair) > 0 for pair in self.padding)

    @cached_property
    def is_spread(self) -> bool:
        """Whether there are zeros between the positions."""
        return max(self.input_dilation) > 1

    @property
    def counts(self) -> NDArray[np.intp]:
        """Number of positions that each window covers, shape `out`."""
        found: Any = 1
        for axis, inside in enumerate(self._inside):
            found = found * self._along(axis, np.count_nonzero(inside, axis=1, keepdims=True))
        return np.asarray(found, np.intp).reshape(self.out)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Weight of each position in the mean of a window, shape `out`."""
        return 1 / self.counts

    @cached_property
    def spans(self) -> list[list[tuple[slice, slice]]]:
        """For each axis and tap: the windows in which the tap covers a position, and these positions."""
        befores = (before for before, _ in self.padding)
        axes = zip(
            self.lengths, self.out, self.stride, self.input_dilation, self.kernel, self.dilation, befores, strict=True
        )
        return [[_span(k * step - before, *axis) for k in range(taps)] for *axis, taps, step, before in axes]

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
        lengths, kernel, stride = (1, *self.lengths), (1, *self.kernel), (1, *self.stride)
        return windows_over(
            lengths, kernel, stride, ((0, 0), *self.padding), (1, *self.dilation), (1, *self.input_dilation)
        )

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """The windows in parts without input dilation: Vaidyanathan, Multirate Systems and Filter Banks (1993), section 4.3.

        Along an axis with stride s and input dilation e, every (e / gcd(s, e))-th window uses the same taps. Windows in no
        phase cover no position.
        """
        found = []
        for axes in product(*map(_phases, *self._axes)):
            taps, windows, *inner = zip(*axes, strict=True)
            lengths, kernel, stride, padding, dilation = inner
            found.append(
                Phase(taps, windows, windows_over(lengths, kernel, stride, padding, dilation, (1,) * len(axes)))
            )
        return tuple(found)

    @property
    def _axes(self) -> tuple[tuple[Any, ...], ...]:
        return self.lengths, self.out, self.kernel, self.stride, self.padding, self.dilation, self.input_dilation

    def positions(self, dtype: type[np.signedinteger] = np.intp) -> Indices:
        """Return the flat position of each window and tap, shape (windows, taps); undefined where `valid` is False."""
        found: Any = 0
        for axis, length in enumerate(self.lengths):
            first = np.arange(self.out[axis], dtype=dtype)[:, None] * dtype(self.stride[axis])
            position = first + np.arange(self.kernel[axis], dtype=dtype) * dtype(self.dilation[axis])
            position -= dtype(self.padding[axis][0])
            if self.input_dilation[axis] > 1:
                position //= dtype(self.input_dilation[axis])
            found = found * dtype(length) + self._along(axis, position)
        return np.asarray(found).reshape(self.n_windows, self.n_taps)

    def valid(self) -> NDArray[np.bool_]:
        """Return whether each window and tap has a position, shape (windows, taps)."""
        found: Any = True
        for axis, inside in enumerate(self._inside):
            found = found & self._along(axis, inside)
        return np.asarray(found).reshape(self.n_windows, self.n_taps)

    @property
    def _inside(self) -> Iterator[NDArray[np.bool_]]:
        """For each axis: whether each of its windows and taps has a position, shape (windows, taps)."""
        for axis, spans in enumerate(self.spans):
            inside = np.zeros((self.out[axis], self.kernel[axis]), bool)
            for tap, (windows, _) in enumerate(spans):
                inside[windows, tap] = True
            yield inside

    def _along(self, axis: int, values: NDArray[Any]) -> NDArray[Any]:
        """Reshape values (windows, taps) of one axis to (1, …, windows, …, 1, 1, …, taps, …, 1)."""
        shape = [1] * (2 * len(self.lengths))
        shape[axis], shape[len(self.lengths) + axis] = values.shape
        return values.reshape(shape)


@lru_cache(maxsize=1024)
def windows_over(
    lengths: Shape, kernel: Shape, stride: Shape, padding: Pairs, dilation: Shape, input_dilation: Shape
) -> Windows:
    """Return the windows. They are kept, because their properties took 40 of the 55 µs of a small pooling's gradient."""
    return Windows(lengths, kernel, stride, padding, dilation, input_dilation)


def last(positions: Iterable[int | slice]) -> Any:
    """Return an index into the last axes of an array."""
    return (..., *positions)


def _spanned(numbers: Shape, steps: Shape) -> Shape:
    """Return the length from the first to the last of some numbers, one step apart."""
    return tuple((number - 1) * step + 1 for number, step in zip(numbers, steps, strict=True))


def _progression(start: int, step: int, count: int) -> slice:
    """Return the slice of `count` numbers from `start` on, a step apart."""
    return slice(start, start + (count - 1) * step + 1, step) if count > 0 else slice(0, 0, 1)


def _length(positions: slice) -> int:
    return len(range(positions.start, positions.stop, positions.step))


def _span(offset: int, length: int, n_windows: int, stride: int, spread: int) -> tuple[slice, slice]:
    """Return the windows p for which (p · stride + offset) / spread is a position, and these positions."""
    common = gcd(stride, spread)
    if offset % common:
        return _progression(0, 1, 0), _progression(0, 1, 0)
    period, step = spread // common, stride // common
    first = -(offset // common) * pow(step, -1, period) % period
    position = (first * stride + offset) // spread
    start = max(0, -(position // step))
    count = min((n_windows - 1 - first) // period, (length - 1 - position) // step) + 1 - start
    return _progression(first + start * period, period, count), _progression(position + start * step, step, count)


def _phases(
    length: int, n_windows: int, taps: int, stride: int, padding: tuple[int, int], dilation: int, spread: int
) -> Iterator[tuple[slice, slice, int, int, int, tuple[int, int], int]]:
    """Yield for each phase of an axis: its taps and windows, then its length, kernel, stride, padding and dilation."""
    n_phases, apart = spread // gcd(stride, spread), spread // gcd(dilation, spread)
    for first in range(min(n_phases, n_windows)):
        offset = first * stride - padding[0]
        used = [k for k in range(min(apart, taps)) if (offset + k * dilation) % spread == 0]
        if used:
            n, n_taps = (n_windows - 1 - first) // n_phases + 1, (taps - 1 - used[0]) // apart + 1
            step, tap_step = n_phases * stride // spread, apart * dilation // spread
            before = -(offset + used[0] * dilation) // spread
            after = (n - 1) * step + (n_taps - 1) * tap_step + 1 - length - before
            windows, kernel = _progression(first, n_phases, n), _progression(used[0], apart, n_taps)
            yield kernel, windows, length, n_taps, step, (before, after), tap_step
