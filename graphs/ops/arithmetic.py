"""Sums and products: residual connections and gates."""

from __future__ import annotations

from math import isfinite, prod
from typing import TYPE_CHECKING

import numpy as np

from jacobench.graphs.errors import BadInput, real_number
from jacobench.graphs.op import Argument, Jacobian, Op, never, output_size
from jacobench.graphs.ops import shapes
from jacobench.graphs.ops.data_movement import selection
from jacobench.graphs.ops.pointwise import constant, factor, pointwise, rules_of
from jacobench.graphs.structures.sparsity import IDENTITY_MULTIPLE

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Attrs, Indices, Shapes
    from jacobench.graphs.calls import Call

ADD = pointwise(
    "add",
    lambda _xp, x, y: x + y,
    (constant(1), constant(1)),
    "x + y; a residual connection: He et al., Deep Residual Learning (2016), section 3.2",
)

MULTIPLY = pointwise(
    "multiply",
    lambda _xp, x, y: x * y,
    (factor(1), factor(0)),
    "x ⊙ y; a gate: Dauphin et al., Language Modeling with Gated Convolutional Networks (2017), section 2",
)


def _channels(ctx: ArgumentContext, dtype: type[np.signedinteger]) -> Indices:
    """Return the channel of each output."""
    each = prod(ctx.out[2:])
    return np.tile(np.repeat(np.arange(ctx.n_in, dtype=dtype), each), ctx.out[0])


def _by_channel(y_bar: Array, ctx: ArgumentContext) -> Array:
    """View (S, B, C, …) as (S, B, C, entries)."""
    return y_bar.reshape(len(y_bar), ctx.out[0], ctx.n_in, -1)


def _sum_channels_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    return [(np.add.reduce, (_by_channel(y_bar, ctx), (1, 3), None, x_bar))]


def _sum_channels_each_floor(y_bar: Array, _y: Array, _xs: Arrays, x_bar: Array, ctx: ArgumentContext) -> list[Call]:
    return [(np.add.reduce, (_by_channel(y_bar, ctx).transpose(1, 0, 2, 3), 3, None, x_bar))]


def _sum_channels_each(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    sums = np.add.reduce(_by_channel(y_bar, ctx), axis=3)
    return np.ascontiguousarray(sums.transpose(1, 0, 2))


def _beside_channels(b: Array, x: Array) -> Array:
    """View b (C,) as (C, 1, …), to broadcast to x (B, C, …)."""
    return b.reshape((-1, *(1,) * (x.ndim - 2)))


CHANNEL_BIAS = Op(
    name="channel_bias",
    forward=lambda _xp, x, b: x + _beside_channels(b, x),
    floor=lambda xs, y, _attrs: [(np.add, (xs[0], _beside_channels(xs[1], xs[0]), y))],
    shape=shapes.channel_bias,
    arguments=(
        rules_of(constant(1)).same,
        Argument(
            jvp=lambda b_dot, _y, _xs, ctx: np.broadcast_to(
                b_dot.reshape(len(b_dot), 1, -1, *(1,) * (len(ctx.out) - 2)), (len(b_dot), *ctx.out)
            ),
            vjp=lambda y_bar, _y, _xs, ctx: np.add.reduce(_by_channel(y_bar, ctx), axis=(1, 3)),
            jacobian=selection("stacked identity, repeated", _channels),
            floor=_sum_channels_floor,
            flops=output_size,
            per_sample_vjp=_sum_channels_each,
            per_sample_floor=_sum_channels_each_floor,
            per_sample=never,
        ),
    ),
    flops=output_size,
    source="x[b, c, …] + b[c]; the bias of a convolution: LeCun et al., Gradient-Based Learning (1998), section II",
    example=lambda g, batch=3, size=4: g.channel_bias(g.input("x", (batch, 2, size)), g.parameter("b", (2,))),
)


def _finite_factor(attrs: Attrs, _shapes: Shapes) -> Attrs:
    factor = real_number("the factor", attrs["factor"])
    if not isfinite(factor):
        raise BadInput(f"the factor is {factor}: expected a finite number")
    return {"factor": factor}


def _scale_floor(xs: Arrays, y: Array, attrs: Attrs) -> list[Call]:
    return [(np.multiply, (xs[0], y.dtype.type(attrs["factor"]), y))]


def _scaled(y_bar: Array, _y: Array, _xs: Arrays, ctx: ArgumentContext) -> Array:
    scaled: Array = y_bar * ctx.attrs["factor"]
    return scaled


SCALE = Op(
    name="scale",
    forward=lambda _xp, x, factor: x * factor,
    shape=shapes.same,
    arguments=(
        Argument(
            vjp=_scaled,
            jvp=_scaled,
            jacobian=Jacobian(IDENTITY_MULTIPLE, lambda y, _xs, ctx: np.full(1, ctx.attrs["factor"], y.dtype)),
            flops=output_size,
            floor=lambda y_bar, _y, _xs, x_bar, ctx: _scale_floor((y_bar,), x_bar, ctx.attrs),
        ),
    ),
    flops=output_size,
    source="factor · x for a fixed number",
    example=lambda g, batch=3, size=4: g.scale(g.input("x", (batch, size)), factor=-1.5),
    attrs={"factor": 1.0},
    prepare=_finite_factor,
    floor=_scale_floor,
)


NEG = Op(
    name="neg",
    forward=lambda _xp, x: -x,
    shape=shapes.same,
    arguments=(
        Argument(
            vjp=lambda y_bar, _y, _xs, _ctx: -y_bar,
            jvp=lambda x_dot, _y, _xs, _ctx: -x_dot,
            jacobian=Jacobian(IDENTITY_MULTIPLE, lambda y, _xs, _ctx: np.full(1, -1, y.dtype)),
            floor=lambda y_bar, _y, _xs, x_bar, _ctx: [(np.negative, (y_bar, x_bar))],
            flops=output_size,
        ),
    ),
    floor=lambda xs, y, _attrs: [(np.negative, (xs[0], y))],
    flops=output_size,
    source="−x",
    example=lambda g, batch=3, size=4: g.neg(g.input("x", (batch, size))),
)


OPS = (ADD, MULTIPLY, NEG, SCALE, CHANNEL_BIAS)
