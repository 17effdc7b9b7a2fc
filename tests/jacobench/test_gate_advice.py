"""Commands that the gate prints after its result."""

from __future__ import annotations

import itertools
import shlex
from pathlib import Path

import pytest

from jacobench.bench.gate.gate_config import GateConfig, configured, options_from_table
from jacobench.bench.gate.trees.revisions import Project
from jacobench.commands import cmd_gate
from jacobench.reports.regression.outcome import Outcome, verdict_table

CONFIG = GateConfig("my suite.toml", ("vjp", "my_plugin.py:Mine"), ("mlp-*",), max_minutes=2.5)


@pytest.fixture
def said(monkeypatch):
    """Return a function from an outcome to the lines that the gate prints about it."""

    def run(outcome, config=CONFIG, folder=Path("/nowhere")):
        lines = []
        monkeypatch.setattr(cmd_gate, "say", lines.append)
        cmd_gate._advise(outcome, "origin/main", config, Project(folder, folder))
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


def test_a_threshold_does_not_help_a_broken_row(said):
    line = {"case": "a", "strategy": "vjp", "phase": "gradient", "quantity": "seconds", "verdict": "broken"}
    assert not [text for text in said(Outcome("regressed", verdict_table([line]))) if "threshold" in text]


def test_a_clear_gate_advises_nothing(said):
    assert said(Outcome("clear", verdict_table([]))) == []


def test_the_defaults_of_the_project_are_written_out_from_the_folder_of_the_user(said, tmp_path, monkeypatch):
    table = {
        "suite": "s.toml",
        "strategies": ["my work/mine.py:Mine", "fastad:Mine"],
        "install": "{python} -m pip install 'x>1' {dir}",
        "untracked": "1GiB",
        "timeout_seconds": 5.0,
    }
    config = configured(options_from_table(table, tmp_path)[0], {})
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    (command,) = commands(said(Outcome("inconclusive", verdict_table([]), undecided=("a",)), config, tmp_path))
    assert command == [
        "jacobench", "gate", "--against", "origin/main", "--suite", "../s.toml",
        "--strategy", "../my work/mine.py:Mine", "--strategy", "fastad:Mine",
        "--case", "a", "--install", "{python} -m pip install 'x>1' {dir}", "--untracked", "1GiB",
    ]  # fmt: skip


def test_the_command_of_a_pytest_suite_is_complete_without_the_folder_of_raw_data(said):
    config = GateConfig(pytest=("bench/ -k 'a or b'",), suite_from="head", memory=True, out="raw")
    (command,) = commands(said(Outcome("inconclusive", verdict_table([]), undecided=("t.py::test_x[a 'b']",)), config))
    assert command == [
        "jacobench", "gate", "--against", "origin/main", "--case", "t.py::test_x[a 'b']",
        "--pytest", "bench/ -k 'a or b'", "--suite-from", "head", "--memory",
    ]  # fmt: skip


def test_a_suite_in_pyproject_is_an_option_only_in_the_folder_of_the_project(said, tmp_path, monkeypatch):
    """From elsewhere, its paths would be wrong; the command reads pyproject.toml again."""
    config = configured({"pytest": ("bench --ignore bench/slow",), "memory": True}, {})
    monkeypatch.chdir(tmp_path)
    outcome = Outcome("inconclusive", verdict_table([]), undecided=("a",))
    (here,) = commands(said(outcome, config, tmp_path))
    (elsewhere,) = commands(said(outcome, config, tmp_path.parent))
    assert elsewhere == ["jacobench", "gate", "--against", "origin/main", "--case", "a", "--memory"]
    assert here == [*elsewhere[:-1], "--pytest", "bench --ignore bench/slow", "--memory"]


def test_the_command_that_installs_is_printed_as_it_was_given(said, tmp_path):
    """It runs in the folder of a side, where a path that is relative to the current folder is wrong."""
    config = GateConfig(install=f"{tmp_path}/.venv/bin/uv pip install --python {{python}} {{dir}}")
    (command,) = commands(said(Outcome("inconclusive", verdict_table([]), undecided=("a",)), config, tmp_path))
    assert command[-2:] == ["--install", config.install]
