"""Error rates of runs that measure until their cases are decided, by the simulation of docs/measurement.md."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / "docs/figures/passes.py"


@pytest.fixture(scope="module")
def passes():
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("passes_figures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def check(found):
    tied = found[found["tie"]]
    assert len(tied) >= 60
    assert tied["wrong"].mean() <= 0.01
    assert found["wrong"].mean() <= 0.01
    assert found["covered"].mean() >= 0.95
    assert found["times_covered"].mean() >= 0.95


@pytest.mark.long
@pytest.mark.parametrize("noise", ["recorded, loaded", "slow cells", "two modes"])
def test_false_winners_are_rare_and_intervals_cover_the_truth(passes, noise):
    check(passes.outcomes(passes.NOISES[noise](), 30))


@pytest.mark.long
@pytest.mark.parametrize(
    "noise", ["recorded, idle", "recorded, loaded", "normal", "slow cells", "slow passes", "two modes", "heavy tails"]
)
def test_false_winners_are_rare_and_intervals_cover_the_truth_in_many_runs(passes, noise):
    check(passes.outcomes(passes.NOISES[noise](), 150, seed=1))


def test_the_simulation_repeats_disturbed_passes_and_measures_undecided_cases_further(passes):
    found = passes.outcomes(passes.NOISES["slow passes"](), 20)
    assert found["repetitions"].max() >= 2
    by_case = found.groupby("case")["passes"].mean()
    assert by_case["80 %"] < by_case["5 %"] < passes.MOST_PASSES
    assert found.loc[found["case"] == "20 %", "decided"].all()


def test_twins_of_the_recording_tie_exactly(passes):
    noise = passes.NOISES["recorded, loaded"]()
    assert noise.truth("pinn-b16", "vjp-twin", "vjp") == 1
    assert noise.truth("pinn-b16", "sparse", "vjp") == noise.truth("pinn-b16", "sparse", "vjp-twin") > 3
    drawn, kernel = noise.draw(np.random.default_rng(0))
    assert drawn["pinn-b16", "vjp"] > 0
    assert 5e-5 < kernel < 5e-4
