"""Boxes: entries of an array at regular steps along each axis, and the Jacobian of copying one box to another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from string import ascii_uppercase
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.structures.sparsity import Structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Indices, Shape

    CopyOf = Callable[[ArgumentContext], "BoxCopy"]

Slices = tuple[slice, ...]


@dataclass(frozen=True)
class BoxCopy:
    """Copy of the box `source` of an argument to the box `target` of the output; one slice for each axis.

    The steps of `target` are positive. Both have equally many entries along each axis.
    """

    x: Shape
    out: Shape
    source: Slices
    target: Slices

    @cached_property
    def lengths(self) -> Shape:
        """Number of copied entries along each axis."""
        return tuple(len(range(*part.indices(n))) for part, n in zip(self.source, self.x, strict=True))

    @cached_property
    def takes_all(self) -> bool:
        """Whether it copies each entry of the argument."""
        return self.lengths == self.x

    @cached_property
    def keeps_order(self) -> bool:
        """Whether it copies each entry of the argument, in order."""
        return self.takes_all and all(part.step in (1, None) for part in self.source)

    @cached_property
    def fills(self) -> bool:
        """Whether it writes each entry of the output."""
        return self.lengths == self.out

    @cached_property
    def seeds_source(self) -> Slices:
        """`source` in an array with an axis for seeds before the others."""
        return (slice(None), *self.source)

    @cached_property
    def seeds_target(self) -> Slices:
        """`target` in an array with an axis for seeds before the others."""
        return (slice(None), *self.target)

    @property
    def keeps_samples(self) -> bool:
        """Whether it copies the leading axis entry by entry."""
        return bool(self.x) and self.source[0] == self.target[0] == slice(0, self.x[0], 1) and self.out[0] == self.x[0]


def whole(shape: Shape) -> Slices:
    """Return the box of all entries."""
    return tuple(slice(0, n, 1) for n in shape)


@lru_cache(maxsize=4096)
def taken(x: Shape, slices: tuple[tuple[int, int | None, int], ...]) -> BoxCopy:
    """Return the copy of a box, given as (start, stop, step) for each axis, to an array of its own."""
    source = tuple(slice(*each) for each in slices)
    out = tuple(len(range(*part.indices(n))) for part, n in zip(source, x, strict=True))
    return BoxCopy(x, out, source, whole(out))


@lru_cache(maxsize=4096)
def part_of_axis(x: Shape, axis: int, start: int, length: int) -> BoxCopy:
    """Return the copy of an array to the entries from `start` on of an axis of this length."""
    out = (*x[:axis], length, *x[axis + 1 :])
    target = list(whole(out))
    target[axis] = slice(start, start + x[axis], 1)
    return BoxCopy(x, out, whole(x), tuple(target))


@lru_cache(maxsize=4096)
def padded(x: Shape, pairs: tuple[tuple[int, int], ...], interior: tuple[int, ...]) -> BoxCopy:
    """Return the copy of an array between (before, after) further entries, and `interior` ones between any two.

    A negative number of entries before or after removes as many.
    """
    axes = [_padded_axis(n, *pair, gap + 1) for n, pair, gap in zip(x, pairs, interior, strict=True)]
    sources, targets, out = zip(*axes, strict=True) if axes else ((), (), ())
    return BoxCopy(x, out, sources, targets)


def _padded_axis(n: int, before: int, after: int, step: int) -> tuple[slice, slice, int]:
    """Return the entries that remain, where they go, and the new length; entry i goes to before + i · step."""
    length = before + (n - 1) * step + 1 + after
    first = max(0, -(before // step))
    last = min(n - 1, (length - 1 - before) // step)
    if length < 1 or last < first:
        return slice(0, 0, 1), slice(0, 0, 1), length
    return slice(first, last + 1, 1), slice(before + first * step, before + last * step + 1, step), length


@lru_cache(maxsize=4096)
def rolled(x: Shape, shifts: tuple[int, ...], axes: tuple[int, ...]) -> tuple[tuple[Slices, Slices], ...]:
    """Return boxes (target, source) that together move each entry by `shifts`, each above 0, cyclically along `axes`."""
    parts = [[(slice(0, n, 1), slice(0, n, 1))] for n in x]
    for shift, axis in zip(shifts, axes, strict=True):
        n = x[axis]
        parts[axis] = [(slice(shift, n, 1), slice(0, n - shift, 1)), (slice(0, shift, 1), slice(n - shift, n, 1))]
    return tuple((tuple(to for to, _ in piece), tuple(source for _, source in piece)) for piece in product(*parts))


def copied(name: str, copy_of: CopyOf) -> Structure:
    """Return the structure of the Jacobian of a copy: a one in each row that is written."""

    def columns(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
        copy = copy_of(ctx)
        found = np.zeros((), dtype)
        for k, (part, n) in enumerate(zip(copy.source, ctx.x, strict=True)):
            stride = prod(ctx.x[k + 1 :])
            found = np.add.outer(found, np.arange(*part.indices(n), dtype=dtype) * dtype(stride))
        return found

    def view(J: Array, ctx: ArgumentContext) -> Array:
        copy, own = copy_of(ctx), int(ctx.samples > 1)
        split = J.reshape(ctx.samples, *ctx.out[own:], *ctx.x[own:])
        axes = ascii_uppercase[: len(ctx.x) - own]
        part = split[(slice(None), *copy.target[own:], *copy.source[own:])]
        found: Array = np.einsum(f"z{axes}{axes}->z{axes}", part)
        return found

    def per_row(ctx: ArgumentContext) -> Indices | None:
        if copy_of(ctx).fills:
            return None
        written = np.zeros(ctx.out, np.int32)
        written[copy_of(ctx).target] = 1
        return written.reshape(-1)

    return Structure(
        name,
        extent=lambda ctx: (ctx.samples, *copy_of(ctx).lengths[int(ctx.samples > 1) :]),
        columns=columns,
        view=view,
        per_row=per_row,
        scratch=lambda ctx: 0 if copy_of(ctx).fills else ctx.n_out,
    )
