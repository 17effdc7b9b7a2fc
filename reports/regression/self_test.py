"""Self-test of the gate: false alarms without changes, and power with work and memory added on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.gate.gate_client import Injection
from jacobench.bench.row.statistics import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.reports.regression.outcome import Outcome

SLOWER = (0.01, 0.02, 0.03, 0.05, 0.10)
"""Work to add, relative to the time of a call."""

LARGER = 0.02
"""Memory to hold during a call, relative to its peak."""

AMONG = 3
"""One of this number of cells is changed, because a change seldom affects all."""

PEAK = "peak_bytes"

QUANTITIES = ("seconds", PEAK, "retained_bytes")

COLUMNS = ("added", "quantity", "gates", "rows", "found", "inconclusive", "share", "low", "high", "ratio")


@dataclass(frozen=True)
class SelfTestGate:
    """One gate of a self-test: its outcome, and what was added to which case and strategy of head."""

    injections: Mapping[tuple[str, str], Injection]
    outcome: Outcome


def injections(
    cells: Sequence[tuple[str, str]], number: int, amounts: Sequence[float] = SLOWER
) -> dict[tuple[str, str], Injection]:
    """Return what a gate adds to which cell: an even gate nothing, an odd gate one of the amounts to a third of them."""
    if number % 2 == 0:
        return {}
    turn = number // 2
    chosen = cells[turn % AMONG :: AMONG]
    return {cell: Injection(amounts[(turn + k) % len(amounts)], LARGER) for k, cell in enumerate(chosen)}


def tally(gates: Sequence[SelfTestGate]) -> pd.DataFrame:
    """Count the regressions that the gates of a self-test found: one line per quantity and amount added.

    ``added`` is relative; with 0 every regression is a false alarm. ``gates`` and ``rows`` had this amount. ``share``
    is found / rows with its two-sided 95 % interval ``low``, ``high`` (Clopper and Pearson 1934). ``ratio`` is the
    median of head / base, which shows that the addition took effect. Rows of peak memory count if the addition exceeds
    the threshold in bytes, rows of retained memory if nothing was added.
    """
    lines = pd.concat([_lines(number, gate) for number, gate in enumerate(gates)], ignore_index=True)
    counted = [
        _counted(added, quantity, own[own["added"] == added])
        for quantity in QUANTITIES
        for own in [lines[lines["quantity"] == quantity]]
        for added in sorted(own["added"].unique())
    ]
    return pd.DataFrame(counted, columns=list(COLUMNS))


def _lines(number: int, gate: SelfTestGate) -> pd.DataFrame:
    """Return a gate's lines of time and memory, with what was added to each."""
    table = gate.outcome.verdicts
    table = table[table["quantity"].isin(QUANTITIES) & table["ratio"].notna()].copy()
    cells = zip(table["case"], table["strategy"], strict=True)
    added = [gate.injections.get(cell, Injection()) for cell in cells]
    timed = table["quantity"] == "seconds"
    table["added"] = [one.slower if is_time else one.larger for one, is_time in zip(added, timed, strict=True)]
    # 2 % of a small row are fewer bytes than the gate's threshold; 2 % of no bytes are none.
    is_larger = (table["quantity"] == PEAK) & (table["added"] > table["detectable"]) & (table["base"] > 0)
    return table[timed | (table["added"] == 0) | is_larger].assign(gate=number)


def _counted(added: float, quantity: str, own: pd.DataFrame) -> dict[str, object]:
    found, rows = int((own["verdict"] == "regressed").sum()), len(own)
    low, high = clopper_pearson(found, rows)
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
