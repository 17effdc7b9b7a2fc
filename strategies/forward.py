"""Forward: the Jacobians are multiplied from the input side, before any seed is applied.

Of the product g·A·B·C·D it first computes A·(B·(C·D)) and then applies g; the reverse loop computes (((g·A)·B)·C)·D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, eye_array, hstack

from jacobench.graphs.structures.sparsity import index_bytes
from jacobench.strategies import dense, sparse
from jacobench.strategies.memory_model import MatrixProducts, MatrixStorage
from jacobench.strategies.reverse import Linearization, check_seeds, own
from jacobench.strategies.tape import is_view_of_given, steps

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Arrays
    from jacobench.graphs.graph import Graph
    from jacobench.graphs.op import Argument
    from jacobench.strategies.contract import Predictions
    from jacobench.strategies.tape import Step

Materializer = Callable[["Array", "Arrays"], Any]
Totals = dict[int, Any]
"""Number of a leaf → Jacobian of a value with respect to that leaf; None is the identity."""


@dataclass(frozen=True)
class Algebra(MatrixStorage):
    """Operations on Jacobians in one storage format, with their costs.

    - `materializer`: (argument, ctx) → (y, xs) → local Jacobian, shape (outputs, inputs).
    - `apply`: (seeds (S, outputs), J) → seeds · J, shape (S, inputs).
    - `join`: matrices with equal rows → one new matrix, side by side.
    - `zeros`, `identity`: (shape, dtype) → a matrix.
    """

    materializer: Callable[[Argument, ArgumentContext], Materializer]
    apply: Callable[[Array, Any], Array]
    join: Callable[[list[Any]], Any]
    zeros: Callable[[tuple[int, int], np.dtype[np.floating]], Any]
    identity: Callable[[tuple[int, int], np.dtype[np.floating]], Any]


def _sparse_materializer(argument: Argument, ctx: ArgumentContext) -> Materializer:
    pattern = argument.jacobian.structure.pattern(ctx)
    return lambda y, xs: sparse.materialize(argument.jacobian, pattern, y, xs, ctx)


DENSE = Algebra(
    dense.DenseJacobian(),
    n_multiplied=lambda left, right: left.stored * right.columns,
    n_bytes=lambda size, itemsize: size.stored * itemsize,
    materializer=lambda argument, ctx: partial(dense.materialize, argument.jacobian, ctx=ctx),
    apply=lambda seeds, J: seeds @ J,
    join=partial(np.concatenate, axis=1),
    zeros=np.zeros,
    identity=lambda shape, dtype: np.eye(*shape, dtype=dtype),
)

# Each stored entry is multiplied with a row of the right matrix, of average length.
SPARSE = Algebra(
    sparse.SparseJacobian(),
    n_multiplied=lambda left, right: left.stored * right.stored // right.rows,
    n_bytes=lambda size, itemsize: size.stored * itemsize + index_bytes(size.rows, size.columns, size.stored),
    materializer=_sparse_materializer,
    apply=lambda seeds, J: sparse.apply(seeds, J.data, J),
    join=lambda matrices: hstack(matrices, format="csr") if len(matrices) > 1 else matrices[0].copy(),
    zeros=lambda shape, dtype: csr_array(shape, dtype=dtype),
    identity=lambda shape, dtype: eye_array(*shape, dtype=dtype, format="csr"),
    join_copies=1,
)


@dataclass(frozen=True)
class ForwardPrepared:
    """A graph prepared for the forward sweep; see `contract.Prepared`."""

    _graph: Graph
    _steps: tuple[Step, ...]
    _materializers: tuple[tuple[Materializer, ...], ...]
    _algebra: Algebra

    def linearize(self, leaves: Mapping[str, Array]) -> Linearization:
        """Run the forward pass and multiply each node's Jacobians with those of its arguments."""
        graph = self._graph
        values = graph.values_of(leaves)
        totals: dict[int, Totals] = {leaf: {leaf: None} for leaf in graph.wrt_values}
        for step, materializers in zip(self._steps, self._materializers, strict=True):
            xs = tuple([values[i] for i in step.node.args])
            y = np.asarray(step.forward(*xs))
            values.append(y)
            if materializers:
                totals[step.y] = {}
            for edge, materializer in zip(step.edges, materializers, strict=True):
                _add_edge(totals[step.y], materializer(y, xs), totals[edge.x])
            for i in step.last_uses:
                values[i] = None
                totals.pop(i, None)
        output = values[graph.output]
        if is_view_of_given(graph):
            output = output.copy()
        return _linearization(graph, output, self._algebra, totals.get(graph.output, {}))


def _linearization(graph: Graph, output: Array, algebra: Algebra, jacobians: Totals) -> Linearization:
    def pullback(seeds: Array) -> dict[str, Array]:
        check_seeds(seeds, output)
        flat = seeds.reshape(len(seeds), -1)
        shapes = [leaf.shape for leaf in graph.leaves.values()]
        bars = {
            leaf: seeds if J is None else algebra.apply(flat, J).reshape(-1, *shapes[leaf])
            for leaf, J in jacobians.items()
        }
        return own(bars, graph, seeds)

    return Linearization(output, pullback, lambda: _whole(graph, algebra, jacobians))


def _whole(graph: Graph, algebra: Algebra, jacobians: Totals) -> Any:
    """Return the Jacobian of the output by all leaves in ``graph.wrt``, in new memory."""
    n_out = prod(graph.output_shape)
    found = []
    for name, number in zip(graph.wrt, graph.wrt_values, strict=True):
        J = jacobians.get(number)
        if J is None:
            make = algebra.identity if number in jacobians else algebra.zeros
            J = make((n_out, prod(graph.leaves[name].shape)), graph.dtype)
        found.append(J)
    return algebra.join(found)


def _add_edge(y_totals: Totals, J: Any, x_totals: Totals) -> None:
    """Add J · T to the Jacobian of y with respect to each leaf; T is that of x."""
    for leaf, T in x_totals.items():
        product = J if T is None else J @ T
        y_totals[leaf] = y_totals[leaf] + product if leaf in y_totals else product


@dataclass(frozen=True)
class Forward:
    """A strategy that multiplies Jacobians from the input side, stored as `algebra` does."""

    name: str
    algebra: Algebra

    def prepare(self, graph: Graph) -> ForwardPrepared:
        """List the steps and compute the patterns."""
        planned = steps(graph)
        materializers = tuple(
            tuple(self.algebra.materializer(edge.argument, edge.ctx) for edge in step.edges) for step in planned
        )
        return ForwardPrepared(graph, planned, materializers, self.algebra)

    def predict(self, graph: Graph, n_seeds: int) -> Predictions:
        """Predict bytes and flops of each phase by simulating the sweep over shapes; see `contract.Predictions`."""
        return MatrixProducts(graph, self.algebra).predictions(n_seeds)


def forward_dense() -> Forward:
    """Return the strategy ``forward-dense``."""
    return Forward("forward-dense", DENSE)


def forward_sparse() -> Forward:
    """Return the strategy ``forward-sparse``."""
    return Forward("forward-sparse", SPARSE)
