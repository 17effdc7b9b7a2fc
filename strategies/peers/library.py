"""A strategy of another library, which is imported when the strategy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jacobench.strategies.contract import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.graphs.graph import Graph


@dataclass(frozen=True)
class Peer:
    """The strategy `name`: `prepare` maps a graph to a `contract.Prepared`."""

    name: str
    prepare: Callable[[Graph], Any]


def import_peer(name: str) -> Any:
    """Import a library of the extra ``peers``; raise Unsupported, with the command that installs it, if it is missing."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise  # installed but broken; reinstalling the extra will not help
        raise Unsupported(f"{name} is not installed: pip install 'jacobench[peers]'") from None


def original_form(graph: Graph, library: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return the model of a library that a graph was imported from, as a function of all leaves.

    Raises
    ------
    Unsupported
        If the graph was not imported from the library.
    """
    origin = graph.origin
    if origin is None or origin.library != library or origin.evaluate is None:
        raise Unsupported(f"the graph was not imported from {library}")
    evaluate = origin.evaluate

    def checked(leaves: Mapping[str, Any]) -> Any:
        graph.check(leaves)
        return evaluate(leaves)

    return checked
