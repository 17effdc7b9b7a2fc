"""Work of the rules that a strategy calls: operations and bytes of each call, from the shapes alone.

A rule is the forward rule of an op, or one of the three functions of a strategy's `Local` for one argument of an op:
prepare, linearize and pull. The time model has a measured rate for each. Ops of one form have the rates of the one that
they are like.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from jacobench.graphs.op import OUTPUT, Op
from jacobench.strategies.tape import kept_with, known_steps

if TYPE_CHECKING:
    from jacobench.graphs.array_types import ArgumentContext
    from jacobench.graphs.graph import Graph, Node
    from jacobench.strategies.reverse import Reverse
    from jacobench.strategies.tape import Edge


Parts = tuple[list["Work"], ...]
"""Calls of rules, in lists that several phases share."""

COPY = "copy"  # rule of plain copies, whose time is that of moving the bytes


class Work(NamedTuple):
    """Work of one call of a rule: arithmetic operations (an entry that is copied counts as one), bytes read and written."""

    rule: str
    flops: float
    read: float
    written: float

    @property
    def n_bytes(self) -> float:
        """Bytes read and written."""
        return self.read + self.written


class EdgeWorks(NamedTuple):
    """Work of the three functions of a strategy's rule for one argument of a node."""

    prepare: Work
    linearize: Work
    pullback: Work


def edges_of(graph: Graph) -> list[tuple[Node, Edge]]:
    """Return each argument that cotangents must reach, with its node; kept with the graph."""
    return kept_with(graph, "edges", lambda: [(step.node, edge) for step in known_steps(graph) for edge in step.edges])


def works_of(graph: Graph, strategy: Reverse, n_seeds: int) -> dict[str, Parts]:
    """Return the calls of rules in each phase; those of ``gradient`` are those of ``linearize`` and ``pullback``."""
    works = [edge_works(strategy, node, edge, n_seeds) for node, edge in edges_of(graph)]
    forward = forward_works(graph)
    prepare, linearize, pullback = map(list, zip(*works, strict=True)) if works else ([], [], [])
    return {
        "prepare": (prepare,),
        "linearize": (forward, linearize),
        "pullback": (pullback,),
        "gradient": (forward, linearize, pullback),
    }


def jacobian_works(graph: Graph, strategy: Reverse) -> list[Work]:
    """Return the calls of rules of a whole Jacobian, by a pullback of the identity, and the copies of its entries."""
    n_out, n_in, itemsize = prod(graph.output_shape), _n_inputs(graph), graph.dtype.itemsize
    samples = strategy.samples_of(graph, known_steps(graph))
    joined = samples is not None and n_out % samples.count == 0
    found = list(forward_works(graph))
    for node, edge in edges_of(graph):
        is_shared = joined and samples is not None and edge.x in samples.shared
        works = edge_works(strategy, node, edge, n_out // samples.count if joined and samples else n_out)
        apart = (
            (samples.count - 1) * n_out // samples.count * _bytes(edge.ctx, edge.ctx.x) if is_shared and samples else 0
        )
        found += [works.linearize, works.pullback._replace(written=works.pullback.written + apart)]
    matrix = n_out * n_in * itemsize
    found.append(Work(COPY, 0, 0, n_out * n_out * itemsize))  # the identity
    return [*found, Work(COPY, 0, matrix, matrix)] if len(graph.wrt) > 1 or joined else found


def _n_inputs(graph: Graph) -> int:
    return sum(prod(graph.leaves[name].shape) for name in graph.wrt)


def forward_works(graph: Graph) -> list[Work]:
    """Return the calls of forward rules, kept with the graph."""
    return kept_with(graph, "forward_works", lambda: [forward_work(node) for node in graph.nodes])


def forward_work(node: Node) -> Work:
    """Return the work of a node's forward rule."""
    ctx = node.contexts[0]
    return Work(
        f"forward {node.op.like or node.op.name}",
        node.op.flops(ctx),
        _bytes(ctx, *ctx.shapes),
        _bytes(ctx, ctx.out) + node.op.scratch(ctx),
    )


def edge_works(strategy: Reverse, node: Node, edge: Edge, n_seeds: int) -> EdgeWorks:
    """Return the work of each phase for one argument of a node, which is kept with its context."""
    key = ("works", strategy.name, edge.argument, n_seeds)
    return kept_with(edge.ctx, key, lambda: _edge_works(strategy, node.op, edge, n_seeds))


def _edge_works(strategy: Reverse, op: Op, edge: Edge, n_seeds: int) -> EdgeWorks:
    argument, ctx, cost = edge.argument, edge.ctx, strategy.cost(edge, n_seeds)
    entries = argument.jacobian.structure.n_nonzeros(ctx) if cost.n_nonzeros else 0
    prepare, linearize, pullback = _rules(strategy.name, op.like or op.name, min(ctx.k, len(op.arguments) - 1))
    out_bytes, x_bytes = ctx.n_out * ctx.dtype.itemsize, ctx.n_in * ctx.dtype.itemsize
    residuals = sum(out_bytes if k == OUTPUT else _bytes(ctx, ctx.shapes[k]) for k in cost.residuals)
    return EdgeWorks(
        Work(prepare, entries, 0, cost.prepare_bytes + cost.prepare_scratch),
        Work(
            linearize,
            cost.linearize_flops + entries,
            out_bytes + x_bytes,
            cost.linearize_bytes + cost.linearize_scratch,
        ),
        Work(
            pullback,
            cost.pull_flops,
            n_seeds * out_bytes + cost.linearize_bytes + cost.prepare_bytes + residuals,
            n_seeds * x_bytes + cost.pull_scratch,
        ),
    )


@cache
def _rules(strategy: str, op: str, argument: int) -> tuple[str, str, str]:
    """Return the names of the rules of an argument in the three phases."""
    prepare, linearize, pullback = (
        f"{strategy} {op} {argument} {phase}" for phase in ("prepare", "linearize", "pullback")
    )
    return prepare, linearize, pullback


def _bytes(ctx: ArgumentContext, *shapes: tuple[int, ...]) -> int:
    return sum(map(prod, shapes)) * ctx.dtype.itemsize
