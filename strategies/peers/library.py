"""Bring in a library that need not be installed: when a strategy that wants it is loaded, and not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from jacobench.strategies.contract import Unsupported


def import_peer(name: str) -> Any:
    """Import a library of the extra ``peers``.

    Parameters
    ----------
    name : str
        Such as ``"jax"``.

    Returns
    -------
    module
        The library.

    Raises
    ------
    Unsupported
        If it is not installed; says how to install it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise  # it is there, and broken: that is not for the extra to mend
        raise Unsupported(f"{name} is not installed: pip install 'jacobench[peers]'") from None
