"""Published networks by name, with sizes exactly as printed: `catalogue` lists them, `networks` wires them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.architectures.catalogue import ARCHITECTURES
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import unknown
from jacobench.graphs.generators.mlp import with_loss

if TYPE_CHECKING:
    from jacobench.graphs.architectures.published_network import Architecture
    from jacobench.graphs.graph import Graph

__all__ = ["ARCHITECTURES", "architecture", "architecture_graph"]


def architecture(name: str) -> Architecture:
    """Return a published network's entry.

    Parameters
    ----------
    name : str
        A key of `ARCHITECTURES`.

    Returns
    -------
    Architecture
        Its entry.

    Raises
    ------
    BadInput
        When there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def architecture_graph(
    name: str, *, batch: int | None = None, loss: str | None = "default", dtype: str = "float64"
) -> Graph:
    """Build a published network's graph; nothing large is allocated.

    Parameters
    ----------
    name : str
        A key of `ARCHITECTURES`.
    batch : int, optional
        Number of samples: the leading axis of every input. By default the entry's own.
    loss : str or None
        ``"default"`` is the entry's own; one of `jacobench.graphs.generators.mlp.LOSSES`; None for the network's output itself.
    dtype : str
        ``"float64"`` or ``"float32"``.

    Returns
    -------
    Graph
        With leaves ``W1``, ``b1`` … in the order of the layers, ``x`` (and what else the network takes in), and
        ``target`` where there is a loss. Every parameter is differentiated.

    Raises
    ------
    BadInput
        When the name, loss or dtype is unknown.

    Examples
    --------
    >>> architecture_graph("lenet-300-100", batch=2).n_parameters
    266610
    """
    entry = architecture(name)
    g = GraphBuilder(dtype)
    output = entry.network(g, entry.batch if batch is None else batch)
    return g.build(output=with_loss(g, output, entry.loss if loss == "default" else loss))
