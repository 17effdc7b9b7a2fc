"""Options are checked, and the budget is limited by the memory of the machine."""

import shlex
from dataclasses import fields, replace
from inspect import signature

import psutil
import pytest
from typer.testing import CliRunner

import jacobench as jb
from jacobench.bench.machine import machine_record
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.run.run_options import RunOptions, command
from jacobench.bench.run.run_plan import plan
from jacobench.commands import app, cmd_run
from jacobench.commands.cmd_run import _budget_note
from jacobench.graphs.errors import BadInput

SMOKE = RunOptions("smoke")

CGROUPS = {"v2": "/sys/fs/cgroup/memory.max", "v1": "/sys/fs/cgroup/memory/memory.limit_in_bytes"}


@pytest.fixture
def cgroup(monkeypatch):
    """Return a function that sets the memory limit of the control group."""
    real = machine_record.read

    def limit(version, text):
        files = dict.fromkeys(CGROUPS.values(), "") | {CGROUPS[version]: text}
        monkeypatch.setattr(machine_record, "read", lambda path: files[path] if path in files else real(path))

    return limit


@pytest.mark.parametrize("version", CGROUPS)
def test_a_control_group_with_less_caps_the_budget_and_the_run_says_so(version, cgroup):
    cgroup(version, str(2**30))
    assert plan(SMOKE).budget_bytes == 2**30
    (note,) = _budget_note(SMOKE, plan(SMOKE).budget_bytes)
    assert "1.00 GiB" in note
    assert "control group" in note
    small = replace(SMOKE, memory_budget="512MiB")
    assert plan(small).budget_bytes == 2**29
    assert _budget_note(small, 2**29) == []


@pytest.mark.parametrize(("version", "text"), [("v2", "max"), ("v2", ""), ("v1", str(2**63 - 4096))])
def test_a_control_group_without_a_limit_leaves_what_the_machine_has(version, text, cgroup, monkeypatch):
    cgroup(version, text)
    assert machine_record.memory_limit() == psutil.virtual_memory().total
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 2**29}))
    assert plan(SMOKE).budget_bytes == 2**29


@pytest.mark.parametrize("text", ["1e400", "0", "0.5", "-1", "nan", "inf", "1.2.3", "2 GiBB", "", "GiB"])
def test_what_is_no_size_is_bad_input(text):
    with pytest.raises(BadInput, match="is not a size; expected"):
        parse_bytes(text)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_timeout_is_bad_input(seconds):
    with pytest.raises(BadInput, match="timeout is"):
        replace(SMOKE, timeout=seconds)


OTHER = RunOptions("smoke", ("dense", "my file.py:Mine"), ("mlp-*",), 5, 2, "64MiB", 7.5, "asis")


def test_the_python_function_has_every_option_with_its_default():
    parameters = signature(jb.run).parameters
    assert {*parameters} - {"out"} == {option.name for option in fields(RunOptions)}
    for option in fields(RunOptions):
        assert parameters[option.name].default == option.default


def test_the_repeat_command_sets_every_option(monkeypatch):
    """Parse the command by the real command line: the options that arrive are those that were written."""
    assert all(getattr(OTHER, option.name) != option.default for option in fields(RunOptions))
    arrived = []
    monkeypatch.setattr(cmd_run, "_dry_run", arrived.append)
    for options in (OTHER, SMOKE):
        words = shlex.split(command(options))
        assert words[:2] == ["jacobench", "run"]
        assert CliRunner().invoke(app, [*words[1:], "--dry-run"], catch_exceptions=False).exit_code == 0
    assert arrived == [OTHER, SMOKE]
