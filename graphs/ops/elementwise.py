"""Activations: functions applied entry by entry, each told by its forward rule and its derivative.

The derivative is written in the output where that is shorter (tanh′ = 1 − y²), so that the input need not be kept.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op, multiply_in_place
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.sparsity import DIAGONAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array
    from jacobench.graphs.op import Count

LEAKY_SLOPE = 0.01
NEAR_ZERO = 1e-30


def _nothing(_ctx: ArgumentContext) -> int:
    return 0


def _arrays(count: int, masks: int = 0) -> Count:
    """Count the bytes of arrays and masks as large as the output."""
    return lambda ctx: ctx.n_out * (count * ctx.dtype.itemsize + masks)


def _of_input(derivative: Callable[[Array], Array], flops: int) -> Argument:
    return _diagonal(lambda _y, xs: derivative(xs[0][None]), (0,), flops)


def _of_output(derivative: Callable[[Array], Array], flops: int, scratch: Count = _nothing) -> Argument:
    return _diagonal(lambda y, _xs: derivative(y[None]), (OUTPUT,), flops, scratch)


def _of_both(derivative: Callable[[Array, Array], Array], flops: int, scratch: Count) -> Argument:
    return _diagonal(lambda y, xs: derivative(y[None], xs[0][None]), (OUTPUT, 0), flops, scratch)


def _diagonal(
    slope: Callable[[Array, tuple[Array, ...]], Array],
    residuals: tuple[int, ...],
    flops: int,
    scratch: Count = _nothing,
) -> Argument:
    """Make the rules of an activation from its slope, a fresh array of shape (1, *x.shape)."""
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
    )


def _activation(
    name: str,
    forward: Callable[[Any, Any], Any],
    argument: Argument,
    flops: int,
    source: str,
    scratch: Count = _nothing,
) -> Op:
    return Op(
        name=name,
        forward=forward,
        shape=shapes.same,
        arguments=(argument,),
        flops=lambda ctx: flops * ctx.n_out,
        source=source,
        example=lambda g, batch=3, size=4: getattr(g, name)(g.input("x", (batch, size))),
        scratch=scratch,
    )


# The slopes are worked out in place: where arrays outgrow the cache, each further array costs as much as an operation.


def _tanh_slope(y: Array) -> Array:
    """Return 1 − y²."""
    slope: Array = y * y
    return np.subtract(1, slope, slope)


def _sigmoid_slope(y: Array) -> Array:
    """Return y (1 − y)."""
    slope: Array = 1 - y
    return np.multiply(slope, y, slope)


def _softplus_slope(y: Array) -> Array:
    """Return 1 − exp(−y), the logistic function of x, written so that nothing cancels where y is tiny."""
    slope: Array = -y
    np.expm1(slope, slope)
    return np.negative(slope, slope)


def _leaky_slope(y: Array) -> Array:
    """Return 1 where y > 0, else 0.01; np.where takes twice as long."""
    slope = (y > 0).astype(y.dtype)
    return np.maximum(slope, y.dtype.type(LEAKY_SLOPE), out=slope)


def _gate(y: Array, x: Array) -> Array:
    """Return y / x, which for y = x s(x) is s(x): erf takes 12 ns an entry and the logistic function 4, a division 0.3.

    Near 0, where a quotient of denormal numbers says nothing, it is s(0) = 1/2.
    """
    s = np.full_like(x, 0.5)
    return np.divide(y, x, out=s, where=np.abs(x) > NEAR_ZERO)


def _silu_slope(y: Array, x: Array) -> Array:
    """Return s + y (1 − s) with s the logistic function of x."""
    s = _gate(y, x)
    slope: Array = 1 - s
    slope *= y
    return np.add(slope, s, slope)


def _gelu_slope(y: Array, x: Array) -> Array:
    """Return Φ(x) + x φ(x)."""
    slope: Array = x * x
    slope *= -0.5
    np.exp(slope, slope)
    slope *= x
    slope /= sqrt(2 * pi)
    return np.add(slope, _gate(y, x), slope)


OPS = (
    _activation(
        "relu",
        lambda xp, x: xp.relu(x),
        _of_output(lambda y: (y > 0).astype(y.dtype), flops=1, scratch=_arrays(0, masks=1)),
        flops=1,
        source="max(x, 0); Nair & Hinton, Rectified Linear Units (2010); slope 0 at 0",
    ),
    _activation(
        "leaky_relu",
        lambda xp, x: xp.leaky_relu(x, LEAKY_SLOPE),
        _of_output(_leaky_slope, flops=1, scratch=_arrays(0, masks=1)),
        flops=2,
        source="x where x > 0, else 0.01 x; Maas et al., Rectifier Nonlinearities (2013), section 2",
    ),
    _activation(
        "tanh",
        lambda xp, x: xp.tanh(x),
        _of_output(_tanh_slope, flops=2),
        flops=1,
        source="tanh x; LeCun et al., Efficient BackProp (1998), section 4.4",
    ),
    _activation(
        "sigmoid",
        lambda xp, x: xp.sigmoid(x),
        _of_output(_sigmoid_slope, flops=2),
        flops=1,
        source="1 / (1 + exp(−x)); Rumelhart et al., Learning representations by back-propagating errors (1986)",
    ),
    _activation(
        "softplus",
        lambda xp, x: xp.softplus(x),
        _of_output(_softplus_slope, flops=3),
        flops=3,
        source="log(1 + exp x); Dugas et al., Incorporating Second-Order Functional Knowledge (2001)",
    ),
    _activation(
        "gelu",
        lambda xp, x: 0.5 * x * (1 + xp.erf(x / sqrt(2))),
        _of_both(_gelu_slope, flops=8, scratch=_arrays(2, masks=1)),
        flops=5,
        scratch=_arrays(2),
        source="x Φ(x) with the exact Φ; Hendrycks & Gimpel, Gaussian Error Linear Units (2016), section 2",
    ),
    _activation(
        "silu",
        lambda xp, x: x * xp.sigmoid(x),
        _of_both(_silu_slope, flops=5, scratch=_arrays(1, masks=1)),
        flops=2,
        source="x / (1 + exp(−x)); Elfwing et al., Sigmoid-Weighted Linear Units (2018), section 2",
    ),
    _activation(
        "sin",
        lambda xp, x: xp.sin(x),
        _of_input(np.cos, flops=1),
        flops=1,
        source="sin x; Sitzmann et al., Implicit Neural Representations (2020), section 3",
    ),
)
