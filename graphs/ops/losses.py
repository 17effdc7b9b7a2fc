"""Losses: two arguments (B, …, n) to a scalar, averaged over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import Argument, Jacobian, Op, multiply_in_place, never
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.sparsity import DENSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array
    from jacobench.graphs.op import Count


def _arrays(count: int) -> Count:
    """Count the bytes of arrays as large as the argument."""
    return lambda ctx: count * ctx.n_in * ctx.dtype.itemsize


def _gradient(of: Callable[[tuple[Array, ...]], Array], flops: int, scratch: Count) -> Argument:
    """Make the rules of a scalar's argument from its gradient, a fresh array, before it is averaged over the batch."""

    def vjp(y_bar: Array, _y: Array, xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
        share = (y_bar / ctx.x[0]).reshape(-1, *(1,) * len(ctx.x))
        return multiply_in_place(of(xs)[None], share)

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
    )


def _mse(xp: Any, t: Any, target: Any) -> Any:
    difference = t - target
    return xp.sum_of_products(difference, difference) / (2 * t.shape[0])


def _log_softmax(xp: Any, t: Any) -> Any:
    shifted = t - xp.max(t, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def _cross_entropy_of_t(xs: tuple[Array, ...]) -> Array:
    t, target = xs
    gradient: Array = np.exp(_log_softmax(np, t))
    gradient *= np.sum(target, axis=-1, keepdims=True)
    gradient -= target
    return gradient


def _cross_entropy_of_target(xs: tuple[Array, ...]) -> Array:
    gradient: Array = _log_softmax(np, xs[0])
    return np.negative(gradient, gradient)


OPS = (
    Op(
        name="mse",
        forward=_mse,
        shape=shapes.loss,
        arguments=(
            _gradient(lambda xs: xs[0] - xs[1], flops=2, scratch=_arrays(0)),
            _gradient(lambda xs: xs[1] - xs[0], flops=2, scratch=_arrays(0)),
        ),
        flops=lambda ctx: 3 * ctx.n_in,
        source="(1/2B) Σ‖t − target‖² over a batch of B; Bishop, Pattern Recognition (2006), section 5.2",
        example=lambda g, batch=3, size=4: g.mse(g.input("t", (batch, size)), g.input("target", (batch, size))),
        scratch=_arrays(1),
    ),
    Op(
        name="cross_entropy",
        forward=lambda xp, t, target: -xp.sum_of_products(target, _log_softmax(xp, t)) / t.shape[0],
        shape=shapes.loss,
        arguments=(
            _gradient(_cross_entropy_of_t, flops=9, scratch=_arrays(1)),
            _gradient(_cross_entropy_of_target, flops=6, scratch=_arrays(1)),
        ),
        flops=lambda ctx: 7 * ctx.n_in,
        source="mean over a batch of −Σ target · log softmax(t); Bishop, Pattern Recognition (2006), section 4.3.4",
        example=lambda g, batch=3, size=4: g.cross_entropy(
            g.input("t", (batch, size)), g.input("target", (batch, size), distribution="one_hot")
        ),
        scratch=_arrays(2),
    ),
)
