"""Dropout with a fixed mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput, real_number
from jacobench.graphs.op import Argument, Jacobian, Op
from jacobench.graphs.ops import shapes
from jacobench.graphs.structures.blocks import KEPT_DIAGONAL, kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.array_types import ArgumentContext, Array
    from jacobench.graphs.op import Builder


def _as_mask(attrs: Mapping[str, Any]) -> Mapping[str, Any]:
    mask, rate = np.asarray(attrs["mask"]), real_number("the rate", attrs["rate"])
    if mask.dtype != bool or not mask.any():
        raise BadInput(f"the mask is {attrs['mask']!r:.60}: expected booleans, at least one of them true")
    if not 0 <= rate < 1:
        raise BadInput(f"the rate is {rate}: expected a number in [0, 1)")
    return {"mask": mask.copy(), "rate": rate}


def _vjp(y_bar: Array, _y: Array, _xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
    x_bar: Array = y_bar * y_bar.dtype.type(1 / (1 - ctx.attrs["rate"]))
    x_bar *= ctx.attrs["mask"]
    return x_bar


def _scale(y: Array, _xs: tuple[Array, ...], ctx: ArgumentContext) -> Array:
    return np.full(1, 1 / (1 - ctx.attrs["rate"]), y.dtype)


def _fill_diagonal(J: Array, y: Array, xs: tuple[Array, ...], ctx: ArgumentContext) -> None:
    np.multiply(kept(ctx).reshape(ctx.samples, -1), _scale(y, xs, ctx), out=np.einsum("bii->bi", J))


def _dropout_example(g: Builder, batch: int = 3, size: int = 4) -> Any:
    return g.dropout(g.input("x", (batch, size)), mask=np.arange(batch * size).reshape(batch, size) % 3 > 0, rate=0.25)


DROPOUT = Op(
    name="dropout",
    forward=lambda xp, x, mask, rate: xp.keep(x, mask, 1 / (1 - rate)),
    shape=shapes.dropout,
    arguments=(
        Argument(
            vjp=_vjp,
            jacobian=Jacobian(KEPT_DIAGONAL, _scale, allocates=False, fill=_fill_diagonal),
            flops=lambda ctx: 2 * ctx.n_out,
        ),
    ),
    flops=lambda ctx: 2 * ctx.n_out,
    source="x ⊙ mask / (1 − rate), the mask fixed and over the last axes; Srivastava et al., Dropout (2014), section 4",
    example=_dropout_example,
    attrs={"mask": (), "rate": 0.5},
    prepare=_as_mask,
)

OPS = (DROPOUT,)
