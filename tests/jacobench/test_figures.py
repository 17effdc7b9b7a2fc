"""Scripts behind docs/performance.md: the hand-written strategies are correct, and the script prints its numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import jacobench as jb

pytestmark = pytest.mark.long

FIGURES = Path(__file__).parents[2] / "docs" / "figures"


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory, jacobench):
    """Return the run of docs/figures/by_hand.toml, one pass."""
    folder = tmp_path_factory.mktemp("figures")
    done = jacobench("run", "--suite", FIGURES / "by_hand.toml", "--passes", 1, "--out", "run", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def figures(*arguments):
    """Return what the script prints."""
    command = [sys.executable, FIGURES / "figures.py", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_the_hand_written_strategies_are_correct(by_hand):
    table = jb.load(by_hand)
    assert set(table["status"]) == {"ok"}
    assert {"loop-by-hand", "csr-by-hand"} <= set(table["strategy"])
    assert table["max_relative_error"].max() < 1e-12


def test_the_script_prints_the_ratios_to_hand_written_code(by_hand):
    seconds = jb.load(by_hand).query("phase == 'gradient'").set_index("strategy")["seconds_min"]
    ratio = seconds["sparse"] / seconds["csr-by-hand"]
    (line,) = [line for line in figures(by_hand).splitlines() if "mlp-w256-d1-b1-noloss  sparse" in line]
    assert float(line.split()[-1]) == pytest.approx(ratio, rel=1e-3)


def test_the_script_times_loading_many_rows(by_hand):
    assert figures("--load", by_hand).startswith("10000 rows")
