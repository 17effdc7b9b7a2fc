"""Forward: the Jacobians multiplied from the input side, matrix by matrix, before any seed is applied.

It is the other bracketing of g·A·B·C·D: ((A·(B·(C·D))) first and then g, where the reverse sweep takes (((g·A)·B)·C)·D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from jacobench.graphs.structures.sparsity import index_bytes
from jacobench.strategies import dense, sparse
from jacobench.strategies.contract import Prediction, Predictions
from jacobench.strategies.memory_model import AllocationTracker, Primals
from jacobench.strategies.reverse import check_seeds, own
from jacobench.strategies.tape import Edge, Step, steps

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext, Array, Shape
    from jacobench.graphs.graph import Graph
    from jacobench.graphs.op import Argument

Materializer = Callable[["Array", "tuple[Array, ...]"], Any]

Totals = dict[int, Any]
"""Leaf's value number → the Jacobian of a value against that leaf; None stands for the identity."""


class Algebra(Protocol):
    """How Jacobians are stored, multiplied and applied."""

    def materializer(self, argument: Argument, ctx: ArgumentContext) -> Materializer:
        """Do once what the shapes tell; return (y, xs) → the local Jacobian, shape (outputs, inputs)."""
        ...

    def apply(self, seeds: Array, J: Any) -> Array:
        """Return seeds · J, shape (S, inputs), from seeds (S, outputs)."""
        ...

    def n_stored(self, argument: Argument, ctx: ArgumentContext) -> int:
        """Count the stored entries of a local Jacobian."""
        ...

    def scratch(self, argument: Argument, ctx: ArgumentContext) -> int:
        """Return the bytes that making a local Jacobian takes beside it."""
        ...

    def n_multiplied(self, left: Size, right: Size) -> int:
        """Count the multiplications of a product."""
        ...

    def n_bytes(self, size: Size, itemsize: int) -> int:
        """Return the bytes of a matrix."""
        ...

    def n_pattern_bytes(self, size: Size) -> int:
        """Return the bytes that `prepare` makes and every local Jacobian shares."""
        ...


@dataclass(frozen=True)
class Size:
    """A matrix's shape, how many of its entries are stored, and the bytes of it that another matrix shares."""

    rows: int
    columns: int
    stored: int
    shared: int = 0


class Dense:
    """Jacobians as ndarrays."""

    def materializer(self, argument: Argument, ctx: ArgumentContext) -> Materializer:
        """Return (y, xs) → ndarray."""
        return lambda y, xs: dense.materialize(argument.jacobian, y, xs, ctx)

    def apply(self, seeds: Array, J: Array) -> Array:
        """Return seeds · J."""
        return seeds @ J

    def n_stored(self, _argument: Argument, ctx: ArgumentContext) -> int:
        """Every entry is stored."""
        return ctx.n_out * ctx.n_in

    def scratch(self, argument: Argument, ctx: ArgumentContext) -> int:
        """Return what the rule's values take."""
        return dense.cost(argument.jacobian, ctx, 1, ctx.n_out * ctx.n_in).linearize_scratch

    def n_multiplied(self, left: Size, right: Size) -> int:
        """Every row meets every column."""
        return left.stored * right.columns

    def n_bytes(self, size: Size, itemsize: int) -> int:
        """Return the bytes of the entries."""
        return size.stored * itemsize

    def n_pattern_bytes(self, _size: Size) -> int:
        """There is no pattern."""
        return 0


class Sparse:
    """Jacobians as CSR arrays."""

    def materializer(self, argument: Argument, ctx: ArgumentContext) -> Materializer:
        """Make the pattern; return (y, xs) → csr_array."""
        pattern = argument.jacobian.structure.pattern(ctx)
        return lambda y, xs: sparse.materialize(argument.jacobian, pattern, y, xs, ctx)

    def apply(self, seeds: Array, J: Any) -> Array:
        """Return seeds · J."""
        return sparse.apply(seeds, J.T)

    def n_stored(self, argument: Argument, ctx: ArgumentContext) -> int:
        """Count what the pattern holds."""
        return argument.jacobian.structure.n_nonzeros(ctx)

    def scratch(self, argument: Argument, ctx: ArgumentContext) -> int:
        """Return what the rule says."""
        return argument.jacobian.scratch(ctx)

    def n_multiplied(self, left: Size, right: Size) -> int:
        """Each entry meets a row of the right matrix, taken to be as full as its rows are on average."""
        return left.stored * right.stored // right.rows

    def n_bytes(self, size: Size, itemsize: int) -> int:
        """Return the bytes of entries and indices."""
        return size.stored * itemsize + index_bytes(size.rows, size.columns, size.stored)

    def n_pattern_bytes(self, size: Size) -> int:
        """Return the bytes of the indices."""
        return index_bytes(size.rows, size.columns, size.stored)


@dataclass(frozen=True)
class ForwardLinearized:
    """A graph with the whole Jacobian of its output against each leaf; see `contract.Linearized`."""

    output: Array
    _graph: Graph
    _algebra: Algebra
    _totals: Totals

    def pullback(self, seeds: Array) -> dict[str, Array]:
        """Map seeds (S, *output_shape) to cotangents (S, *leaf shape): one product a leaf."""
        check_seeds(seeds, self.output)
        flat = seeds.reshape(len(seeds), -1)
        bars = {
            leaf: seeds if J is None else self._algebra.apply(flat, J).reshape(-1, *self._shape(leaf))
            for leaf, J in self._totals.items()
        }
        return own(bars, self._graph, seeds)

    def _shape(self, leaf: int) -> Shape:
        return tuple(self._graph.leaves.values())[leaf].shape


@dataclass(frozen=True)
class ForwardPrepared:
    """A graph prepared for the forward sweep; see `contract.Prepared`."""

    _graph: Graph
    _steps: tuple[Step, ...]
    _materializers: tuple[tuple[Materializer, ...], ...]
    _algebra: Algebra

    def linearize(self, leaves: Mapping[str, Array]) -> ForwardLinearized:
        """Run the forward pass and multiply each node's Jacobians onto those of its arguments."""
        graph = self._graph
        graph.check(leaves)
        values: list[Any] = [leaves[name] for name in graph.leaves]
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
        if is_view_of_leaf(graph):
            output = output.copy()
        return ForwardLinearized(output, graph, self._algebra, totals.get(graph.output, {}))


def is_view_of_leaf(graph: Graph) -> bool:
    """Say whether the output is a leaf, or a view of one."""
    number, n_leaves = graph.output, len(graph.leaves)
    while number >= n_leaves and graph.nodes[number - n_leaves].op.is_view:
        number = graph.nodes[number - n_leaves].args[0]
    return number < n_leaves


def _add_edge(y_totals: Totals, J: Any, x_totals: Totals) -> None:
    """Add J · T to the Jacobian of y against each leaf, T that of x."""
    for leaf, T in x_totals.items():
        product = J if T is None else J @ T
        y_totals[leaf] = y_totals[leaf] + product if leaf in y_totals else product


@dataclass(frozen=True)
class Forward:
    """A strategy that multiplies Jacobians from the input side.

    Attributes
    ----------
    name : str
        The strategy's name.
    algebra : Algebra
        How Jacobians are stored and multiplied.
    """

    name: str
    algebra: Algebra

    def prepare(self, graph: Graph) -> ForwardPrepared:
        """Lay out the sweep and make the patterns."""
        planned = steps(graph)
        materializers = tuple(
            tuple(self.algebra.materializer(edge.argument, edge.ctx) for edge in step.edges) for step in planned
        )
        return ForwardPrepared(graph, planned, materializers, self.algebra)

    def predict(self, graph: Graph, n_seeds: int) -> Predictions:
        """Predict bytes and flops of each phase by replaying the sweep over shapes; see `contract.Predictions`."""
        return _Replay(graph, self.algebra).predictions(n_seeds)


class _Replay:
    """`ForwardPrepared.linearize` over shapes."""

    def __init__(self, graph: Graph, algebra: Algebra) -> None:
        self.graph, self.algebra = graph, algebra
        self.itemsize = graph.dtype.itemsize
        self.prepare, self.linearize = AllocationTracker(), AllocationTracker()
        self.flops = self.stored = 0
        self.totals: dict[int, dict[int, Size | None]] = {leaf: {leaf: None} for leaf in graph.wrt_values}
        self.primals = Primals(graph, self.linearize)
        for step in steps(graph):
            self._step(step)
        if is_view_of_leaf(graph):
            self.linearize.hold(prod(graph.output_shape) * self.itemsize)

    def _step(self, step: Step) -> None:
        self.flops += step.node.op.flops(step.node.contexts[0])
        self.primals.compute(step.y, step.node)
        y_totals: dict[int, Size | None] = {}
        for edge in step.edges:
            self._edge(edge, y_totals)
        self.totals[step.y] = y_totals
        for i in step.last_uses:
            self.primals.drop(i)
            for size in self.totals.pop(i, {}).values():
                if size is not None:
                    self.linearize.release(self._own_bytes(size))

    def _own_bytes(self, size: Size) -> int:
        return self.algebra.n_bytes(size, self.itemsize) - size.shared

    def _edge(self, edge: Edge, y_totals: dict[int, Size | None]) -> None:
        algebra, ctx = self.algebra, edge.ctx
        J = Size(ctx.n_out, ctx.n_in, algebra.n_stored(edge.argument, ctx))
        J = replace(J, shared=algebra.n_pattern_bytes(J))
        self.prepare.hold(J.shared)
        self.stored += J.stored
        self.flops += edge.argument.jacobian.flops(ctx)
        self.linearize.hold(self._own_bytes(J), algebra.scratch(edge.argument, ctx))
        kept = False
        for leaf, T in self.totals[edge.x].items():
            product = J if T is None else self._product(J, T)
            kept |= T is None
            y_totals[leaf] = self._sum(y_totals.get(leaf), product)
        if not kept:
            self.linearize.release(self._own_bytes(J))

    def _product(self, J: Size, T: Size) -> Size:
        multiplied = self.algebra.n_multiplied(J, T)
        self.flops += 2 * multiplied
        return self._held(Size(J.rows, T.columns, min(multiplied, J.rows * T.columns)))

    def _sum(self, a: Size | None, b: Size) -> Size:
        if a is None:
            return b
        total = self._held(Size(b.rows, b.columns, min(a.stored + b.stored, b.rows * b.columns)))
        self.flops += total.stored
        for part in (a, b):
            self.linearize.release(self._own_bytes(part))
        return total

    def _held(self, size: Size) -> Size:
        self.linearize.hold(self._own_bytes(size))
        return size

    def predictions(self, n_seeds: int) -> Predictions:
        totals = [size for size in self.totals.get(self.graph.output, {}).values() if size is not None]
        pull_flops = 2 * n_seeds * sum(size.stored for size in totals)
        pulled = n_seeds * self.itemsize * sum(size.columns for size in totals)
        peak = max(self.linearize.peak, self.linearize.held + pulled)
        return Predictions(
            {
                "prepare": Prediction(self.prepare.peak, self.prepare.held, 0),
                "linearize": Prediction(self.linearize.peak, self.linearize.held, self.flops),
                "pullback": Prediction(pulled, pulled, pull_flops),
                "gradient": Prediction(peak, pulled, self.flops + pull_flops),
            },
            self.stored,
        )


def forward_dense() -> Forward:
    """Make the strategy ``forward-dense``."""
    return Forward("forward-dense", Dense())


def forward_sparse() -> Forward:
    """Make the strategy ``forward-sparse``."""
    return Forward("forward-sparse", Sparse())
