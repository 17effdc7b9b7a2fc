"""Dropout, and activations: functions applied to each entry, defined by their forward rule and their slope.

The slope is a function of the output where that is shorter (tanh′ = 1 − y²), so that the input need not be kept.
"""

from __future__ import annotations

from functools import partial
from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf

from jacobench.graphs.arrays.namespaces import NUMPY, uses_half_angle
from jacobench.graphs.errors import BadInput, real_number
from jacobench.graphs.op import OUTPUT, Argument, Count, Jacobian, Op, arrays, multiply_in_place, zero
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.sparsity import DIAGONAL, KEPT_DIAGONAL, kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Shapes
    from jacobench.graphs.calls import Call

NEAR_ZERO = 1e-30


def _of_output(slope: Callable[..., Array], flops: int, scratch: Count = zero) -> Argument:
    return _diagonal(lambda y, _xs: slope(y[None]), slope, (OUTPUT,), flops, scratch)


def _of_both(slope: Callable[..., Array], flops: int, scratch: Count) -> Argument:
    return _diagonal(lambda y, xs: slope(y[None], xs[0][None]), slope, (OUTPUT, 0), flops, scratch)


def _diagonal(
    new_slope: Callable[[Array, Arrays], Array],
    slope: Callable[..., Array],
    residuals: tuple[int, ...],
    flops: int,
    scratch: Count,
) -> Argument:
    """Return the rules of an activation.

    `slope` takes the residuals and optionally an array for its result; with two residuals, also an array and a mask for
    scratch. ``new_slope(y, xs)`` calls it without these and returns a new array of shape (1, *x.shape). The floor kernel
    writes the slope to the last seed's cotangent, then multiplies.
    """

    def floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, _ctx: ArgumentContext) -> list[Call]:
        primals = [y if k == OUTPUT else xs[k] for k in residuals]
        last = x_bar[-1, ...]
        others: list[Call] = [(np.multiply, (y_bar[:-1], last, x_bar[:-1]))] if len(x_bar) > 1 else []
        scratch = (np.empty_like(y), np.empty(y.shape, bool)) if len(residuals) > 1 else ()
        return [(slope, (*primals, last, *scratch)), *others, (np.multiply, (y_bar[-1], last, last))]

    def values_floor(y: Array, xs: Arrays, values: Array, _ctx: ArgumentContext) -> list[Call]:
        primals = [(y if k == OUTPUT else xs[k]).reshape(-1) for k in residuals]
        scratch = (np.empty_like(values), np.empty(values.shape, bool)) if len(residuals) > 1 else ()
        return [(slope, (*primals, values, *scratch))]

    def product(y_bar: Array, y: Array, xs: Arrays, _ctx: ArgumentContext) -> Array:
        return multiply_in_place(new_slope(y, xs), y_bar)

    return Argument(
        vjp=product,
        jvp=product,
        jacobian=Jacobian(
            DIAGONAL,
            lambda y, xs, _ctx: new_slope(y, xs).reshape(-1),
            values_floor,
            allocates=True,
            flops=lambda ctx: flops * ctx.n_out,
            scratch=scratch,
        ),
        residuals=residuals,
        flops=lambda ctx: (flops + 1) * ctx.n_out,
        scratch_once=scratch,
        floor=floor,
    )


def _activation(
    name: str,
    forward: Callable[[Any, Any], Any],
    floor: Callable[[Array, Array], list[Call]],
    argument: Argument,
    *,
    flops: int = 1,
    source: str,
    scratch: Count = zero,
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
        floor=lambda xs, y, _attrs: floor(xs[0], y),
    )


def _gelu_into(x: Array, y: Array) -> None:
    np.multiply(x, 1 / sqrt(2), y)
    erf(y, y)
    np.add(y, 1.0, y)
    np.multiply(y, x, y)
    np.multiply(y, 0.5, y)


# Slopes are computed in place: where arrays are larger than the cache, each further array costs as much as an operation.


def _relu_slope(y: Array, out: Array | None = None) -> Array:
    return (y > 0).astype(y.dtype) if out is None else np.greater(y, 0.0, out)


def _tanh_slope(y: Array, out: Array | None = None) -> Array:
    slope = np.multiply(y, y, out)
    return np.subtract(1.0, slope, slope)  # 1 − y²


def _sigmoid_slope(y: Array, out: Array | None = None) -> Array:
    slope = np.subtract(1.0, y, out)
    return np.multiply(slope, y, slope)  # y (1 − y)


def _gate(y: Array, x: Array, s: Array | None = None, far: Any = None) -> Array:
    """Return y / x, which for y = x s(x) is s(x): erf takes 12 ns an entry and the logistic function 4, a division 0.3.

    Near 0, where a quotient of denormal numbers has no accuracy, it is s(0) = 1/2.
    """
    s = np.abs(x, s)
    far = np.greater(s, NEAR_ZERO, far)
    s.fill(0.5)
    np.divide(y, x, out=s, where=far)
    return s


def _silu_slope(y: Array, x: Array, out: Array | None = None, s: Array | None = None, far: Any = None) -> Array:
    """Return s + y (1 − s) with s the logistic function of x."""
    s = _gate(y, x, s, far)
    slope = np.subtract(1.0, s, out)
    np.multiply(slope, y, slope)
    return np.add(slope, s, slope)


def _gelu_slope(y: Array, x: Array, out: Array | None = None, density: Array | None = None, far: Any = None) -> Array:
    """Return Φ(x) + x φ(x)."""
    density = np.multiply(x, x, density)
    np.multiply(density, -0.5, density)
    np.exp(density, density)
    np.multiply(density, x, density)
    np.multiply(density, 1 / sqrt(2 * pi), density)
    slope = _gate(y, x, out, far)
    return np.add(slope, density, slope)


def _as_mask(attrs: Attrs, _shapes: Shapes) -> Attrs:
    mask, rate = np.asarray(attrs["mask"]), real_number("the rate", attrs["rate"])
    if mask.dtype != bool or not mask.any():
        raise BadInput(f"the mask is {attrs['mask']!r:.60}: expected booleans, at least one of them true")
    if not 0 <= rate < 1:
        raise BadInput(f"the rate is {rate}: expected a number in [0, 1)")
    return {"mask": mask.copy(), "rate": rate}


def _dropout_vjp(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    x_bar: Array = y_bar * y_bar.dtype.type(1 / (1 - ctx.attrs["rate"]))
    x_bar *= ctx.attrs["mask"]
    return x_bar


def _dropout_scale(y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    return np.full(1, 1 / (1 - ctx.attrs["rate"]), y.dtype)


def _dropout_fill(J: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> list[Call]:
    factors = (kept(ctx).reshape(ctx.samples, -1), _dropout_scale(y, xs, ctx))
    return [(np.multiply, (*factors, np.einsum("bii->bi", J)))]


def _dropout_example(g: Any, batch: int = 3, size: int = 4) -> Any:
    return g.dropout(g.input("x", (batch, size)), mask=np.arange(batch * size).reshape(batch, size) % 3 > 0, rate=0.25)


def _dropout_into(x: Array, y: Array, attrs: Attrs) -> list[Call]:
    factors = (attrs["mask"] / (1 - attrs["rate"])).astype(x.dtype)
    return [(np.multiply, (x, factors, y))]


DROPOUT = Op(
    name="dropout",
    forward=lambda xp, x, mask, rate: xp.keep(x, mask, 1 / (1 - rate)),
    shape=shapes.dropout,
    arguments=(
        Argument(
            vjp=_dropout_vjp,
            jvp=_dropout_vjp,
            jacobian=Jacobian(KEPT_DIAGONAL, _dropout_scale, fill=_dropout_fill),
            floor=lambda y_bar, _y, _xs, x_bar, ctx: _dropout_into(y_bar, x_bar, ctx.attrs),
            flops=lambda ctx: 2 * ctx.n_out,
        ),
    ),
    flops=lambda ctx: 2 * ctx.n_out,
    source="x ⊙ mask / (1 − rate), the mask fixed and over the last axes; Srivastava et al., Dropout (2014), section 4",
    example=_dropout_example,
    attrs={"mask": (), "rate": 0.5},
    prepare=_as_mask,
    floor=lambda xs, y, attrs: _dropout_into(xs[0], y, attrs),
)

OPS = (
    _activation(
        "relu",
        lambda xp, x: xp.relu(x),
        lambda x, y: [(partial(np.maximum, out=y), (x, 0.0))],
        _of_output(_relu_slope, flops=1, scratch=arrays(0, masks=1)),
        source="max(x, 0); Nair & Hinton, Rectified Linear Units (2010); slope 0 at 0",
    ),
    _activation(
        "tanh",
        lambda xp, x: xp.tanh(x),
        lambda x, y: [(np.tanh, (x, y))],
        _of_output(_tanh_slope, flops=2),
        source="tanh x; LeCun et al., Efficient BackProp (1998), section 4.4",
    ),
    _activation(
        "sigmoid",
        lambda xp, x: xp.sigmoid(x),
        lambda x, y: [(NUMPY.sigmoid, (x, y))],
        _of_output(_sigmoid_slope, flops=2),
        source="1 / (1 + exp(−x)); Rumelhart et al., Learning representations by back-propagating errors (1986)",
    ),
    _activation(
        "gelu",
        lambda xp, x: 0.5 * x * (1 + xp.erf(x / sqrt(2))),
        lambda x, y: [(_gelu_into, (x, y))],
        _of_both(_gelu_slope, flops=8, scratch=arrays(1, masks=1)),
        flops=5,
        scratch=arrays(2),
        source="x Φ(x) with the exact Φ; Hendrycks & Gimpel, Gaussian Error Linear Units (2016), section 2",
    ),
    _activation(
        "silu",
        lambda xp, x: x * xp.sigmoid(x),
        lambda x, y: [(NUMPY.sigmoid, (x, y)), (np.multiply, (x, y, y))],
        _of_both(_silu_slope, flops=5, scratch=arrays(1)),
        flops=2,
        source="x / (1 + exp(−x)); Elfwing et al., Sigmoid-Weighted Linear Units (2018), section 2",
    ),
    _activation(
        "sin",
        lambda xp, x: xp.sin(x),
        lambda x, y: [(NUMPY.sin, (x, y, np.empty_like(y)))],
        _diagonal(lambda _y, xs: NUMPY.cos(xs[0][None]), NUMPY.cos, (0,), 1, zero),
        scratch=lambda ctx: ctx.n_in * ctx.dtype.itemsize if uses_half_angle(ctx.n_in, ctx.dtype.itemsize) else 0,
        source="sin x; Sitzmann et al., Implicit Neural Representations (2020), section 3",
    ),
    DROPOUT,
)
