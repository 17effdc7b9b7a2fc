"""Sparse: every local Jacobian is a `scipy.sparse` array; pattern computed once per graph, values once per point."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from jacobench.graphs.structures.sparsity import index_bytes
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.tape import LocalCost

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays, Shape
    from jacobench.graphs.op import Argument, Jacobian
    from jacobench.graphs.structures.sparsity import Pattern
    from jacobench.strategies.tape import Pull


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


def apply(seeds: Array, Jt: Any) -> Array:
    """Return seeds · J, shape (S, inputs), C order, from seeds (S, outputs) and Jᵀ."""
    if len(seeds) == 1:
        product: Array = Jt @ seeds.reshape(-1)
        return product.reshape(1, -1)
    return np.ascontiguousarray((Jt @ seeds.T).T)


class SparseJacobian:
    """One CSR matrix (outputs, inputs) per argument of a node."""

    def prepare(self, argument: Argument, ctx: ArgumentContext) -> Callable[[Array, Arrays], Pull]:
        """Compute the pattern; return (y, xs) → pull."""
        jacobian, extent = argument.jacobian, argument.jacobian.structure.extent(ctx)
        pattern = jacobian.structure.pattern(ctx)
        no_values = np.broadcast_to(np.zeros((), ctx.dtype), pattern.indices.shape)  # allocates nothing
        blank = csr_array((no_values, pattern.indices, pattern.indptr), shape=pattern.shape).T

        def linearize(y: Array, xs: Arrays) -> Pull:
            # Jᵀ: J's three arrays read as CSC. SciPy takes 18 µs to check and transpose a new J; copying the blank, which
            # shares the pattern, takes 1.3 µs.
            Jt = copy(blank)
            Jt.data = _stored_values(jacobian, extent, y, xs, ctx)
            return lambda y_bar: apply(y_bar.reshape(len(y_bar), -1), Jt).reshape(-1, *ctx.x)

        return linearize

    def cost(self, argument: Argument, ctx: ArgumentContext, n_seeds: int) -> LocalCost:
        """Predict the cost."""
        jacobian, itemsize = argument.jacobian, ctx.dtype.itemsize
        nnz = jacobian.structure.n_nonzeros(ctx)
        # SciPy's product copies the seeds to its own order; the copy is freed when the cotangents are copied to C order.
        reordered = max(ctx.n_in, ctx.n_out) * n_seeds * itemsize if n_seeds > 1 else 0
        return LocalCost(
            prepare_bytes=index_bytes(ctx.n_out, ctx.n_in, nnz),
            prepare_scratch=jacobian.structure.scratch_bytes(ctx),
            linearize_bytes=nnz * itemsize,
            linearize_scratch=jacobian.scratch(ctx),
            linearize_flops=jacobian.flops(ctx),
            pull_scratch=reordered,
            pull_flops=2 * n_seeds * nnz,
            n_nonzeros=nnz,
        )


def sparse() -> Reverse:
    """Return the strategy ``sparse``."""
    return Reverse("sparse", SparseJacobian())
