"""The probe's promise: one harness for both sides, which leans on nothing of a side but what is meant to last."""

import ast
from pathlib import Path

import pytest

from jacobench.bench.gate import gate_worker
from jacobench.bench.gate.gate_client import HARNESS

LASTING = {
    "jacobench.bench.suites.suite_files.load_suite",
    "jacobench.strategies.registry",
    "jacobench.strategies.contract.placed",
}
"""Changed incompatibly, they would keep the gate from measuring a base that is older than the change."""


def ours(path):
    """Return what a file imports of ours when it runs, not for its annotations."""
    found = set()
    for node in ast.parse(Path(path).read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("jacobench"):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("jacobench")}
    return found


@pytest.mark.parametrize("path", [gate_worker.__file__, *HARNESS.values()])
def test_what_runs_on_both_sides_takes_of_a_side_only_what_lasts(path):
    assert ours(path) <= LASTING


def test_the_probe_itself_takes_a_suite_and_the_registry():
    assert ours(gate_worker.__file__) == {
        "jacobench.bench.suites.suite_files.load_suite",
        "jacobench.strategies.registry",
    }
