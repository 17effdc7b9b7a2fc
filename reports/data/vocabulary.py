"""Vocabulary of the reports: the order of strategies, and names of statuses in words and letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

STRATEGY_ORDER = (
    "dense",
    "dense-blocks",
    "sparse",
    "vjp",
    "forward-dense",
    "forward-sparse",
    "linear-operator",
    "forward",
)
"""Built-in strategies in the order in which every table and plot lists them."""

# status -> (letter, words). The letters stand beside hollow markers in the plots, so each must be another one.
LETTERS: dict[str, tuple[str, str]] = {
    "wrong": ("W", "wrong"),
    "unsupported": ("U", "unsupported"),
    "over_budget": ("B", "over budget"),
    "out_of_memory": ("M", "out of memory"),
    "timeout": ("T", "timeout"),
    "crashed": ("C", "crashed"),
    "error": ("E", "error"),
    "not_tried": ("N", "not tried"),
    "ok": ("?", "no number measured"),  # a cell that went well but lacks the very quantity that is drawn
}


def words(status: str) -> str:
    """Return a status in words: ``"over_budget"`` as ``"over budget"``, ``"ok"`` as itself."""
    return status.replace("_", " ")


def in_order(strategies: Iterable[str]) -> list[str]:
    """Return the distinct names: built-in strategies in `STRATEGY_ORDER`, then the others in their given order."""
    distinct = list(dict.fromkeys(strategies))
    known = [name for name in STRATEGY_ORDER if name in distinct]
    return known + [name for name in distinct if name not in STRATEGY_ORDER]
