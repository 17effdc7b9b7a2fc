"""Comparisons, logic, and the choice between two arguments; all arguments broadcast."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.ops.pointwise import Derivative, pointwise, slope

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs
    from jacobench.graphs.calls import Call
    from jacobench.graphs.op import Op


def _compared(g: Any, name: str, batch: int, size: int) -> Any:
    x, y = g.input("x", (batch, size)), g.input("y", (batch, size))
    return g.where(getattr(g, name)(x, y), x, y)


def _comparison(name: str, forward: Callable[..., Any], source: str) -> Op:
    return pointwise(
        name,
        forward,
        (None, None),
        result="bool",
        source=source,
        like=None if name == "greater" else "greater",
        example=lambda g, batch=3, size=4: _compared(g, name, batch, size),
    )


# Zero where the condition selects the other argument, also if the cotangent is infinite or not a number, as in JAX.


def _select_x(g: Array, _y: Array, xs: Arrays, _ctx: ArgumentContext) -> Array:
    return np.where(xs[0], g, g.dtype.type(0))


def _select_y(g: Array, _y: Array, xs: Arrays, _ctx: ArgumentContext) -> Array:
    return np.where(xs[0], g.dtype.type(0), g)


def _copy_x(g: Array, _y: Array, xs: Arrays, out: Array, _ctx: ArgumentContext) -> list[Call]:
    return [(out.fill, (0,)), (np.copyto, (out, g, "same_kind", xs[0]))]


def _copy_y(g: Array, _y: Array, xs: Arrays, out: Array, _ctx: ArgumentContext) -> list[Call]:
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


WHERE = replace(
    pointwise(
        "where",
        _where,
        (
            None,
            _chosen(_select_x, _copy_x, lambda xp, _y, condition, _a, _b: xp.logical_or(condition, condition)),
            _chosen(_select_y, _copy_y, lambda xp, _y, condition, _a, _b: xp.logical_not(condition)),
        ),
        source="x where the boolean condition is true, else y; the slope of the other one is 0, as in JAX and torch",
        example=_where_example,
    ),
    forward=_where,
    floor=_where_floor,
    flops=lambda ctx: ctx.n_out,
    scratch=lambda _ctx: 0,
)

OPS = (
    WHERE,
    _comparison("greater", lambda _xp, x, y: x > y, "x > y; for any dtype"),
)
