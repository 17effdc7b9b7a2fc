"""Structures of elementwise ops whose arguments broadcast by NumPy's rules, and sums over the axes that are stretched."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.structures.sparsity import Structure

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Indices, Shape


_ADD: Any = np.add.reduce  # its annotations have no array for the result in third place


@cache
def stretched_axes(x: Shape, out: Shape) -> tuple[int, ...]:
    """Return the axes of the output along which an argument of shape `x` is repeated; those that it lacks included."""
    missing = len(out) - len(x)
    return (*range(missing), *(missing + k for k, n in enumerate(x) if n != out[missing + k]))


def is_shared(x: Shape, out: Shape) -> bool:
    """Return whether all samples along the output's leading axis share an argument of shape `x`."""
    return stretched_axes(x, out)[:1] == (0,)


def sum_stretched(y_bar: Array, ctx: ArgumentContext, out: Array | None = None) -> Array:
    """Sum cotangents (S, *out) over the stretched axes; returns (S, *x)."""
    axes = tuple(1 + axis for axis in stretched_axes(ctx.x, ctx.out))
    kept = [n for axis, n in enumerate(y_bar.shape) if axis not in axes]
    sums: Array = _ADD(y_bar, axes, None, None if out is None else out.reshape(kept))
    return sums.reshape(len(y_bar), *ctx.x)


def sum_stretched_each(y_bar: Array, ctx: ArgumentContext, out: Array | None = None) -> Array:
    """Sum cotangents (S, B, …) over the stretched axes, except for the leading one of samples; returns (B, S, *x)."""
    axes = tuple(1 + axis for axis in stretched_axes(ctx.x, ctx.out) if axis)
    by_sample = y_bar.swapaxes(0, 1)
    if out is None:
        out = np.empty((*by_sample.shape[:2], *ctx.x), y_bar.dtype)
    _ADD(by_sample, axes, None, out.reshape([n for axis, n in enumerate(by_sample.shape) if axis not in axes]))
    return out


def stretch(x_dot: Array, ctx: ArgumentContext) -> Array:
    """View tangents (S, *x) as (S, *out)."""
    ones = (1,) * (len(ctx.out) - len(ctx.x))
    return np.broadcast_to(x_dot.reshape(len(x_dot), *ones, *ctx.x), (len(x_dot), *ctx.out))


def _within(ctx: ArgumentContext) -> tuple[Shape, Shape]:
    """Return the shapes of output and argument within a sample."""
    first = int(ctx.samples > 1)
    return ctx.out[first:], ctx.x[first:]


def _extent(ctx: ArgumentContext) -> Shape:
    return (ctx.samples, *_within(ctx)[0])


def _columns(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
    own = np.arange(ctx.n_in, dtype=dtype)
    if ctx.n_in == ctx.n_out:
        return own
    columns = np.empty(ctx.out, dtype)
    columns[...] = own.reshape(ctx.x)
    return columns


def _view(J: Array, ctx: ArgumentContext) -> Array:
    """Return the diagonal over the axes that output and argument have in common."""
    out, x = _within(ctx)
    stretched = stretched_axes(x, out)
    common = [axis for axis in range(len(out)) if axis not in stretched]
    labels = [0, *range(1, len(out) + 1)]
    shape = (ctx.samples, *out, *(out[axis] for axis in common))
    operands: Any = (J.reshape(shape), [*labels, *(1 + axis for axis in common)], labels)
    view: Array = np.einsum(*operands)
    return view


# One entry in each row: an output depends on one entry of the argument, which several outputs may share.
BROADCAST = Structure("broadcast", _extent, _columns, _view)

# The same for an argument of the output's shape, whose values are an argument that is stretched.
DIAGONAL_OVER_AXES = Structure("diagonal", _extent, _columns, _view)
