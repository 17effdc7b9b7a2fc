"""The gate's loop: how many pairs before the next look, which rows are candidates, when it is over."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.reports.regression.calibration_shift import control
from jacobench.reports.regression.conclusion import Stages, conclude
from jacobench.reports.regression.exponents import growths
from jacobench.reports.regression.findings import NO_FINDINGS, findings
from jacobench.reports.regression.outcome import SAMPLE_COLUMNS, InterimLook, no_samples
from jacobench.reports.regression.paired_test import CONFIRM, OPEN, SCREEN, SLOWER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jacobench.reports.regression.outcome import Outcome
    from jacobench.reports.regression.paired_test import Stage
    from jacobench.reports.regression.thresholds import Limits

    Cell = tuple[str, str]
    Measure = Callable[[Sequence[Cell] | None, range, int], pd.DataFrame]

FIRST_SHARE = 0.6
"""The share of the time after which stage one ends if there are candidates: what is not confirmed is no verdict."""


def run_gate(measure: Measure, limits: Limits, *, max_seconds: float, clock: Callable[[], float]) -> Outcome:
    """Measure pairs of processes until there is a verdict.

    Parameters
    ----------
    measure : callable
        ``measure(cells, pairs, stage)`` runs the pairs with these numbers (even ones base first, odd ones head first) and
        returns their samples: ``SAMPLE_COLUMNS``, where knobs may be missing. ``cells`` are pairs of case and strategy,
        at least one; None means all that there are.
    limits : Limits
        The thresholds.
    max_seconds : float
        No pair is begun that would, going by those before, end later than this after the start. The first block of six
        pairs is taken in any case.
    clock : callable
        Returns seconds, such as `time.monotonic`.

    Returns
    -------
    Outcome
        With all samples.

    Notes
    -----
    Stage one takes all rows, and after each look goes on with the cells that are still open. Rows that look slower, and
    sweeps that look to grow faster, are candidates. Stage two measures their cells alone, with fresh pairs, and judges by
    those alone: what made a row a candidate by chance is not counted twice. Both end at once when the control kernel moves.
    """
    began = clock()
    gate = _Gate(measure, limits, clock)
    first = gate.run(SCREEN, None, None, began + max_seconds)
    suspects = [growth for growth in growths(gate.of(1), limits) if growth.suspect]
    candidates = first.index[first["verdict"] == SLOWER]
    second = NO_FINDINGS
    if (len(candidates) or suspects) and not gate.moved:
        cells = _cells([*candidates, *(cell for growth in suspects for cell in growth.cells)])
        second = gate.run(CONFIRM, candidates, cells, began + max_seconds)
    stages = Stages(first, second, tuple(gate.interim_looks), gate.n_pairs, clock() - began)
    return conclude(gate.samples, stages, limits)


@dataclass
class _Gate:
    """What was measured so far, and what a pair took: (cells, seconds) of each block."""

    measure: Measure
    limits: Limits
    clock: Callable[[], float]
    samples: pd.DataFrame = field(default_factory=no_samples)
    interim_looks: list[InterimLook] = field(default_factory=list)
    blocks: list[tuple[float, float]] = field(default_factory=list)
    n_pairs: int = 0
    moved: bool = False

    def of(self, stage: int) -> pd.DataFrame:
        return self.samples[self.samples["stage"] == stage]

    def run(
        self, stage: Stage, rows: pd.Index[Any] | None, cells: Sequence[Cell] | None, deadline: float
    ) -> pd.DataFrame:
        """InterimLook at rows (None: all) until none is open, and return what was found at the look that settled each."""
        stage = stage.up_to(self.limits.pairs)
        settled, left, taken = NO_FINDINGS, NO_FINDINGS, 0
        began = self.clock()
        for number, wanted in enumerate(stage.interim_looks):
            shared = stage.number == 1 and (settled["verdict"] == SLOWER).any()
            until = began + FIRST_SHARE * (deadline - began) if shared else deadline
            # A first look that is cut short can tell nothing: what was spent on the candidates would be lost.
            n = self._affordable(wanted - taken, cells, until) if number else wanted
            if not n:
                left = self._at_the_end(stage, max(number - 1, 0), left) if taken else left
                break
            self._take(n, cells, stage.number)
            taken += n
            last = taken < wanted or wanted == stage.interim_looks[-1]
            found = findings(self.of(stage.number), self.limits, stage, number, last=last)
            found = found[~found.index.isin(settled.index)]
            found = found if rows is None else found[found.index.isin(rows)]
            left = found[found["verdict"] == OPEN]
            settled = pd.concat([part for part in (settled, found[found["verdict"] != OPEN]) if len(part)] or [settled])
            n_slower = int((settled["verdict"] == SLOWER).sum())
            self.interim_looks.append(InterimLook(stage.number, taken, len(found), n_slower, len(left)))
            if self._is_over(settled, left):
                break
            cells = _cells(left.index if len(left) else settled.index[settled["n_pairs"].notna()][:1])
        return pd.concat([part for part in (settled, left) if len(part)] or [settled])

    def _at_the_end(self, stage: Stage, number: int, left: pd.DataFrame) -> pd.DataFrame:
        """Judge what was open at a look again, now that it was the last."""
        return findings(self.of(stage.number), self.limits, stage, number, last=True).loc[left.index]

    def _is_over(self, settled: pd.DataFrame, left: pd.DataFrame) -> bool:
        """Say whether the machine has moved, or nothing is open and the machine is known to be still."""
        found = control(self.samples, self.limits.tightest)
        self.moved = found is not None and found.moved
        timed = bool(settled["n_pairs"].notna().any())
        return self.moved or (left.empty and (found is None or found.still or not timed))

    def _affordable(self, wanted: int, cells: Sequence[Cell] | None, until: float) -> int:
        """Return how many pairs may be taken: an even number, so that each side runs first equally often.

        A pair is taken to last as long as one of the cheapest block that had as many cells or more.
        """
        n_cells = _count(cells)
        seconds = min((seconds for n, seconds in self.blocks if n >= n_cells), default=self.blocks[0][1])
        affordable = math.floor(max(until - self.clock(), 0) / max(seconds, 1e-9))
        return min(wanted, affordable // 2 * 2)

    def _take(self, n: int, cells: Sequence[Cell] | None, stage: int) -> None:
        began = self.clock()
        new = self.measure(cells, range(self.n_pairs, self.n_pairs + n), stage)
        self.blocks.append((_count(cells), (self.clock() - began) / n))
        self.n_pairs += n
        new = new.reindex(columns=list(SAMPLE_COLUMNS))
        self.samples = pd.concat([self.samples, new], ignore_index=True) if len(self.samples) else new


def _count(cells: Sequence[Cell] | None) -> float:
    return math.inf if cells is None else len(cells)


def _cells(rows: Iterable[tuple[str, ...]]) -> list[Cell]:
    """Return the cells of rows, each once, in their order."""
    return list(dict.fromkeys((row[0], row[1]) for row in rows))
