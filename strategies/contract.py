"""What a strategy is: the contract that built-in and third-party strategies fulfil alike.

It is structural: a plug-in need not import anything from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph

PHASES = ("prepare", "linearize", "pullback", "gradient")


class Unsupported(Exception):  # noqa: N818  (it reads as a statement: raise Unsupported("why"))
    """A strategy cannot take a graph; the message says why. A plug-in may raise its own exception of this name."""


class Linearized(Protocol):
    """A graph linearized at a point."""

    output: Array
    """The primal output, shape ``graph.output_shape``."""

    def pullback(self, seeds: Array) -> dict[str, Array]:
        """Map seeds to cotangents of the leaves.

        Parameters
        ----------
        seeds : NDArray
            Shape (S, *output_shape).

        Returns
        -------
        dict of str to NDArray
            For each leaf name in ``graph.wrt`` an array of shape (S, *leaf shape) and the leaf's dtype: writable, owned
            by the caller, sharing memory with nothing, changed by no later call.
        """
        ...


class Prepared(Protocol):
    """What was worked out once for a graph.

    One that works on arrays of another library may have a method ``place(leaves)``, which makes such arrays of the
    leaves and does nothing else; its `linearize` then takes both. The harness calls it outside the timed calls, as a user
    of that library has such arrays already.
    """

    def linearize(self, leaves: Mapping[str, Array]) -> Linearized:
        """Evaluate at a point: the forward pass, and any Jacobian. `leaves` are never written."""
        ...


class Strategy(Protocol):
    """A way to take a graph's vector-Jacobian products."""

    name: str

    def prepare(self, graph: Graph) -> Prepared:
        """Do once what depends on the graph alone. May raise `Unsupported`."""
        ...


def placed(prepared: Prepared, leaves: Mapping[str, Array]) -> Mapping[str, Any]:
    """Return the leaves as a strategy's library wants them, or as they are if it has no such wish."""
    place = getattr(prepared, "place", None)
    return leaves if place is None else place(leaves)


@dataclass(frozen=True)
class Prediction:
    """What a phase is expected to take, from the shapes alone.

    Attributes
    ----------
    peak_bytes : int
        The highest the heap rises during the call above where it stood before.
    retained_bytes : int
        What is still held after it, its result included.
    flops : int
        Arithmetic operations; an elementary function counts as one.
    """

    peak_bytes: int
    retained_bytes: int
    flops: int


@dataclass(frozen=True)
class Predictions:
    """What a strategy is expected to take for one graph.

    A strategy that has a method ``predict(graph, n_seeds) -> Predictions`` is held against the memory budget before it
    is tried; one that has none is tried.

    Attributes
    ----------
    phases : mapping of str to Prediction
        One for each of `PHASES`.
    n_nonzeros : int
        Stored entries of all Jacobians that the strategy materializes.
    """

    phases: Mapping[str, Prediction]
    n_nonzeros: int
