"""Dense: every local Jacobian is materialized as one ndarray (``dense``) or one block per sample (``dense-blocks``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.calls import run
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.tape import LocalCost, without_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Shape
    from jacobench.graphs.op import Argument, FillRule, Jacobian
    from jacobench.graphs.structures.sparsity import Structure
    from jacobench.strategies.tape import Linearizer, Pull


Materializer = Callable[["Array", "Arrays"], "Array"]
"""(y, xs) → a local Jacobian."""


@dataclass(frozen=True)
class EntryLayout:
    """Positions of a Jacobian's entries as a strided view of the matrix, strides and offset in bytes.

    `extent` is the shape after `Structure.index` has indexed the view's last axes; its C order is the CSR order.
    """

    shape: Shape
    strides: tuple[int, ...]
    offset: int
    extent: Shape


def block_shape(ctx: ArgumentContext) -> tuple[int, int, int]:
    """Return (samples, outputs per sample, inputs per sample)."""
    return (ctx.samples, ctx.n_out // ctx.samples, ctx.n_in // ctx.samples)


def blocks_of_matrix(J: Array, ctx: ArgumentContext) -> Array:
    """View the samples' blocks, of `block_shape`, in a matrix (outputs, inputs)."""
    samples, n_out, n_in = block_shape(ctx)
    view: Array = np.einsum("bobi->boi", J.reshape(samples, n_out, samples, n_in))
    return view


def entry_layout(
    structure: Structure, ctx: ArgumentContext, shape: Shape, blocks_of: Callable[[Array], Array]
) -> EntryLayout:
    """Compute the layout of a Jacobian of this shape; `blocks_of` maps J to a view of its blocks, of `block_shape`."""
    unbacked = without_memory(shape, ctx.dtype)
    view = structure.view(blocks_of(unbacked), ctx)
    lengths = [len(part) for part in structure.index(ctx)]
    extent = (*view.shape[: view.ndim - len(lengths)], *lengths[:1])
    return EntryLayout(view.shape, view.strides, view.ctypes.data - unbacked.ctypes.data, extent)


def columns_of_entries(structure: Structure, ctx: ArgumentContext, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the columns of some entries of a Jacobian, given by their numbers in CSR order, from 0.

    Only arrays of the shape of `numbers` are allocated, for any size of the matrix.
    """
    layout = entry_layout(structure, ctx, (ctx.n_out, ctx.n_in), partial(blocks_of_matrix, ctx=ctx))
    index = structure.index(ctx)
    at: list[Any] = list(np.unravel_index(numbers, layout.extent)) if layout.extent else []
    if index:
        at = [*at[:-1], *(part[at[-1]] for part in index)]
    place = np.full(numbers.shape, layout.offset, np.int64)
    for along, stride in zip(at, layout.strides, strict=True):
        place += along.astype(np.int64) * stride
    return place // ctx.dtype.itemsize % ctx.n_in


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
        run(rule(blocks_of(J), y, xs, ctx))
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


@dataclass(frozen=True, eq=False)
class DenseJacobian:
    """One matrix (outputs, inputs) per argument of a node."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> tuple[Pull, Linearizer]:
        """Return the pull, and (y, xs) → its J."""
        matrix = _matrix(argument.jacobian, ctx)
        flat, shape = (-1, ctx.n_out), (-1, *ctx.x)
        return lambda y_bar, J: y_bar.reshape(flat).dot(J).reshape(shape), matrix

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost."""
        return cost(argument.jacobian, ctx, n_seeds, ctx.n_out * ctx.n_in)


@dataclass(frozen=True, eq=False)
class DenseBlocks:
    """One matrix (outputs, inputs) per sample, for ops that do not mix samples."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> tuple[Pull, Linearizer]:
        """Return the pull, and (y, xs) → its J."""
        samples, n_out, _ = block_shape(ctx)
        blocks = _materializer(argument.jacobian, ctx, block_shape(ctx), lambda J: J)

        def pull(y_bar: Array, J: Array) -> Array:
            by_sample = y_bar.reshape(-1, samples, n_out).transpose(1, 0, 2)
            return np.ascontiguousarray((by_sample @ J).transpose(1, 0, 2)).reshape(-1, *ctx.x)

        return pull, blocks

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost."""
        samples, n_out, n_in = block_shape(ctx)
        found = cost(argument.jacobian, ctx, n_seeds, samples * n_out * n_in)
        turned = n_seeds * ctx.n_in * ctx.dtype.itemsize if min(samples, n_seeds) > 1 else 0
        return found._replace(pull_scratch=turned)


@cache
def dense() -> Reverse:
    """Return the strategy ``dense``."""
    return Reverse("dense", DenseJacobian())


@cache
def dense_blocks() -> Reverse:
    """Return the strategy ``dense-blocks``, which keeps samples apart as vmapped Jacobians do."""
    return Reverse("dense-blocks", DenseBlocks())
