"""Commands that the gate prints after its result."""

from __future__ import annotations

import itertools
import shlex

import pytest

from jacobench.commands import cmd_gate
from jacobench.reports.regression.outcome import Outcome, verdict_table

GIVEN = {
    "against": "origin/main",
    "suite": "my suite.toml",
    "strategies": ("vjp", "my_plugin.py:Mine"),
    "cases": ("mlp-*",),
    "max_minutes": 2.5,
    "install": None,
}


@pytest.fixture
def said(monkeypatch):
    """Return a function from an outcome to the lines that the gate prints about it."""

    def run(outcome):
        lines = []
        monkeypatch.setattr(cmd_gate, "say", lines.append)
        cmd_gate._advise(outcome, GIVEN)
        return lines

    return run


def commands(lines):
    return [shlex.split(line[line.index("jacobench gate") :]) for line in lines if "jacobench gate" in line]


def test_an_inconclusive_gate_prints_the_command_that_measures_the_undecided_cases_again(said):
    lines = said(Outcome("inconclusive", verdict_table([]), undecided=("mlp-w64", "test_a.py::test_x[a b]")))
    (command,) = commands(lines)
    assert command == [
        "jacobench", "gate", "--against", "origin/main", "--suite", "my suite.toml",
        "--strategy", "vjp", "--strategy", "my_plugin.py:Mine",
        "--case", "mlp-w64", "--case", "test_a.py::test_x[a b]", "--max-minutes", "2.5",
    ]  # fmt: skip
    assert all("\n" not in line for line in lines)


def test_failing_cases_are_named_and_a_sweep_is_not_a_case(said):
    line = {"strategy": "vjp", "phase": "gradient", "verdict": "regressed"}
    table = verdict_table(
        [
            line | {"case": "mlp-w64", "quantity": "seconds"},
            line | {"case": "mlp-w16 … mlp-w64", "quantity": "seconds~width"},
        ]
    )
    (command,) = commands(said(Outcome("regressed", table)))
    assert [value for option, value in itertools.pairwise(command) if option == "--case"] == ["mlp-w64"]
    (command,) = commands(said(Outcome("regressed", table[1:])))
    assert "mlp-*" in command


def test_a_clear_gate_advises_nothing(said):
    assert said(Outcome("clear", verdict_table([]))) == []
