"""Ops that tie together the entries of each vector along the last axis: softmax and layer normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import OUTPUT, Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.sparsity import BLOCK_DIAGONAL

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array

EPSILON = 1e-5


def _array(ctx: ArgumentContext) -> int:
    """Return the bytes of an array as large as the output."""
    return ctx.n_out * ctx.dtype.itemsize


def _softmax(xp: Any, x: Any) -> Any:
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _softmax_vjp(y_bar: Array, y: Array, _xs: tuple[Array, ...], _ctx: ArgumentContext) -> Array:
    x_bar: Array = y * (y_bar - np.sum(y_bar * y, axis=-1, keepdims=True))
    return x_bar


def _softmax_blocks(y: Array, _xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
    """Return diag(y) − y yᵀ for each vector."""
    y = y.reshape(-1, ctx.x[-1])
    blocks = y[:, :, None] * -y[:, None, :]
    np.einsum("rii->ri", blocks)[...] += y
    return blocks


def _layer_norm(xp: Any, x: Any) -> Any:
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    variance = xp.mean(centred * centred, axis=-1, keepdims=True)
    return centred / xp.sqrt(variance + EPSILON)


def _inverse_deviation(x: Array) -> Array:
    """Return 1 / √(variance + ε), shape (…, 1)."""
    centred = x - np.mean(x, axis=-1, keepdims=True)
    inverse: Array = 1 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + EPSILON)
    return inverse


def _layer_norm_vjp(y_bar: Array, y: Array, xs: tuple[Array, ...], _ctx: ArgumentContext) -> Array:
    along = np.mean(y_bar * y, axis=-1, keepdims=True)
    mean = np.mean(y_bar, axis=-1, keepdims=True)
    x_bar: Array = (y_bar - mean - y * along) * _inverse_deviation(xs[0])
    return x_bar


def _layer_norm_blocks(y: Array, xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
    """Return (I − 1/n − y yᵀ/n) / deviation for each vector."""
    n = ctx.x[-1]
    inverse = _inverse_deviation(xs[0]).reshape(-1, 1)
    y = y.reshape(-1, n)
    blocks = y[:, :, None] * (y * (-inverse / n))[:, None, :]
    blocks -= (inverse / n)[:, :, None]
    np.einsum("rii->ri", blocks)[...] += inverse
    return blocks


OPS = (
    Op(
        name="softmax",
        forward=_softmax,
        shape=shapes.vectors,
        arguments=(
            Argument(
                vjp=_softmax_vjp,
                jacobian=Jacobian(
                    BLOCK_DIAGONAL,
                    _softmax_blocks,
                    allocates=True,
                    flops=lambda ctx: ctx.n_out * (ctx.x[-1] + 2),
                ),
                residuals=(OUTPUT,),
                flops=lambda ctx: 4 * ctx.n_out,
                scratch=_array,
            ),
        ),
        flops=lambda ctx: 5 * ctx.n_out,
        source="exp x / Σ exp x over the last axis; Bridle, Probabilistic Interpretation (1990)",
        example=lambda g, batch=3, size=4: g.softmax(g.input("x", (batch, size))),
    ),
    Op(
        name="layer_norm",
        forward=_layer_norm,
        shape=shapes.vectors,
        arguments=(
            Argument(
                vjp=_layer_norm_vjp,
                jacobian=Jacobian(
                    BLOCK_DIAGONAL,
                    _layer_norm_blocks,
                    allocates=True,
                    flops=lambda ctx: ctx.n_out * (2 * ctx.x[-1] + 6),
                ),
                residuals=(OUTPUT, 0),
                flops=lambda ctx: 11 * ctx.n_out,
                scratch=lambda ctx: 2 * _array(ctx),
            ),
        ),
        flops=lambda ctx: 6 * ctx.n_out,
        source="(x − mean) / √(variance + 1e-5) over the last axis, no gain or bias; Ba et al., Layer Normalization (2016)",
        example=lambda g, batch=3, size=4: g.layer_norm(g.input("x", (batch, size))),
    ),
)
