"""Affine map whose weight is a product of two thin matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import Argument, Jacobian, Op, never
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.linear import BIAS
from jacobench.graphs.structures.sparsity import BLOCK_DIAGONAL, DENSE, KRONECKER

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array
    from jacobench.graphs.op import Builder


def _rank(ctx: ArgumentContext) -> int:
    return ctx.shapes[1][1]


def _within(ctx: ArgumentContext) -> int:
    """Return the bytes of z Vᵀ, or of g U."""
    return ctx.n_vectors * _rank(ctx) * ctx.dtype.itemsize


def _code(xs: tuple[Array, ...]) -> Array:
    """Return z Vᵀ, shape (rows, r)."""
    code: Array = xs[0].reshape(-1, xs[0].shape[-1]).dot(xs[2].T)
    return code


def _by_seed(y_bar: Array, ctx: ArgumentContext) -> Array:
    return y_bar.reshape(len(y_bar), -1, ctx.out[-1])


def _vjp_z(y_bar: Array, _y: Array, xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
    """Return (g U) V."""
    z_bar: Array = y_bar.reshape(-1, ctx.out[-1]).dot(xs[1]).dot(xs[2])
    return z_bar.reshape(len(y_bar), *ctx.x)


def _vjp_V(y_bar: Array, _y: Array, xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
    """Return (g U)ᵀ z."""
    within = np.matmul(_by_seed(y_bar, ctx), xs[1])
    V_bar: Array = np.matmul(within.transpose(0, 2, 1), xs[0].reshape(-1, ctx.x[1]))
    return V_bar


def _values_V(_y: Array, xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
    """Return the whole matrix, U[o, k] z[i] for each row."""
    values = np.empty((ctx.n_vectors, *ctx.shapes[1], ctx.x[1]), ctx.dtype)
    return np.multiply(xs[1][:, :, None], xs[0].reshape(-1, 1, 1, ctx.x[1]), out=values)


def _example(g: Builder, batch: int = 3, size: int = 4) -> Any:
    rank = max(1, size // 2)
    U, V = g.parameter("U", (size + 1, rank)), g.parameter("V", (rank, size))
    return g.low_rank_affine(g.input("z", (batch, size)), U, V, g.parameter("b", (size + 1,)))


def _flops(ctx: ArgumentContext) -> int:
    """Return the operations of z Vᵀ and its product with Uᵀ, or of the two products of a vjp."""
    return 2 * ctx.n_vectors * _rank(ctx) * (ctx.shapes[2][1] + ctx.out[-1])


LOW_RANK_AFFINE = Op(
    name="low_rank_affine",
    forward=lambda xp, z, U, V, b: xp.affine(xp.matmul(z, V.T), U, b),
    shape=shapes.low_rank_affine,
    arguments=(
        Argument(
            vjp=_vjp_z,
            jacobian=Jacobian(
                BLOCK_DIAGONAL,
                lambda _y, xs, _ctx: xs[1].dot(xs[2])[None],
                flops=lambda ctx: 2 * ctx.out[-1] * _rank(ctx) * ctx.x[-1],
                scratch=lambda ctx: ctx.out[-1] * ctx.x[-1] * ctx.dtype.itemsize,
            ),
            residuals=(1, 2),
            flops=_flops,
            scratch=_within,
        ),
        Argument(
            vjp=lambda y_bar, _y, xs, ctx: np.matmul(_by_seed(y_bar, ctx).transpose(0, 2, 1), _code(xs)),  # gᵀ (z Vᵀ)
            jacobian=Jacobian(
                KRONECKER,
                lambda _y, xs, _ctx: _code(xs)[:, None],
                flops=lambda ctx: 2 * ctx.n_vectors * _rank(ctx) * ctx.shapes[2][1],
                scratch=_within,
            ),
            residuals=(0, 2),
            flops=_flops,
            per_sample=never,
            scratch=_within,
        ),
        Argument(
            vjp=_vjp_V,
            jacobian=Jacobian(DENSE, _values_V, allocates=True, flops=lambda ctx: ctx.n_out * ctx.n_in),
            residuals=(0, 1),
            flops=_flops,
            per_sample=never,
            scratch=_within,
        ),
        BIAS,
    ),
    flops=lambda ctx: _flops(ctx) + ctx.n_out,
    source="t = z (U V)ᵀ + b; Denil et al., Predicting Parameters in Deep Learning (2013), section 2",
    example=_example,
    scratch=_within,
)

OPS = (LOW_RANK_AFFINE,)
