"""What a gate finds on a machine: false alarms where nothing was changed, and power where work was added on purpose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from scipy.special import betaincinv

from jacobench.bench.gate.gate_client import Injection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.reports.regression.outcome import Outcome

SLOWER = (0.01, 0.02, 0.03, 0.05, 0.10)
"""Work that is added, as shares of a call's time."""

LARGER = 0.02
"""Memory that is held beside a call's, as a share of its peak."""

AMONG = 3
"""One of so many cells is added to, as a change seldom touches all."""

CONFIDENCE = 0.95

COLUMNS = ("added", "quantity", "gates", "rows", "found", "inconclusive", "share", "low", "high", "ratio")


@dataclass(frozen=True)
class Gate:
    """One gate of a self-test.

    Attributes
    ----------
    doses : mapping of (str, str) to Injection
        Case and strategy → what was added to the head; empty: nothing, to any.
    outcome : Outcome
        What the gate made of it.
    """

    doses: Mapping[tuple[str, str], Injection]
    outcome: Outcome


def doses(cells: Sequence[tuple[str, str]], number: int) -> dict[tuple[str, str], Injection]:
    """Return what is added in a gate: nothing in every other one, else to a third of the cells one of `SLOWER` each, in turns.

    Parameters
    ----------
    cells : sequence of (str, str)
        Cases and strategies.
    number : int
        Of the gate, counted from 0.
    """
    if number % 2 == 0:
        return {}
    turn = number // 2
    chosen = cells[turn % AMONG :: AMONG]
    return {cell: Injection(SLOWER[(turn + k) % len(SLOWER)], LARGER) for k, cell in enumerate(chosen)}


def tally(gates: Sequence[Gate]) -> pd.DataFrame:
    """Count what was found of what was there.

    Parameters
    ----------
    gates : sequence of Gate
        Of one self-test.

    Returns
    -------
    DataFrame
        A line for each amount added, of ``seconds`` and of ``peak_bytes`` (rows of which the addition exceeds their threshold in bytes):
        ``added`` (relative; 0: nothing, so that what is found is a false alarm), ``gates`` and ``rows`` that had it, how many were
        ``found`` (regressed) and how many ``inconclusive``, the ``share`` found with its 95 % interval ``low``, ``high``
        (Clopper and Pearson 1934), and the median ``ratio`` head / base, by which it is seen that the work was done.
    """
    lines = pd.concat([_lines(number, gate) for number, gate in enumerate(gates)], ignore_index=True)
    counted = [
        _counted(added, quantity, lines[(lines["quantity"] == quantity) & (lines["added"] == added)])
        for quantity, amounts in (("seconds", (0.0, *SLOWER)), ("peak_bytes", (0.0, LARGER)))
        for added in amounts
    ]
    return pd.DataFrame([line for line in counted if line["rows"]], columns=list(COLUMNS))


def _lines(number: int, gate: Gate) -> pd.DataFrame:
    """Return a gate's lines of time and peak memory, with what was added to each."""
    table = gate.outcome.verdicts
    table = table[table["quantity"].isin(["seconds", "peak_bytes"]) & table["ratio"].notna()].copy()
    added = [
        gate.doses.get((case, strategy), Injection())
        for case, strategy in zip(table["case"], table["strategy"], strict=True)
    ]
    timed = table["quantity"] == "seconds"
    table["added"] = [dose.slower if is_time else dose.larger for dose, is_time in zip(added, timed, strict=True)]
    # Of a small row, 2 % are fewer bytes than a gate minds; of one that takes nothing, none.
    seen = timed | (table["added"] == 0) | ((table["added"] > table["detectable"]) & (table["base"] > 0))
    return table[seen].assign(gate=number)


def _counted(added: float, quantity: str, own: pd.DataFrame) -> dict[str, object]:
    found, rows = int((own["verdict"] == "regressed").sum()), len(own)
    low, high = binomial_interval(found, rows) if rows else (0.0, 1.0)
    return {
        "added": added,
        "quantity": quantity,
        "gates": own["gate"].nunique(),
        "rows": rows,
        "found": found,
        "inconclusive": int((own["verdict"] == "inconclusive").sum()),
        "share": found / max(rows, 1),
        "low": low,
        "high": high,
        "ratio": float(own["ratio"].median()),
    }


def binomial_interval(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson (1934) for a probability; one-sided where nothing, or all, was hit.

    Parameters
    ----------
    hits, n : int
        Of n tries, one or more.
    confidence : float
        The least probability of covering the truth.

    Examples
    --------
    >>> low, high = binomial_interval(0, 2000)
    >>> f"{low:.4f} {high:.4f}"
    '0.0000 0.0015'
    """
    if hits in {0, n}:
        edge = math.pow(1 - confidence, 1 / n)
        return (0.0, 1 - edge) if hits == 0 else (edge, 1.0)
    error = (1 - confidence) / 2
    return float(betaincinv(hits, n - hits + 1, error)), float(betaincinv(hits + 1, n - hits, 1 - error))
