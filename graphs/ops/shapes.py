"""Output shapes of ops from the shapes of their arguments, and errors if these do not fit."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput, whole_number, whole_numbers

if TYPE_CHECKING:
    from jacobench.graphs.array_types import Attrs, Shape, Shapes


def as_axis(axis: Any, n_axes: int) -> int:
    """Return an axis counted from the front. Raises BadInput unless there is such an axis."""
    found = whole_number("an axis", axis)
    if not -n_axes <= found < n_axes:
        raise BadInput(f"an axis is {axis}: expected a number from {-n_axes} to {n_axes - 1}")
    return found % n_axes


def as_axes(axes: Any, n_axes: int) -> Shape:
    """Return different axes, counted from the front."""
    found = tuple(as_axis(axis, n_axes) for axis in whole_numbers("the axes", axes))
    if len(set(found)) != len(found):
        raise BadInput(f"the axes are {axes}: expected each once")
    return found


def same(shapes: Shapes, _attrs: Attrs) -> Shape:
    """Require equal shapes; the output has the same."""
    if len(set(shapes)) != 1:
        raise BadInput(f"arguments have shapes {_and(shapes)}: expected equal shapes")
    return shapes[0]


def broadcast(shapes: Shapes, _attrs: Attrs) -> Shape:
    """Broadcast by NumPy's rules."""
    if len(set(shapes)) == 1:
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise BadInput(f"arguments have shapes {_and(shapes)}: expected shapes that broadcast") from None


def vectors(shapes: Shapes, attrs: Attrs) -> Shape:
    """Require equal shapes with at least one axis."""
    if not shapes[0]:
        raise BadInput("the argument is a scalar: expected at least one axis")
    return same(shapes, attrs)


def affine(shapes: Shapes, _attrs: Attrs) -> Shape:
    """Match z (…, m), W (n, m), b (n,): the output is (…, n)."""
    z, W, b = shapes
    _require(shapes, "z (…, m), W (n, m), b (n,)", fits=len(W) == 2 and z[-1:] == W[1:] and b == W[:1])
    return (*z[:-1], W[0])


def masked_affine(shapes: Shapes, attrs: Attrs) -> Shape:
    """Match z (…, m), v (nnz,), b (n,) with the mask (n, m): the output is (…, n)."""
    z, v, b = shapes
    n, m = attrs["mask"].shape
    nnz = attrs["mask"].indices.size
    _require(
        shapes, f"z (…, {m}), v ({nnz},), b ({n},) for the mask", fits=z[-1:] == (m,) and v == (nnz,) and b == (n,)
    )
    return (*z[:-1], n)


def channel_bias(shapes: Shapes, _attrs: Attrs) -> Shape:
    """Match x (B, C, …), b (C,)."""
    x, b = shapes
    _require(shapes, "x (B, C, …), b (C,)", fits=len(x) >= 2 and b == x[1:2])
    return x


def concat(shapes: Shapes, attrs: Attrs) -> Shape:
    """Join along an axis; require equal other axes."""
    axis = attrs["axis"]
    if not all(shapes) or len({(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1:
        which = f"axis {axis}" if axis < len(shapes[0]) - 1 else "the last axis"
        raise BadInput(f"arguments have shapes {_and(shapes)}: expected shapes that differ in {which} only")
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def permute(shapes: Shapes, attrs: Attrs) -> Shape:
    """Require a last axis of the order's length."""
    (x,) = shapes
    n = attrs["order"].positions.size
    if not x or x[-1] != n:
        raise BadInput(f"the argument has shape {x} and the order {n} entries: expected a last axis of {n}")
    return x


def reshape(shapes: Shapes, attrs: Attrs) -> Shape:
    """Return the requested shape; require equally many entries. One length may be −1."""
    (x,), wanted = shapes, attrs["shape"]
    known = prod(length for length in wanted if length != -1)
    n = prod(x)
    if -1 in wanted and known > 0 and n % known == 0 and wanted.count(-1) == 1:
        wanted = tuple(n // known if length == -1 else length for length in wanted)
    if prod(wanted) != n or min(wanted, default=1) < 1:
        raise BadInput(
            f"the argument has shape {x}, {n} entries: expected a shape with as many entries, got {attrs['shape']}"
        )
    return tuple(wanted)


def transpose(shapes: Shapes, attrs: Attrs) -> Shape:
    """Reorder the axes."""
    (x,), axes = shapes, attrs["axes"]
    if len(axes) != len(x):
        raise BadInput(f"the argument has shape {x}: expected as many axes, got {axes}")
    return tuple(x[axis] for axis in axes)


def cross(shapes: Shapes, attrs: Attrs) -> Shape:
    """Require equal shapes with a last axis of 3."""
    x = same(shapes, attrs)
    if x[-1:] != (3,):
        raise BadInput(f"the arguments have shape {x}: expected a last axis of 3")
    return x


def reduced(shapes: Shapes, attrs: Attrs) -> Shape:
    """Require equal shapes; remove the last axis."""
    return vectors(shapes, attrs)[:-1]


def outer(shapes: Shapes, _attrs: Attrs) -> Shape:
    """Match x (…, n), y (…, m): the output is (…, n, m)."""
    x, y = shapes
    if not x or not y or x[:-1] != y[:-1]:
        raise BadInput(f"arguments have shapes {_and(shapes)}: expected shapes that differ in the last axis only")
    return (*x, y[-1])


def matmul(shapes: Shapes, _attrs: Attrs) -> Shape:
    """Match x (…, n, k), y (…, k, m): the output is (…, n, m)."""
    x, y = shapes
    fits = len(x) >= 2 and len(x) == len(y) and x[:-2] == y[:-2] and x[-1] == y[-2]
    _require(shapes, "x (…, n, k), y (…, k, m)", fits=fits)
    return (*x[:-1], y[-1])


def dropout(shapes: Shapes, attrs: Attrs) -> Shape:
    """Require last axes equal to the mask's."""
    (x,), mask = shapes, attrs["mask"].shape
    if mask != x[len(x) - len(mask) :] or len(mask) > len(x):
        raise BadInput(f"the argument has shape {x}, the mask {mask}: expected the shape of its last axes")
    return x


def low_rank_affine(shapes: Shapes, _attrs: Attrs) -> Shape:
    """Match z (…, m), U (n, r), V (r, m), b (n,): the output is (…, n)."""
    z, U, V, b = shapes
    fits = len(U) == len(V) == 2 and z[-1:] == V[1:] and U[1:] == V[:1] and b == U[:1]
    _require(shapes, "z (…, m), U (n, r), V (r, m), b (n,)", fits=fits)
    return (*z[:-1], U[0])


def convolution(shapes: Shapes, n_axes: int | None, groups: int) -> tuple[Shape, Shape]:
    """Match x (B, C, *lengths) with W (O, C / groups, *kernel), over one or two axes if `n_axes` is None."""
    x, W = shapes
    lengths, kernel = {1: ("L", "K"), 2: ("H, W", "K, K"), None: ("…", "…")}[n_axes]
    channels = "C" if groups == 1 else f"C / {groups}"
    fits = len(x) == len(W) and len(W) - 2 in ([1, 2] if n_axes is None else [n_axes])
    fits = fits and groups > 0 and x[1] == W[1] * groups and W[0] % groups == 0
    _require(shapes, f"x (B, C, {lengths}), W (O, {channels}, {kernel})", fits=fits)
    return x, W


def loss(shapes: Shapes, attrs: Attrs) -> Shape:
    """Require equal shapes; return a scalar."""
    vectors(shapes, attrs)
    return ()


def _require(shapes: Shapes, expected: str, *, fits: bool) -> None:
    if not fits:
        raise BadInput(f"shapes {_and(shapes)} do not fit: expected {expected}")


def _and(shapes: Shapes) -> str:
    return " and ".join(map(str, shapes))
