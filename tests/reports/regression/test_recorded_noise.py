"""Error rates of the gate on recorded noise (the half that it was not tuned on) and on synthetic noise."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.reports.regression.gate_loop import run_gate
from jacobench.reports.regression.paired_test import CONFIRM, SCREEN, Stage
from jacobench.reports.regression.thresholds import MAX_PAIRS, GateThresholds

ROWS = 2000
PAIRS = 2 * MAX_PAIRS


def share(outcome, verdict):
    return float((outcome.verdicts["verdict"] == verdict).mean())


@pytest.fixture(scope="module")
def recorded(figures):
    """Return 2,001 rows, a third of each workload, consecutive in the recording's second half."""
    logs = np.log(figures.recording(1).min(axis=2))
    return np.concatenate([figures.windows(logs[:, k], 667, PAIRS, np.random.default_rng(10 + k)) for k in range(3)])


def test_no_false_alarm_in_two_thousand_rows_and_the_gate_comes_out_clear(figures, recorded):
    outcome = figures.gate(recorded, 0.0)
    assert len(outcome.verdicts) >= ROWS
    assert share(outcome, "regressed") == 0
    assert share(outcome, "improved") == 0
    assert outcome.state == "clear"


def test_most_rows_of_the_same_code_are_clear_after_six_pairs(figures, recorded):
    interim_looks = {look.n_pairs: look.n_open for look in figures.gate(recorded, 0.0).interim_looks if look.stage == 1}
    assert interim_looks[6] < 0.3 * len(recorded)
    assert interim_looks[16] < 0.05 * len(recorded)


@pytest.mark.long
@pytest.mark.parametrize(("slowdown", "power"), [(0.03, 0.80), (0.05, 0.95), (0.10, 0.99)])
def test_the_power_that_is_promised_for_each_workload(figures, recorded, slowdown, power):
    outcome = figures.gate(recorded, slowdown)
    found = (outcome.verdicts["verdict"] == "regressed").to_numpy().reshape(3, -1)
    assert found.mean(axis=1).min() >= power


@pytest.mark.parametrize(("slowdown", "least", "most"), [(0.0, 0.0, 0.0), (0.02, 0.9, 1.0)])
@pytest.mark.long
def test_a_threshold_of_one_percent_finds_two_percent_in_each_workload(figures, recorded, slowdown, least, most):
    outcome = figures.gate(recorded, slowdown, figures.TIGHT)
    found = (outcome.verdicts["verdict"] == "regressed").to_numpy().reshape(3, -1).mean(axis=1)
    assert least <= found.min() <= found.max() <= most


def test_a_speedup_is_never_called_slower_and_mostly_improved(figures, recorded):
    outcome = figures.gate(recorded[::4], -0.05)
    assert share(outcome, "regressed") == 0
    assert share(outcome, "improved") > 0.95


@pytest.mark.parametrize("name", ["heavy tails", "two modes", "drift", "the second is slower", "bursts"])
@pytest.mark.long
def test_noise_that_is_made_up_gives_no_false_alarm_and_hides_little(figures, name):
    times = figures.SYNTHETIC[name](np.random.default_rng(1), 500, PAIRS)
    assert share(figures.gate(times, 0.0), "regressed") == 0
    assert share(figures.gate(times, 0.05), "regressed") > 0.9


@pytest.mark.long
def test_a_confirmed_ratio_is_not_the_one_that_made_the_row_a_candidate(figures, recorded):
    """The estimate of stage one is too large for candidates, because they are selected for it."""
    outcome = figures.gate(recorded[::2], 0.02)
    regressed = outcome.verdicts[outcome.verdicts["verdict"] == "regressed"]
    first = regressed["reason"].str.extract(r"^\+([0-9.]+)% in stage one")[0].astype(float) / 100
    assert len(regressed) > 100
    assert (first - (regressed["ratio"] - 1)).mean() > 0
    unchanged = figures.gate(recorded[::2], 0.0).verdicts
    inside = (unchanged["low"] <= 1) & (unchanged["high"] >= 1)
    assert inside.mean() > 0.9


@pytest.mark.parametrize("stage", [SCREEN, CONFIRM])
def test_the_error_is_spent_over_the_looks(stage):
    assert all(look % 2 == 0 for look in stage.interim_looks)
    assert stage.interim_looks[-1] == MAX_PAIRS
    assert len(stage.interim_looks) == len(stage.slower) == len(stage.unchanged)
    assert sum(SCREEN.slower) * sum(CONFIRM.slower) < 4e-4
    assert sum(stage.unchanged) < 0.2


def test_a_stage_that_is_cut_looks_at_its_last_pair():
    cut = Stage(1, (6, 10, 16), (0.1, 0.1, 0.1), (0.1, 0.1, 0.1)).up_to(12)
    assert cut.interim_looks == (6, 10, 12)
    assert Stage(1, (6, 10), (0.1, 0.1), (0.1, 0.1)).up_to(6).interim_looks == (6,)


@pytest.mark.long
def test_a_head_whose_whole_process_is_slower_is_the_machines_doing(figures, recorded):
    """Rows and calibration kernel share the disturbances of a pair; a shift of both gives no verdict."""
    for slowdown, states in ((0.0, {"clear"}), (0.03, {"contaminated"})):
        found = set()
        for number in range(0, 60, 15):
            times = recorded[number : number + 3]
            # Even pairs run base first, so that the head is second in them and first in the others.
            second = np.arange(PAIRS)[:, None] % 2 == np.array([[1, 0]])
            replay = figures.Replay(times, slowdown, control=times[0] + np.log1p(slowdown) * second)
            found.add(run_gate(replay, GateThresholds(), max_seconds=1e9, clock=replay.clock).state)
        assert found <= states
