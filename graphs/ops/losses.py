"""Losses: two arguments (B, …, n) to a scalar, averaged over the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures import DENSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.op import Array, Site


def _gradient(of: Callable[[tuple[Array, ...], int], Array], flops: int) -> Argument:
    """Make the rules of a scalar's argument from its gradient, a function of the arguments and the batch size."""

    def vjp(y_bar: Array, _y: Array, xs: tuple[Array, ...], site: Site) -> Array:
        return y_bar.reshape(-1, *(1,) * len(site.x)) * of(xs, site.x[0])

    return Argument(
        vjp=vjp,
        jacobian=Jacobian(
            DENSE,
            lambda _y, xs, site: of(xs, site.x[0]).reshape(1, -1),
            fresh=True,
            flops=lambda site: flops * site.n_in,
        ),
        keeps=(0, 1),
        flops=lambda site: (flops + 1) * site.n_in,
        by_sample=False,
    )


def _mse(xp: Any, t: Any, target: Any) -> Any:
    difference = t - target
    return xp.sum(difference * difference) / (2 * t.shape[0])


def _log_softmax(xp: Any, t: Any) -> Any:
    shifted = t - xp.max(t, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def _cross_entropy_of_t(xs: tuple[Array, ...], batch: int) -> Array:
    t, target = xs
    probability = np.exp(_log_softmax(np, t))
    gradient: Array = (probability * np.sum(target, axis=-1, keepdims=True) - target) / batch
    return gradient


def _cross_entropy_of_target(xs: tuple[Array, ...], batch: int) -> Array:
    gradient: Array = _log_softmax(np, xs[0]) / -batch
    return gradient


OPS = (
    Op(
        name="mse",
        forward=_mse,
        shape=shapes.loss,
        arguments=(
            _gradient(lambda xs, batch: (xs[0] - xs[1]) / batch, flops=2),
            _gradient(lambda xs, batch: (xs[1] - xs[0]) / batch, flops=2),
        ),
        flops=lambda site: 3 * site.n_in,
        source="(1/2B) Σ‖t − target‖² over a batch of B; Bishop, Pattern Recognition (2006), section 5.2",
        example=lambda g: g.mse(g.input("t", (3, 4)), g.input("target", (3, 4))),
    ),
    Op(
        name="cross_entropy",
        forward=lambda xp, t, target: -xp.sum(target * _log_softmax(xp, t)) / t.shape[0],
        shape=shapes.loss,
        arguments=(
            _gradient(_cross_entropy_of_t, flops=9),
            _gradient(_cross_entropy_of_target, flops=6),
        ),
        flops=lambda site: 7 * site.n_in,
        source="mean over a batch of −Σ target · log softmax(t); Bishop, Pattern Recognition (2006), section 4.3.4",
        example=lambda g: g.cross_entropy(g.input("t", (3, 4)), g.input("target", (3, 4), law="one_hot")),
    ),
)
