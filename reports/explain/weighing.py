"""What each local Jacobian would weigh and cost, dense and sparse, beside the VJP: by the strategies' own cost models."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.graphs.errors import BadInput, whole_number
from jacobench.strategies.dense import dense
from jacobench.strategies.reverse import steps
from jacobench.strategies.sparse import sparse
from jacobench.strategies.vjp import vjp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.graphs.graph import Graph
    from jacobench.strategies.reverse import Edge, LocalCost, Reverse, Step

STRATEGIES = (dense(), sparse(), vjp())

COLUMNS = {
    "jacobian": "of which value with respect to which; ∂affine1/∂W1",
    "op": "the op",
    "argument": "which of its arguments, from 0",
    "structure": "the mathematician's word for where it can be non-zero",
    "n_rows": "outputs, the batch flattened in",
    "n_columns": "inputs, likewise",
    "n_entries": "their product",
    "n_nonzeros": "entries that can be non-zero",
    "dense_bytes": "as an array",
    "pattern_bytes": "the two index arrays of a CSR matrix, made once for a graph",
    "values_bytes": "the values of a CSR matrix, made once for a point",
    "sparse_bytes": "their sum",
    "build_flops": "arithmetic operations that the values take, dense or sparse",
    "dense_apply_flops": "of applying the array to all seeds",
    "sparse_apply_flops": "of applying the CSR matrix to all seeds",
    "vjp_flops": "of the vjp rule, for all seeds",
    "vjp_reads": "the primals that the vjp rule keeps alive until then",
    "vjp_kept_bytes": "of those of them that are not leaves, which are there anyway",
    "vjp_scratch_bytes": "what the rule allocates and frees beside its result",
}
"""What `weigh` says of each Jacobian."""

TOTALS = {
    "strategy": "dense, sparse or vjp",
    "jacobian_bytes": "of all Jacobians together, patterns included",
    "kept_bytes": "of the primals kept for vjp rules, each once, leaves not counted",
    "n_nonzeros": "stored entries of all Jacobians",
    "peak_bytes": "the most a gradient holds at once beside the leaves, patterns included",
    "flops": "of a gradient: forward pass, building, pulling back",
}
"""What `weigh` says of each strategy."""


@dataclass(frozen=True)
class Explanation:
    """What a graph's Jacobians would weigh.

    Attributes
    ----------
    graph : Graph
        The graph.
    edges : tuple of Edge
        One for each row.
    rows : DataFrame
        One row for each argument of each op that cotangents must reach, in the order of the forward pass; see `COLUMNS`.
    totals : DataFrame
        One row a strategy; see `TOTALS`.
    n_seeds : int
        Cotangents that are pulled back at once.
    """

    graph: Graph
    edges: tuple[Edge, ...]
    rows: pd.DataFrame
    totals: pd.DataFrame
    n_seeds: int


def weigh(graph: Graph, n_seeds: int = 1) -> Explanation:
    """Weigh every local Jacobian of a graph. Nothing is timed, and nothing of a Jacobian's size is allocated.

    Parameters
    ----------
    graph : Graph
        Any graph.
    n_seeds : int
        Cotangents that are pulled back at once, 1 or more.

    Returns
    -------
    Explanation
        Of each Jacobian, and of all together.

    Raises
    ------
    BadInput
        For fewer than one cotangent.
    NotImplementedError
        If an op lacks a backward rule that is needed; names the op and the argument.
    """
    if whole_number("n_seeds", n_seeds) < 1:
        raise BadInput(f"n_seeds is {n_seeds}: expected 1 or more")
    names, sizes = value_names(graph), value_bytes(graph)
    rows, edges = [], []
    kept: set[int] = set()
    for step in steps(graph):
        for edge in step.edges:
            costs = {strategy.name: strategy.local.cost(edge.argument, edge.site, n_seeds) for strategy in STRATEGIES}
            reads = _reads(step, costs["vjp"].keeps)
            not_leaves = {owner for x in reads if (owner := _owner(graph, x)) >= len(graph.leaves)}
            said = _said(step, edge, names) | _costs(**costs)
            said["vjp_reads"] = ", ".join(names[x] for x in reads)
            said["vjp_kept_bytes"] = sum(sizes[x] for x in not_leaves)
            rows.append(said)
            edges.append(edge)
            kept.update(not_leaves)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    jacobian_bytes = {"dense": sum(table["dense_bytes"].tolist()), "sparse": sum(table["sparse_bytes"].tolist())}
    kept_bytes = {"vjp": sum(sizes[x] for x in kept)}
    totals = [
        _total(strategy, graph, n_seeds)
        | {"jacobian_bytes": jacobian_bytes.get(strategy.name, 0), "kept_bytes": kept_bytes.get(strategy.name, 0)}
        for strategy in STRATEGIES
    ]
    return Explanation(graph, tuple(edges), table, pd.DataFrame(totals, columns=list(TOTALS)), n_seeds)


def value_names(graph: Graph) -> list[str]:
    """Name a graph's values: leaves by their names, nodes by their op, numbered where there are several of it."""
    names = list(graph.leaves)
    ops = [node.op.name for node in graph.nodes]
    for number, op in enumerate(ops):
        name = f"{op}{ops[:number].count(op) + 1}" if ops.count(op) > 1 else op
        names.append(f"{name}()" if name in graph.leaves else name)
    return names


def value_bytes(graph: Graph) -> list[int]:
    """Return the bytes of each of a graph's values, leaves first."""
    shapes = [leaf.shape for leaf in graph.leaves.values()] + [node.shape for node in graph.nodes]
    return [prod(shape) * graph.dtype.itemsize for shape in shapes]


def _reads(step: Step, keeps: Iterable[int]) -> list[int]:
    """Return the numbers of the values that a vjp rule keeps."""
    numbers = (*step.node.args, step.y)  # OUTPUT is -1: the last of them
    return list(dict.fromkeys(numbers[k] for k in keeps))


def _owner(graph: Graph, value: int) -> int:
    """Return the value whose memory a value is a view of, itself if of none."""
    while value >= len(graph.leaves) and (node := graph.nodes[value - len(graph.leaves)]).op.is_view:
        value = node.args[0]
    return value


def _said(step: Step, edge: Edge, names: Sequence[str]) -> dict[str, Any]:
    site = edge.site
    return {
        "jacobian": f"∂{names[step.y]}/∂{names[edge.x]}",
        "op": step.node.op.name,
        "argument": site.k,
        "structure": edge.argument.jacobian.structure.name,
        "n_rows": site.n_out,
        "n_columns": site.n_in,
        "n_entries": site.n_out * site.n_in,
    }


def _costs(dense: LocalCost, sparse: LocalCost, vjp: LocalCost) -> dict[str, int]:
    return {
        "n_nonzeros": sparse.n_nonzeros,
        "dense_bytes": dense.linearize_bytes,
        "pattern_bytes": sparse.prepare_bytes,
        "values_bytes": sparse.linearize_bytes,
        "sparse_bytes": sparse.prepare_bytes + sparse.linearize_bytes,
        "build_flops": dense.linearize_flops,
        "dense_apply_flops": dense.pull_flops,
        "sparse_apply_flops": sparse.pull_flops,
        "vjp_flops": vjp.pull_flops,
        "vjp_scratch_bytes": vjp.pull_scratch,
    }


def _total(strategy: Reverse, graph: Graph, n_seeds: int) -> dict[str, Any]:
    predicted = strategy.predict(graph, n_seeds)
    gradient = predicted.phases["gradient"]
    return {
        "strategy": strategy.name,
        "n_nonzeros": predicted.n_nonzeros,
        "peak_bytes": predicted.phases["prepare"].retained_bytes + gradient.peak_bytes,
        "flops": gradient.flops,
    }
