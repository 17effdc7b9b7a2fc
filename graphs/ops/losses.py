"""Losses: scalar functions of two arguments (B, …, n), averaged over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import Argument, Count, Jacobian, Op, VjpFloor, arrays, never, zero
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.normalization import add_reduce, max_reduce, per_vector, softmax_into
from jacobench.graphs.structures.sparsity import DENSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs
    from jacobench.graphs.calls import Call


def _gradient(of: Callable[[Arrays], Array], flops: int, scratch: Count, floor: VjpFloor) -> Argument:
    """Return the rules of a scalar's argument from its gradient, a new array, before averaging over the batch."""

    def vjp(y_bar: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        gradient = of(xs)
        if len(y_bar) == 1:  # by a number: 0.7 µs, by an array 2.2
            return np.multiply(gradient, y_bar.item() / ctx.x[0], gradient)[None]
        return gradient * _shares(y_bar, gradient)

    return Argument(
        vjp=vjp,
        jacobian=Jacobian(
            DENSE,
            lambda _y, xs, ctx: np.divide(gradient := of(xs), ctx.x[0], gradient).reshape(1, -1),
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


def _cross_entropy_of_t(xs: Arrays) -> Array:
    """Return softmax(t) Σ target − target."""
    t, target = xs
    gradient, weight = np.empty_like(t), per_vector(t)
    softmax_into(t, gradient, weight)
    add_reduce(target, -1, None, weight, True)
    np.multiply(gradient, weight, gradient)
    return np.subtract(gradient, target, gradient)


def _cross_entropy_of_target(xs: Arrays) -> Array:
    t = xs[0]
    gradient = np.empty_like(t)
    _log_softmax_negated(t, gradient, np.empty_like(t), per_vector(t), per_vector(t))
    return gradient


def _mse_floor(xs: Arrays, y: Array, _attrs: Attrs) -> list[Call]:
    difference = np.empty_like(xs[0])
    flat = difference.reshape(-1)
    share = y.dtype.type(0.5 / len(difference))
    return [(np.subtract, (*xs, difference)), (np.dot, (flat, flat, y)), (np.multiply, (y, share, y))]


def _shares(y_bar: Array, x: Array) -> Array:
    """Return each seed's cotangent over the batch. The seeds of a loss are constant, so this is not part of the floor."""
    return y_bar.reshape(-1, *(1,) * x.ndim) / len(x)


def _mse_vjp_floor(sign: int) -> VjpFloor:
    def calls(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, _ctx: ArgumentContext) -> list[Call]:
        difference = np.empty_like(xs[0])
        shares = sign * _shares(y_bar, xs[0])
        return [(np.subtract, (*xs, difference)), (np.multiply, (shares, difference, x_bar))]

    return calls


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


def _cross_entropy_vjp_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, _ctx: ArgumentContext) -> list[Call]:
    t, target = xs
    gradient, weight = np.empty_like(t), per_vector(t)
    return [
        (softmax_into, (t, gradient, weight)),
        (add_reduce, (target, -1, None, weight, True)),
        (np.multiply, (gradient, weight, gradient)),
        (np.subtract, (gradient, target, gradient)),
        (np.multiply, (_shares(y_bar, t), gradient, x_bar)),
    ]


def _log_softmax_negated(t: Array, out: Array, e: Array, largest: Array, total: Array) -> None:
    """Write −log softmax t to `out`; the last three arrays are overwritten."""
    max_reduce(t, -1, None, largest, True)
    np.subtract(t, largest, out)
    np.exp(out, e)
    add_reduce(e, -1, None, total, True)
    np.log(total, total)
    np.subtract(total, out, out)


def _target_vjp_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, _ctx: ArgumentContext) -> list[Call]:
    t = xs[0]
    gradient = np.empty_like(t)
    return [
        (_log_softmax_negated, (t, gradient, np.empty_like(t), per_vector(t), per_vector(t))),
        (np.multiply, (_shares(y_bar, t), gradient, x_bar)),
    ]


OPS = (
    Op(
        name="mse",
        forward=_mse,
        shape=shapes.loss,
        arguments=(
            _gradient(lambda xs: xs[0] - xs[1], flops=2, scratch=zero, floor=_mse_vjp_floor(1)),
            _gradient(lambda xs: xs[1] - xs[0], flops=2, scratch=zero, floor=_mse_vjp_floor(-1)),
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
            _gradient(_cross_entropy_of_t, flops=7, scratch=zero, floor=_cross_entropy_vjp_floor),
            _gradient(_cross_entropy_of_target, flops=6, scratch=arrays(1), floor=_target_vjp_floor),
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
