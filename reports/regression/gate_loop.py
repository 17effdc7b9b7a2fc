"""Loop of the gate: the number of pairs before the next look, the rows to confirm, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.reports.regression.conclusion import StageResults, conclude
from jacobench.reports.regression.exponents import growths
from jacobench.reports.regression.outcome import FINDING_COLUMNS, ROW, SAMPLE_COLUMNS, InterimLook, no_samples
from jacobench.reports.regression.paired_test import (
    CONFIRM,
    OPEN,
    SCREEN,
    SLOWER,
    calibration_shift,
    judge_paired,
    log_ratios,
    without_calibration,
)
from jacobench.reports.regression.untimed import status_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.paired_test import Stage
    from jacobench.reports.regression.thresholds import GateThresholds

    CellKey = tuple[str, str]
    Measure = Callable[[Sequence[CellKey] | None, range, int], pd.DataFrame]

FIRST_SHARE = 0.6
"""Stage one ends after this fraction of the time if there are candidates; an unconfirmed one is inconclusive."""

NO_FINDINGS = pd.DataFrame(
    index=pd.MultiIndex.from_arrays([[], [], []], names=ROW), columns=[*FINDING_COLUMNS, "reason"]
)


def run_gate(
    measure: Measure,
    thresholds: GateThresholds,
    *,
    max_seconds: float,
    clock: Callable[[], float],
    fresh: pd.DataFrame | None = None,
) -> Outcome:
    """Measure pairs of processes until every row has a verdict or the time is used up.

    ``measure(cells, pairs, stage)`` measures the pairs with these numbers (even: base first, odd: head first) and
    returns ``SAMPLE_COLUMNS``; knobs may be missing. ``cells`` are (case, strategy), at least one; None means all. No
    pair starts that is expected to end after ``max_seconds``, but the first six pairs, and the first ten of
    candidates, always run.

    Stage one measures all rows, and after each look only the cells that are still open. Rows that look slower, and
    sweeps that look to grow faster, are candidates. Stage two measures their cells alone, with fresh pairs, and judges
    by these pairs only, so the chance that made a row a candidate does not count twice. Both stages end when the
    calibration kernel shifts.

    ``fresh`` are the samples of `fresh_bytes.confirm`; None: bytes are judged by the samples of ``measure``.
    """
    began = clock()
    gate = _GateLoop(measure, thresholds, clock)
    first = gate.run(SCREEN, None, None, began + max_seconds)
    growing = [growth for growth in growths(gate.of(1), thresholds) if growth.is_candidate and growth.is_timed]
    candidates = first.index[first["verdict"] == SLOWER]
    second = NO_FINDINGS
    if (len(candidates) or growing) and not gate.shifted:
        cells = _cells([*candidates, *(cell for growth in growing for cell in growth.cells)])
        second = gate.run(CONFIRM, candidates, cells, began + max_seconds)
    stages = StageResults(first, second, tuple(gate.interim_looks), gate.n_pairs, clock() - began, fresh)
    return conclude(gate.samples, stages, thresholds)


def stage_findings(
    samples: pd.DataFrame, thresholds: GateThresholds, stage: Stage, look: int, *, last: bool
) -> pd.DataFrame:
    """Judge each row of a stage's samples by its times, or by how its processes ended.

    Returns ``FINDING_COLUMNS`` and ``reason``, indexed by case, strategy and phase in the order of the samples. The
    verdict is one of `judge_paired` or of `status_changes`; a row with neither is open.
    """
    samples = without_calibration(samples)
    if samples.empty:
        return NO_FINDINGS
    rows = pd.MultiIndex.from_frame(samples[list(ROW)].drop_duplicates())
    found = judge_paired(log_ratios(samples), thresholds, stage, look, last=last).reindex(rows)
    found["verdict"] = found["verdict"].astype(object).fillna(OPEN)
    found["reason"] = ""
    for row, (verdict, reason) in status_changes(samples).items():
        found.loc[row, ["verdict", "reason"]] = [verdict, reason]
    return found


@dataclass
class _GateLoop:
    """State of the loop: the samples so far, and the seconds per pair of each block, as (cells, seconds)."""

    measure: Measure
    thresholds: GateThresholds
    clock: Callable[[], float]
    samples: pd.DataFrame = field(default_factory=no_samples)
    interim_looks: list[InterimLook] = field(default_factory=list)
    blocks: list[tuple[float, float]] = field(default_factory=list)
    n_pairs: int = 0
    shifted: bool = False

    def of(self, stage: int) -> pd.DataFrame:
        return self.samples[self.samples["stage"] == stage]

    def run(
        self, stage: Stage, rows: pd.Index[Any] | None, cells: Sequence[CellKey] | None, deadline: float
    ) -> pd.DataFrame:
        """Look at rows (None: all) until none is open; return the findings of each row's last look."""
        stage = stage.up_to(self.thresholds.pairs)
        settled, left, taken = NO_FINDINGS, NO_FINDINGS, 0
        began = self.clock()
        for look, wanted in enumerate(stage.interim_looks):
            shared = stage.number == 1 and (settled["verdict"] == SLOWER).any()
            until = began + FIRST_SHARE * (deadline - began) if shared else deadline
            # The first look runs in full: a shorter one cannot be significant, and its time would be lost.
            n = self._affordable(wanted - taken, cells, until) if look else wanted
            if not n:  # the look before was the last one
                found = stage_findings(self.of(stage.number), self.thresholds, stage, look - 1, last=True)
                left = found.loc[left.index]
                break
            self._take(n, cells, stage.number)
            taken += n
            last = taken < wanted or wanted == stage.interim_looks[-1]
            found = stage_findings(self.of(stage.number), self.thresholds, stage, look, last=last)
            found = found[~found.index.isin(settled.index)]
            found = found if rows is None else found[found.index.isin(rows)]
            left = found[found["verdict"] == OPEN]
            settled = _joined(settled, found[found["verdict"] != OPEN])
            n_slower = int((settled["verdict"] == SLOWER).sum())
            self.interim_looks.append(InterimLook(stage.number, taken, len(found), n_slower, len(left)))
            if self._is_over(settled, left):
                break
            cells = _cells(left.index if len(left) else settled.index[settled["n_pairs"].notna()][:1])
        return _joined(settled, left)

    def _is_over(self, settled: pd.DataFrame, left: pd.DataFrame) -> bool:
        """Return whether the calibration kernel shifted, or nothing is open and the kernel is stable."""
        found = calibration_shift(self.samples, self.thresholds.tightest)
        self.shifted = found is not None and found.shifted
        timed = bool(settled["n_pairs"].notna().any())
        return self.shifted or (left.empty and (found is None or found.stable or not timed))

    def _affordable(self, wanted: int, cells: Sequence[CellKey] | None, until: float) -> int:
        """Return how many pairs fit into the time: an even number, so that each side runs first equally often.

        A pair is expected to take as long as one of the cheapest block with at least as many cells.
        """
        n_cells = _count(cells)
        seconds = min((seconds for n, seconds in self.blocks if n >= n_cells), default=self.blocks[0][1])
        affordable = math.floor(max(until - self.clock(), 0) / max(seconds, 1e-9))
        return min(wanted, affordable // 2 * 2)

    def _take(self, n: int, cells: Sequence[CellKey] | None, stage: int) -> None:
        began = self.clock()
        new = self.measure(cells, range(self.n_pairs, self.n_pairs + n), stage)
        self.blocks.append((_count(cells), (self.clock() - began) / n))
        self.n_pairs += n
        new = new.reindex(columns=list(SAMPLE_COLUMNS))
        self.samples = _joined(self.samples, new).reset_index(drop=True)


def _joined(*parts: pd.DataFrame) -> pd.DataFrame:
    """Concatenate tables without the empty ones, which would change the dtypes."""
    return pd.concat([part for part in parts if len(part)] or [parts[0]])


def _count(cells: Sequence[CellKey] | None) -> float:
    return math.inf if cells is None else len(cells)


def _cells(rows: Iterable[tuple[str, ...]]) -> list[CellKey]:
    """Return the distinct cells of rows, in order."""
    return list(dict.fromkeys((row[0], row[1]) for row in rows))
