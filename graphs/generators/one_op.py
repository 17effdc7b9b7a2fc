"""A graph of one op of the table, at any size; and one graph of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import unknown
from jacobench.graphs.ops import OPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.builder import Value
    from jacobench.graphs.graph import Graph

EVERY = "every-op"
"""Stands where a name of an op is expected, for all of them in one graph."""


def op_graph(name: str, dtype: str = "float64", **lengths: int) -> Graph:
    """Make a graph of one op, to be differentiated by every leaf.

    Parameters
    ----------
    name : str
        A key of `OPS`, or `EVERY`: then the examples of all ops stand beside each other, and the output is all of theirs in
        one row.
    dtype : {"float64", "float32"}
        Of every array.
    **lengths
        ``batch`` and ``size`` of the op's example (see `op.Example`); as it stands, a small one.

    Raises
    ------
    BadInput
        For an unknown op, or a length that the op cannot have.
    """
    builder = GraphBuilder(dtype)
    if name == EVERY:
        outputs = [op.example(_Named(builder, f"{each}_"), **lengths) for each, op in OPS.items()]
        output = builder.concat(*(builder.reshape(value, shape=(1, -1)) for value in outputs))
    elif name in OPS:
        output = OPS[name].example(builder, **lengths)
    else:
        raise unknown("op", name, (*OPS, EVERY))
    return builder.build(output, wrt=builder.build(output).leaves)


@dataclass(frozen=True)
class _Named:
    """A builder that puts a prefix before the names of leaves, as every example has an ``x``."""

    builder: GraphBuilder
    prefix: str

    def input(self, name: str, shape: Sequence[int], **more: Any) -> Value:
        return self.builder.input(self.prefix + name, shape, **more)

    def parameter(self, name: str, shape: Sequence[int], **more: Any) -> Value:
        return self.builder.parameter(self.prefix + name, shape, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.builder, name)
