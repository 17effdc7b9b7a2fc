"""Axes that an op reduces, or normalizes over, and the labels of its Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.labels import LETTERS, Labels, aligned

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Attrs, Shape, Shapes


@dataclass(frozen=True, eq=False)
class Axes:
    """Some axes of an argument of shape `x`, counted from the front, ascending; the others are kept."""

    numbers: tuple[int, ...]
    x: Shape

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """The other axes."""
        return tuple(axis for axis in range(len(self.x)) if axis not in self.numbers)

    @cached_property
    def n(self) -> int:
        """Number of entries along the axes."""
        return prod(self.x[axis] for axis in self.numbers)

    @cached_property
    def n_vectors(self) -> int:
        """Number of entries along the other axes: each is a vector of `n` numbers."""
        return prod(self.x[axis] for axis in self.kept)

    @cached_property
    def ones(self) -> Shape:
        """Shape with one number for each vector, to be broadcast to the argument."""
        return tuple(1 if axis in self.numbers else n for axis, n in enumerate(self.x))

    @cached_property
    def from_end(self) -> int | tuple[int, ...]:
        """The axes counted from the end, which are also those of cotangents; −1 alone is a number, which is faster."""
        found = tuple(axis - len(self.x) for axis in self.numbers)
        return -1 if found == (-1,) else found

    @property
    def are_last(self) -> bool:
        """Whether they are the last axes, so that vectors are adjacent in memory."""
        return self.kept == tuple(range(len(self.kept)))

    @cached_property
    def letters(self) -> str:
        """Labels of the argument's axes."""
        return LETTERS[: len(self.x)]

    @cached_property
    def kept_letters(self) -> str:
        """Labels of the other axes."""
        return "".join(self.letters[axis] for axis in self.kept)

    @cached_property
    def own_letters(self) -> str:
        """Labels of the axes."""
        return "".join(self.letters[axis] for axis in self.numbers)

    @cached_property
    def reduced(self) -> Labels:
        """Labels of a reduction: each output depends on one vector."""
        return Labels(self.letters, self.kept_letters, dict(zip(self.letters, self.x, strict=True)))

    @cached_property
    def blocks(self) -> Labels:
        """Labels of a function of vectors: its output has other labels along the axes."""
        others = dict(zip(self.own_letters, LETTERS[::-1], strict=False))
        lengths = dict(self.reduced.lengths)
        out = "".join(others.get(letter, letter) for letter in self.letters)
        return Labels(self.letters, out, lengths | {others[letter]: lengths[letter] for letter in self.own_letters})

    def reduced_shape(self, *, keepdims: bool) -> Shape:
        """Return the shape of a reduction."""
        return self.ones if keepdims else tuple(self.x[axis] for axis in self.kept)

    def last(self, array: Array) -> Array:
        """Return an array as vectors (n_vectors, n): a view if the axes are the last, otherwise a copy."""
        moved = array if self.are_last else array.transpose(*self.kept, *self.numbers)
        return moved.reshape(self.n_vectors, self.n)

    def back(self, entries: Array) -> Array:
        """View the entries of a reduction's Jacobian, shape (kept …, reduced …), in the order of the argument's axes."""
        view: Array = aligned(entries, self.kept_letters + self.own_letters, self.letters)
        return view

    def by_vector(self, entries: Array) -> Array:
        """View the entries of a Jacobian of blocks as (kept …, rows …, columns …)."""
        labels = self.blocks
        rows = "".join(letter for letter in labels.out if letter not in labels.x)
        view: Array = aligned(entries, labels.entries, self.kept_letters + rows + self.own_letters)
        return view


@cache
def _axes(numbers: tuple[int, ...], x: Shape) -> Axes:
    return Axes(numbers, x)


def as_axes(given: Any, x: Shape) -> Axes:
    """Return the axes, in any order, of an argument of shape `x`; None for all.

    Raises BadInput for an axis that it does not have, and if none is given although it has some.
    """
    if isinstance(given, Axes):
        return given
    numbers = tuple(range(len(x))) if given is None else shapes.as_axes(given, len(x))
    if x and not numbers:
        raise BadInput("no axes are given: expected at least one, or None for all")
    return _axes(tuple(sorted(numbers)), x)


def axes_in(attrs: Attrs) -> Axes:
    """Return the axes of an op with the attribute `axes` or `axis`."""
    axes: Axes = attrs["axes"] if "axes" in attrs else attrs["axis"]
    return axes


def axes_of(ctx: ArgumentContext) -> Axes:
    """Return the axes of an argument's op."""
    return axes_in(ctx.attrs)


def keeps_samples(_shapes: Shapes, attrs: Attrs) -> bool:
    """Return whether the leading axis is not among the axes."""
    return 0 not in axes_in(attrs).numbers
