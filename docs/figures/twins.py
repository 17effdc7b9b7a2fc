"""Twins of `vjp` and `sparse`, as plug-ins: the same code under another name, so that true ratios are 1."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jacobench.strategies import sparse, vjp

if TYPE_CHECKING:
    from jacobench.strategies.reverse import Reverse


def vjp_twin() -> Reverse:
    """Return `vjp` with the name ``vjp-twin``."""
    return replace(vjp.vjp(), name="vjp-twin")


def sparse_twin() -> Reverse:
    """Return `sparse` with the name ``sparse-twin``."""
    return replace(sparse.sparse(), name="sparse-twin")
