"""What each local Jacobian would jacobian_costs and cost, dense and sparse, beside the VJP: by the strategies' own cost models."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from jacobench.graphs.errors import BadInput, whole_number
from jacobench.strategies.dense import dense
from jacobench.strategies.sparse import sparse
from jacobench.strategies.tape import steps
from jacobench.strategies.vjp import vjp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.graphs.graph import Graph
    from jacobench.strategies.reverse import Reverse
    from jacobench.strategies.tape import Edge, Step

DENSE, SPARSE, VJP = STRATEGIES = (dense(), sparse(), vjp())


@dataclass(frozen=True)
class JacobianCost:
    """What one local Jacobian would jacobian_costs and cost: that of one argument of one op.

    Attributes
    ----------
    jacobian : str
        Of which value with respect to which: ``"∂affine1/∂W1"``.
    op : str
        The op.
    argument : int
        Which of its arguments, from 0.
    structure : str
        The mathematician's word for where it can be non-zero.
    n_rows, n_columns : int
        Outputs and inputs, the batch flattened in.
    n_entries : int
        Their product.
    n_nonzeros : int
        Entries that can be non-zero.
    dense_bytes : int
        As an array.
    pattern_bytes, values_bytes, sparse_bytes : int
        As a CSR matrix: its two index arrays, made once for a graph; its values, made once for a point; both.
    build_flops : int
        Arithmetic operations that the values take, dense or sparse.
    dense_apply_flops, sparse_apply_flops, vjp_flops : int
        Of applying the array, the CSR matrix and the vjp rule to all cotangents.
    vjp_reads : str
        The primals that the vjp rule keeps alive until it is applied.
    vjp_kept_bytes : int
        Of those of them that are not leaves, which are there anyway.
    vjp_scratch_bytes : int
        What the vjp rule allocates and frees beside its result.
    """

    jacobian: str
    op: str
    argument: int
    structure: str
    n_rows: int
    n_columns: int
    n_entries: int
    n_nonzeros: int
    dense_bytes: int
    pattern_bytes: int
    values_bytes: int
    sparse_bytes: int
    build_flops: int
    dense_apply_flops: int
    sparse_apply_flops: int
    vjp_flops: int
    vjp_reads: str
    vjp_kept_bytes: int
    vjp_scratch_bytes: int


@dataclass(frozen=True)
class Total:
    """What a strategy would take for a whole gradient.

    Attributes
    ----------
    strategy : str
        ``"dense"``, ``"sparse"`` or ``"vjp"``.
    jacobian_bytes : int
        Of all Jacobians together, patterns included.
    kept_bytes : int
        Of the primals that vjp rules keep, each once, leaves not counted.
    n_nonzeros : int
        Stored entries of all Jacobians.
    peak_bytes : int
        The most that is held at once beside the leaves, patterns included.
    flops : int
        Of the forward pass, of building the Jacobians, and of pulling back.
    """

    strategy: str
    jacobian_bytes: int
    kept_bytes: int
    n_nonzeros: int
    peak_bytes: int
    flops: int


@dataclass(frozen=True)
class Explanation:
    """What a graph's Jacobians would jacobian_costs.

    Attributes
    ----------
    graph : Graph
        The graph.
    n_seeds : int
        Cotangents that are pulled back at once.
    weights : tuple of JacobianCost
        One for each argument of each op that cotangents must reach, in the order of the forward pass.
    edges : tuple of Edge
        The same, as the strategies know them.
    totals : tuple of Total
        One for each of `STRATEGIES`.
    """

    graph: Graph
    n_seeds: int
    weights: tuple[JacobianCost, ...]
    edges: tuple[Edge, ...]
    totals: tuple[Total, ...]


def jacobian_costs(graph: Graph, n_seeds: int = 1) -> Explanation:
    """Weigh every local Jacobian of a graph. Nothing is timed, and nothing of a Jacobian's size is allocated.

    Parameters
    ----------
    graph : Graph
        Any graph.
    n_seeds : int
        Cotangents that are pulled back at once, 1 or more.

    Raises
    ------
    BadInput
        For fewer than one cotangent.
    NotImplementedError
        If an op lacks a backward rule that is needed; names the op and the argument.
    """
    if whole_number("n_seeds", n_seeds) < 1:
        raise BadInput(f"n_seeds is {n_seeds}: expected 1 or more")
    names, placed = value_names(graph), [(step, edge) for step in steps(graph) for edge in step.edges]
    weights = tuple(_weight(graph, step, edge, names, n_seeds) for step, edge in placed)
    kept = {owner for step, edge in placed for owner in _kept(graph, step, edge)}
    held = {
        DENSE.name: sum(weight.dense_bytes for weight in weights),
        SPARSE.name: sum(weight.sparse_bytes for weight in weights),
    }
    totals = tuple(
        _total(strategy, graph, n_seeds, held.get(strategy.name, 0), kept if strategy is VJP else ())
        for strategy in STRATEGIES
    )
    return Explanation(graph, n_seeds, weights, tuple(edge for _, edge in placed), totals)


def value_names(graph: Graph) -> list[str]:
    """Name a graph's values: leaves by their names, nodes by their op, numbered where there are several of it."""
    names = list(graph.leaves)
    there, met = Counter(node.op.name for node in graph.nodes), Counter[str]()
    for op in (node.op.name for node in graph.nodes):
        met[op] += 1
        name = f"{op}{met[op]}" if there[op] > 1 else op
        names.append(f"{name}()" if name in graph.leaves else name)
    return names


def _weight(graph: Graph, step: Step, edge: Edge, names: Sequence[str], n_seeds: int) -> JacobianCost:
    argument, ctx = edge.argument, edge.ctx
    as_dense, as_sparse, by_rule = (strategy.local.cost(argument, ctx, n_seeds) for strategy in STRATEGIES)
    return JacobianCost(
        jacobian=f"∂{names[step.y]}/∂{names[edge.x]}",
        op=step.node.op.name,
        argument=ctx.k,
        structure=argument.jacobian.structure.name,
        n_rows=ctx.n_out,
        n_columns=ctx.n_in,
        n_entries=ctx.n_out * ctx.n_in,
        n_nonzeros=as_sparse.n_nonzeros,
        dense_bytes=as_dense.linearize_bytes,
        pattern_bytes=as_sparse.prepare_bytes,
        values_bytes=as_sparse.linearize_bytes,
        sparse_bytes=as_sparse.prepare_bytes + as_sparse.linearize_bytes,
        build_flops=as_dense.linearize_flops,
        dense_apply_flops=as_dense.pull_flops,
        sparse_apply_flops=as_sparse.pull_flops,
        vjp_flops=by_rule.pull_flops,
        vjp_reads=", ".join(names[x] for x in _reads(step, edge)),
        vjp_kept_bytes=_bytes(graph, _kept(graph, step, edge)),
        vjp_scratch_bytes=by_rule.pull_scratch,
    )


def _total(strategy: Reverse, graph: Graph, n_seeds: int, jacobian_bytes: int, kept: Iterable[int]) -> Total:
    predicted = strategy.predict(graph, n_seeds)
    gradient = predicted.phases["gradient"]
    return Total(
        strategy=strategy.name,
        jacobian_bytes=jacobian_bytes,
        kept_bytes=_bytes(graph, kept),
        n_nonzeros=predicted.n_nonzeros,
        peak_bytes=predicted.phases["prepare"].retained_bytes + gradient.peak_bytes,
        flops=gradient.flops,
    )


def _reads(step: Step, edge: Edge) -> list[int]:
    """Return the numbers of the values that an edge's vjp rule keeps."""
    numbers = (*step.node.args, step.y)  # OUTPUT is -1: the last of them
    return list(dict.fromkeys(numbers[k] for k in edge.argument.residuals))


def _kept(graph: Graph, step: Step, edge: Edge) -> set[int]:
    """Return the nodes whose memory is held for an edge's vjp rule: a view is its argument's, a leaf is there anyway."""
    owners = {_owner(graph, value) for value in _reads(step, edge)}
    return {owner for owner in owners if owner >= len(graph.leaves)}


def _owner(graph: Graph, value: int) -> int:
    while value >= len(graph.leaves) and (node := graph.nodes[value - len(graph.leaves)]).op.is_view:
        value = node.args[0]
    return value


def _bytes(graph: Graph, nodes: Iterable[int]) -> int:
    return sum(prod(graph.nodes[node - len(graph.leaves)].shape) for node in nodes) * graph.dtype.itemsize
