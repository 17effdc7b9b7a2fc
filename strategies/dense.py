"""Dense: every local Jacobian is materialized as one ndarray (``dense``) or one block per sample (``dense-blocks``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.strategies.dense_layout import block_shape, blocks_of_matrix, entry_layout
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.tape import LocalCost

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Shape
    from jacobench.graphs.op import Argument, FillRule, Jacobian
    from jacobench.strategies.tape import Pull


Materializer = Callable[["Array", "Arrays"], "Array"]
"""(y, xs) → a local Jacobian."""


def materialize(jacobian: Jacobian, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the local Jacobian, shape (outputs, inputs), batch axis included."""
    return _matrix(jacobian, ctx)(y, xs)


def materialize_blocks(jacobian: Jacobian, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the local Jacobian of each sample, shape (samples, outputs per sample, inputs per sample)."""
    return _materializer(jacobian, ctx, block_shape(ctx), lambda J: J)(y, xs)


def _matrix(jacobian: Jacobian, ctx: ArgumentContext) -> Materializer:
    return _materializer(jacobian, ctx, (ctx.n_out, ctx.n_in), partial(blocks_of_matrix, ctx=ctx))


def _materializer(
    jacobian: Jacobian, ctx: ArgumentContext, shape: Shape, blocks_of: Callable[[Array], Array]
) -> Materializer:
    """Compute the positions of the values in advance, which took 8 µs for a Jacobian of width 16.

    The Jacobian has this shape; `blocks_of` maps J to a view of its blocks, of `block_shape`.
    """
    structure = jacobian.structure
    if jacobian.fill is not None:
        return _directly(jacobian.fill, ctx, shape, blocks_of)
    extent = structure.extent(ctx)
    nnz = prod(extent)
    allocate = np.empty if nnz == prod(shape) else np.zeros
    layout = entry_layout(structure, ctx, shape, blocks_of)

    def fill(y: Array, xs: Arrays) -> Array:
        J = allocate(shape, ctx.dtype)
        values = jacobian.values(y, xs, ctx)
        if layout.extent != extent:
            whole = values if values.size == nnz else np.broadcast_to(values, extent)
            values = whole.reshape(layout.extent)
        target = np.ndarray(layout.shape, ctx.dtype, J, layout.offset, layout.strides)
        index: Any = (..., *structure.index(ctx))
        target[index] = values
        return J

    return fill


def _directly(rule: FillRule, ctx: ArgumentContext, shape: Shape, blocks_of: Callable[[Array], Array]) -> Materializer:
    """Return a materializer that lets the op write its entries into zeros."""

    def fill(y: Array, xs: Arrays) -> Array:
        J = np.zeros(shape, ctx.dtype)
        rule(blocks_of(J), y, xs, ctx)
        return J

    return fill


def cost(jacobian: Jacobian, ctx: ArgumentContext, n_seeds: int, n_entries: int) -> LocalCost:
    """Predict the cost of a dense Jacobian of `n_entries`: written once, read once for all seeds."""
    n_values = jacobian.structure.n_nonzeros(ctx) if jacobian.allocates else 0
    scattered = n_values * ctx.dtype.itemsize + jacobian.scratch(ctx)
    return LocalCost(
        linearize_bytes=n_entries * ctx.dtype.itemsize,
        linearize_scratch=jacobian.fill_scratch(ctx) if jacobian.fill else scattered,
        linearize_flops=jacobian.flops(ctx),
        pull_flops=2 * n_seeds * n_entries,
        n_nonzeros=n_entries,
    )


class DenseJacobian:
    """One matrix (outputs, inputs) per argument of a node."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> Callable[[Array, Arrays], Pull]:
        """Return (y, xs) → pull."""
        matrix = _matrix(argument.jacobian, ctx)

        def linearize(y: Array, xs: Arrays) -> Pull:
            J = matrix(y, xs)
            return lambda y_bar: y_bar.reshape(-1, ctx.n_out).dot(J).reshape(-1, *ctx.x)

        return linearize

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost."""
        return cost(argument.jacobian, ctx, n_seeds, ctx.n_out * ctx.n_in)


class DenseBlocks:
    """One matrix (outputs, inputs) per sample, for ops that do not mix samples."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> Callable[[Array, Arrays], Pull]:
        """Return (y, xs) → pull."""
        samples, n_out, _ = block_shape(ctx)
        blocks = _materializer(argument.jacobian, ctx, block_shape(ctx), lambda J: J)

        def linearize(y: Array, xs: Arrays) -> Pull:
            J = blocks(y, xs)

            def pull(y_bar: Array) -> Array:
                by_sample = y_bar.reshape(-1, samples, n_out).transpose(1, 0, 2)
                return np.ascontiguousarray((by_sample @ J).transpose(1, 0, 2)).reshape(-1, *ctx.x)

            return pull

        return linearize

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost."""
        samples, n_out, n_in = block_shape(ctx)
        found = cost(argument.jacobian, ctx, n_seeds, samples * n_out * n_in)
        turned = n_seeds * ctx.n_in * ctx.dtype.itemsize if min(samples, n_seeds) > 1 else 0
        return replace(found, pull_scratch=turned)


def dense() -> Reverse:
    """Return the strategy ``dense``."""
    return Reverse("dense", DenseJacobian())


def dense_blocks() -> Reverse:
    """Return the strategy ``dense-blocks``, which keeps samples apart as vmapped Jacobians do."""
    return Reverse("dense-blocks", DenseBlocks())
