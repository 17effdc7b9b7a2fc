"""Predicted cost of every local Jacobian of a graph, dense and sparse, compared with its VJP; nothing is measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.graphs.errors import BadInput, whole_number
from jacobench.reports.explain.edge_costs import edge_costs, reads, total_bytes
from jacobench.strategies.dense import dense
from jacobench.strategies.sparse import sparse
from jacobench.strategies.vjp import vjp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.graph import Graph
    from jacobench.reports.explain.edge_costs import EdgeCost
    from jacobench.strategies.reverse import Reverse
    from jacobench.strategies.tape import Edge

DENSE, SPARSE, VJP = STRATEGIES = (dense(), sparse(), vjp())


@dataclass(frozen=True)
class JacobianCost:
    """Predicted cost of one local Jacobian: that of one op's output with respect to one argument.

    `jacobian` is its name, for example ``"∂affine1/∂W1"``, and `structure` that of its sparsity structure. `argument`
    counts from 0. `n_rows` and `n_columns` are the numbers of outputs and inputs, batch included; `n_nonzeros` counts
    entries that can be non-zero.

    - ``dense_bytes``: size as a dense array.
    - ``pattern_bytes``, ``values_bytes``, ``sparse_bytes``: size as a CSR matrix: its two index arrays (made once per
      graph), its values (made once per point), and both.
    - ``build_flops``: arithmetic operations that compute the values, dense or sparse.
    - ``dense_apply_flops``, ``sparse_apply_flops``, ``vjp_flops``: those of one product with all seeds.
    - ``vjp_reads``, ``vjp_kept_bytes``: names and size of the primals that the VJP rule keeps. Leaves have no size
      because the caller holds them.
    - ``vjp_scratch_bytes``: temporary memory of the VJP rule, without its result.
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
class GradientCost:
    """Predicted cost of a whole gradient with one strategy.

    `jacobian_bytes` is the size of all Jacobians with their patterns, `n_nonzeros` the number of their stored entries.
    `kept_bytes` is the size of the primals that VJP rules keep, each counted once. `peak_bytes` is the peak of the call, as
    a run measures it and `recommend` predicts it; `total_bytes`, this peak and the patterns, which are made before. Both
    are without leaves. `flops` are those of the forward pass, of building the Jacobians and of the pullback.
    """

    strategy: str
    jacobian_bytes: int
    kept_bytes: int
    n_nonzeros: int
    peak_bytes: int
    total_bytes: int
    flops: int


@dataclass(frozen=True)
class Explanation:
    """Predicted costs of a graph's Jacobians, for `n_seeds` cotangents that are pulled back at once.

    There is one of `jacobians` and of `edges` for each argument that the gradient depends on, in the order of the
    forward pass, and one of `totals` for each of `STRATEGIES`.
    """

    graph: Graph
    n_seeds: int
    jacobians: tuple[JacobianCost, ...]
    edges: tuple[Edge, ...]
    totals: tuple[GradientCost, ...]


def jacobian_costs(graph: Graph, n_seeds: int = 1) -> Explanation:
    """Predict the cost of every local Jacobian of a graph from its shapes; allocates nothing of a Jacobian's size.

    Raises BadInput if `n_seeds` is below 1, and NotImplementedError, which names the op and the argument, if an op
    lacks a backward rule that is needed.
    """
    if whole_number("n_seeds", n_seeds) < 1:
        raise BadInput(f"n_seeds is {n_seeds}: expected 1 or more")
    names = value_names(graph)
    by_strategy = [edge_costs(graph, strategy, n_seeds) for strategy in STRATEGIES]
    jacobians = tuple(_jacobian_cost(names, *edge) for edge in zip(*by_strategy, strict=True))
    stored = {
        DENSE.name: sum(cost.dense_bytes for cost in jacobians),
        SPARSE.name: sum(cost.sparse_bytes for cost in jacobians),
    }
    totals = tuple(
        _gradient_cost(strategy, graph, n_seeds, stored.get(strategy.name, 0), costs)
        for strategy, costs in zip(STRATEGIES, by_strategy, strict=True)
    )
    return Explanation(graph, n_seeds, jacobians, tuple(cost.edge for cost in by_strategy[0]), totals)


def to_frame(explanation: Explanation) -> pd.DataFrame:
    """Return one row per Jacobian, in the order of the forward pass, with the attributes of `JacobianCost` as columns."""
    columns = [field.name for field in fields(JacobianCost)]
    return pd.DataFrame([asdict(cost) for cost in explanation.jacobians], columns=columns)


def value_names(graph: Graph) -> list[str]:
    """Name the values of a graph: leaves by their names, constants by their number, nodes by their op, with a number if the op occurs twice."""
    names = [*graph.leaves, *(f"constant{k}" for k in range(1, len(graph.constants) + 1))]
    count, n_seen = Counter(node.op.name for node in graph.nodes), Counter[str]()
    for op in (node.op.name for node in graph.nodes):
        n_seen[op] += 1
        name = f"{op}{n_seen[op]}" if count[op] > 1 else op
        names.append(f"{name}()" if name in graph.leaves else name)
    return names


def _jacobian_cost(names: Sequence[str], as_dense: EdgeCost, as_sparse: EdgeCost, by_rule: EdgeCost) -> JacobianCost:
    step, edge = as_dense.step, as_dense.edge
    ctx, csr = edge.ctx, as_sparse.local
    return JacobianCost(
        jacobian=f"∂{names[step.y]}/∂{names[edge.x]}",
        op=step.node.op.name,
        argument=ctx.k,
        structure=edge.argument.jacobian.structure.name,
        n_rows=ctx.n_out,
        n_columns=ctx.n_in,
        n_entries=ctx.n_out * ctx.n_in,
        n_nonzeros=csr.n_nonzeros,
        dense_bytes=as_dense.local.linearize_bytes,
        pattern_bytes=csr.prepare_bytes,
        values_bytes=csr.linearize_bytes,
        sparse_bytes=csr.prepare_bytes + csr.linearize_bytes,
        build_flops=as_dense.local.linearize_flops,
        dense_apply_flops=as_dense.local.pull_flops,
        sparse_apply_flops=csr.pull_flops,
        vjp_flops=by_rule.local.pull_flops,
        vjp_reads=", ".join(names[x] for x in reads(step, by_rule.local)),
        vjp_kept_bytes=by_rule.kept_bytes,
        vjp_scratch_bytes=by_rule.local.pull_scratch,
    )


def _gradient_cost(
    strategy: Reverse, graph: Graph, n_seeds: int, jacobian_bytes: int, costs: Sequence[EdgeCost]
) -> GradientCost:
    predicted = strategy.predict(graph, n_seeds)
    gradient = predicted.phases["gradient"]
    return GradientCost(
        strategy=strategy.name,
        jacobian_bytes=jacobian_bytes,
        kept_bytes=total_bytes(graph, frozenset[int]().union(*(cost.kept for cost in costs))),
        n_nonzeros=predicted.n_nonzeros,
        peak_bytes=gradient.peak_bytes,
        total_bytes=predicted.phases["prepare"].retained_bytes + gradient.peak_bytes,
        flops=gradient.flops,
    )
