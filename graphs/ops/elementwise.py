"""Activations: functions applied entry by entry, each told by its forward rule and its derivative.

The derivative is written in the output where that is shorter (tanh′ = 1 − y²), so that the input need not be kept.
"""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf, expit

from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures import DIAGONAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.op import Array

LEAKY_SLOPE = 0.01


def _of_input(derivative: Callable[[Array], Array], flops: int) -> Argument:
    return _diagonal(lambda _y, x: derivative(x), (0,), flops)


def _of_output(derivative: Callable[[Array], Array], flops: int) -> Argument:
    return _diagonal(lambda y, _x: derivative(y), (OUTPUT,), flops)


def _diagonal(derivative: Callable[[Array, Array], Array], keeps: tuple[int, ...], flops: int) -> Argument:
    return Argument(
        vjp=lambda y_bar, y, xs, _site: y_bar * derivative(y, xs[0]),
        jacobian=Jacobian(
            DIAGONAL,
            lambda y, xs, _site: derivative(y, xs[0]).reshape(-1),
            fresh=True,
            flops=lambda site: flops * site.n_out,
        ),
        keeps=keeps,
        flops=lambda site: (flops + 1) * site.n_out,
    )


def _activation(name: str, forward: Callable[[Any, Any], Any], argument: Argument, flops: int, source: str) -> Op:
    return Op(
        name=name,
        forward=forward,
        shape=shapes.same,
        arguments=(argument,),
        flops=lambda site: flops * site.n_out,
        source=source,
        example=lambda g: getattr(g, name)(g.input("x", (3, 4))),
    )


def _silu_slope(x: Array) -> Array:
    s = expit(x)
    slope: Array = s * (1 + x * (1 - s))
    return slope


def _gelu_slope(x: Array) -> Array:
    slope: Array = 0.5 * (1 + erf(x / sqrt(2))) + x * np.exp(-0.5 * x * x) / sqrt(2 * pi)
    return slope


OPS = (
    _activation(
        "relu",
        lambda xp, x: xp.relu(x),
        _of_output(lambda y: (y > 0).astype(y.dtype), flops=1),
        flops=1,
        source="max(x, 0); Nair & Hinton, Rectified Linear Units (2010); slope 0 at 0",
    ),
    _activation(
        "leaky_relu",
        lambda xp, x: xp.where(x > 0, x, LEAKY_SLOPE * x),
        _of_output(lambda y: np.where(y > 0, y.dtype.type(1), y.dtype.type(LEAKY_SLOPE)), flops=1),
        flops=2,
        source="x where x > 0, else 0.01 x; Maas et al., Rectifier Nonlinearities (2013), section 2",
    ),
    _activation(
        "tanh",
        lambda xp, x: xp.tanh(x),
        _of_output(lambda y: 1 - y * y, flops=2),
        flops=1,
        source="tanh x; LeCun et al., Efficient BackProp (1998), section 4.4",
    ),
    _activation(
        "sigmoid",
        lambda xp, x: xp.sigmoid(x),
        _of_output(lambda y: y * (1 - y), flops=2),
        flops=1,
        source="1 / (1 + exp(−x)); Rumelhart et al., Learning representations by back-propagating errors (1986)",
    ),
    _activation(
        "softplus",
        lambda xp, x: xp.softplus(x),
        # 1 − exp(−y) is the logistic function of x, written so that nothing cancels where y is tiny.
        _of_output(lambda y: -np.expm1(-y), flops=3),
        flops=3,
        source="log(1 + exp x); Dugas et al., Incorporating Second-Order Functional Knowledge (2001)",
    ),
    _activation(
        "gelu",
        lambda xp, x: 0.5 * x * (1 + xp.erf(x / sqrt(2))),
        _of_input(_gelu_slope, flops=10),
        flops=5,
        source="x Φ(x) with the exact Φ; Hendrycks & Gimpel, Gaussian Error Linear Units (2016), section 2",
    ),
    _activation(
        "silu",
        lambda xp, x: x * xp.sigmoid(x),
        _of_input(_silu_slope, flops=5),
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
