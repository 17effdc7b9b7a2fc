"""Comparisons, logic, and the choice between two arguments; all arguments broadcast."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.op import Op, output_size
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.pointwise import Derivative, broadcasting_rules, pointwise, slope

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs
    from jacobench.graphs.calls import Call


def _compared(g: Any, name: str, batch: int, size: int) -> Any:
    x, y = g.input("x", (batch, size)), g.input("y", (batch, size))
    return g.where(getattr(g, name)(x, y), x, y)


def _comparison(name: str, forward: Callable[..., Any], source: str, in_numpy: Callable[..., Any] | None = None) -> Op:
    """Return an op with a boolean output and two arguments of any dtype."""
    return pointwise(
        name,
        forward,
        (None, None),
        source,
        result="bool",
        in_numpy=in_numpy,
        like=None if name == "greater" else "greater",
        example=lambda g, batch=3, size=4: _compared(g, name, batch, size),
    )


MANY = 10_000
"""Number of entries from which masks of bits are faster: np.where guesses, and takes 3.3 ns an entry where a mask is random
and 0.6 where it is not. Masks of bits take 0.6 in both cases."""

BITS = {4: np.int32, 8: np.int64}
"""Item size in bytes → integers of this size."""


# Zero where the condition selects the other argument, also if the cotangent is infinite or not a number, as in JAX.


def _select(g: Array, mask: Array, is_x: bool, out: Array) -> Array:
    """Write g (S, *out) where the mask is true (for x) or false (for y), else 0, by masks of bits; return it."""
    given, bits = g.view(BITS[g.itemsize]), out.view(BITS[g.itemsize])
    last = bits[-1, ...]
    last[...] = mask
    if is_x:
        np.negative(last, last)  # all bits of −1 are set
    else:
        np.subtract(last, 1, last)
    np.bitwise_and(given[:-1], last, bits[:-1])
    np.bitwise_and(given[-1, ...], last, last)
    return out


def _select_x(g: Array, _y: Array, xs: Arrays, _ctx: ArgumentContext) -> Array:
    if g.size >= MANY:
        return _select(g, xs[0], True, np.empty(g.shape, g.dtype))
    return np.where(xs[0], g, g.dtype.type(0))


def _select_y(g: Array, _y: Array, xs: Arrays, _ctx: ArgumentContext) -> Array:
    if g.size >= MANY:
        return _select(g, xs[0], False, np.empty(g.shape, g.dtype))
    return np.where(xs[0], g.dtype.type(0), g)


def _copy_x(g: Array, _y: Array, xs: Arrays, out: Array, _ctx: ArgumentContext) -> list[Call]:
    if g.size >= MANY:
        return [(_select, (g, xs[0], True, out))]
    return [(out.fill, (0,)), (np.copyto, (out, g, "same_kind", xs[0]))]


def _copy_y(g: Array, _y: Array, xs: Arrays, out: Array, _ctx: ArgumentContext) -> list[Call]:
    if g.size >= MANY:
        return [(_select, (g, xs[0], False, out))]
    return [(np.copyto, (out, g)), (np.copyto, (out, 0, "same_kind", xs[0]))]


def _chosen(select: Callable[..., Array], copy: Callable[..., list[Call]], mask: Callable[..., Any]) -> Derivative:
    return replace(slope(mask, 3, {}), product=select, product_calls=copy)


def _where_floor(xs: Arrays, y: Array, _attrs: Attrs) -> list[Call]:
    return [(np.copyto, (y, xs[2])), (np.copyto, (y, xs[1], "same_kind", xs[0]))]


def _where_example(g: Any, batch: int = 3, size: int = 4) -> Any:
    condition = np.arange(batch * size).reshape(batch, size) % 3 > 0
    return g.where(g.constant(condition), g.input("x", (batch, size)), g.input("y", (batch, size)))


def _where(xp: Any, condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y) if xp is NUMPY else xp.where(condition, x, y)


WHERE = Op(
    name="where",
    forward=_where,
    shape=shapes.broadcast,
    **broadcasting_rules(
        (
            None,
            _chosen(_select_x, _copy_x, lambda xp, _y, condition, _a, _b: xp.logical_or(condition, condition)),
            _chosen(_select_y, _copy_y, lambda xp, _y, condition, _a, _b: xp.logical_not(condition)),
        )
    ),
    source="x where the boolean condition is true, else y; the slope of the other one is 0, as in JAX and torch",
    example=_where_example,
    floor=_where_floor,
    flops=output_size,
)


def _of_masks(g: Any, name: str, n_arguments: int, batch: int, size: int) -> Any:
    x, y = g.input("x", (batch, size)), g.input("y", (batch, size))
    masks = [g.greater(x, y), g.greater(g.neg(x), y)]
    return g.where(getattr(g, name)(*masks[:n_arguments]), x, y)


def _logical(name: str, n_arguments: int, source: str) -> Op:
    """Return a function of booleans."""
    return pointwise(
        name,
        (lambda xp, x: getattr(xp, name)(x)) if n_arguments == 1 else lambda xp, x, y: getattr(xp, name)(x, y),
        (None,) * n_arguments,
        source,
        result="bool",
        like="greater" if n_arguments == 2 else None,
        example=lambda g, batch=3, size=4: _of_masks(g, name, n_arguments, batch, size),
    )


def _finite_or_zero(g: Any, batch: int = 3, size: int = 4) -> Any:
    x = g.input("x", (batch, size))
    return g.where(g.is_finite(x), x, g.constant(0.0))


OPS = (
    WHERE,
    _comparison("greater", lambda _xp, x, y: x > y, "x > y; for any dtype"),
    _comparison("greater_equal", lambda _xp, x, y: x >= y, "x ≥ y; for any dtype"),
    _comparison("less", lambda _xp, x, y: x < y, "x < y; for any dtype"),
    _comparison("less_equal", lambda _xp, x, y: x <= y, "x ≤ y; for any dtype"),
    _comparison("equal", lambda _xp, x, y: x == y, "x = y; for any dtype", lambda xp, x, y: xp.equal(x, y)),
    _comparison("not_equal", lambda _xp, x, y: x != y, "x ≠ y; for any dtype", lambda xp, x, y: xp.not_equal(x, y)),
    _logical("logical_and", 2, "both are true"),
    _logical("logical_or", 2, "one or both are true"),
    _logical("logical_xor", 2, "one of both is true"),
    _logical("logical_not", 1, "x is false"),
    pointwise(
        "is_finite",
        lambda xp, x: xp.isfinite(x),
        (None,),
        "x is neither infinite nor NaN",
        result="bool",
        like="logical_not",
        example=_finite_or_zero,
    ),
)
