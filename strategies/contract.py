"""Contract of a strategy. It is structural: a plug-in does not import jacobench."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jacobench.graphs.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph

__all__ = ["PHASES", "Linearized", "Prediction", "Predictions", "Prepared", "Strategy", "Unsupported", "placed"]

PHASES = ("prepare", "linearize", "pullback", "gradient")
"""Phases of a case whose task is "gradient". Those of the task "jacobian" are ``prepare`` and ``jacobian``."""

IDENTITY_PULLBACK = "identity pullback"
"""Optional entry of `Predictions.phases`: a pullback of the identity, where it costs less than that of as many seeds."""


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
            For each leaf name in ``graph.wrt`` an array of shape (S, *leaf shape) and the leaf's dtype. The arrays are
            writable, belong to the caller, share no memory and are never changed later.
        """
        ...

    # A strategy that has the whole matrix may define `jacobian()`. It returns the Jacobian of the output by the leaves in
    # ``graph.wrt``: shape (outputs, inputs), an array or a sparse array of SciPy in the graph's dtype. The inputs are the
    # entries of the leaves in this order; outputs and leaves are flattened in C order. Its arrays are the caller's, as those of
    # `pullback` are. Without this method, the harness pulls the identity back.


class Prepared(Protocol):
    """Work done once per graph.

    A strategy with arrays of another library may define ``place(leaves)``, which converts the leaves to such arrays.
    `linearize` then accepts both kinds. The harness calls `place` outside the timed calls.
    """

    def linearize(self, leaves: Mapping[str, Array]) -> Linearized:
        """Run the forward pass at a point and compute any Jacobians. `leaves` are never written."""
        ...


class Strategy(Protocol):
    """A method of computing a graph's vector-Jacobian products."""

    name: str

    def prepare(self, graph: Graph) -> Prepared:
        """Do the work that depends on the graph alone. May raise `Unsupported`."""
        ...


def placed(prepared: Prepared, leaves: Mapping[str, Array]) -> Mapping[str, Any]:
    """Return the leaves as arrays of the strategy's library, unchanged if it has no `place`."""
    place = getattr(prepared, "place", None)
    return leaves if place is None else place(leaves)


@dataclass(frozen=True)
class Prediction:
    """Predicted cost of one phase, from the shapes alone.

    Attributes
    ----------
    peak_bytes : int
        Largest increase of the heap during the call.
    retained_bytes : int
        Heap still allocated after the call, its result included.
    flops : int
        Arithmetic operations; an elementary function counts as one.
    """

    peak_bytes: int
    retained_bytes: int
    flops: int


@dataclass(frozen=True)
class Predictions:
    """Predicted cost of a strategy for one graph, returned by the optional method ``predict(graph, n_seeds)``.

    The harness compares it with the memory budget before it tries the strategy.

    Attributes
    ----------
    phases : mapping of str to Prediction
        One for each of `PHASES`, and ``jacobian`` if the linearized graph has a method `jacobian`. Otherwise the harness
        predicts this phase from the others.
    n_nonzeros : int
        Stored entries of all Jacobians that the strategy materializes.
    """

    phases: Mapping[str, Prediction]
    n_nonzeros: int
