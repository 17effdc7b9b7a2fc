"""Bytes that look larger in head are measured again in fresh processes: one process per side does not exclude chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES
from jacobench.bench.row.columns import HEAP
from jacobench.reports.regression import gate_sentences
from jacobench.reports.regression.exponents import growths
from jacobench.reports.regression.outcome import BASE, HEAD, ROW, SAMPLE_COLUMNS, no_samples
from jacobench.reports.regression.paired_test import OPEN, SLOWER, UNCHANGED
from jacobench.reports.regression.untimed import count_line, count_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pandas as pd

    from jacobench.reports.regression.thresholds import GateThresholds

    MeasureMemory = Callable[[Sequence[tuple[str, str]], range], pd.DataFrame]

PAIRS = 6
"""Fresh pairs of processes of a candidate. If the code is the same and the twelve processes are exchangeable, the smallest
of head is above the largest of base with a probability of 1/924, the number of ways to choose six of twelve. A row is a
candidate with a probability of at most 1/2, as larger and smaller are equally likely."""


def confirm(first: pd.DataFrame, measure: MeasureMemory, thresholds: GateThresholds) -> pd.DataFrame:
    """Measure the bytes of candidates in fresh pairs of processes; return these samples, with ``SAMPLE_COLUMNS``.

    ``first``: ``SAMPLE_COLUMNS`` of one process per side. A candidate is a row whose bytes grew by more than its
    threshold, or a sweep whose bytes grow faster. ``measure(cells, pairs)`` measures cells, (case, strategy).
    """
    first = _samples(first)
    lines = [line for line in count_lines(first, thresholds) if is_candidate(line)]
    growing = [growth for growth in growths(first, thresholds) if growth.is_candidate and not growth.is_timed]
    cells = dict.fromkeys((line["case"], line["strategy"]) for line in lines)
    cells |= dict.fromkeys(cell for growth in growing for cell in growth.cells)
    return _samples(measure(list(cells), range(PAIRS)) if cells else no_samples())


def _samples(table: pd.DataFrame) -> pd.DataFrame:
    """Return samples with all columns; numbers of which none is known are NaN, not None."""
    found = table.reindex(columns=list(SAMPLE_COLUMNS))
    return found.astype(dict.fromkeys(("seconds", *HEAP), np.float64))


def is_candidate(line: dict[str, Any]) -> bool:
    """Return whether a line of the verdict table must be confirmed: bytes that are larger in head."""
    return line["quantity"] in HEAP and line["verdict"] == "regressed"


def confirmed(
    lines: Iterable[dict[str, Any]], fresh: pd.DataFrame | None, thresholds: GateThresholds
) -> Iterator[dict[str, Any]]:
    """Judge each candidate among lines of the verdict table by its fresh samples alone; None: there are none to judge by.

    It is regressed if the medians differ by more than the threshold, and every process of head needs more than every
    process of base; unchanged or improved if the medians do not differ so much; else inconclusive.
    """
    for line in lines:
        yield line if fresh is None or not is_candidate(line) else line | _again(line, fresh, thresholds)


def _again(line: dict[str, Any], fresh: pd.DataFrame, thresholds: GateThresholds) -> dict[str, Any]:
    row = tuple(line[name] for name in ROW)
    base, head = (_measured(fresh, row, side, line["quantity"]) for side in (BASE, HEAD))
    if min(len(base), len(head)) < PAIRS:
        return {"verdict": "inconclusive", "reason": gate_sentences.larger(line["ratio"], OPEN)}
    limit = thresholds.of(line["case"], line["strategy"])
    found = count_line(line["quantity"], _resolved(base), _resolved(head), limit)
    confirmation = UNCHANGED
    if found["verdict"] == "regressed":
        confirmation = SLOWER if head.min() > base.max() else OPEN
    verdict = "inconclusive" if confirmation == OPEN else found["verdict"]
    return found | {"verdict": verdict, "reason": gate_sentences.larger(line["ratio"], confirmation)}


def _measured(fresh: pd.DataFrame, row: tuple[str, ...], side: str, quantity: str) -> Any:
    """Return the bytes of a row in each process of a side; an amount below the resolution counts as the resolution."""
    own = fresh[(fresh["side"] == side) & (fresh["status"] == "ok") & fresh["memory_tool"].notna()]
    for name, value in zip(ROW, row, strict=True):
        own = own[own[name] == value]
    return own[quantity].astype(np.float64).fillna(RESOLUTION_BYTES).to_numpy()


def _resolved(values: Any) -> float:
    """Return the median; NaN if it is below the resolution."""
    median = float(np.median(values))
    return median if median > RESOLUTION_BYTES else math.nan
