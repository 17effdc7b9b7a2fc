"""How steady a machine was, from a kernel's times that are given."""

import numpy as np
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.data.run_data import Run
from jacobench.reports.page.stability import trust


@pytest.mark.parametrize(
    ("spread", "verdict"), [(0.0, "steady"), (0.04, "steady"), (0.1, "unsteady"), (0.4, "very unsteady")]
)
def test_the_verdict_goes_by_the_kernels_spread(standard, spread, verdict):
    control = (6e-5 * np.linspace(1, 1 + spread / 0.9, 101)).tolist()  # the percentiles lie 90 % of the range apart
    found = trust(Run(standard, facts={"control_seconds": control}))
    assert found.verdict == verdict
    assert "101 processes" in found.findings[0]


def test_one_slow_process_in_a_hundred_is_no_verdict(standard):
    assert trust(Run(standard, facts={"control_seconds": [6e-5] * 99 + [6e-4]})).verdict == "steady"


def test_a_run_that_recorded_nothing_is_unknown():
    assert trust(Run(tidy([]))).verdict == "unknown"
    assert trust(Run(tidy([]))).findings == ()


def test_load_passes_and_controls_are_told(standard):
    facts = {"machine": {"load": 3.0, "cores": 2}, "load_after": 2.5}
    told = " ".join(trust(Run(standard, facts=facts)).findings)
    assert "Other work was waiting" in told
    assert "95 % interval" in told
    assert "Controls tuned" in told
    once = " ".join(trust(Run(standard.assign(passes=1.0), facts=facts)).findings)
    assert "no intervals" in once
