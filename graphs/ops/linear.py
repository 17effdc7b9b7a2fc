"""Affine maps: with a dense weight, and with a product of two thin matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg.blas import dgemm, sgemm

from jacobench.graphs.arrays.namespaces import LONG_ROW, multiply_long_rows
from jacobench.graphs.calls import Call, Calls, Fastest, run
from jacobench.graphs.op import Argument, Jacobian, Op, never, output_size
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures import sparsity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs


SMALL = 2**13
"""Number of entries of W below which ``dot`` is the fastest product gᵀ z: 0.4 µs at width 16, against 0.9 by np.matmul. But
it first fills its result with zeros: at batch 4 and width 512 it takes 80 µs, np.matmul 64."""

PART_BYTES = 2**19
"""Bytes of the parts of products in `outer_product`. A part fits into the second-level cache; where the whole result does,
products of the BLAS are faster for all rows."""

GEMM: Mapping[int, Any] = {4: sgemm, 8: dgemm}
"""Item size in bytes → product of the BLAS, with `out`, by SciPy."""


def outer_product(g: Array, z: Array, out: Array) -> Array:
    """Write the outer product g zᵀ: long rows by ``np.multiply``, short ones by products of the BLAS with inner size 1.

    ``np.dot`` passes both factors as transposed, for which OpenBLAS has a slower kernel; SciPy passes them as they are.
    Nanoseconds a row of n numbers, for n² rows, in a process with other processes at work:

    =================================  ====  ====  ====  ====  ====
    n                                    32    64   100   128   192
    =================================  ====  ====  ====  ====  ====
    writing only                          5     9    14    20    47
    BLAS in parts                         4    11    17    45   107
    np.multiply, buffer of 16 numbers    41    42    45    51    61
    np.multiply                          22    40    58    81   177
    np.dot in parts                       9    20    30    74    85
    =================================  ====  ====  ====  ====  ====

    Shapes: g (rows, 1), z (1, n), out (rows, n) in C order.
    """
    if z.nbytes >= LONG_ROW and out.nbytes > PART_BYTES:
        multiply_long_rows(g, z, out)
        return out
    rows, gemm = max(1, PART_BYTES // z.nbytes), GEMM[z.itemsize]
    for start in range(0, len(g), rows):
        part = slice(start, start + rows)
        gemm(1.0, z.T, g[part].T, 0.0, out[part].T, overwrite_c=1)
    return out


def _affine_W(y_bar: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return gᵀ z for each seed."""
    n_seeds, (n_out, n_in) = len(y_bar), ctx.x
    z = xs[0].reshape(-1, n_in)
    if n_seeds == 1 and ctx.n_in < SMALL:
        W_bar: Array = y_bar.reshape(-1, n_out).T.dot(z)
        return W_bar[None]
    if len(z) == 1:
        outer = np.empty((n_seeds * n_out, n_in), ctx.dtype)
        return outer_product(y_bar.reshape(-1, 1), z, outer).reshape(n_seeds, n_out, n_in)
    product: Array = np.matmul(y_bar.reshape(n_seeds, -1, n_out).transpose(0, 2, 1), z)
    return product


def _affine_W_each(y_bar: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return gᵀ z for each sample and seed."""
    n_seeds, samples = y_bar.shape[:2]
    n_out, n_in = ctx.x
    z = xs[0].reshape(samples, -1, n_in)
    g = y_bar.reshape(n_seeds, samples, -1, n_out).transpose(1, 0, 3, 2)
    if z.shape[1] == 1:
        outer = np.empty((samples, n_seeds * n_out, n_in), ctx.dtype)
        for columns, row, out in zip(g.reshape(samples, -1, 1), z, outer, strict=True):
            outer_product(columns, row, out)
        return outer.reshape(samples, n_seeds, n_out, n_in)
    product: Array = np.matmul(g, z[:, None])
    return product


def _affine_W_dot(x_dot: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return z W_dotᵀ for each seed."""
    t_dot: Array = np.matmul(matrix(xs[0]), x_dot.transpose(0, 2, 1))
    return t_dot.reshape(len(x_dot), *ctx.out)


def _affine_b(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    g = y_bar.reshape(len(y_bar), -1, ctx.out[-1])
    total: Array = g[:, 0] if g.shape[1] == 1 else np.add.reduce(g, axis=1)
    return total


def _affine_b_dot(x_dot: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    """Repeat b_dot for each vector."""
    return np.repeat(x_dot[:, None], ctx.n_vectors, axis=1).reshape(len(x_dot), *ctx.out)


def _affine_b_each(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    g = y_bar.reshape(*y_bar.shape[:2], -1, ctx.out[-1])
    return np.ascontiguousarray(np.add.reduce(g, axis=2).transpose(1, 0, 2))


def matrix(array: Array) -> Array:
    """View (…, n) as (rows, n)."""
    return array.reshape(-1, array.shape[-1])


def product(a: Array, b: Array, out: Array) -> Fastest:
    """Return the product of two matrices. ``dot`` has less overhead, but first fills `out` with zeros."""
    return Fastest(([(np.dot, (a, b, out))], [(np.matmul, (a, b, out))]))


def _outer(g: Array, z: Array, out: Array) -> Fastest:
    """Return g zᵀ for g (rows, 1) and z (1, n)."""
    return Fastest(([(outer_product, (g, z, out))], [(np.dot, (g, z, out))], [(np.multiply, (g, z, out))]))


def by_seed(y_bar: Array, ctx: ArgumentContext) -> Array:
    """View (S, …, n) as (S, rows, n)."""
    return y_bar.reshape(len(y_bar), -1, ctx.out[-1])


def _affine_floor(xs: Arrays, y: Array, _attrs: Attrs) -> Calls:
    t = matrix(y)
    return [product(matrix(xs[0]), xs[1].T, t), (np.add, (t, xs[2], t))]


def _affine_W_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    return _products(by_seed(y_bar, ctx), matrix(xs[0]), x_bar)


def _products(g: Array, z: Array, out: Array) -> Calls:
    """Write gᵀ z to `out` (S, n, m) for each seed of g (S, rows, n), z (rows, m)."""
    if len(z) == 1:
        return [_outer(g.reshape(-1, 1), z, matrix(out))]
    each = [product(gradient.T, z, bar) for gradient, bar in zip(g, out, strict=True)]
    together = [(np.matmul, (g.transpose(0, 2, 1), z, out))]
    return each if len(g) == 1 else together


def _affine_W_each_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    n_seeds, samples = y_bar.shape[:2]
    z = xs[0].reshape(samples, -1, ctx.x[1])
    g = y_bar.reshape(n_seeds, samples, -1, ctx.out[-1]).transpose(1, 0, 3, 2)
    at_once: list[Call] = [(np.matmul, (g, z[:, None], x_bar))]
    if z.shape[1] > 1:
        return at_once
    columns = np.empty((samples, n_seeds * ctx.out[-1], 1), ctx.dtype)
    parts = zip(columns, z, x_bar.reshape(samples, -1, ctx.x[1]), strict=True)
    by_sample: list[Call] = [(np.copyto, (columns.reshape(g.shape), g)), *((outer_product, part) for part in parts)]
    return [Fastest((by_sample, [(np.multiply, (g, z[:, None], x_bar))], at_once))]


def _affine_b_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    g = by_seed(y_bar, ctx)
    ones = np.ones((1, g.shape[1]), ctx.dtype)
    sums: list[Call] = [(np.add.reduce, (g, 1, None, x_bar))]
    return [Fastest((sums, [(np.matmul, (ones, g, x_bar[:, None]))]))]


def _affine_b_each_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    g = y_bar.reshape(*y_bar.shape[:2], -1, ctx.out[-1]).transpose(1, 0, 2, 3)
    return [(np.copyto, (x_bar, g[:, :, 0]))] if g.shape[2] == 1 else [(np.add.reduce, (g, 2, None, x_bar))]


BIAS = Argument(
    vjp=_affine_b,
    jvp=_affine_b_dot,
    jacobian=Jacobian(sparsity.STACKED_IDENTITY, lambda y, _xs, _ctx: np.ones((1, 1), y.dtype)),
    floor=_affine_b_floor,
    flops=output_size,
    per_sample_vjp=_affine_b_each,
    per_sample_floor=_affine_b_each_floor,
    per_sample=never,
    returns_cotangent=lambda ctx: ctx.n_vectors == 1,
)

AFFINE = Op(
    name="affine",
    forward=lambda xp, z, W, b: xp.affine(z, W, b),
    shape=shapes.affine,
    arguments=(
        Argument(
            # g W as one matrix product of all seeds and rows; `dot` takes 0.5 µs less than the operator.
            vjp=lambda y_bar, _y, xs, ctx: y_bar.reshape(-1, ctx.out[-1]).dot(xs[1]).reshape(len(y_bar), *ctx.x),
            jvp=lambda x_dot, _y, xs, ctx: matrix(x_dot).dot(xs[1].T).reshape(len(x_dot), *ctx.out),
            jacobian=Jacobian(sparsity.BLOCK_DIAGONAL, lambda _y, xs, _ctx: xs[1][None]),
            residuals=(1,),
            flops=lambda ctx: 2 * ctx.n_out * ctx.x[-1],
            floor=lambda y_bar, _y, xs, x_bar, _ctx: [product(matrix(y_bar), xs[1], matrix(x_bar))],
        ),
        Argument(
            vjp=_affine_W,
            jvp=_affine_W_dot,
            jacobian=Jacobian(sparsity.KRONECKER, lambda _y, xs, ctx: xs[0].reshape(-1, 1, ctx.x[-1])),
            residuals=(0,),
            flops=lambda ctx: 2 * ctx.n_vectors * ctx.n_in,
            per_sample_vjp=_affine_W_each,
            per_sample_floor=_affine_W_each_floor,
            per_sample=never,
            floor=_affine_W_floor,
        ),
        BIAS,
    ),
    flops=lambda ctx: 2 * ctx.n_out * ctx.x[-1] + ctx.n_out,
    source="t = z Wᵀ + b; Giles, An extended collection of matrix derivative results (2008), section 2.2",
    example=lambda g, batch=3, size=4: g.affine(
        g.input("z", (batch, size)), g.parameter("W", (size + 1, size)), g.parameter("b", (size + 1,))
    ),
    floor=_affine_floor,
)


def _rank(ctx: ArgumentContext) -> int:
    return ctx.shapes[1][1]


def _within(ctx: ArgumentContext) -> int:
    """Return the bytes of z Vᵀ, or of g U."""
    return ctx.n_vectors * _rank(ctx) * ctx.dtype.itemsize


def _code(xs: Arrays) -> Array:
    """Return z Vᵀ, shape (rows, r)."""
    code: Array = xs[0].reshape(-1, xs[0].shape[-1]).dot(xs[2].T)
    return code


def _low_rank_floor(xs: Arrays, y: Array, _attrs: Attrs) -> Calls:
    z, U, V, b = xs
    t, code = matrix(y), np.empty((len(matrix(y)), len(V)), y.dtype)
    return [product(matrix(z), V.T, code), product(code, U.T, t), (np.add, (t, b, t))]


def _low_rank_z_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, _ctx: ArgumentContext) -> Calls:
    g = matrix(y_bar)
    within = np.empty((len(g), len(xs[2])), g.dtype)
    return [product(g, xs[1], within), product(within, xs[2], matrix(x_bar))]


def _low_rank_U_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    z = matrix(xs[0])
    code = np.empty((len(z), len(xs[2])), z.dtype)
    return [product(z, xs[2].T, code), *_products(by_seed(y_bar, ctx), code, x_bar)]


def _low_rank_V_floor(y_bar: Array, _y: Array, xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> Calls:
    g = matrix(y_bar)
    within = np.empty((len(g), ctx.x[0]), g.dtype)
    by_seed = within.reshape(len(y_bar), -1, ctx.x[0])
    return [product(g, xs[1], within), *_products(by_seed, matrix(xs[0]), x_bar)]


def _low_rank_V(y_bar: Array, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    within = np.matmul(by_seed(y_bar, ctx), xs[1])
    return _affine_W(within, y, xs, ctx)  # (g U)ᵀ z


def _low_rank_V_dot(x_dot: Array, _y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return (z V_dotᵀ) Uᵀ for each seed."""
    code_dot: Array = np.matmul(matrix(xs[0]), x_dot.transpose(0, 2, 1))
    t_dot: Array = code_dot.dot(xs[1].T)
    return t_dot.reshape(len(x_dot), *ctx.out)


def _low_rank_values_floor(xs: Arrays, values: Array) -> Call:
    return (np.multiply, (xs[1][:, :, None], xs[0].reshape(-1, 1, 1, values.shape[-1]), values))


def _low_rank_values_V(_y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the whole matrix, U[o, k] z[i] for each row."""
    values = np.empty((ctx.n_vectors, *ctx.shapes[1], ctx.x[1]), ctx.dtype)
    run([_low_rank_values_floor(xs, values)])
    return values


def _low_rank_example(g: Any, batch: int = 3, size: int = 4) -> Any:
    rank = max(1, size // 2)
    U, V = g.parameter("U", (size + 1, rank)), g.parameter("V", (rank, size))
    return g.low_rank_affine(g.input("z", (batch, size)), U, V, g.parameter("b", (size + 1,)))


def _low_rank_flops(ctx: ArgumentContext) -> int:
    """Return the operations of z Vᵀ and its product with Uᵀ, or of the two products of a vjp."""
    return 2 * ctx.n_vectors * _rank(ctx) * (ctx.shapes[2][1] + ctx.out[-1])


LOW_RANK_AFFINE = Op(
    name="low_rank_affine",
    forward=lambda xp, z, U, V, b: xp.affine(xp.matmul(z, V.T), U, b),
    shape=shapes.low_rank_affine,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, xs, ctx: (
                y_bar.reshape(-1, ctx.out[-1]).dot(xs[1]).dot(xs[2]).reshape(len(y_bar), *ctx.x)  # (g U) V
            ),
            jvp=lambda x_dot, _y, xs, ctx: matrix(x_dot).dot(xs[2].T).dot(xs[1].T).reshape(len(x_dot), *ctx.out),
            jacobian=Jacobian(
                sparsity.BLOCK_DIAGONAL,
                lambda _y, xs, _ctx: xs[1].dot(xs[2])[None],
                lambda _y, xs, values, _ctx: [product(xs[1], xs[2], values[0])],
                flops=lambda ctx: 2 * ctx.out[-1] * _rank(ctx) * ctx.x[-1],
                scratch=lambda ctx: ctx.out[-1] * ctx.x[-1] * ctx.dtype.itemsize,
            ),
            floor=_low_rank_z_floor,
            residuals=(1, 2),
            flops=_low_rank_flops,
            scratch=_within,
        ),
        Argument(
            vjp=lambda y_bar, y, xs, ctx: _affine_W(y_bar, y, (_code(xs),), ctx),  # gᵀ (z Vᵀ)
            jvp=lambda x_dot, y, xs, ctx: _affine_W_dot(x_dot, y, (_code(xs),), ctx),  # (z Vᵀ) U_dotᵀ
            jacobian=Jacobian(
                sparsity.KRONECKER,
                lambda _y, xs, _ctx: _code(xs)[:, None],
                lambda _y, xs, values, _ctx: [product(matrix(xs[0]), xs[2].T, values[:, 0])],
                flops=lambda ctx: 2 * ctx.n_vectors * _rank(ctx) * ctx.shapes[2][1],
                scratch=_within,
            ),
            floor=_low_rank_U_floor,
            residuals=(0, 2),
            flops=_low_rank_flops,
            per_sample=never,
            scratch=_within,
        ),
        Argument(
            vjp=_low_rank_V,
            jvp=_low_rank_V_dot,
            jacobian=Jacobian(
                sparsity.DENSE,
                _low_rank_values_V,
                lambda _y, xs, values, ctx: [_low_rank_values_floor(xs, values.reshape(-1, *ctx.shapes[1], ctx.x[1]))],
                allocates=True,
                flops=lambda ctx: ctx.n_out * ctx.n_in,
            ),
            floor=_low_rank_V_floor,
            residuals=(0, 1),
            flops=_low_rank_flops,
            per_sample=never,
            scratch=_within,
        ),
        BIAS,
    ),
    flops=lambda ctx: _low_rank_flops(ctx) + ctx.n_out,
    source="t = z (U V)ᵀ + b; Denil et al., Predicting Parameters in Deep Learning (2013), section 2",
    example=_low_rank_example,
    floor=_low_rank_floor,
    scratch=_within,
)

OPS = (AFFINE, LOW_RANK_AFFINE)
