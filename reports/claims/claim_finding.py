"""What a claim is, and what a run finds of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.reports.data.run_data import Run

Verdict = Literal["holds", "holds with a bound", "wrong as stated", "not shown on this machine"]

HOLDS: Verdict = "holds"
BOUNDED: Verdict = "holds with a bound"
WRONG: Verdict = "wrong as stated"
NOT_SHOWN: Verdict = "not shown on this machine"


@dataclass(frozen=True)
class Finding:
    """What the rows of a run say of one claim.

    Attributes
    ----------
    verdict : str
        One of the four.
    sentence : str
        Why, with the figures; plain text, no line feed.
    evidence : DataFrame
        The rows it rests on, boiled down; columns in words, cells in words or numbers.
    """

    verdict: Verdict
    sentence: str
    evidence: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    claimed : str
        What is claimed, close to the words of the exchange.
    theory : str
        What theory says of it.
    judge : callable
        From a run to a finding. It names no figure of its own: all are from the rows.
    """

    claimed: str
    theory: str
    judge: Callable[[Run], Finding]


def not_shown(why: str, evidence: pd.DataFrame | None = None) -> Finding:
    """Return the finding that the run does not tell."""
    return Finding(NOT_SHOWN, why, pd.DataFrame() if evidence is None else evidence)
