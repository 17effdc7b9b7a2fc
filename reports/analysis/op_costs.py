"""What each op of a graph costs a strategy, by its own model: predicted op by op, on graphs of that op alone."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.cell.prepared_cell import predict
from jacobench.graphs.graph import Graph, Node
from jacobench.graphs.leaf import Leaf

if TYPE_CHECKING:
    from jacobench.graphs.op import Op
    from jacobench.strategies.contract import Predictions, Strategy

COLUMNS = ("op", "argument", "n_edges", "flops", "kept_bytes", "cotangent_bytes")
FORWARD = "forward"


def by_op(graph: Graph, strategy: Strategy, n_seeds: int) -> pd.DataFrame:
    """Predict what differentiating a graph takes, op by op and argument by argument.

    Parameters
    ----------
    graph : Graph
        Only its shapes are read.
    strategy : Strategy
        One that has a model, ``predict``; another one gives no lines.
    n_seeds : int
        Cotangents pulled back at once.

    Returns
    -------
    DataFrame
        One line an op and argument in the order of the graph, equal ones added up:

        - ``op``, and ``argument``: its name, or ``"forward"`` for the op's forward pass;
        - ``n_edges``: how often it is there;
        - ``flops``: arithmetic operations of linearizing and pulling back along it;
        - ``kept_bytes``: what is kept for the pullback, a Jacobian with its pattern or the primals that the rule reads; a
          primal that two arguments read counts for both;
        - ``cotangent_bytes``: what pulling back along it allocates as its result.

        Strategies that multiply Jacobians on the way forward pay for that beside, which no op alone shows.
    """
    lines: list[dict[str, Any]] = []
    for node in graph.nodes:
        forward = node.op.flops(node.contexts[0])
        lines.append(_line(node.op, FORWARD, forward))
        for k, value in enumerate(node.args):
            found = predict(strategy, _alone(graph, node, k), n_seeds) if value in graph.active else None
            if found is not None:
                lines.append(_line(node.op, _name(node.op, k), *_costs(found, node, forward)))
    if all(line["argument"] == FORWARD for line in lines):
        lines = []
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return table.groupby(["op", "argument"], sort=False, as_index=False).sum()


def _line(op: Op, argument: str, flops: int, kept: int = 0, cotangent: int = 0) -> dict[str, Any]:
    return dict(zip(COLUMNS, (op.name, argument, 1, flops, kept, cotangent), strict=True))


def _alone(graph: Graph, node: Node, k: int) -> Graph:
    """Return the graph of one op, to be differentiated by its k-th argument."""
    leaves = {f"x{number}": Leaf(shape, "input", "uniform", 1) for number, shape in enumerate(node.contexts[0].shapes)}
    alone = Node(node.op, tuple(range(len(leaves))), node.attrs, node.contexts, node.shape)
    return Graph(graph.dtype, leaves, (alone,), len(leaves), (f"x{k}",))


def _costs(found: Predictions, node: Node, forward_flops: int) -> tuple[int, int, int]:
    phases, ctx = found.phases, node.contexts[0]
    output = ctx.n_out * ctx.dtype.itemsize  # the caller's copy, which a node within a graph does not make
    kept = phases["prepare"].retained_bytes + phases["linearize"].retained_bytes - output
    return phases["gradient"].flops - forward_flops, kept, phases["pullback"].retained_bytes


def _name(op: Op, k: int) -> str:
    """Return the name that the forward rule has for an argument."""
    names = [name for name in list(signature(op.forward).parameters)[1:] if name not in op.attrs]
    return names[min(k, len(names) - 1)] if names else str(k)
