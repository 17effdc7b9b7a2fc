"""Comparison of growth exponents: a larger exponent is a regression, even if each small case passes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES, half_width, t_p_value
from jacobench.reports.analysis.power_laws import fit
from jacobench.reports.analysis.sweeps import KNOBS, find_sweeps
from jacobench.reports.regression import gate_sentences, outcome
from jacobench.reports.regression.outcome import BASE, HEAD, ROW
from jacobench.reports.regression.paired_test import IMPROVED, OPEN, SLOWER, UNCHANGED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jacobench.reports.analysis.power_laws import PowerLaw
    from jacobench.reports.regression.thresholds import GateThresholds

MIN_SIZES = 3

EXCLUDED = 0.5
"""An exponent is unchanged only if its interval excludes growth by this much. From n² to n³ is 1."""

LEAST = {"seconds": 0.0, "peak_bytes": float(LEAST_BYTES)}
"""Quantity → smallest value that is used."""


@dataclass(frozen=True)
class Growth:
    """Change of the growth of one strategy's cost over one sweep.

    ``cells``: case and strategy, smallest size first. ``line``: line of the verdict table with the verdict slower,
    improved, unchanged or open; ``base`` and ``head`` are exponents, ``ratio``, ``low`` and ``high`` are the factor by
    which doubling the knob costs more in head than in base.
    """

    cells: tuple[tuple[str, str], ...]
    line: dict[str, Any]

    @property
    def is_timed(self) -> bool:
        """Whether it is the growth of a time, not of bytes."""
        return bool(self.line["quantity"].startswith("seconds"))

    @property
    def is_candidate(self) -> bool:
        """Whether to measure again: the cost looks to grow faster."""
        return bool(self.line["verdict"] == SLOWER)


def growths(samples: pd.DataFrame, thresholds: GateThresholds) -> list[Growth]:
    """Compare the exponents of base and head in samples with ``SAMPLE_COLUMNS``; without knobs there is no sweep.

    Returns one growth per sweep of at least three sizes, strategy, phase and quantity (time; peak memory of 8 KiB or
    more). Both sides are fitted with the form that base needs; each pair of processes is one pass. The t-interval of
    the difference treats the sides as independent. A disturbance affects both sides of a pair, so the interval is
    rather too wide. Memory has no interval.
    """
    ok = samples[samples["status"] == "ok"].reindex(columns=[*ROW, "pair", "side", *LEAST, *outcome.KNOBS])
    cells = ok.drop_duplicates(list(ROW))
    sweeps = [sweep for knob in KNOBS for sweep in find_sweeps(cells, knob, min_sizes=MIN_SIZES)]
    wide = {quantity: _wide(ok, quantity) for quantity in LEAST} if sweeps else {}
    return [
        growth
        for sweep in sweeps
        for (_, strategy), rows in sweep.rows.groupby(["phase", "strategy"], sort=False)
        for quantity in LEAST
        for growth in _growth(rows, wide[quantity], sweep.knob, quantity, thresholds)
    ]


def _wide(ok: pd.DataFrame, quantity: str) -> dict[tuple[str, ...], pd.DataFrame]:
    """Return a table per strategy, phase and side: a line per pair (bytes: one line), a column per case."""
    own = ok[ok[quantity] >= LEAST[quantity]]
    if quantity != "seconds":
        own = own.assign(pair=0)  # almost deterministic: use the median of all pairs
    wide = own.pivot_table(
        index=["strategy", "phase", "side", "pair"], columns="case", values=quantity, aggfunc="median"
    )
    return {
        (str(strategy), str(phase), str(side)): part.droplevel(["strategy", "phase", "side"])
        for (strategy, phase, side), part in wide.groupby(["strategy", "phase", "side"])
    }


def _growth(
    rows: pd.DataFrame,
    wide: Mapping[tuple[str, ...], pd.DataFrame],
    knob: str,
    quantity: str,
    thresholds: GateThresholds,
) -> Iterator[Growth]:
    strategy, phase = rows["strategy"].iloc[0], rows["phase"].iloc[0]
    sides = [wide.get((strategy, phase, side), pd.DataFrame()) for side in (BASE, HEAD)]
    cases = [case for case in rows["case"] if all(case in side and side[case].notna().any() for side in sides)]
    if len(cases) < MIN_SIZES:
        return
    base_values, head_values = (side[cases].dropna() for side in sides)
    both = base_values.index.intersection(head_values.index)
    sizes = rows.set_index("case").loc[cases, knob]
    base = fit(sizes, base_values.loc[both])
    head = base and fit(sizes, head_values.loc[both], with_fixed=base.fixed > 0)
    if base and head:
        threshold = thresholds.of(cases[-1], strategy).exponent
        names = f"{cases[0]} … {cases[-1]}", strategy, phase, f"{quantity}~{knob}"
        name = dict(zip((*ROW, "quantity"), names, strict=True))
        yield Growth(tuple((case, strategy) for case in cases), name | compare_exponents(base, head, threshold))


def compare_exponents(base: PowerLaw, head: PowerLaw, threshold: float) -> dict[str, Any]:
    """Compare the exponents of two laws of one form; return part of a line of the verdict table, see `Growth`."""
    difference = head.exponent - base.exponent
    error = float(np.sqrt(sum(law.covariance[1][1] for law in (base, head) if law.covariance)))  # 0 without repetitions
    freedom = min(base.n_passes, head.n_passes) - 1
    reach = float(half_width(error, freedom)) if error else 0.0
    low, high = difference - reach, difference + reach
    verdict = UNCHANGED if high < max(EXCLUDED, threshold) else OPEN
    if difference >= threshold and low > 0:
        verdict = SLOWER
    elif difference <= -threshold and high < 0:
        verdict = IMPROVED
    reason = gate_sentences.exponents(base.exponent, head.exponent, *((low, high) if error else (math.nan, math.nan)))
    return {
        "base": base.exponent,
        "head": head.exponent,
        "ratio": _doubled(difference),
        "low": _doubled(low) if error else math.nan,
        "high": _doubled(high) if error else math.nan,
        "p_value": float(t_p_value(difference, error, freedom)) if error else math.nan,
        "threshold": threshold,
        "detectable": max(threshold, reach),
        "n_pairs": min(base.n_passes, head.n_passes) if error else math.nan,
        "verdict": verdict,
        "reason": reason,
    }


def _doubled(difference: float) -> float:
    """Return 2 ** difference, kept finite: if noise hides the growing term, an exponent may have any value."""
    return math.exp2(min(max(difference, -1000.0), 1000.0))


def bounded_by_rows(growth: Growth, verdicts: Mapping[tuple[str, str, str], str]) -> Growth:
    """Decide an undetermined exponent by the verdicts on the times of its rows.

    Fixed costs can hide the growing term. If no size is slower either, nothing that was measured grew.
    """
    rows = [(*cell, growth.line["phase"]) for cell in growth.cells]
    if growth.line["verdict"] != OPEN or not all(verdicts.get(row) in {UNCHANGED, IMPROVED} for row in rows):
        return growth
    reason = gate_sentences.exponent_not_determined(growth.line["reason"])
    return Growth(growth.cells, growth.line | {"verdict": UNCHANGED, "reason": reason})
