"""Activations: functions applied to each entry, defined by their forward rule and their derivative.

The derivative is a function of the output where that is shorter (tanh′ = 1 − y²), so that the input need not be kept.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf

from jacobench.graphs.arrays.namespaces import LARGEST_EXPONENT
from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op, multiply_in_place, zero
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.sparsity import DIAGONAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.graphs.array_types import ArgumentContext, Array
    from jacobench.graphs.op import Call, Count, VjpFloor

    Slope = Callable[[Array, tuple[Array, ...]], Array]
    SlopeFloor = Callable[[Array, Array, Array], list[Call]]

LEAKY_SLOPE = 0.01
NEAR_ZERO = 1e-30


def _arrays(count: int, masks: int = 0) -> Count:
    """Count the bytes of arrays and masks of the output's shape."""
    return lambda ctx: ctx.n_out * (count * ctx.dtype.itemsize + masks)


def _of_input(derivative: Callable[[Array], Array], floor: SlopeFloor, flops: int) -> Argument:
    return _diagonal(lambda _y, xs: derivative(xs[0][None]), (0,), floor, flops)


def _of_output(derivative: Callable[[Array], Array], floor: SlopeFloor, flops: int, scratch: Count = zero) -> Argument:
    return _diagonal(lambda y, _xs: derivative(y[None]), (OUTPUT,), floor, flops, scratch)


def _of_both(derivative: Callable[[Array, Array], Array], floor: SlopeFloor, flops: int, scratch: Count) -> Argument:
    return _diagonal(lambda y, xs: derivative(y[None], xs[0][None]), (OUTPUT, 0), floor, flops, scratch)


def _diagonal(
    slope: Slope, residuals: tuple[int, ...], floor: SlopeFloor, flops: int, scratch: Count = zero
) -> Argument:
    """Return the rules of an activation from its slope, a new array of shape (1, *x.shape)."""
    return Argument(
        vjp=lambda y_bar, y, xs, _ctx: multiply_in_place(slope(y, xs), y_bar),
        jacobian=Jacobian(
            DIAGONAL,
            lambda y, xs, _ctx: slope(y, xs).reshape(-1),
            allocates=True,
            flops=lambda ctx: flops * ctx.n_out,
            scratch=scratch,
        ),
        residuals=residuals,
        flops=lambda ctx: (flops + 1) * ctx.n_out,
        scratch_once=scratch,
        floor=_vjp_floor(floor),
    )


def _vjp_floor(slope_calls: SlopeFloor) -> VjpFloor:
    """Return the floor kernel of a vjp rule; `slope_calls` (y, x, out) write the slope to the last seed's cotangent."""

    def calls(y_bar: Array, y: Array, xs: tuple[Array, ...], x_bar: Array, _ctx: ArgumentContext) -> list[Call]:
        slope = x_bar[-1, ...]
        others: list[Call] = [(np.multiply, (y_bar[:-1], slope, x_bar[:-1]))] if len(x_bar) > 1 else []
        return [*slope_calls(y, xs[0], slope), *others, (np.multiply, (y_bar[-1], slope, slope))]

    return calls


def _activation(
    name: str,
    forward: Callable[[Any, Any], Any],
    floor: Callable[[Array, Array], list[Call]],
    argument: Argument,
    flops: int,
    source: str,
    scratch: Count = zero,
) -> Op:
    def forward_floor(xs: tuple[Array, ...], y: Array, _attrs: Mapping[str, Any]) -> list[Call]:
        return floor(xs[0], y)

    return Op(
        name=name,
        forward=forward,
        shape=shapes.same,
        arguments=(argument,),
        flops=lambda ctx: flops * ctx.n_out,
        source=source,
        example=lambda g, batch=3, size=4: getattr(g, name)(g.input("x", (batch, size))),
        scratch=scratch,
        floor=forward_floor,
    )


# np.maximum and np.minimum accept their output only as a keyword.


def _maximum(x: Array, y: Any, out: Array) -> None:
    np.maximum(x, y, out=out)


def _minimum(x: Array, y: Any, out: Array) -> None:
    np.minimum(x, y, out=out)


def _leaky_relu_calls(x: Array, y: Array) -> list[Call]:
    return [(np.multiply, (x, y.dtype.type(LEAKY_SLOPE), y)), (_maximum, (x, y, y))]


def _sigmoid_calls(x: Array, y: Array) -> list[Call]:
    one, largest = y.dtype.type(1), y.dtype.type(LARGEST_EXPONENT[y.itemsize])
    return [
        (np.negative, (x, y)),
        (_minimum, (y, largest, y)),
        (np.exp, (y, y)),
        (np.add, (y, one, y)),
        (np.divide, (one, y, y)),
    ]


def _softplus_calls(x: Array, y: Array) -> list[Call]:
    positive = np.empty_like(y)
    return [
        (np.abs, (x, y)),
        (np.negative, (y, y)),
        (np.exp, (y, y)),
        (np.log1p, (y, y)),
        (_maximum, (x, y.dtype.type(0), positive)),
        (np.add, (y, positive, y)),
    ]


def _gelu_calls(x: Array, y: Array) -> list[Call]:
    number = y.dtype.type
    return [
        (np.multiply, (x, number(1 / sqrt(2)), y)),
        (erf, (y, y)),
        (np.add, (y, number(1), y)),
        (np.multiply, (y, x, y)),
        (np.multiply, (y, number(0.5), y)),
    ]


# Slopes are computed in place: where arrays are larger than the cache, each further array costs as much as an operation.


def _tanh_slope(y: Array) -> Array:
    """Return 1 − y²."""
    slope: Array = y * y
    return np.subtract(1, slope, slope)


def _tanh_slope_calls(y: Array, _x: Array, slope: Array) -> list[Call]:
    return [(np.multiply, (y, y, slope)), (np.subtract, (y.dtype.type(1), slope, slope))]


def _sigmoid_slope(y: Array) -> Array:
    """Return y (1 − y)."""
    slope: Array = 1 - y
    return np.multiply(slope, y, slope)


def _sigmoid_slope_calls(y: Array, _x: Array, slope: Array) -> list[Call]:
    return [(np.subtract, (y.dtype.type(1), y, slope)), (np.multiply, (y, slope, slope))]


def _softplus_slope(y: Array) -> Array:
    """Return 1 − exp(−y), the logistic function of x, without cancellation where y is tiny."""
    slope: Array = -y
    np.expm1(slope, slope)
    return np.negative(slope, slope)


def _softplus_slope_calls(y: Array, _x: Array, slope: Array) -> list[Call]:
    return [(np.negative, (y, slope)), (np.expm1, (slope, slope)), (np.negative, (slope, slope))]


def _leaky_slope(y: Array) -> Array:
    """Return 1 where y > 0, else 0.01; np.where takes twice as long."""
    slope = (y > 0).astype(y.dtype)
    return np.maximum(slope, y.dtype.type(LEAKY_SLOPE), out=slope)


def _relu_slope_calls(y: Array, _x: Array, slope: Array) -> list[Call]:
    return [(np.greater, (y, y.dtype.type(0), slope))]


def _leaky_slope_calls(y: Array, x: Array, slope: Array) -> list[Call]:
    return [*_relu_slope_calls(y, x, slope), (_maximum, (slope, y.dtype.type(LEAKY_SLOPE), slope))]


def _gate(y: Array, x: Array, s: Array | None = None, size: Array | None = None, far: Any = None) -> Array:
    """Return y / x, which for y = x s(x) is s(x): erf takes 12 ns an entry and the logistic function 4, a division 0.3.

    Near 0, where a quotient of denormal numbers has no accuracy, it is s(0) = 1/2. The optional arrays are overwritten.
    """
    s = np.empty_like(x) if s is None else s
    s.fill(0.5)
    return np.divide(y, x, out=s, where=np.greater(np.abs(x, size), NEAR_ZERO, far))


def _gate_calls(y: Array, x: Array, s: Array) -> list[Call]:
    return [(_gate, (y, x, s, np.empty_like(x), np.empty(x.shape, bool)))]


def _silu_slope(y: Array, x: Array) -> Array:
    """Return s + y (1 − s) with s the logistic function of x."""
    s = _gate(y, x)
    slope: Array = 1 - s
    slope *= y
    return np.add(slope, s, slope)


def _silu_slope_calls(y: Array, x: Array, slope: Array) -> list[Call]:
    s = np.empty_like(x)
    return [
        *_gate_calls(y, x, s),
        (np.subtract, (x.dtype.type(1), s, slope)),
        (np.multiply, (slope, y, slope)),
        (np.add, (slope, s, slope)),
    ]


def _gelu_slope(y: Array, x: Array) -> Array:
    """Return Φ(x) + x φ(x)."""
    slope: Array = x * x
    slope *= -0.5
    np.exp(slope, slope)
    slope *= x
    slope /= sqrt(2 * pi)
    return np.add(slope, _gate(y, x), slope)


def _gelu_slope_calls(y: Array, x: Array, slope: Array) -> list[Call]:
    number, density = x.dtype.type, np.empty_like(x)
    return [
        (np.multiply, (x, x, density)),
        (np.multiply, (density, number(-0.5), density)),
        (np.exp, (density, density)),
        (np.multiply, (density, x, density)),
        (np.multiply, (density, number(1 / sqrt(2 * pi)), density)),
        *_gate_calls(y, x, slope),
        (np.add, (slope, density, slope)),
    ]


OPS = (
    _activation(
        "relu",
        lambda xp, x: xp.relu(x),
        lambda x, y: [(_maximum, (x, y.dtype.type(0), y))],
        _of_output(lambda y: (y > 0).astype(y.dtype), _relu_slope_calls, flops=1, scratch=_arrays(0, masks=1)),
        flops=1,
        source="max(x, 0); Nair & Hinton, Rectified Linear Units (2010); slope 0 at 0",
    ),
    _activation(
        "leaky_relu",
        lambda xp, x: xp.leaky_relu(x, LEAKY_SLOPE),
        _leaky_relu_calls,
        _of_output(_leaky_slope, _leaky_slope_calls, flops=1, scratch=_arrays(0, masks=1)),
        flops=2,
        source="x where x > 0, else 0.01 x; Maas et al., Rectifier Nonlinearities (2013), section 2",
    ),
    _activation(
        "tanh",
        lambda xp, x: xp.tanh(x),
        lambda x, y: [(np.tanh, (x, y))],
        _of_output(_tanh_slope, _tanh_slope_calls, flops=2),
        flops=1,
        source="tanh x; LeCun et al., Efficient BackProp (1998), section 4.4",
    ),
    _activation(
        "sigmoid",
        lambda xp, x: xp.sigmoid(x),
        _sigmoid_calls,
        _of_output(_sigmoid_slope, _sigmoid_slope_calls, flops=2),
        flops=1,
        source="1 / (1 + exp(−x)); Rumelhart et al., Learning representations by back-propagating errors (1986)",
    ),
    _activation(
        "softplus",
        lambda xp, x: xp.softplus(x),
        _softplus_calls,
        _of_output(_softplus_slope, _softplus_slope_calls, flops=3),
        flops=3,
        source="log(1 + exp x); Dugas et al., Incorporating Second-Order Functional Knowledge (2001)",
    ),
    _activation(
        "gelu",
        lambda xp, x: 0.5 * x * (1 + xp.erf(x / sqrt(2))),
        _gelu_calls,
        _of_both(_gelu_slope, _gelu_slope_calls, flops=8, scratch=_arrays(2, masks=1)),
        flops=5,
        scratch=_arrays(2),
        source="x Φ(x) with the exact Φ; Hendrycks & Gimpel, Gaussian Error Linear Units (2016), section 2",
    ),
    _activation(
        "silu",
        lambda xp, x: x * xp.sigmoid(x),
        lambda x, y: [*_sigmoid_calls(x, y), (np.multiply, (x, y, y))],
        _of_both(_silu_slope, _silu_slope_calls, flops=5, scratch=_arrays(1, masks=1)),
        flops=2,
        source="x / (1 + exp(−x)); Elfwing et al., Sigmoid-Weighted Linear Units (2018), section 2",
    ),
    _activation(
        "sin",
        lambda xp, x: xp.sin(x),
        lambda x, y: [(np.sin, (x, y))],
        _of_input(np.cos, lambda _y, x, slope: [(np.cos, (x, slope))], flops=1),
        flops=1,
        source="sin x; Sitzmann et al., Implicit Neural Representations (2020), section 3",
    ),
)
