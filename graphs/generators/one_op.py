"""Graphs of one op of the table, or of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import unknown
from jacobench.graphs.ops import OPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacobench.graphs.builder import Value
    from jacobench.graphs.graph import Graph

EVERY = "every-op"  # name of the graph that contains all ops


def op_graph(name: str, dtype: str = "float64", *, wrt: str | Iterable[str] = "all", **lengths: int) -> Graph:
    """Build a graph of one op, by default differentiated with respect to all leaves.

    `name` is a key of `OPS`, or `EVERY` for the examples of all ops, with their outputs in one row. `lengths` are
    ``batch`` and ``size`` of the op's example (see `op.Example`). Raises BadInput for an unknown op, a bad length, or a `wrt` that selects no leaf.
    """
    builder = GraphBuilder(dtype)
    if name == EVERY:
        outputs = [op.example(_Named(builder, f"{each}_"), **lengths) for each, op in OPS.items()]
        output = builder.concat(*(builder.reshape(value, shape=(1, -1)) for value in outputs))
    elif name in OPS:
        output = OPS[name].example(builder, **lengths)
    else:
        raise unknown("op", name, (*OPS, EVERY))
    return builder.build(output, wrt)


@dataclass(frozen=True)
class _Named:
    """Builder that adds a prefix to the names of leaves, because each example has an ``x``."""

    builder: GraphBuilder
    prefix: str

    def input(self, name: str, shape: Sequence[int], **more: Any) -> Value:
        return self.builder.input(self.prefix + name, shape, **more)

    def parameter(self, name: str, shape: Sequence[int], **more: Any) -> Value:
        return self.builder.parameter(self.prefix + name, shape, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.builder, name)
