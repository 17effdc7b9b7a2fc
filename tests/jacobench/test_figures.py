"""Scripts behind docs/performance.md: the hand-written loops are correct, and the scripts print their numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

FIGURES = Path(__file__).parents[2] / "docs" / "figures"


def printed(script, *arguments):
    """Return the lines that a script prints."""
    command = [sys.executable, FIGURES / script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout.splitlines()


SUITE = """
[[sweep]]
graph = "mlp"
width = 4
depth = 1
strategies = ["dense", "dense-blocks", "sparse", "vjp", "forward-dense", "forward-sparse", "linear-operator"]
"""


def test_hand_written_loops_agree_with_the_strategies_and_the_ratios_are_printed():
    """The script raises if a cotangent differs."""
    _, *lines, last = printed("by_hand.py", "120-200-90")
    assert len(lines) == 16
    for line in lines:
        ours, hand, ratio = map(float, line[47:].split()[:3])
        target = 1.3 if hand >= 100 else 2.5
        assert ratio == pytest.approx(ours / hand, rel=0.01)
        assert line.endswith(f"≤ {target}: {'reached' if ratio <= target else 'NOT REACHED'}")
    assert last == f"{sum(line.endswith(' reached') for line in lines)} of 16 targets reached"


def test_products_and_passes_of_an_architecture_are_printed():
    _, _, row = printed("elementwise_passes.py", "lenet-300-100")
    name, gradient, ratio, *_, passes = (cell.strip() for cell in row.strip("|").split("|"))
    ours, jax = map(float, gradient.split(", "))
    assert name == "lenet-300-100"
    assert float(ratio) == pytest.approx(jax / ours, rel=0.05)
    assert "tanh" in passes


def test_the_script_times_loading_many_rows(tmp_path, jacobench):
    (tmp_path / "tiny.toml").write_text(SUITE)
    done = jacobench("run", "--suite", "tiny.toml", "--passes", 1, "--out", "run", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert printed("figures.py", "--load", tmp_path / "run")[0].startswith("10000 rows")
