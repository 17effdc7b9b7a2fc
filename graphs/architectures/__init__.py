"""Published networks by name, with the sizes of the papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.architectures.catalogue import ARCHITECTURES
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import unknown
from jacobench.graphs.generators.mlp import with_loss

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jacobench.graphs.architectures.catalogue import Architecture
    from jacobench.graphs.graph import Graph

__all__ = ["ARCHITECTURES", "architecture", "architecture_graph"]


def architecture(name: str) -> Architecture:
    """Return an entry of `ARCHITECTURES`; an unknown name raises BadInput."""
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def architecture_graph(
    name: str,
    *,
    batch: int | None = None,
    loss: str | None = "default",
    dtype: str = "float64",
    wrt: str | Iterable[str] = "parameters",
) -> Graph:
    """Build the graph of a published network; its arrays are not allocated. Unknown names and a `wrt` without a leaf raise BadInput.

    `batch` and `loss` are by default the entry's; with the loss None, the output is the network's. The leaves are ``W1``,
    ``b1`` … in the order of the layers, ``x`` and other inputs, and ``target`` if there is a loss.

    >>> architecture_graph("lenet-300-100", batch=2).n_parameters
    266610
    """
    entry = architecture(name)
    g = GraphBuilder(dtype)
    output = entry.network(g, entry.batch if batch is None else batch)
    return g.build(with_loss(g, output, entry.loss if loss == "default" else loss), wrt)
