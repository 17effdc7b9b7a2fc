"""How a cell that has no time is named: in words for a table, by a letter for a plot."""

from __future__ import annotations

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
