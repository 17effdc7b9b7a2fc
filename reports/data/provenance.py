"""Where a table's numbers come from, in a few words: a figure without its machine and controls means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def provenance(table: pd.DataFrame) -> list[str]:
    """Say what measured a table, and how.

    Parameters
    ----------
    table : DataFrame
        The tidy table; ``table.attrs["threads"]`` is named where it is there.

    Returns
    -------
    list of str
        Short phrases: machine, commit, controls, threads, passes, what measured memory; what is missing is left out.
    """
    phrases = [
        _values(table, "machine", "{}"),
        _values(table, "commit", "commit {}"),
        _values(table, "controls", "controls {}"),
        _counted(table.attrs.get("threads"), "thread"),
        _counted(_range(table[table["status"] == "ok"], "passes"), "pass", "es"),
        _values(table, "memory_tool", "memory by {}"),
    ]
    return [phrase for phrase in phrases if phrase]


def _values(table: pd.DataFrame, column: str, phrase: str) -> str:
    found = [str(value) for value in table[column].dropna().unique()]
    return phrase.format(" and ".join(found)) if found else ""


def _range(table: pd.DataFrame, column: str) -> str | None:
    found = table[column].dropna()
    if found.empty:
        return None
    low, high = int(found.min()), int(found.max())
    return str(low) if low == high else f"{low} to {high}"


def _counted(count: object, noun: str, plural: str = "s") -> str:
    return "" if count is None else f"{count} {noun}{'' if str(count) == '1' else plural}"
