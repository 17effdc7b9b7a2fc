"""Shift of the calibration kernel between the sides. No revision can change it, so a shift is due to the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jacobench.bench.row.statistics import CONFIDENCE
from jacobench.reports.regression.outcome import CONTROL_ROW
from jacobench.reports.regression.paired_test import MARGIN, log_ratios
from jacobench.reports.regression.signed_rank import signed_ranks

if TYPE_CHECKING:
    import pandas as pd

SHIFTED_LEVEL = 0.001
"""On each side; reached by ten pairs at the earliest. It is strict because an error here removes all verdicts."""

STABLE_LEVEL = 3 / 64


@dataclass(frozen=True)
class CalibrationShift:
    """Change of the calibration kernel over all pairs of a gate.

    ``ratio``, ``low``, ``high``: head / base with its 95 % interval. ``shifted``: the sides differ significantly (0.001
    on each side), by half of the time threshold or more; this can make a row regress or hide a regression. ``stable``:
    a shift of 1.5 times the threshold is excluded in both directions, as for an unchanged row.
    """

    ratio: float
    low: float
    high: float
    n_pairs: int
    shifted: bool
    stable: bool

    @property
    def text(self) -> str:
        """The shift in percent, with its interval."""
        return f"{self.ratio - 1:+.1%} [{self.low - 1:+.1%}, {self.high - 1:+.1%}]"


def without_calibration(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples of all rows except the calibration kernel."""
    return samples[samples["strategy"] != CONTROL_ROW[1]]


def calibration_shift(samples: pd.DataFrame, threshold: float) -> CalibrationShift | None:
    """Compare the calibration kernel's times by the relative time threshold; None if no pair has both sides."""
    own = samples[(samples["strategy"] == CONTROL_ROW[1]) & (samples["phase"] == CONTROL_ROW[2])]
    values = log_ratios(own).to_numpy()[:1]
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    rows = signed_ranks([values])
    estimate, margin = float(rows.estimate[0]), np.log1p(MARGIN * threshold)
    low, high = (float(end[0]) for end in rows.bounds((1 - CONFIDENCE) / 2))
    significant = min(rows.above(0)[0], rows.below(0)[0]) <= SHIFTED_LEVEL
    return CalibrationShift(
        ratio=float(np.exp(estimate)),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        n_pairs=values.size,
        shifted=bool(significant and abs(estimate) >= np.log1p(threshold / 2)),
        stable=bool(max(rows.below(margin)[0], rows.above(-margin)[0]) <= STABLE_LEVEL),
    )
