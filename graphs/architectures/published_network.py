"""An entry of the catalogue: what a published network is called, where it stands, and how its graph is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.graphs.builder import GraphBuilder, Value


@dataclass(frozen=True)
class Architecture:
    """A published network.

    Attributes
    ----------
    name : str
        What it is called on the command line and in suite files.
    title : str
        What it is, in a line.
    source : str
        The paper, and the place in it where the sizes stand.
    simplified : str
        What differs from the paper; empty where nothing does.
    network : callable
        ``network(g, batch)`` adds inputs and layers to the builder `g` and returns the output.
    depth : int
        Number of affine layers.
    width : int
        The largest of the network's inputs and its layers' outputs.
    activation : str
        The hidden layers' activation.
    batch : int
        Samples (the leading axis) unless asked otherwise.
    loss : str
        Loss unless asked otherwise.
    residual : bool
        Whether a skip connection adds to the output.
    normalization : str or None
        The normalization in it.
    """

    name: str
    title: str
    source: str
    simplified: str
    network: Callable[[GraphBuilder, int], Value]
    depth: int
    width: int
    activation: str
    batch: int = 32
    loss: str = "mse"
    residual: bool = False
    normalization: str | None = None
