"""Predicted cost of each edge of a graph (one argument of one node), by the strategy's own model.

`jacobench explain` and the per-op plot both take their numbers from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from math import prod
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.columns import FORWARD
from jacobench.strategies.tape import owners, steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jacobench.graphs.graph import Graph
    from jacobench.graphs.op import Op
    from jacobench.strategies.reverse import Reverse
    from jacobench.strategies.tape import Edge, LocalCost, Step

COLUMNS = ("op", "argument", "n_edges", "flops", "kept_bytes", "cotangent_bytes")


@dataclass(frozen=True)
class EdgeCost:
    """Predicted cost of differentiating one argument of one node with one strategy.

    `local` is the strategy's own model. `kept` holds the nodes whose values the strategy keeps for this edge, of
    `kept_bytes` together; a view counts as its argument, and leaves do not count. `cotangent_bytes` is the memory of
    all seeds' cotangents that one pullback allocates; 0 if it returns its input.
    """

    step: Step
    edge: Edge
    local: LocalCost
    kept: frozenset[int]
    kept_bytes: int
    cotangent_bytes: int


def edge_costs(graph: Graph, strategy: Reverse, n_seeds: int) -> list[EdgeCost]:
    """Return the cost of each edge by the strategy's own model, in the order of the forward pass; reads only shapes.

    `n_seeds` cotangents are pulled back at once. Raises NotImplementedError, which names the op and the argument, if an
    op lacks a backward rule that is needed.
    """
    costs, views = [], owners(graph)
    for step in steps(graph):
        for edge in step.edges:
            local = strategy.local.cost(edge.argument, edge.ctx, n_seeds)
            kept = _kept(graph, views, step, local)
            cotangent = 0 if local.returns_cotangent else n_seeds * edge.ctx.n_in * edge.ctx.dtype.itemsize
            costs.append(EdgeCost(step, edge, local, kept, total_bytes(graph, kept), cotangent))
    return costs


def op_costs(graph: Graph, strategy: Reverse, n_seeds: int) -> pd.DataFrame:
    """Add up the costs of `edge_costs` by op and argument, in the order of the graph.

    ``argument`` is ``"forward"`` for the forward pass of the op. ``flops`` are those of linearize and pullback.
    ``kept_bytes``: Jacobian with pattern, or primals that the rule reads; a primal that two arguments read counts for
    both. ``cotangent_bytes``: result of the pullback.
    """
    lines: list[tuple[Any, ...]] = []
    by_node: dict[int, list[EdgeCost]] = {}
    for cost in edge_costs(graph, strategy, n_seeds):
        by_node.setdefault(cost.step.y, []).append(cost)
    for number, node in graph.numbered_nodes:
        lines.append((node.op.name, FORWARD, 1, node.op.flops(node.contexts[0]), 0, 0))
        for cost in by_node.get(number, []):
            local, argument = cost.local, argument_name(node.op, cost.edge.ctx.k)
            kept = local.prepare_bytes + local.linearize_bytes + cost.kept_bytes
            flops = local.linearize_flops + local.pull_flops
            lines.append((node.op.name, argument, 1, flops, kept, cost.cotangent_bytes))
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return table.groupby(["op", "argument"], sort=False, as_index=False).sum()


def argument_name(op: Op, k: int) -> str:
    """Return the name that the forward rule of an op gives to its k-th argument."""
    names = [name for name in list(signature(op.forward).parameters)[1:] if name not in op.attrs]
    return names[min(k, len(names) - 1)] if names else str(k)


def reads(step: Step, local: LocalCost) -> list[int]:
    """Return the numbers of the values that an edge keeps."""
    numbers = (*step.node.args, step.y)  # OUTPUT is -1: the last of them
    return list(dict.fromkeys(numbers[k] for k in local.residuals))


def _kept(graph: Graph, views: Mapping[int, int], step: Step, local: LocalCost) -> frozenset[int]:
    """Return the nodes whose memory an edge keeps; `views` are `tape.owners`."""
    kept = {views.get(value, value) for value in reads(step, local)}
    return frozenset(owner for owner in kept if owner >= graph.n_given)


def total_bytes(graph: Graph, nodes: Iterable[int]) -> int:
    """Return the bytes of the values of some nodes."""
    return sum(prod(graph.node(number).shape) * graph.node(number).dtype.itemsize for number in nodes)
