"""The detectable slowdown of a row, on synthetic noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jacobench.reports.regression.outcome import ROW
from jacobench.reports.regression.paired_test import CONFIRM, SCREEN, SLOWER, judge_paired
from jacobench.reports.regression.thresholds import GateThresholds, Thresholds

N_ROWS = 800


def judged(stage, look, rng, noise, threshold, slowdown=0.0):
    """Return the findings of rows with normal noise and the same slowdown, at a look of a stage."""
    n = stage.interim_looks[look]
    rows = pd.MultiIndex.from_tuples([(f"case {number}", "s", "p") for number in range(N_ROWS)], names=ROW)
    ratios = pd.DataFrame(np.log1p(slowdown) + rng.normal(0, noise, (N_ROWS, n)), index=rows)
    return judge_paired(ratios, GateThresholds(Thresholds(time=threshold)), stage, look, last=False)


@pytest.mark.parametrize(
    ("stage", "look", "noise", "threshold", "low", "high"),
    [
        (SCREEN, 0, 0.1, 1e-6, 0.74, 0.84),
        (SCREEN, 6, 0.1, 1e-6, 0.74, 0.84),
        (CONFIRM, 0, 0.1, 1e-6, 0.64, 0.76),
        (CONFIRM, 2, 0.1, 1e-6, 0.72, 0.84),
        (CONFIRM, 5, 0.1, 1e-6, 0.74, 0.84),
        (CONFIRM, 5, 0.01, 0.05, 0.74, 0.86),  # the threshold decides, and not the noise
    ],
)
def test_it_is_found_in_three_of_four_repetitions(stage, look, noise, threshold, low, high):
    rng = np.random.default_rng(0)
    slowdown = judged(stage, look, rng, noise, threshold)["detectable"].median()
    share = (judged(stage, look, rng, noise, threshold, slowdown)["verdict"] == SLOWER).mean()
    assert low < share < high
