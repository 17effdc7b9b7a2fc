"""The cells without a number: which, how they ended, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.bench.row.columns import STATUSES
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Failure:
    """A strategy that did not end well in one case, or of which there is something to note.

    Attributes
    ----------
    case, strategy, phases, status, reason : str
        In words; ``phases`` are those that ended alike.
    """

    case: str
    strategy: str
    phases: str
    status: str
    reason: str


def failures(table: pd.DataFrame) -> list[Failure]:
    """Return a line for each case, strategy, status and reason that is not plainly ok, in the order of the table."""
    told = table[(table["status"] != "ok") | table["reason"].notna()]
    keys = ["case", "strategy", "status", "reason"]
    found = []
    for (case, strategy, status, reason), own in told.groupby(keys, sort=False, dropna=False):
        why = reason if isinstance(reason, str) else ""
        found.append(Failure(str(case), str(strategy), ", ".join(own["phase"]), words(str(status)), why))
    return found


def counts(table: pd.DataFrame) -> str:
    """Say how many cells ended how, such as ``"59 ok, 1 over budget"``."""
    found = table["status"].value_counts()
    return ", ".join(f"{found[status]} {words(status)}" for status in STATUSES if status in found.index)
