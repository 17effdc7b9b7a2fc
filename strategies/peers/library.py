"""A strategy of another library, which is imported when the strategy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jacobench.strategies.contract import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

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
