"""A graph of one op of the table, at any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import unknown
from jacobench.graphs.ops import OPS

if TYPE_CHECKING:
    from jacobench.graphs.graph import Graph


def op_graph(name: str, dtype: str = "float64", **lengths: int) -> Graph:
    """Make a graph of one op, to be differentiated by every leaf.

    Parameters
    ----------
    name : str
        A key of `OPS`.
    dtype : {"float64", "float32"}
        Of every array.
    **lengths
        ``batch`` and ``size`` of the op's example (see `op.Example`); as it stands, a small one.

    Raises
    ------
    BadInput
        For an unknown op, or a length that the op cannot have.
    """
    if name not in OPS:
        raise unknown("op", name, OPS)
    builder = GraphBuilder(dtype)
    output = OPS[name].example(builder, **lengths)
    return builder.build(output, wrt=builder.build(output).leaves)
