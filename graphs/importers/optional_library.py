"""What the importers share: the libraries, which are optional, and the error about what a graph cannot express."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.builder import DTYPES
from jacobench.graphs.errors import BadInput, Unsupported, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable


def library(module: str, distribution: str, importer: str) -> Any:
    """Import a library; BadInput with the pip command if it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise BadInput(
            f"{importer} needs {distribution}, which is not installed: pip install 'jacobench[models]'"
        ) from None


def chosen_dtype(given: str | None, own: Any, what: str) -> np.dtype[np.floating]:
    """Return the dtype of a graph: `given`, or the model's own. Raises BadInput unless it is float32 or float64.

    `what` names the model in the message.
    """
    if given is not None and given not in DTYPES:
        raise unknown("dtype", given, DTYPES)
    name = given or np.dtype(own).name
    if name not in DTYPES:
        raise BadInput(f"{what} has dtype {name}: expected float32 or float64; convert it, or choose dtype='float64'")
    return np.dtype(name)


def unsupported(library_name: str, found: Iterable[tuple[str, str]]) -> Unsupported:
    """Return the error that lists everything that cannot be imported: (name by the library, place in the model).

    A name is listed once, with up to three of its places.
    """
    places: dict[str, list[str]] = {}
    for name, place in found:
        places.setdefault(name, []).append(place)
    listed = "; ".join(f"{name} ({_places(each)})" if any(each) else name for name, each in places.items())
    return Unsupported(f"this {library_name} model contains what cannot be imported: {listed}; see docs/models.md")


def _places(places: list[str]) -> str:
    first = list(dict.fromkeys(places))
    return ", ".join(first[:3]) + (f" and {len(first) - 3} more" if len(first) > 3 else "")
