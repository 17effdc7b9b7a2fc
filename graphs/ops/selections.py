"""Jacobians of ops that only move entries: each output is one entry of the argument, or zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.op import Argument, Jacobian
from jacobench.graphs.structures.sparsity import Structure

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array

    Indices = NDArray[np.signedinteger]
    Sources = Callable[[ArgumentContext, Any], Indices]


def along_last_axis(order: Indices, ctx: ArgumentContext, dtype: Any) -> Indices:
    """Return the flat position of each output's entry, if all vectors are reordered in the same way."""
    starts = np.arange(0, ctx.n_in, ctx.x[-1], dtype=dtype)
    positions: Indices = np.add.outer(starts, order.astype(dtype, copy=False)).reshape(-1)
    return positions


def selection(name: str, sources: Sources) -> Jacobian:
    """Return the Jacobian rule of an op whose outputs are entries of its argument.

    `name` is the structure's; ``sources(ctx, dtype)`` returns the flat position of each output's entry, shape (outputs,).
    """

    def index(ctx: ArgumentContext) -> tuple[Indices, Indices]:
        """Return the positions in the block of one sample; all samples have the same."""
        n_out = ctx.n_out // ctx.samples
        return np.arange(n_out), sources(ctx, np.intp)[:n_out]

    def fill(J: Array, _y: Array, _xs: tuple[Array, ...], ctx: ArgumentContext) -> None:
        J[:, *index(ctx)] = 1

    return Jacobian(
        Structure(
            name,
            extent=lambda ctx: (ctx.n_out,),
            columns=sources,
            view=lambda J, _ctx: J,
            index=index,
            scratch=lambda _ctx: 0,
        ),
        lambda y, _xs, _ctx: np.ones(1, y.dtype),
        fill=fill,
        fill_scratch=lambda ctx: np.dtype(np.intp).itemsize * (ctx.n_out + ctx.n_out // ctx.samples),
    )


def copied_to_part(part: Callable[[ArgumentContext], slice]) -> Argument:
    """Return the rules of an argument that the op copies to the slice ``part(ctx)`` of a longer last axis."""

    def rows(ctx: ArgumentContext) -> Indices:
        filled = np.zeros((ctx.n_vectors, ctx.out[-1]), np.int32)
        filled[:, part(ctx)] = 1
        return filled.reshape(-1)

    def view(J: Array, ctx: ArgumentContext) -> Array:
        vectors = ctx.n_vectors // ctx.samples
        split = J.reshape(ctx.samples, vectors, ctx.out[-1], vectors, ctx.x[-1])
        found: Array = np.einsum("bpipi->bpi", split[:, :, part(ctx)])
        return found

    structure = Structure(
        "identity between empty rows",
        extent=lambda ctx: (ctx.n_in,),
        columns=lambda ctx, dtype: np.arange(ctx.n_in, dtype=dtype),
        view=view,
        per_row=rows,
        scratch=lambda ctx: ctx.n_out,
    )
    return Argument(
        vjp=lambda y_bar, _y, _xs, ctx: y_bar[..., part(ctx)],
        jacobian=Jacobian(structure, lambda y, _xs, _ctx: np.ones(1, y.dtype)),
        returns_cotangent=lambda _ctx: True,
    )
