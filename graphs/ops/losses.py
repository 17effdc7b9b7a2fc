"""Losses: scalar functions of two arguments (B, …, n), averaged over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.arrays.namespaces import add_reduce, max_reduce
from jacobench.graphs.calls import written
from jacobench.graphs.op import Argument, Count, Jacobian, Op, arrays, never, zero
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.normalization import log_softmax_negated, per_vector, softmax_into
from jacobench.graphs.structures.sparsity import DENSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs
    from jacobench.graphs.calls import Call


def _gradient(into: Callable[[Arrays, Array], list[Call]], flops: int, scratch: Count) -> Argument:
    """Return the rules of a scalar's argument; ``into(xs, out)`` returns calls that write its gradient times the batch."""

    def of(xs: Arrays) -> Array:
        gradient = np.empty_like(xs[0])
        return written(into(xs, gradient), gradient)

    def vjp(y_bar: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        gradient = of(xs)
        if len(y_bar) == 1:  # by a number: 0.7 µs, by an array 2.2
            return np.multiply(gradient, y_bar.item() / ctx.x[0], gradient)[None]
        return gradient * _shares(y_bar, gradient)

    def jvp(x_dot: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        gradient = of(xs).reshape(-1)
        y_dot: Array = x_dot.reshape(len(x_dot), -1).dot(np.divide(gradient, ctx.x[0], gradient))
        return y_dot

    def floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, _ctx: ArgumentContext) -> list[Call]:
        gradient = x_bar[0] if len(x_bar) == 1 else np.empty_like(xs[0])
        # By a number it takes 0.7 µs, by an array 2.2.
        share = y_bar.dtype.type(y_bar.item() / len(xs[0])) if len(y_bar) == 1 else _shares(y_bar, xs[0])
        return [*into(xs, gradient), (np.multiply, (gradient, share, x_bar if len(x_bar) > 1 else gradient))]

    def values_floor(_y: Array, xs: Arrays, values: Array, ctx: ArgumentContext) -> list[Call]:
        gradient = values.reshape(ctx.x)
        return [*into(xs, gradient), (np.multiply, (gradient, gradient.dtype.type(1 / ctx.x[0]), gradient))]

    return Argument(
        vjp=vjp,
        jvp=jvp,
        jacobian=Jacobian(
            DENSE,
            lambda _y, xs, ctx: np.divide(gradient := of(xs), ctx.x[0], gradient).reshape(1, -1),
            values_floor,
            allocates=True,
            flops=lambda ctx: flops * ctx.n_in,
            scratch=scratch,
        ),
        residuals=(0, 1),
        flops=lambda ctx: (flops + 1) * ctx.n_in,
        per_sample=never,
        scratch_once=scratch,
        floor=floor,
    )


def _mse(xp: Any, t: Any, target: Any) -> Any:
    difference = t - target
    return xp.sum_of_products(difference, difference) / (2 * t.shape[0])


def _log_softmax(xp: Any, t: Any) -> Any:
    shifted = t - xp.max(t, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def _mse_floor(xs: Arrays, y: Array, _attrs: Attrs) -> list[Call]:
    difference = np.empty_like(xs[0])
    flat = difference.reshape(-1)
    share = y.dtype.type(0.5 / len(difference))
    return [(np.subtract, (*xs, difference)), (np.dot, (flat, flat, y)), (np.multiply, (y, share, y))]


def _shares(y_bar: Array, x: Array) -> Array:
    """Return each seed's cotangent over the batch. The seeds of a loss are constant, so this is not part of the floor."""
    return y_bar.reshape(-1, *(1,) * x.ndim) / len(x)


def _cross_entropy_into(
    t: Array, target: Array, y: Array, e: Array, largest: Array, total: Array, weight: Array, sum_of_products: Array
) -> None:
    """Write Σ (log Σ exp t) Σ target − Σ target · t, over the batch, to y; the last five arrays are overwritten."""
    max_reduce(t, -1, None, largest, True)
    np.subtract(t, largest, e)
    np.exp(e, e)
    add_reduce(e, -1, None, total, True)
    np.log(total, total)
    np.add(total, largest, total)
    add_reduce(target, -1, None, weight, True)
    np.dot(total.reshape(-1), weight.reshape(-1), y)
    np.dot(target.reshape(-1), t.reshape(-1), sum_of_products)
    np.subtract(y, sum_of_products, y)
    np.divide(y, len(t), y)


def _cross_entropy_floor(xs: Arrays, y: Array, _attrs: Attrs) -> list[Call]:
    t = xs[0]
    scratch = (np.empty_like(t), per_vector(t), per_vector(t), per_vector(t), np.empty_like(y))
    return [(_cross_entropy_into, (*xs, y, *scratch))]


def _cross_entropy_of_t(xs: Arrays, gradient: Array) -> list[Call]:
    """Write softmax(t) Σ target − target."""
    t, target = xs
    weight = per_vector(t)
    return [
        (softmax_into, (t, gradient, weight)),
        (add_reduce, (target, -1, None, weight, True)),
        (np.multiply, (gradient, weight, gradient)),
        (np.subtract, (gradient, target, gradient)),
    ]


def _cross_entropy_of_target(xs: Arrays, gradient: Array) -> list[Call]:
    t = xs[0]
    return [(log_softmax_negated, (t, gradient, np.empty_like(t), per_vector(t), per_vector(t)))]


OPS = (
    Op(
        name="mse",
        forward=_mse,
        shape=shapes.loss,
        arguments=(
            _gradient(lambda xs, out: [(np.subtract, (xs[0], xs[1], out))], 2, zero),
            _gradient(lambda xs, out: [(np.subtract, (xs[1], xs[0], out))], 2, zero),
        ),
        flops=lambda ctx: 3 * ctx.n_in,
        source="(1/2B) Σ‖t − target‖² over a batch of B; Bishop, Pattern Recognition (2006), section 5.2",
        example=lambda g, batch=3, size=4: g.mse(g.input("t", (batch, size)), g.input("target", (batch, size))),
        scratch=arrays(1),
        floor=_mse_floor,
    ),
    Op(
        name="cross_entropy",
        forward=lambda xp, t, target: -xp.sum_of_products(target, _log_softmax(xp, t)) / t.shape[0],
        shape=shapes.loss,
        arguments=(
            _gradient(_cross_entropy_of_t, 7, zero),
            _gradient(_cross_entropy_of_target, 6, arrays(1)),
        ),
        flops=lambda ctx: 7 * ctx.n_in,
        source="mean over a batch of −Σ target · log softmax(t); Bishop, Pattern Recognition (2006), section 4.3.4",
        example=lambda g, batch=3, size=4: g.cross_entropy(
            g.input("t", (batch, size)), g.input("target", (batch, size), distribution="one_hot")
        ),
        scratch=arrays(2),
        floor=_cross_entropy_floor,
    ),
)
