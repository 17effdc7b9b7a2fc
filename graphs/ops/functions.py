"""Elementary functions of one and two arguments, which broadcast.

Outside of a function's domain values and slopes are NaN or infinite, as in other libraries, and NumPy does not warn.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.formulas import silently
from jacobench.graphs.op import OUTPUT
from jacobench.graphs.ops.pointwise import constant, factor, pointwise, slope

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays
    from jacobench.graphs.op import Op
    from jacobench.graphs.ops.pointwise import Derivative

LARGEST_PRODUCT = 8
"""Largest whole exponent for which powers are products."""


def _power(xp: Any, x: Any, exponent: float) -> Any:
    """Return x to a fixed power; for small whole exponents by products, which take 1 ns each, where np.power takes 20."""
    if exponent == 1:
        return x * 1.0
    if exponent < 0 and exponent == round(exponent) and exponent >= -LARGEST_PRODUCT:
        return xp.reciprocal(x) if exponent == -1 else xp.reciprocal(_power(xp, x, -exponent))
    if exponent != round(exponent) or not 1 < exponent <= LARGEST_PRODUCT:
        return xp.power(x, exponent)
    half = x if exponent < 4 else _power(xp, x, exponent // 2)
    square = half * half
    return square * x if exponent % 2 else square


def _power_slope(xp: Any, _y: Any, x: Any, exponent: float) -> Any:
    return x * 0.0 if exponent == 0 else _power(xp, x, exponent - 1) * exponent


def _whole(exponent: float) -> float:
    """Return a whole exponent as an integer, for which libraries have faster rules."""
    return int(exponent) if exponent == round(exponent) else exponent


def _smooth(name: str, derivative: Any, source: str, **more: Any) -> Op:
    """Return a function that has NumPy's name in every library."""
    return pointwise(
        name,
        lambda xp, x: getattr(xp, name)(x),
        (derivative,),
        source,
        **({"like": None if name == "erf" else "erf"} | more),
    )


def _steps(name: str, source: str, **more: Any) -> Op:
    """Return a piecewise constant function. Its slope is 0 everywhere, as in NumPy, JAX and torch."""
    return pointwise(
        name,
        lambda xp, x: getattr(xp, name)(x),
        (None,),
        f"{source}; slope 0 everywhere, also at its steps",
        like=None if name == "floor" else "floor",
        is_piecewise_constant=True,
        example=lambda g, batch=3, size=4: _times_steps(g, name, batch, size),
        **more,
    )


def _times_steps(g: Any, name: str, batch: int, size: int) -> Any:
    x = g.input("x", (batch, size))
    return g.multiply(x, getattr(g, name)(g.scale(x, factor=4.0)))


def _abs(xp: Any, x: Any, at_zero: float) -> Any:
    return xp.where(x >= 0, x, -x) if at_zero == 1 else xp.where(x > 0, x, xp.where(x < 0, -x, at_zero * x))


def _abs_slope(xp: Any, _y: Any, x: Any, at_zero: float) -> Any:
    return xp.equal(x, 0.0) * at_zero + xp.sign(x) if at_zero else xp.sign(x)


UNARY = (
    _smooth("exp", factor(OUTPUT), "the exponential function", like=None),
    _smooth("expm1", lambda _xp, y, _x: y + 1.0, "exp x − 1"),
    _smooth("log", lambda xp, _y, x: xp.reciprocal(x), "the natural logarithm", positive="x"),
    _smooth("log1p", lambda xp, _y, x: xp.reciprocal(x + 1.0), "log(1 + x)", positive="x"),
    _smooth("sqrt", lambda _xp, y, _x: 0.5 / y, "the square root; slope ∞ at 0", positive="x", like="square"),
    pointwise(
        "rsqrt",
        lambda xp, x: 1.0 / xp.sqrt(x),
        (lambda _xp, y, _x: y * y * y * -0.5,),
        "1 / √x",
        positive="x",
        like="square",
    ),
    pointwise(
        "reciprocal",
        lambda _xp, x: 1.0 / x,
        (lambda _xp, y, _x: -(y * y),),
        "1 / x",
        positive="x",
        like="square",
    ),
    _smooth("square", lambda _xp, _y, x: x + x, "x²", like=None),
    _smooth("cos", lambda xp, _y, x: -xp.sin(x), "the cosine"),
    _smooth("tan", lambda _xp, y, _x: y * y + 1.0, "the tangent"),
    _smooth("arcsin", lambda xp, _y, x: 1.0 / xp.sqrt(1.0 - x * x), "the inverse sine"),
    _smooth("arccos", lambda xp, _y, x: -1.0 / xp.sqrt(1.0 - x * x), "the inverse cosine"),
    _smooth("arctan", lambda _xp, _y, x: 1.0 / (x * x + 1.0), "the inverse tangent"),
    _smooth("sinh", lambda xp, _y, x: xp.cosh(x), "the hyperbolic sine"),
    _smooth("cosh", lambda xp, _y, x: xp.sinh(x), "the hyperbolic cosine"),
    _smooth("arcsinh", lambda xp, _y, x: 1.0 / xp.sqrt(x * x + 1.0), "the inverse hyperbolic sine"),
    _smooth("arccosh", lambda xp, _y, x: 1.0 / xp.sqrt(x * x - 1.0), "the inverse hyperbolic cosine", positive="x"),
    _smooth("arctanh", lambda _xp, _y, x: 1.0 / (1.0 - x * x), "the inverse hyperbolic tangent"),
    _smooth("erf", lambda xp, _y, x: xp.exp(-(x * x)) * (2 / sqrt(pi)), "the error function"),
    _smooth("erfc", lambda xp, _y, x: xp.exp(-(x * x)) * (-2 / sqrt(pi)), "1 − erf x"),
    pointwise(
        "abs",
        _abs,
        (_abs_slope,),
        "|x|; slope `at_zero` at 0: 0 as in torch, 1 as in JAX",
        in_numpy=lambda xp, x, **_attrs: xp.abs(x),
        attrs={"at_zero": 0.0},
        like="square",
    ),
    pointwise(
        "power_of",
        lambda _xp, x, exponent: x ** _whole(exponent),
        (_power_slope,),
        "x to a fixed power",
        in_numpy=_power,
        attrs={"exponent": 2.0},
        sample={"exponent": 3.0},
        like="square",
    ),
    _steps("floor", "the largest whole number up to x"),
    _steps("ceil", "the smallest whole number from x"),
    _steps("trunc", "the whole part of x"),
    _steps("round", "the nearest whole number, of two the even one", in_numpy=lambda xp, x: xp.rint(x)),
    _steps("sign", "−1, 0 or 1"),
)


def _quotient(g: Array, _y: Array, xs: Arrays, _ctx: ArgumentContext) -> Array:
    quotient: Array = silently(np.divide, g, xs[1])
    return quotient


DIVIDED: Derivative = replace(
    slope(lambda xp, _z, _x, y: xp.reciprocal(y), 2, {}),
    product=_quotient,
    product_calls=lambda g, _y, xs, out, _ctx: [(np.divide, (g, xs[1], out))],
)


def _base_slope(xp: Any, _z: Any, x: Any, y: Any) -> Any:
    """Return y xʸ⁻¹; 0 where y = 0, also at x = 0."""
    return xp.power(x, xp.equal(y, 0.0) + (y - 1.0) + xp.equal(y, 0.0)) * y


TIES = ("share", "first", "second")


def _larger(xp: Any, x: Any, y: Any, ties: str) -> Any:
    """Return the slope by x of the larger of two; where both are equal 1/2, or 1 or 0."""
    if ties == "share":
        return ((x > y) + (x >= y)) * 0.5
    return xp.greater_equal(x, y) if ties == "first" else xp.greater(x, y)


OTHER = {"share": "share", "first": "second", "second": "first"}


def _extremum(name: str, source: str) -> Op:
    """Return the larger or the smaller of two arguments, with a convention for equal ones."""
    smaller = name == "minimum"

    def forward(xp: Any, x: Any, y: Any, ties: str) -> Any:
        if ties == "share":
            return getattr(xp, name)(x, y)
        if ties == "first":
            return xp.where(x <= y if smaller else x >= y, x, y)
        return xp.where(x < y if smaller else x > y, x, y)

    def by_x(xp: Any, _z: Any, x: Any, y: Any, ties: str) -> Any:
        return _larger(xp, y, x, ties) if smaller else _larger(xp, x, y, ties)

    def by_y(xp: Any, _z: Any, x: Any, y: Any, ties: str) -> Any:
        return _larger(xp, x, y, OTHER[ties]) if smaller else _larger(xp, y, x, OTHER[ties])

    return pointwise(
        name,
        forward,
        (by_x, by_y),
        source,
        in_numpy=lambda xp, x, y, **_attrs: getattr(xp, name)(x, y),
        attrs={"ties": "share"},
        choices={"ties": TIES},
        like="divide",
    )


def _mod_slope(xp: Any, _z: Any, x: Any, y: Any, kind: str) -> Any:
    return -getattr(xp, kind)(x / y)


def _mod(xp: Any, x: Any, y: Any, kind: str) -> Any:
    return xp.remainder(x, y) if kind == "floor" else xp.fmod(x, y)


def _squared_distance(xp: Any, y: Any, x: Any, origin: str) -> Any:
    distance = x * x + y * y
    return distance + xp.equal(distance, 0.0) if origin == "zero" else distance


def _atan2(xp: Any, y: Any, x: Any, origin: str) -> Any:
    if origin == "nan":
        return xp.arctan2(y, x)
    at_origin = (x == 0) & (y == 0)
    return xp.where(
        at_origin, 0.0 * y, xp.arctan2(xp.where(at_origin, 0.0 * y, y), xp.where(at_origin, 0.0 * x + 1.0, x))
    )


BINARY = (
    pointwise("subtract", lambda _xp, x, y: x - y, (constant(1), constant(-1)), "x − y", like="add"),
    pointwise(
        "divide",
        lambda _xp, x, y: x / y,
        (DIVIDED, lambda _xp, z, _x, y: -(z / y)),
        "x / y",
        positive="y",
    ),
    pointwise(
        "power",
        lambda _xp, x, y: x**y,
        (_base_slope, lambda xp, z, x, _y: xp.log(x + xp.equal(x, 0.0)) * z),
        "xʸ; at x = 0 the slope by y is 0, and where y = 0 the slope by x, as in JAX",
        in_numpy=lambda xp, x, y: xp.power(x, y),
        positive="x",
        like="divide",
    ),
    _extremum(
        "maximum", "the larger of x and y; where they are equal, `ties` gives each half of the slope, or one all of it"
    ),
    _extremum("minimum", "the smaller of x and y; `ties` as of maximum"),
    pointwise(
        "atan2",
        _atan2,
        (
            lambda xp, _z, y, x, origin: x / _squared_distance(xp, y, x, origin),
            lambda xp, _z, y, x, origin: -y / _squared_distance(xp, y, x, origin),
        ),
        "the angle of the point (x, y); slopes at the `origin` NaN as in JAX, or zero as in torch",
        in_numpy=lambda xp, y, x, **_attrs: xp.arctan2(y, x),
        attrs={"origin": "nan"},
        choices={"origin": ("nan", "zero")},
        like="divide",
    ),
    pointwise(
        "logaddexp",
        lambda xp, x, y: xp.logaddexp(x, y),
        (lambda xp, _z, x, y: xp.sigmoid(x - y), lambda xp, _z, x, y: xp.sigmoid(y - x)),
        "log(exp x + exp y)",
        like="divide",
    ),
    pointwise(
        "mod",
        _mod,
        (constant(1), _mod_slope),
        "remainder of x / y, with the sign of y (`kind` floor) or of x (trunc); slopes 1 and −floor(x / y) or −trunc(x / y)",
        attrs={"kind": "floor"},
        choices={"kind": ("floor", "trunc")},
        positive="y",
        like="divide",
    ),
)

OPS = (*UNARY, *BINARY)
