"""What a comparison comes to: the samples that it takes, the table of its verdicts, its state and its exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.cell.calibration import CONTROL
from jacobench.reports.analysis.sweeps import GRAPH_KNOBS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

BASE, HEAD = "base", "head"

CONTROL_ROW = (CONTROL, CONTROL, CONTROL)
"""Case, strategy and phase under which the control kernel rides along."""

COUNTS = ("peak_bytes", "retained_bytes", "n_nonzeros", "predicted_flops")
"""What is all but deterministic, and gated apart from time."""

KNOBS = (*GRAPH_KNOBS, "n_parameters")
"""What tells the sweeps that a scaling gate needs; a sample may lack any of them."""

SAMPLE_COLUMNS = (
    "stage",
    "pair",
    "side",
    "position",
    "case",
    "strategy",
    "phase",
    "status",
    "reason",
    "seconds",
    *COUNTS,
    *KNOBS,
)

ROW = ("case", "strategy", "phase")

VERDICT_COLUMNS = (
    *ROW,
    "quantity",
    "base",
    "head",
    "ratio",
    "low",
    "high",
    "p_value",
    "threshold",
    "detectable",
    "n_pairs",
    "verdict",
    "reason",
)

VERDICTS = ("broken", "regressed", "inconclusive", "gone", "new", "improved", "unchanged")
"""Worst first, which is the order in which they are shown."""

EXIT_CODES: Mapping[str, int] = {"clear": 0, "regressed": 1, "inconclusive": 3, "contaminated": 3, "nothing": 4}
"""State → the command's exit code."""


@dataclass(frozen=True)
class InterimLook:
    """One look at the samples of a stage.

    Attributes
    ----------
    stage : int
        1 or 2.
    n_pairs : int
        Pairs of this stage that were there.
    n_rows : int
        Rows that were looked at.
    n_candidates : int
        Rows that look slower so far.
    n_open : int
        Rows that are neither candidates nor known to be unchanged.
    """

    stage: int
    n_pairs: int
    n_rows: int
    n_candidates: int
    n_open: int


@dataclass(frozen=True)
class Outcome:
    """What a gate, or a comparison of two runs, came to.

    Attributes
    ----------
    state : {"clear", "regressed", "inconclusive", "contaminated", "nothing"}
        The worst that holds for the whole.
    verdicts : DataFrame
        One line a row × quantity, ``VERDICT_COLUMNS``: values of both sides in seconds, bytes or numbers, their ratio head / base
        with its 95 % interval, the p-value, the threshold in force and the smallest change that could have been seen (both relative: 0.02
        is 2 %), the pairs, the verdict and its reason. Missing is NaN.
    samples : DataFrame
        ``SAMPLE_COLUMNS``, one line a process × cell; empty for two runs.
    n_pairs : int
        Pairs of processes over all stages; 0 for two runs.
    seconds : float
        How long it took.
    interim_looks : tuple of InterimLook
        In order.
    notes : tuple of str
        What holds for the whole, a sentence each: why there is no verdict, what to do.
    """

    state: str
    verdicts: pd.DataFrame
    samples: pd.DataFrame = field(default_factory=lambda: no_samples())  # noqa: PLW0108  (defined below)
    n_pairs: int = 0
    seconds: float = 0.0
    interim_looks: tuple[InterimLook, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 clear · 1 a confirmed regression · 3 inconclusive or contaminated · 4 nothing was measured."""
        return EXIT_CODES[self.state]


def no_samples() -> pd.DataFrame:
    """Return samples of nothing, with their columns."""
    return pd.DataFrame(columns=list(SAMPLE_COLUMNS))


def verdict_table(lines: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return lines as a table with the columns of the contract; what a line lacks is NaN."""
    return pd.DataFrame(list(lines), columns=list(VERDICT_COLUMNS))
