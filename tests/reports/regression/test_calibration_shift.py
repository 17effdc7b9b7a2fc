"""Shift of the calibration kernel: shifted, stable, or neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jacobench.reports.regression.outcome import CONTROL_ROW, ROW
from jacobench.reports.regression.paired_test import calibration_shift


def samples(shift, noise, n_pairs):
    rng = np.random.default_rng(0)
    lines = [
        dict(zip(ROW, CONTROL_ROW, strict=True))
        | {"side": side, "pair": pair, "status": "ok", "seconds": 1e-4 * np.exp(mean + noise * rng.standard_normal())}
        for pair in range(n_pairs)
        for side, mean in (("base", 0.0), ("head", shift))
    ]
    return pd.DataFrame(lines)


@pytest.mark.parametrize(
    ("shift", "noise", "n_pairs", "shifted", "stable"),
    [
        (0.0, 0.003, 6, False, True),
        (0.05, 0.003, 6, False, False),  # six pairs cannot tell
        (0.05, 0.003, 10, True, False),
        (-0.05, 0.003, 10, True, False),
        (0.005, 0.0005, 30, False, True),  # significant, but too little to matter
        (0.0, 0.2, 30, False, False),
    ],
)
def test_what_is_said_of_it(shift, noise, n_pairs, shifted, stable):
    found = calibration_shift(samples(shift, noise, n_pairs), 0.02)
    assert (found.shifted, found.stable, found.n_pairs) == (shifted, stable, n_pairs)
    assert found.low <= found.ratio <= found.high


def test_a_tighter_threshold_of_time_is_minded_by_less():
    assert not calibration_shift(samples(0.006, 0.0005, 12), 0.02).shifted
    assert calibration_shift(samples(0.006, 0.0005, 12), 0.01).shifted


def test_there_may_be_none():
    assert calibration_shift(samples(0.0, 0.1, 6).assign(strategy="vjp"), 0.02) is None
