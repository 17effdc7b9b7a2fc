"""Products of vectors and of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.arrays.gathering import ROTATED_ONCE, ROTATED_TWICE
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.calls import Fastest
from jacobench.graphs.op import Argument, Jacobian, JvpRule, Op, VjpFloor, VjpRule, output_size
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.data_movement import take_into
from jacobench.graphs.structures import sparsity
from jacobench.graphs.structures.sparsity import ROW_BLOCKS

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays
    from jacobench.graphs.calls import Call, Calls

CROSS_ENTRIES = np.array([2, 1, 2, 0, 1, 0])
CROSS_SIGNS = np.array([1, -1, -1, 1, 1, -1])
"""Off-diagonal entries of the Jacobian of x × y with respect to x, row by row, in terms of y: (x × y)₀ = x₁y₂ − x₂y₁, …"""


def crossed_into(x: Array, y: Array, z: Array) -> Calls:
    """Return the calls that write x × y over the last axis to z; x and y may broadcast."""
    return [Fastest((_crossed_by_entry(x, y, z), _crossed_by_rotation(x, y, z)))]


def _crossed_by_rotation(x: Array, y: Array, z: Array) -> list[Call]:
    rotated = [np.empty_like(array) for array in (x, y, x, y)]
    orders = (ROTATED_ONCE, ROTATED_TWICE, ROTATED_TWICE, ROTATED_ONCE)
    product = np.empty_like(z)
    return [
        *(
            call
            for array, order, out in zip((x, y, x, y), orders, rotated, strict=True)
            for call in take_into(array, order, -1, out)
        ),
        (np.multiply, (rotated[0], rotated[1], z)),
        (np.multiply, (rotated[2], rotated[3], product)),
        (np.subtract, (z, product, z)),
    ]


def _crossed_by_entry(x: Array, y: Array, z: Array) -> list[Call]:
    product = np.empty(z.shape[:-1], z.dtype)
    calls: list[Call] = []
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        calls += [
            (np.multiply, (x[..., j], y[..., k], z[..., i])),
            (np.multiply, (x[..., k], y[..., j], product)),
            (np.subtract, (z[..., i], product, z[..., i])),
        ]
    return calls


def _cross_factor(other: int, vjp: VjpRule, jvp: JvpRule, floor: VjpFloor) -> Argument:
    def values(_y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
        entries: Array = xs[other].reshape(-1, 3).take(CROSS_ENTRIES, axis=1)
        entries *= (CROSS_SIGNS if ctx.k == 0 else -CROSS_SIGNS).astype(ctx.dtype)
        return entries

    def values_floor(_y: Array, xs: Arrays, entries: Array, ctx: ArgumentContext) -> list[Call]:
        signs = (CROSS_SIGNS if ctx.k == 0 else -CROSS_SIGNS).astype(ctx.dtype)
        return [
            *take_into(xs[other].reshape(-1, 3), CROSS_ENTRIES, 1, entries),
            (np.multiply, (entries, signs, entries)),
        ]

    return Argument(
        vjp=vjp,
        jvp=jvp,
        jacobian=Jacobian(sparsity.SKEW, values, values_floor, allocates=True, flops=lambda ctx: 2 * ctx.n_out),
        floor=floor,
        residuals=(other,),
        flops=lambda ctx: 3 * ctx.n_out,
        scratch=lambda ctx: ctx.n_out // 3 * ctx.dtype.itemsize,
    )


CROSS = Op(
    name="cross",
    forward=lambda xp, x, y: xp.crossed(x, y),
    shape=shapes.cross,
    arguments=(
        _cross_factor(
            1,
            lambda y_bar, _y, xs, _ctx: NUMPY.crossed(xs[1], y_bar),
            lambda x_dot, _y, xs, _ctx: NUMPY.crossed(x_dot, xs[1]),
            lambda y_bar, _y, xs, x_bar, _ctx: crossed_into(xs[1], y_bar, x_bar),
        ),
        _cross_factor(
            0,
            lambda y_bar, _y, xs, _ctx: NUMPY.crossed(y_bar, xs[0]),
            lambda x_dot, _y, xs, _ctx: NUMPY.crossed(xs[0], x_dot),
            lambda y_bar, _y, xs, x_bar, _ctx: crossed_into(y_bar, xs[0], x_bar),
        ),
    ),
    floor=lambda xs, y, _attrs: crossed_into(xs[0], xs[1], y),
    flops=lambda ctx: 3 * ctx.n_out,
    source="x × y over a last axis of 3; Murray et al., A Mathematical Introduction to Robotic Manipulation (1994), chapter 2",
    example=lambda g, batch=3, size=4: g.cross(g.input("x", (batch, size, 3)), g.input("y", (batch, size, 3))),
    scratch=lambda ctx: ctx.n_out // 3 * ctx.dtype.itemsize,
)


def _dot_factor(other: int) -> Argument:
    return Argument(
        vjp=lambda y_bar, _y, xs, _ctx: y_bar[..., None] * xs[other],
        jvp=lambda x_dot, _y, xs, _ctx: np.vecdot(x_dot, xs[other]),
        jacobian=Jacobian(ROW_BLOCKS, lambda _y, xs, ctx: xs[other].reshape(-1, ctx.x[-1])),
        floor=lambda y_bar, _y, xs, x_bar, _ctx: [(np.multiply, (y_bar[..., None], xs[other], x_bar))],
        residuals=(other,),
        flops=lambda ctx: ctx.n_in,
    )


DOT = Op(
    name="dot",
    forward=lambda xp, x, y: xp.inner(x, y),
    floor=lambda xs, y, _attrs: [(np.vecdot, (*xs, y))],
    shape=shapes.reduced,
    arguments=(_dot_factor(1), _dot_factor(0)),
    flops=lambda ctx: 2 * ctx.n_in,
    source="Σ x y over the last axis; Giles, An extended collection of matrix derivative results (2008), section 2.2",
    example=lambda g, batch=3, size=4: g.dot(g.input("x", (batch, size)), g.input("y", (batch, size))),
)


STREAMED = 2**23
"""Bytes of a cotangent from which reading it takes longer than the arithmetic. There the kernels of the BLAS for a matrix
times a vector take up to twice as long as NumPy's loops over rows: 2.0 against 1.1 ms for 64 matrices of 256 × 257. Inside
the cache they take half to three quarters of the time."""


def times_right(G: Array, y: Array, out: Array | None = None) -> Array:
    """Return G y for matrices G (S, …, n, m) and vectors y (…, m)."""
    if G.nbytes >= STREAMED:
        return np.vecdot(G, y[..., None, :], out)
    return np.matmul(G, y[..., None], None if out is None else out[..., None])[..., 0]


def times_left(G: Array, x: Array, out: Array | None = None) -> Array:
    """Return Gᵀ x for matrices G (S, …, n, m) and vectors x (…, n)."""
    if G.nbytes >= STREAMED:
        return np.einsum("s...ij,...i->s...j", G, x, out=out)
    return np.matmul(x[..., None, :], G, None if out is None else out[..., None, :])[..., 0, :]


OUTER = Op(
    name="outer",
    forward=lambda xp, x, y: xp.outer_last(x, y),
    floor=lambda xs, y, _attrs: [(NUMPY.outer_last, (*xs, y))],
    shape=shapes.outer,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, xs, _ctx: times_right(y_bar, xs[1]),
            jvp=lambda x_dot, _y, xs, _ctx: NUMPY.outer_last(x_dot, xs[1]),
            jacobian=Jacobian(sparsity.OUTER_LEFT, lambda _y, xs, ctx: xs[1].reshape(-1, 1, ctx.out[-1])),
            floor=lambda y_bar, _y, xs, x_bar, _ctx: [(times_right, (y_bar, xs[1], x_bar))],
            residuals=(1,),
            flops=lambda ctx: 2 * ctx.n_out,
        ),
        Argument(
            vjp=lambda y_bar, _y, xs, _ctx: times_left(y_bar, xs[0]),
            jvp=lambda x_dot, _y, xs, _ctx: NUMPY.outer_last(xs[0], x_dot),
            jacobian=Jacobian(sparsity.OUTER_RIGHT, lambda _y, xs, ctx: xs[0].reshape(-1, ctx.out[-2], 1)),
            floor=lambda y_bar, _y, xs, x_bar, _ctx: [(times_left, (y_bar, xs[0], x_bar))],
            residuals=(0,),
            flops=lambda ctx: 2 * ctx.n_out,
        ),
    ),
    flops=output_size,
    source="x yᵀ over the last axes; Giles, An extended collection of matrix derivative results (2008), section 2.2",
    example=lambda g, batch=3, size=4: g.outer(g.input("x", (batch, size)), g.input("y", (batch, size + 1))),
)


def _transposed(matrices: Array) -> Array:
    return matrices.swapaxes(-1, -2)


def _matmul_flops(ctx: ArgumentContext) -> int:
    return 2 * ctx.n_out * ctx.shapes[0][-1]


MATMUL = Op(
    name="matmul",
    forward=lambda xp, x, y: xp.matmul(x, y),
    floor=lambda xs, y, _attrs: [(np.matmul, (*xs, y))],
    shape=shapes.matmul,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, xs, _ctx: np.matmul(y_bar, _transposed(xs[1])),  # G Yᵀ
            jvp=lambda x_dot, _y, xs, _ctx: np.matmul(x_dot, xs[1]),
            floor=lambda y_bar, _y, xs, x_bar, _ctx: [(np.matmul, (y_bar, _transposed(xs[1]), x_bar))],
            jacobian=Jacobian(
                sparsity.PRODUCT_LEFT, lambda _y, xs, ctx: _transposed(xs[1].reshape(-1, *ctx.shapes[1][-2:]))[:, None]
            ),
            residuals=(1,),
            flops=_matmul_flops,
            per_sample=lambda shapes, _attrs: len(shapes[0]) > 2,
        ),
        Argument(
            vjp=lambda y_bar, _y, xs, _ctx: np.matmul(_transposed(xs[0]), y_bar),  # Xᵀ G
            jvp=lambda x_dot, _y, xs, _ctx: np.matmul(xs[0], x_dot),
            floor=lambda y_bar, _y, xs, x_bar, _ctx: [(np.matmul, (_transposed(xs[0]), y_bar, x_bar))],
            jacobian=Jacobian(
                sparsity.PRODUCT_RIGHT, lambda _y, xs, ctx: xs[0].reshape(-1, *ctx.shapes[0][-2:])[:, :, None]
            ),
            residuals=(0,),
            flops=_matmul_flops,
            per_sample=lambda shapes, _attrs: len(shapes[1]) > 2,
        ),
    ),
    flops=_matmul_flops,
    source="X Y over the last two axes; Giles, An extended collection of matrix derivative results (2008), section 2.2",
    example=lambda g, batch=3, size=4: g.matmul(g.input("x", (batch, 2, size)), g.input("y", (batch, size, 3))),
)

OPS = (CROSS, DOT, OUTER, MATMUL)
