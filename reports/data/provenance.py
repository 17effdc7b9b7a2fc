"""Provenance of a table in a few words: machine, commit, controls, threads, passes and memory tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


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
    return "" if count is None else f"{count} {noun if str(count) == '1' else plural}"
