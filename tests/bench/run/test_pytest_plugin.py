"""``pytest bench`` in a checkout: the real command, from the top of the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jacobench.reports.data.run_data import load

CHECKOUT = Path(__file__).parents[3]

STRATEGIES = """
from jacobench.strategies.contract import Prediction, Predictions
from jacobench.strategies.vjp import vjp

class Right:
    name = "right"
    prepare = staticmethod(vjp().prepare)

class Large(Right):
    name = "large"
    def predict(self, graph, n_seeds):
        return Predictions(dict.fromkeys(("prepare", "linearize", "pullback", "gradient"), Prediction(2**40, 0, 0)), 0)

class Wrong:
    name = "wrong"
    def prepare(self, graph):
        self.prepared = vjp().prepare(graph)
        return self
    def linearize(self, leaves):
        self.linearized = self.prepared.linearize(leaves)
        self.output = self.linearized.output
        return self
    def pullback(self, seeds):
        return {name: 2 * bar for name, bar in self.linearized.pullback(seeds).items()}
"""


@pytest.fixture
def bench_(tmp_path):
    """Return a function that runs ``pytest bench`` with quick rounds and returns the finished process."""

    def run(*arguments):
        quick = ("--benchmark-min-time=1e-6", "--benchmark-max-time=1e-6", "--benchmark-min-rounds=2")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "bench", "-p", "no:cacheprovider", "--tb=short", *quick, *arguments],
            cwd=CHECKOUT,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture
def strategies(tmp_path):
    path = tmp_path / "strategies.py"
    path.write_text(STRATEGIES)
    return path


def outcomes(done):
    """Return how many items ended how, from pytest's last line."""
    return {
        word: int(n) for n, word in re.findall(r"(\d+) (\w+)", done.stdout.strip().splitlines()[-1].split(" in ")[0])
    }


@pytest.mark.long
def test_all_items_of_a_suite_pass_and_leave_a_run_that_can_be_loaded(bench_, tiny, tmp_path):
    path = tmp_path / "out.json"
    done = bench_(f"--suite={tiny}", f"--benchmark-json={path}")
    assert done.returncode == 0, done.stdout
    assert outcomes(done) == {"passed": 2 * (1 + 2 * 4)}
    table = load(path)
    assert len(table) == 18
    assert set(table["status"]) == {"ok"}
    timed = table[table["strategy"] != "forward"]
    for column in ("seconds_min", "seconds_median", "memory_tool", "predicted_bytes", "n_parameters"):
        assert timed[column].notna().all(), column
    for entry in json.loads(path.read_text())["benchmarks"]:
        info = entry["extra_info"]
        assert all(isinstance(value, str | int | float | bool) for value in info.values())
        assert info["seconds_min"] == pytest.approx(entry["stats"]["min"])
        assert (info["suite"], info["graph"]) == ("tiny", "mlp")


@pytest.mark.long
def test_ones_own_suite_its_cases_strategies_and_pytests_own_selection(bench_, tiny):
    done = bench_("--suite", str(tiny), "--strategy", "sparse", "--case", "*-b2", "-k", "gradient or forward", "-v")
    assert done.returncode == 0, done.stdout
    assert outcomes(done) == {"passed": 2, "deselected": 3}
    assert "test_cell[mlp-w4-d1-b2-sparse-gradient]" in done.stdout
    assert "test_cell[mlp-w4-d1-b2-forward-forward]" in done.stdout


@pytest.mark.long
def test_a_wrong_strategy_fails_and_one_over_the_budget_is_skipped(bench_, tiny, strategies):
    chosen = [f"--strategy={strategies}:{name}" for name in ("Right", "Large", "Wrong")]
    done = bench_(f"--suite={tiny}", "--case=*-b1", *chosen, "-rs")
    assert done.returncode == 1
    assert outcomes(done) == {"passed": 5, "skipped": 4, "failed": 4}
    assert "wrong: cotangent of" in done.stdout
    assert "from the reference" in done.stdout
    assert "over_budget:" in done.stdout
    assert "1,024.00 GiB" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.long
def test_x_stops_at_the_first_failure(bench_, tiny, strategies):
    done = bench_(f"--suite={tiny}", f"--strategy={strategies}:Wrong", "-x")
    assert done.returncode != 0
    assert outcomes(done) == {"passed": 1, "failed": 1}


@pytest.mark.long
def test_the_budget_can_be_chosen(bench_, tiny):
    done = bench_(f"--suite={tiny}", "--strategy=dense", "--memory-budget=800B")
    assert done.returncode == 0
    assert outcomes(done) == {"passed": 2, "skipped": 8}


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "smok"], "unknown suite 'smok': expected one of .*; did you mean 'smoke'"),
        (["--suite", "nowhere/my.toml"], "my.toml"),
        (["--suite", "smoke", "--strategy", "vpj"], "did you mean 'vjp'"),
        (["--suite", "smoke", "--case", "mlp-w17*"], "no case of suite 'smoke' matches"),
        (["--suite", "smoke", "--memory-budget", "much"], "'much' is not a size"),
    ],
)
def test_bad_input_is_one_line_and_a_usage_error(bench_, arguments, message):
    done = bench_(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    assert len(re.findall("ERROR", done.stderr)) == 1


@pytest.mark.long
def test_the_options_are_explained(bench_):
    done = bench_("--help")
    assert done.returncode == 0
    for option in ("--suite=", "--strategy=", "--case=", "--memory-budget="):
        assert option in done.stdout
