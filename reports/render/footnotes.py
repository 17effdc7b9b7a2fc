"""What stands under a table: what measured, what the mark means, how many cells ended how, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.bench.row.columns import STATUSES
from jacobench.reports.data.provenance import provenance
from jacobench.reports.data.vocabulary import words
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    import pandas as pd


def footnotes(rows: pd.DataFrame, table: pd.DataFrame, phase: str, mark: str) -> list[str]:
    """Return the lines under a table.

    Parameters
    ----------
    rows : DataFrame
        The rows that are shown.
    table : DataFrame
        The tidy table they come from.
    phase : str
        The phase that is shown.
    mark : str
        What a winner is marked with.

    Returns
    -------
    list of str
        One paragraph each.
    """
    if rows.empty:
        return [f"No cell has the phase {phase}.", *_sources(table)]
    return [*_sources(table), _meaning(rows, mark), _counts(rows), *_reasons(rows)]


def _sources(table: pd.DataFrame) -> list[str]:
    phrases = provenance(table)
    return ["Measured on: " + " · ".join(phrases)] if phrases else []


def _meaning(rows: pd.DataFrame, mark: str) -> str:
    if REFERENCE not in set(rows["strategy"]):
        return f"No winner is marked: {REFERENCE}, to which the others are compared, is not among the strategies."
    timed = rows[(rows["status"] == "ok") & (rows["strategy"] != REFERENCE)]
    meaning = (
        f"{mark} clearly ahead in its case: for time, the 95 % intervals of the ratio to {REFERENCE} do not overlap; "
        "for memory, more than 1 % less, and 8 KiB."
    )
    if bool(rows["efficiency"].notna().any()):
        meaning += " floor (on a wide screen): the share of the time that the work itself takes; see docs/floor.md."
    if not timed.empty and bool(timed["ratio_low"].isna().all()):
        meaning += " There are no intervals (they take more than one pass), so no winner in time is named."
    return meaning


def _counts(rows: pd.DataFrame) -> str:
    found = rows["status"].value_counts()
    known = [status for status in STATUSES if status in found.index]
    return "Cells: " + " · ".join(f"{found[status]} {words(status)}" for status in known)


def _reasons(rows: pd.DataFrame) -> list[str]:
    """Return one line for each status and strategy, with the first of its reasons."""
    told = rows[(rows["status"] != "ok") | rows["reason"].notna()]
    lines = []
    for (status, strategy), group in told.groupby(["status", "strategy"], sort=False):
        cases = group["case"].tolist()
        more = f" and {len(cases) - 1} more" if len(cases) > 1 else ""
        reasons = group["reason"].dropna()
        why = f": {reasons.iloc[0]}" if len(reasons) else ""
        lines.append(f"  {strategy}, {words(str(status))}: {cases[0]}{more}{why}")
    return lines
