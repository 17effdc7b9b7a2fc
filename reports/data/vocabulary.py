"""Vocabulary of the reports: the order of strategies, and words for statuses and quantities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.bench.row.columns import FORWARD

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
    FORWARD,
)
"""Built-in strategies in the order in which every table and plot lists them."""

QUANTITY_WORDS = {"seconds": "time", "bytes": "memory"}

# Status → (letter, words). Plots write the letter next to a hollow marker, so letters are unique.
LETTERS: dict[str, tuple[str, str]] = {
    "wrong": ("W", "wrong"),
    "unsupported": ("U", "unsupported"),
    "over_budget": ("B", "over budget"),
    "out_of_memory": ("M", "out of memory"),
    "timeout": ("T", "timeout"),
    "crashed": ("C", "crashed"),
    "error": ("E", "error"),
    "not_tried": ("N", "not tried"),
    "ok": ("?", "no number measured"),  # a successful cell without the quantity that is plotted
}


def words(status: str) -> str:
    """Return a status in words, such as ``"over budget"``."""
    return status.replace("_", " ")


def in_order(strategies: Iterable[str]) -> list[str]:
    """Return the distinct names: built-in strategies in `STRATEGY_ORDER`, then the others in their given order."""
    distinct = list(dict.fromkeys(strategies))
    known = [name for name in STRATEGY_ORDER if name in distinct]
    return known + [name for name in distinct if name not in STRATEGY_ORDER]
