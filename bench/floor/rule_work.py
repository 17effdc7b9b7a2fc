"""Work of the rules that a strategy calls: operations and bytes of each call, from the shapes alone.

A rule is the forward rule of an op, or one of the three functions of a strategy's `Local` for one argument of an op:
prepare, linearize and pull. The time model has a measured rate for each. Ops of one form have the rates of the one that
they are like.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from jacobench.graphs.op import OUTPUT
from jacobench.strategies.tape import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jacobench.graphs.array_types import ArgumentContext
    from jacobench.graphs.graph import Graph, Node
    from jacobench.strategies.reverse import Reverse
    from jacobench.strategies.tape import Edge


COPY = "copy"  # rule of plain copies, whose time is that of moving the bytes


@dataclass(frozen=True)
class Work:
    """Work of one call of a rule: arithmetic operations (an entry that is copied counts as one), bytes read and written."""

    rule: str
    flops: float
    read: float
    written: float

    @property
    def n_bytes(self) -> float:
        """Bytes read and written."""
        return self.read + self.written


def edges_of(graph: Graph) -> Iterator[tuple[Node, Edge]]:
    """Yield each argument that cotangents must reach, with its node."""
    for step in steps(graph):
        for edge in step.edges:
            yield step.node, edge


def works_of(graph: Graph, strategy: Reverse, n_seeds: int) -> dict[str, list[Work]]:
    """Return the calls of rules in each phase; those of ``gradient`` are those of ``linearize`` and ``pullback``."""
    found: dict[str, list[Work]] = {"prepare": [], "linearize": forward_works(graph), "pullback": []}
    for node, edge in edges_of(graph):
        for phase, work in edge_works(strategy, node, edge, n_seeds).items():
            found[phase].append(work)
    return {**found, "gradient": found["linearize"] + found["pullback"]}


def jacobian_works(graph: Graph, strategy: Reverse) -> list[Work]:
    """Return the calls of rules of a whole Jacobian, by a pullback of the identity, and the copies of its entries."""
    n_out, n_in, itemsize = prod(graph.output_shape), _n_inputs(graph), graph.dtype.itemsize
    samples = strategy.samples_of(graph, steps(graph))
    joined = samples is not None and n_out % samples.count == 0
    found = forward_works(graph)
    for node, edge in edges_of(graph):
        is_shared = joined and samples is not None and edge.x in samples.shared
        works = edge_works(strategy, node, edge, n_out // samples.count if joined and samples else n_out)
        apart = (
            (samples.count - 1) * n_out // samples.count * _bytes(edge.ctx, edge.ctx.x) if is_shared and samples else 0
        )
        found += [works["linearize"], replace(works["pullback"], written=works["pullback"].written + apart)]
    matrix = n_out * n_in * itemsize
    found.append(Work(COPY, 0, 0, n_out * n_out * itemsize))  # the identity
    return [*found, Work(COPY, 0, matrix, matrix)] if len(graph.wrt) > 1 or joined else found


def _n_inputs(graph: Graph) -> int:
    return sum(prod(graph.leaves[name].shape) for name in graph.wrt)


def forward_works(graph: Graph) -> list[Work]:
    """Return the calls of forward rules."""
    return [forward_work(node) for node in graph.nodes]


def forward_work(node: Node) -> Work:
    """Return the work of a node's forward rule."""
    ctx = node.contexts[0]
    return Work(
        f"forward {node.op.like or node.op.name}",
        node.op.flops(ctx),
        _bytes(ctx, *ctx.shapes),
        _bytes(ctx, ctx.out) + node.op.scratch(ctx),
    )


def edge_works(strategy: Reverse, node: Node, edge: Edge, n_seeds: int) -> dict[str, Work]:
    """Return the work of each phase for one argument of a node."""
    argument, ctx = edge.argument, edge.ctx
    cost = strategy.local.cost(argument, ctx, n_seeds)
    entries = argument.jacobian.structure.n_nonzeros(ctx) if cost.n_nonzeros else 0
    name = f"{strategy.name} {node.op.like or node.op.name} {min(ctx.k, len(node.op.arguments) - 1)}"
    residuals = (ctx.out if k == OUTPUT else ctx.shapes[k] for k in cost.residuals)
    seeds, own = n_seeds * _bytes(ctx, ctx.out), n_seeds * _bytes(ctx, ctx.x)
    return {
        "prepare": Work(f"{name} prepare", entries, 0, cost.prepare_bytes + cost.prepare_scratch),
        "linearize": Work(
            f"{name} linearize",
            cost.linearize_flops + entries,
            _bytes(ctx, ctx.out, ctx.x),
            cost.linearize_bytes + cost.linearize_scratch,
        ),
        "pullback": Work(
            f"{name} pullback",
            cost.pull_flops,
            seeds + cost.linearize_bytes + cost.prepare_bytes + _bytes(ctx, *residuals),
            own + cost.pull_scratch,
        ),
    }


def _bytes(ctx: ArgumentContext, *shapes: tuple[int, ...]) -> int:
    return sum(map(prod, shapes)) * ctx.dtype.itemsize
