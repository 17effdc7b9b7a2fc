"""Result of a comparison: its samples, verdict table, state and exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.row.columns import CELL_KEYS
from jacobench.reports.analysis.sweeps import GRAPH_KNOBS, MACHINE
from jacobench.reports.data.pytest_benchmark_json import PHASE, STRATEGY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from jacobench.bench.gate.installation.side_code import MeasuredDistribution

BASE, HEAD = "base", "head"

ROW = CELL_KEYS

CONTROL_ROW = (CONTROL, CONTROL, CONTROL)
"""Case, strategy and phase of the calibration kernel's samples."""

COUNTS = ("peak_bytes", "retained_bytes", "n_nonzeros", "predicted_flops")
"""Quantities that are almost deterministic. They are compared without a test."""

KNOBS = (*GRAPH_KNOBS, "n_parameters", MACHINE)
"""Columns that identify sweeps. A sample may lack any of them."""

SAMPLE_COLUMNS = (
    "stage", "pair", "side", "position", *ROW, "status", "reason", "seconds", *COUNTS, "memory_tool", *KNOBS
)  # fmt: skip

FINDING_COLUMNS = ("verdict", "ratio", "low", "high", "p_value", "threshold", "detectable", "n_pairs")
"""Columns of what a test finds for a row."""

VERDICT_COLUMNS = (*ROW, "quantity", "base", "head", *FINDING_COLUMNS[1:], "verdict", "reason")

FAILING = ("broken", "regressed")

VERDICTS = (*FAILING, "inconclusive", "changed", "not measured", "gone", "new", "improved", "unchanged")
"""Worst first: the order in which rows are shown."""

EXIT_CODES: Mapping[str, int] = {"clear": 0, "regressed": 1, "inconclusive": 3, "contaminated": 3, "nothing": 4}
"""State → exit code of the command."""


def has_other_verdict(verdict: str, reason: str) -> bool:
    """Return whether a reason contains a failing verdict that is not the row's: a line with its name leaves it out.

    A message of the user's code may contain any word.
    """
    return any(word in reason for word in FAILING if word != verdict)


def of_benchmarks(table: pd.DataFrame) -> bool:
    """Return whether all rows of a table are benchmarks of pytest-benchmark, and none is a cell of jacobench."""
    return len(table) > 0 and set(table["strategy"]) == {STRATEGY} and set(table["phase"]) == {PHASE}


def no_samples() -> pd.DataFrame:
    """Return an empty table with ``SAMPLE_COLUMNS``."""
    return pd.DataFrame(columns=list(SAMPLE_COLUMNS))


@dataclass(frozen=True)
class InterimLook:
    """One interim look of a stage: pairs so far, rows tested, rows that look slower, rows that are still open."""

    stage: int
    n_pairs: int
    n_rows: int
    n_candidates: int
    n_open: int


@dataclass(frozen=True)
class Outcome:
    """Result of a gate, or of a comparison of two runs.

    ``verdicts``: ``VERDICT_COLUMNS``, one line per row and quantity. ``base`` and ``head`` are in seconds, bytes or
    counts, ``ratio`` is head / base with its 95 % interval. ``threshold`` and ``detectable`` (the smallest change that
    would have been found) are relative. Missing values are NaN. ``samples``: ``SAMPLE_COLUMNS``, one line per process
    and cell; empty for two runs. ``n_pairs``: of all stages; 0 for two runs. ``notes``: statements about the whole
    comparison. ``undecided``: cases to measure again if the gate is inconclusive or contaminated; empty for two runs.
    ``distributions``: whose code a gate measured.
    """

    state: str
    verdicts: pd.DataFrame
    samples: pd.DataFrame = field(default_factory=no_samples)
    n_pairs: int = 0
    seconds: float = 0.0
    interim_looks: tuple[InterimLook, ...] = ()
    notes: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    distributions: tuple[MeasuredDistribution, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 clear, 1 regressed, 3 inconclusive or contaminated, 4 nothing was measured."""
        return EXIT_CODES[self.state]


def verdict_table(lines: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return lines as a table with ``VERDICT_COLUMNS``; what a line lacks is NaN."""
    return pd.DataFrame(list(lines), columns=list(VERDICT_COLUMNS))
