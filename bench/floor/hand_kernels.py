"""Each op by hand: the passes over memory that its forward rule and its vjp rules cannot avoid, outputs preallocated.

An op is one entry of `FORWARD` and one of `BACKWARD`. A pass is a NumPy function with its arguments and its output; to run
a list of them is what a loop scheduled by hand does. Scratch arrays are made here, outside of what is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf

from jacobench.graphs.arrays.namespaces import LARGEST_EXPONENT
from jacobench.graphs.ops.elementwise import LEAKY_SLOPE, NEAR_ZERO
from jacobench.graphs.ops.linear import outer_product
from jacobench.graphs.ops.normalization import EPSILON

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array

Pass = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function and its positional arguments, the output among them."""

Forward = Callable[[tuple["Array", ...], "Array", Mapping[str, Any]], list[Pass]]
"""(xs, y, attrs) → the passes that leave the op's output in y."""

Backward = Callable[["Array", "Array", tuple["Array", ...], "Array", "ArgumentContext"], list[Pass]]
"""(y_bar (S, …), y, xs, x_bar (S, …), ctx) → the passes that leave the cotangents in x_bar."""


def _call(function: Callable[..., Any], *args: Any) -> Pass:
    return function, args


def _rows(array: Array) -> Array:
    """View (…, n) as (rows, n)."""
    return array.reshape(-1, array.shape[-1])


def _affine(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    z, W, b = xs
    t = _rows(y)
    return [_call(np.matmul, _rows(z), W.T, t), _call(np.add, t, b, t)]


def _affine_z(y_bar: Array, _y: Array, xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Pass]:
    return [_call(np.matmul, _rows(y_bar), xs[1], _rows(x_bar))]


def _affine_W(y_bar: Array, _y: Array, xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Pass]:
    g, z = y_bar.reshape(len(y_bar), -1, y_bar.shape[-1]), _rows(xs[0])
    if len(z) == 1:
        # Each number of the outer product is one multiplication and one write; NumPy's quickest way to both.
        return [_call(outer_product, y_bar.reshape(-1, 1), z, _rows(x_bar))]
    return [_call(np.matmul, gradient.T, z, bar) for gradient, bar in zip(g, x_bar, strict=True)]


def _bias(y_bar: Array, _y: Array, _xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Pass]:
    return [_call(np.add.reduce, y_bar.reshape(len(y_bar), -1, y_bar.shape[-1]), 1, None, x_bar)]


def _elementwise(*functions: Callable[..., Any]) -> Forward:
    """Apply functions one after another, each from and to the output."""

    def passes(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
        first, *others = functions
        return [_call(first, *xs, y), *(_call(function, y, y) for function in others)]

    return passes


def _slope(make: Callable[[Array, Array, Array], list[Pass]]) -> Backward:
    """Leave the slope where the last seed's cotangent is to be, then multiply; `make` is given y, x and that place."""

    def passes(y_bar: Array, y: Array, xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Pass]:
        slope, others = x_bar[-1], len(x_bar) - 1
        multiply_others = [_call(np.multiply, y_bar[:-1], slope, x_bar[:-1])] if others else []
        return [*make(y, xs[0], slope), *multiply_others, _call(np.multiply, y_bar[-1], slope, slope)]

    return passes


def _maximum(x: Array, y: Any, out: Array) -> None:
    np.maximum(x, y, out=out)  # the one function of these that takes its output by name only


def _relu(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    return [_call(_maximum, xs[0], y.dtype.type(0), y)]


def _leaky_relu(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    return [_call(np.multiply, xs[0], y.dtype.type(LEAKY_SLOPE), y), _call(_maximum, xs[0], y, y)]


def _leaky_slope(y: Array, _x: Array, slope: Array) -> list[Pass]:
    of = y.dtype.type
    return [_call(np.greater, y, of(0), slope), _call(_maximum, slope, of(LEAKY_SLOPE), slope)]


def _softplus_slope(y: Array, _x: Array, slope: Array) -> list[Pass]:
    return [_call(np.negative, y, slope), _call(np.expm1, slope, slope), _call(np.negative, slope, slope)]


def _softplus(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    x, positive = xs[0], np.empty_like(y)
    return [
        _call(np.abs, x, y),
        _call(np.negative, y, y),
        _call(np.exp, y, y),
        _call(np.log1p, y, y),
        _call(_maximum, x, y.dtype.type(0), positive),
        _call(np.add, y, positive, y),
    ]


def _gelu(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    x, of = xs[0], y.dtype.type
    return [
        _call(np.multiply, x, of(1 / sqrt(2)), y),
        _call(erf, y, y),
        _call(np.add, y, of(1), y),
        _call(np.multiply, y, x, y),
        _call(np.multiply, y, of(0.5), y),
    ]


def _gate(y: Array, x: Array, s: Array) -> list[Pass]:
    """Leave y / x, which for y = x s(x) is s(x), and 1/2 near 0: see `ops.elementwise`."""
    return [_call(_divide_where, y, x, s, np.empty_like(x), np.empty(x.shape, bool))]


def _divide_where(y: Array, x: Array, s: Array, size: Array, far: Any) -> None:
    np.abs(x, size)
    np.greater(size, NEAR_ZERO, far)
    s.fill(0.5)
    np.divide(y, x, out=s, where=far)


def _gelu_slope(y: Array, x: Array, slope: Array) -> list[Pass]:
    of, density = x.dtype.type, np.empty_like(x)
    return [
        _call(np.multiply, x, x, density),
        _call(np.multiply, density, of(-0.5), density),
        _call(np.exp, density, density),
        _call(np.multiply, density, x, density),
        _call(np.multiply, density, of(1 / sqrt(2 * pi)), density),
        *_gate(y, x, slope),
        _call(np.add, slope, density, slope),
    ]


def _sigmoid(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    of = y.dtype.type
    return [
        _call(np.negative, xs[0], y),
        _call(_minimum, y, of(LARGEST_EXPONENT[y.itemsize]), y),
        _call(np.exp, y, y),
        _call(np.add, y, of(1), y),
        _call(np.divide, of(1), y, y),
    ]


def _minimum(x: Array, y: Any, out: Array) -> None:
    np.minimum(x, y, out=out)


def _silu(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    return [*_sigmoid(xs, y, {}), _call(np.multiply, xs[0], y, y)]


def _silu_slope(y: Array, x: Array, slope: Array) -> list[Pass]:
    one, s = x.dtype.type(1), np.empty_like(x)
    return [
        *_gate(y, x, s),
        _call(np.subtract, one, s, slope),
        _call(np.multiply, slope, y, slope),
        _call(np.add, slope, s, slope),
    ]


def _along(y: Array) -> Array:
    """Make room for one number for each vector along the last axis."""
    return np.empty((*y.shape[:-1], 1), y.dtype)


def _softmax(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    x, one = xs[0], _along(y)
    return [
        _call(np.maximum.reduce, x, -1, None, one, True),
        _call(np.subtract, x, one, y),
        _call(np.exp, y, y),
        _call(np.add.reduce, y, -1, None, one, True),
        _call(np.divide, y, one, y),
    ]


def _softmax_vjp(y_bar: Array, y: Array, _xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Pass]:
    one = _along(y_bar)
    return [
        _call(np.multiply, y_bar, y, x_bar),
        _call(np.add.reduce, x_bar, -1, None, one, True),
        _call(np.subtract, y_bar, one, x_bar),
        _call(np.multiply, x_bar, y, x_bar),
    ]


def _inverse_deviation(x: Array, centred: Array, inverse: Array) -> list[Pass]:
    """Leave x − mean and 1 / √(variance + ε), the latter one number for each vector along the last axis."""
    square, n, of = np.empty_like(x), x.shape[-1], x.dtype.type
    return [
        _call(np.add.reduce, x, -1, None, inverse, True),
        _call(np.multiply, inverse, of(1 / n), inverse),
        _call(np.subtract, x, inverse, centred),
        _call(np.multiply, centred, centred, square),
        _call(np.add.reduce, square, -1, None, inverse, True),
        _call(np.multiply, inverse, of(1 / n), inverse),
        _call(np.add, inverse, of(EPSILON), inverse),
        _call(np.sqrt, inverse, inverse),
        _call(np.reciprocal, inverse, inverse),
    ]


def _layer_norm(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    inverse = _along(y)
    return [*_inverse_deviation(xs[0], y, inverse), _call(np.multiply, y, inverse, y)]


def _layer_norm_vjp(y_bar: Array, y: Array, xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Pass]:
    along, mean, inverse = _along(y_bar), _along(y_bar), _along(y)
    share = y.dtype.type(1 / y.shape[-1])
    return [
        *_inverse_deviation(xs[0], np.empty_like(y), inverse),  # the deviation again: it is not among the residuals
        _call(np.multiply, y_bar, y, x_bar),
        _call(np.add.reduce, x_bar, -1, None, along, True),
        _call(np.multiply, along, share, along),
        _call(np.add.reduce, y_bar, -1, None, mean, True),
        _call(np.multiply, mean, share, mean),
        _call(np.multiply, y, along, x_bar),
        _call(np.subtract, y_bar, x_bar, x_bar),
        _call(np.subtract, x_bar, mean, x_bar),
        _call(np.multiply, x_bar, inverse, x_bar),
    ]


def _mse(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    difference = np.empty_like(xs[0])
    flat = difference.reshape(-1)
    return [
        _call(np.subtract, *xs, difference),
        _call(np.dot, flat, flat, y),
        _call(np.multiply, y, y.dtype.type(0.5 / len(difference)), y),
    ]


def _mse_vjp(sign: int) -> Backward:
    def passes(y_bar: Array, _y: Array, xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Pass]:
        difference = np.empty_like(xs[0])
        shares = y_bar.reshape(-1, *(1,) * xs[0].ndim) / (sign * len(difference))
        return [_call(np.subtract, *xs, difference), _call(np.multiply, shares, difference, x_bar)]

    return passes


def _cross_entropy(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Pass]:
    t, target = xs
    scratch, largest, total, weight, told = np.empty_like(t), _along(t), _along(t), _along(t), np.empty_like(y)
    return [
        _call(np.maximum.reduce, t, -1, None, largest, True),
        _call(np.subtract, t, largest, scratch),
        _call(np.exp, scratch, scratch),
        _call(np.add.reduce, scratch, -1, None, total, True),
        _call(np.log, total, total),
        _call(np.add, total, largest, total),
        _call(np.add.reduce, target, -1, None, weight, True),
        _call(np.dot, total.reshape(-1), weight.reshape(-1), y),
        _call(np.dot, target.reshape(-1), t.reshape(-1), told),
        _call(np.subtract, y, told, y),
        _call(np.multiply, y, y.dtype.type(1 / len(t)), y),
    ]


def _cross_entropy_vjp(
    y_bar: Array, _y: Array, xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext
) -> list[Pass]:
    t, target = xs
    scratch, weight = np.empty_like(t), _along(t)
    shares = y_bar.reshape(-1, *(1,) * t.ndim) / len(t)
    return [
        *_softmax((t,), scratch, {}),
        _call(np.add.reduce, target, -1, None, weight, True),
        _call(np.multiply, scratch, weight, scratch),
        _call(np.subtract, scratch, target, scratch),
        _call(np.multiply, shares, scratch, x_bar),
    ]


def _scale(xs: tuple[Array, ...], y: Array, attrs: Mapping[str, Any]) -> list[Pass]:
    return [_call(np.multiply, xs[0], y.dtype.type(attrs["factor"]), y)]


def _scale_vjp(y_bar: Array, _y: Array, _xs: tuple[Array, ...], x_bar: Array, ctx: ArgumentContext) -> list[Pass]:
    return [_call(np.multiply, y_bar, x_bar.dtype.type(ctx.attrs["factor"]), x_bar)]


def _factor(other: int) -> Backward:
    return lambda y_bar, _y, xs, x_bar, _ctx: [_call(np.multiply, y_bar, xs[other], x_bar)]


def _nothing(*_: Any) -> list[Pass]:
    """Need no pass: the cotangents are those of the output, or a view of them."""
    return []


FORWARD: Mapping[str, Forward] = {
    "affine": _affine,
    "add": _elementwise(np.add),
    "multiply": _elementwise(np.multiply),
    "scale": _scale,
    "concat": lambda xs, y, _attrs: [_call(np.concatenate, xs, -1, y)],
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "tanh": _elementwise(np.tanh),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "gelu": _gelu,
    "silu": _silu,
    "sin": _elementwise(np.sin),
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "mse": _mse,
    "cross_entropy": _cross_entropy,
}

BACKWARD: Mapping[str, tuple[Backward, ...]] = {
    "affine": (_affine_z, _affine_W, _bias),
    "add": (_nothing, _nothing),
    "multiply": (_factor(1), _factor(0)),
    "scale": (_scale_vjp,),
    "concat": (_nothing,),
    "relu": (_slope(lambda y, _x, slope: [_call(np.greater, y, y.dtype.type(0), slope)]),),
    "leaky_relu": (_slope(_leaky_slope),),
    "tanh": (
        _slope(
            lambda y, _x, slope: [_call(np.multiply, y, y, slope), _call(np.subtract, y.dtype.type(1), slope, slope)]
        ),
    ),
    "sigmoid": (
        _slope(
            lambda y, _x, slope: [_call(np.subtract, y.dtype.type(1), y, slope), _call(np.multiply, y, slope, slope)]
        ),
    ),
    "softplus": (_slope(_softplus_slope),),
    "gelu": (_slope(_gelu_slope),),
    "silu": (_slope(_silu_slope),),
    "sin": (_slope(lambda _y, x, slope: [_call(np.cos, x, slope)]),),
    "softmax": (_softmax_vjp,),
    "layer_norm": (_layer_norm_vjp,),
    "mse": (_mse_vjp(1), _mse_vjp(-1)),
    "cross_entropy": (_cross_entropy_vjp,),
}
"""An op or argument without an entry has no floor, nor has a graph that it is in."""
