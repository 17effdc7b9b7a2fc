"""Sparse: every local Jacobian is a CSR matrix of `scipy.sparse`; pattern computed once per graph, values once per point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from jacobench.graphs.structures.sparse_products import add_product, scratch_bytes
from jacobench.graphs.structures.sparsity import index_bytes
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.tape import LocalCost

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Shape
    from jacobench.graphs.op import Argument, Jacobian
    from jacobench.graphs.structures.sparsity import Pattern
    from jacobench.strategies.tape import Linearizer, Pull


def materialize(
    jacobian: Jacobian, pattern: Pattern, y: Array, xs: Arrays, ctx: ArgumentContext
) -> csr_array[Any, tuple[int, int]]:
    """Return the local Jacobian, shape (outputs, inputs), as CSR; it shares the pattern and never writes to it."""
    values = _stored_values(jacobian, jacobian.structure.extent(ctx), y, xs, ctx)
    return csr_array((values, pattern.indices, pattern.indptr), shape=pattern.shape)


def _stored_values(jacobian: Jacobian, extent: Shape, y: Array, xs: Arrays, ctx: ArgumentContext) -> Array:
    """Return the stored values in a new array, shape (nnz,)."""
    values = jacobian.values(y, xs, ctx)
    if not jacobian.allocates:
        given, values = values, np.empty(extent, ctx.dtype)
        values[...] = given
    return values.reshape(-1)


def apply(seeds: Array, values: Array, pattern: Pattern) -> Array:
    """Return seeds · J, shape (S, inputs), C order, from seeds (S, outputs) and the arrays of J in CSR order."""
    product = np.zeros((len(seeds), pattern.shape[1]), values.dtype)
    add_product(seeds, values, pattern, product)
    return product


@dataclass(frozen=True, eq=False)
class SparseJacobian:
    """One CSR matrix (outputs, inputs) per argument of a node: its stored values, and a pattern that all points share."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> tuple[Pull, Linearizer]:
        """Compute the pattern; return the pull, and (y, xs) → J's values."""
        jacobian, extent = argument.jacobian, argument.jacobian.structure.extent(ctx)
        pattern, n_out, shape = jacobian.structure.pattern(ctx), ctx.n_out, (-1, *ctx.x)

        def pull(y_bar: Array, values: Array) -> Array:
            return apply(y_bar.reshape(-1, n_out), values, pattern).reshape(shape)

        return pull, lambda y, xs: _stored_values(jacobian, extent, y, xs, ctx)

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost."""
        jacobian, itemsize = argument.jacobian, ctx.dtype.itemsize
        nnz = jacobian.structure.n_nonzeros(ctx)
        return LocalCost(
            prepare_bytes=index_bytes(ctx.n_out, ctx.n_in, nnz),
            prepare_scratch=jacobian.structure.scratch_bytes(ctx),
            linearize_bytes=nnz * itemsize,
            linearize_scratch=jacobian.scratch(ctx),
            linearize_flops=jacobian.flops(ctx),
            pull_scratch=scratch_bytes(n_seeds, (ctx.n_out, ctx.n_in), nnz, itemsize),
            pull_flops=2 * n_seeds * nnz,
            n_nonzeros=nnz,
        )


@cache
def sparse() -> Reverse:
    """Return the strategy ``sparse``."""
    return Reverse("sparse", SparseJacobian())
