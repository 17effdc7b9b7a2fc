"""Import of optional libraries, when a strategy that needs one is loaded."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from jacobench.strategies.contract import Unsupported


def import_peer(name: str) -> Any:
    """Import a library of the extra ``peers``, for example ``"jax"``.

    Raises
    ------
    Unsupported
        If it is not installed; the message gives the command that installs it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise  # installed but broken; reinstalling the extra will not help
        raise Unsupported(f"{name} is not installed: pip install 'jacobench[peers]'") from None
