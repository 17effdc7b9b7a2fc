"""Work that each strategy's definition requires for one edge of the graph, as library calls with preallocated outputs.

A rule is (edge, y, xs) → the calls of `linearize`, and a function (y_bar (S, …), x_bar (S, …)) → the calls of `pullback`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse._sparsetools import csc_matvec, csc_matvecs

from jacobench.graphs.array_types import Array, Arrays
from jacobench.graphs.calls import Call, Calls, Fastest, zeroed
from jacobench.strategies.dense import block_shape, blocks_of_matrix, entry_layout
from jacobench.strategies.tape import Edge

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext
    from jacobench.graphs.op import Argument
    from jacobench.graphs.structures.sparsity import Pattern

PullCalls = Callable[[Array, Array], Calls]
FloorRule = Callable[[Edge, Array, Arrays], tuple[Calls, PullCalls]]


def vjp_calls(edge: Edge, y: Array, xs: Arrays) -> tuple[Calls, PullCalls]:
    """Pull back with the op's floor kernel."""
    return [], lambda y_bar, x_bar: edge.argument.floor(y_bar, y, xs, x_bar, edge.ctx)


def vjp_calls_by_sample(edge: Edge, y: Array, xs: Arrays) -> tuple[Calls, PullCalls]:
    """Pull back with the kernel that keeps the samples apart: x_bar has shape (B, S, …)."""
    kernel = edge.argument.per_sample_floor
    if kernel is None:
        raise NotImplementedError(f"argument {edge.ctx.k} has a vjp rule per sample, but no floor of it")
    return [], lambda y_bar, x_bar: kernel(y_bar, y, xs, x_bar, edge.ctx)


def dense_calls(edge: Edge, y: Array, xs: Arrays) -> tuple[Calls, PullCalls]:
    """Write the Jacobian as one matrix, zeros included, and multiply with it."""
    ctx = edge.ctx
    J = np.full((ctx.n_out, ctx.n_in), np.nan, ctx.dtype)  # the calls must write all of it
    calls = _written(J, partial(blocks_of_matrix, ctx=ctx), edge, y, xs)

    def pull(y_bar: Array, x_bar: Array) -> Calls:
        return [(np.dot, (y_bar.reshape(-1, ctx.n_out), J, x_bar.reshape(-1, ctx.n_in)))]

    return calls, pull


def block_calls(edge: Edge, y: Array, xs: Arrays) -> tuple[Calls, PullCalls]:
    """Write one matrix per sample, and multiply with these."""
    ctx = edge.ctx
    samples, n_out, n_in = block_shape(ctx)
    J = np.full((samples, n_out, n_in), np.nan, ctx.dtype)
    calls = _written(J, lambda blocks: blocks, edge, y, xs)

    def pull(y_bar: Array, x_bar: Array) -> Calls:
        g, bars = y_bar.reshape(-1, samples, n_out), x_bar.reshape(-1, samples, n_in)
        if samples == 1:
            return [(np.dot, (g[:, 0], J[0], bars[:, 0]))]
        return [(np.matmul, (g.transpose(1, 0, 2), J, bars.transpose(1, 0, 2)))]

    return calls, pull


def sparse_calls(edge: Edge, y: Array, xs: Arrays) -> tuple[Calls, PullCalls]:
    """Write the entries of the pattern, whose indices are kept, and multiply by SciPy's product."""
    argument, ctx = edge.argument, edge.ctx
    pattern = argument.jacobian.structure.pattern(ctx)
    data = np.full(pattern.indices.size, np.nan, ctx.dtype)
    extent = argument.jacobian.structure.extent(ctx)
    calls, values = _entries(argument, y, xs, ctx, data.reshape(extent))
    if not np.may_share_memory(values, data):
        calls = [*calls, (data.reshape(extent).__setitem__, (..., values))]  # np.copyto takes up to 1.5 × as long
    return calls, lambda y_bar, x_bar: _sparse_product(pattern, data, y_bar, x_bar)


def _sparse_product(pattern: Pattern, data: Array, y_bar: Array, x_bar: Array) -> Calls:
    """Return the calls of y_bar J: the arrays of J as CSR are those of its transpose as CSC."""
    n_out, n_in = pattern.shape
    stored = (pattern.indptr, pattern.indices, data)
    g, bars = y_bar.reshape(-1, n_out), x_bar.reshape(-1, n_in)
    each: list[Call] = [zeroed(bars)]
    each += [(csc_matvec, (n_in, n_out, *stored, row, bar)) for row, bar in zip(g, bars, strict=True)]
    if len(g) == 1:
        return each
    gT, barsT = np.empty(g.shape[::-1], g.dtype), np.empty(bars.shape[::-1], g.dtype)
    together: list[Call] = [
        (np.copyto, (gT, g.T)),
        zeroed(barsT),
        (csc_matvecs, (n_in, n_out, len(g), *stored, gT.reshape(-1), barsT.reshape(-1))),
        (np.copyto, (bars, barsT.T)),
    ]
    return [Fastest((each, together))]


def _written(J: Array, blocks_of: Callable[[Array], Array], edge: Edge, y: Array, xs: Arrays) -> Calls:
    """Return the calls that write a Jacobian to J, zeros included; `blocks_of` maps J to a view of its blocks."""
    argument, ctx = edge.argument, edge.ctx
    jacobian, structure = argument.jacobian, argument.jacobian.structure
    if jacobian.fill is not None:
        return [zeroed(J), *jacobian.fill(blocks_of(J), y, xs, ctx)]
    extent, layout = structure.extent(ctx), entry_layout(structure, ctx, J.shape, blocks_of)
    target: Array = np.ndarray(layout.shape, ctx.dtype, J, layout.offset, layout.strides)
    full = prod(extent) == J.size and target.flags.c_contiguous
    calls, values = _entries(argument, y, xs, ctx, J.reshape(extent) if full else None)
    if np.may_share_memory(values, J):
        return calls
    source = np.broadcast_to(values, extent).reshape(layout.extent)
    if not np.may_share_memory(source, values):
        calls = [*calls, (np.copyto, (source.reshape(extent), values))]
    index: Any = (..., *structure.index(ctx))
    return [*([] if full else [zeroed(J)]), *calls, (target.__setitem__, (index, source))]


def _entries(argument: Argument, y: Array, xs: Arrays, ctx: ArgumentContext, out: Array | None) -> tuple[Calls, Array]:
    """Return the calls that compute a Jacobian's entries, and these, broadcastable to the structure's extent.

    They are written to `out`, of this extent, if there are as many; without it to an array of their own.
    """
    jacobian = argument.jacobian
    if jacobian.floor is not None and jacobian.allocates:
        values = np.empty(jacobian.structure.extent(ctx), ctx.dtype) if out is None else out
        return jacobian.floor(y, xs, values, ctx), values
    values = jacobian.values(y, xs, ctx)
    if jacobian.floor is not None:
        return jacobian.floor(y, xs, values, ctx), values
    if values.size > 1 and not any(np.may_share_memory(values, primal) for primal in (y, *xs)):
        raise NotImplementedError(f"the Jacobian of argument {ctx.k} is computed, but has no floor")
    return [], values


RULES: Mapping[str, FloorRule] = {
    "vjp": vjp_calls,
    "dense": dense_calls,
    "dense-blocks": block_calls,
    "sparse": sparse_calls,
}
"""Rules of the strategies that have a floor."""
