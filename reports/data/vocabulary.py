"""Vocabulary of the reports: order of strategies, words for statuses and quantities, and the provenance of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.bench.row.columns import FORWARD
from jacobench.graphs.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

STRATEGY_ORDER = (
    "dense", "dense-blocks", "sparse", "vjp", "forward-dense", "forward-sparse", "linear-operator", FORWARD,
)  # fmt: skip
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


HEADING = "heading"  # key of ``attrs`` of a table that is one of several parts: what titles must name


def heading(table: pd.DataFrame) -> str:
    """Return the machine of a table that is the part of a run with several machines; empty for a whole run."""
    return str(table.attrs.get(HEADING, ""))


def provenance(table: pd.DataFrame) -> list[str]:
    """Return short phrases on what measured a tidy table, and how; facts that are missing are left out.

    `table.attrs["threads"]` is the number of threads, if it is known.
    """
    passes = table.loc[table["status"] == "ok", "passes"].dropna()
    phrases = [
        _values(table, "machine", "{}"),
        _values(table, "commit", "commit {}"),
        _values(table, "controls", "controls {}"),
        _counted(table.attrs.get("threads"), "thread", "threads"),
        _counted(_range(passes), "pass", "passes"),
        _values(table, "memory_tool", "memory by {}"),
    ]
    return [phrase for phrase in phrases if phrase]


def _values(table: pd.DataFrame, column: str, phrase: str) -> str:
    found = [str(value) for value in table[column].dropna().unique()]
    return phrase.format(" and ".join(found)) if found else ""


def _range(numbers: pd.Series[float]) -> str | None:
    if numbers.empty:
        return None
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low} to {high}"


def _counted(count: object, noun: str, plural: str) -> str:
    return "" if count is None else counted(str(count), noun, plural)
