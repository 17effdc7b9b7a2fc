"""Sentences on the limits of strategies that lost: each could win if its code were as fast as its floor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jacobench.graphs.wording import counted, listed
from jacobench.reports.data.units import format_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence


def could_win(found: Sequence[tuple[str, float, float, int]], n_cases: int = 1, noun: str = "case") -> str:
    """Return who could win at its limit, without a full stop; empty for nobody.

    ``found``: strategy, smallest and largest time over floor (NaN without a floor), and in how many of ``n_cases``.
    """
    parts = []
    for name, low, high, count in found:
        where = f" in {count} of {counted(n_cases, noun)}" if n_cases > 1 else ""
        factors = " to ".join(dict.fromkeys(map(format_ratio, (low, high))))
        is_known = not math.isnan(low)
        text = f"{name} runs at {factors} its limit and could win" if is_known else f"the limit of {name} is not known"
        parts.append(text + where)
    return ", and ".join(parts)


def but(doubt: str) -> str:
    """Return a doubt as the end of a verdict; empty for none."""
    return f", but {doubt}" if doubt else ""


def then(doubt: str) -> str:
    """Return a doubt as the end of a sentence; empty for none."""
    return f"; {doubt}" if doubt else ""


def no_floors(phase: str) -> str:
    """State that no strategy has a floor."""
    return (
        f"The limits of the strategies are not known, because the run has no floors for the phase {phase}. So a slower "
        "strategy could win at its limit."
    )


def without_floor(found: Sequence[tuple[str, int, int]]) -> str:
    """Return the strategies without a floor; ``found``: strategy, and in how many of its cases."""
    names = [name if count == n_cases else f"{name} ({count} of {n_cases} cases)" for name, count, n_cases in found]
    if len(names) > 1:
        return f"The limits of {listed(names)} are not known: they have no floor."
    return f"The limit of {names[0]} is not known: it has no floor."
