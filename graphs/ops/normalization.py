"""Softmax and layer normalization, over the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.calls import run
from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.sparsity import BLOCK_DIAGONAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays
    from jacobench.graphs.calls import Call
    from jacobench.graphs.op import JacobianValues

EPSILON = 1e-5

# As names of this module they save two look-ups a call; mypy does not know their fifth positional parameter, keepdims.
add_reduce: Any = np.add.reduce
max_reduce: Any = np.maximum.reduce


def _softmax(xp: Any, x: Any) -> Any:
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def per_vector(array: Array) -> Array:
    """Allocate one number for each vector along the last axis."""
    return np.empty((*array.shape[:-1], 1), array.dtype)


def softmax_into(x: Array, y: Array, total: Array) -> None:
    """Write the softmax of x to y; `total` (…, 1) is overwritten."""
    max_reduce(x, -1, None, total, True)
    np.subtract(x, total, y)
    np.exp(y, y)
    add_reduce(y, -1, None, total, True)
    np.divide(y, total, y)


def _softmax_vjp(y_bar: Array, y: Array, x_bar: Array | None = None, total: Array | None = None) -> Array:
    """Return y ⊙ (y_bar − Σ y_bar ⊙ y), in arrays that are given or new."""
    x_bar = np.multiply(y_bar, y, x_bar)
    total = add_reduce(x_bar, -1, None, total, True)
    np.subtract(y_bar, total, x_bar)
    return np.multiply(x_bar, y, x_bar)


def _softmax_blocks_floor(y: Array, _xs: Arrays, blocks: Array, ctx: ArgumentContext) -> list[Call]:
    """Write diag(y) − y yᵀ for each vector."""
    y = y.reshape(-1, ctx.x[-1])
    negated, diagonals = np.empty_like(y), np.einsum("rii->ri", blocks)
    return [
        (np.negative, (y, negated)),
        (np.multiply, (y[:, :, None], negated[:, None, :], blocks)),
        (np.add, (diagonals, y, diagonals)),
    ]


def _layer_norm(xp: Any, x: Any) -> Any:
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + EPSILON)


def _inverse_deviation(
    x: Array, centred: Array | None = None, square: Array | None = None, inverse: Array | None = None
) -> Array:
    """Return 1 / √(variance + ε), shape (…, 1), in arrays that are given or new; leave x − mean in `centred`.

    ``np.add.reduce`` takes a third of the time of np.mean for short vectors.
    """
    share = x.dtype.type(1 / x.shape[-1])
    inverse = add_reduce(x, -1, None, inverse, True)
    np.multiply(inverse, share, inverse)
    centred = np.subtract(x, inverse, centred)
    square = np.multiply(centred, centred, square)
    add_reduce(square, -1, None, inverse, True)
    np.multiply(inverse, share, inverse)
    np.add(inverse, x.dtype.type(EPSILON), inverse)
    np.sqrt(inverse, inverse)
    return np.reciprocal(inverse, inverse)


def _layer_norm_into(x: Array, y: Array, square: Array, inverse: Array) -> None:
    np.multiply(y, _inverse_deviation(x, y, square, inverse), y)


def _layer_norm_vjp(y_bar: Array, y: Array, x: Array, x_bar: Array | None = None, *scratch: Array) -> Array:
    """Return (y_bar − mean(y_bar) − y mean(y_bar ⊙ y)) / deviation, in arrays that are given or new.

    The deviation is computed again because it is not among the residuals.
    """
    along, mean, *others = scratch or (None, None)
    share = y.dtype.type(1 / y.shape[-1])
    x_bar = np.multiply(y_bar, y, x_bar)
    along = add_reduce(x_bar, -1, None, along, True)
    np.multiply(along, share, along)
    mean = add_reduce(y_bar, -1, None, mean, True)
    np.multiply(mean, share, mean)
    np.multiply(y, along, x_bar)
    np.subtract(y_bar, x_bar, x_bar)
    np.subtract(x_bar, mean, x_bar)
    return np.multiply(x_bar, _inverse_deviation(x, *others), x_bar)


def _layer_norm_vjp_floor(y_bar: Array, y: Array, xs: Arrays, x_bar: Array, _ctx: ArgumentContext) -> list[Call]:
    scratch = (per_vector(y_bar), per_vector(y_bar), np.empty_like(y), np.empty_like(y), per_vector(y))
    return [(_layer_norm_vjp, (y_bar, y, xs[0], x_bar, *scratch))]


def _layer_norm_blocks_floor(y: Array, xs: Arrays, blocks: Array, ctx: ArgumentContext) -> list[Call]:
    """Write (I − 1/n − y yᵀ/n) / deviation for each vector."""
    n = ctx.x[-1]
    x, y = xs[0].reshape(-1, n), y.reshape(-1, n)
    centred, scaled, inverse, share = np.empty_like(x), np.empty_like(x), per_vector(x), per_vector(x)
    diagonals = np.einsum("rii->ri", blocks)
    return [
        (_inverse_deviation, (x, centred, scaled, inverse)),
        (np.multiply, (inverse, x.dtype.type(-1 / n), share)),
        (np.multiply, (y, share, scaled)),
        (np.multiply, (y[:, :, None], scaled[:, None, :], blocks)),
        (np.add, (blocks, share[:, :, None], blocks)),
        (np.add, (diagonals, inverse, diagonals)),
    ]


def _blocks(kernel: Callable[..., list[Call]]) -> JacobianValues:
    """Return the rule that runs a floor kernel for the blocks of all vectors."""

    def values(y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        blocks = np.empty((ctx.n_vectors, ctx.x[-1], ctx.x[-1]), ctx.dtype)
        run(kernel(y, xs, blocks, ctx))
        return blocks

    return values


OPS = (
    Op(
        name="softmax",
        forward=_softmax,
        shape=shapes.vectors,
        arguments=(
            Argument(
                vjp=lambda y_bar, y, _xs, _ctx: _softmax_vjp(y_bar, y),
                jvp=lambda x_dot, y, _xs, _ctx: _softmax_vjp(x_dot, y),  # the Jacobian is symmetric
                jacobian=Jacobian(
                    BLOCK_DIAGONAL,
                    _blocks(_softmax_blocks_floor),
                    _softmax_blocks_floor,
                    allocates=True,
                    flops=lambda ctx: ctx.n_out * (ctx.x[-1] + 2),
                ),
                residuals=(OUTPUT,),
                flops=lambda ctx: 4 * ctx.n_out,
                floor=lambda y_bar, y, _xs, x_bar, _ctx: [(_softmax_vjp, (y_bar, y, x_bar, per_vector(y_bar)))],
            ),
        ),
        flops=lambda ctx: 5 * ctx.n_out,
        source="exp x / Σ exp x over the last axis; Bridle, Probabilistic Interpretation (1990)",
        example=lambda g, batch=3, size=4: g.softmax(g.input("x", (batch, size))),
        floor=lambda xs, y, _attrs: [(softmax_into, (xs[0], y, per_vector(y)))],
    ),
    Op(
        name="layer_norm",
        forward=_layer_norm,
        shape=shapes.vectors,
        arguments=(
            Argument(
                vjp=lambda y_bar, y, xs, _ctx: _layer_norm_vjp(y_bar, y, xs[0]),
                jvp=lambda x_dot, y, xs, _ctx: _layer_norm_vjp(x_dot, y, xs[0]),  # the Jacobian is symmetric
                jacobian=Jacobian(
                    BLOCK_DIAGONAL,
                    _blocks(_layer_norm_blocks_floor),
                    _layer_norm_blocks_floor,
                    allocates=True,
                    flops=lambda ctx: ctx.n_out * (2 * ctx.x[-1] + 6),
                ),
                residuals=(OUTPUT, 0),
                flops=lambda ctx: 11 * ctx.n_out,
                scratch_once=lambda ctx: 2 * ctx.n_out * ctx.dtype.itemsize,
                floor=_layer_norm_vjp_floor,
            ),
        ),
        flops=lambda ctx: 6 * ctx.n_out,
        source="(x − mean) / √(variance + 1e-5) over the last axis, no gain or bias; Ba et al., Layer Normalization (2016)",
        example=lambda g, batch=3, size=4: g.layer_norm(g.input("x", (batch, size))),
        floor=lambda xs, y, _attrs: [(_layer_norm_into, (xs[0], y, np.empty_like(y), per_vector(y)))],
    ),
)
