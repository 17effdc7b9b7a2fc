"""Options are checked, and the budget is limited by the memory of the machine."""

import shlex
from contextlib import closing
from dataclasses import fields, replace
from inspect import signature

import pytest
from typer.testing import CliRunner

import jacobench as jb
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.run import run_plan
from jacobench.bench.run.run_options import RunOptions, command
from jacobench.bench.run.run_plan import absolute, plan
from jacobench.bench.run.runner import start
from jacobench.commands import app, cmd_run
from jacobench.commands.cmd_run import _budget_note
from jacobench.graphs.errors import BadInput

SMOKE = RunOptions("smoke")


@pytest.mark.parametrize("limit", [2**30, 3 * 2**30])
def test_the_memory_that_the_process_may_use_caps_the_budget_and_the_run_says_so(limit, monkeypatch):
    monkeypatch.setattr(run_plan, "memory_limit", lambda: limit)
    assert plan(SMOKE).budget_bytes == min(limit, 2**31)
    notes = _budget_note(SMOKE, plan(SMOKE).budget_bytes)
    expected = ["memory budget reduced to 1.00 GiB, the memory that this process may use"]
    assert notes == (expected if limit < 2**31 else [])
    small = replace(SMOKE, memory_budget="512MiB")
    assert plan(small).budget_bytes == 2**29
    assert _budget_note(small, 2**29) == []


CLUSTERS = {
    "local:2": "local:2",
    "tls://host:8786": "tls://host:8786",
    "shared/scheduler.json": "{folder}/shared/scheduler.json",
    "mine.py:make": "{folder}/mine.py:make",
}


@pytest.mark.parametrize("spec", CLUSTERS)
def test_a_run_keeps_the_absolute_path_of_a_file_that_names_its_cluster(spec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = CLUSTERS[spec].format(folder=tmp_path)
    with closing(start(replace(SMOKE, cluster=spec), tmp_path / "run")) as folder:
        assert folder.settings.cluster == expected
    monkeypatch.chdir(tmp_path.parent)
    assert absolute(folder.settings) == folder.settings


@pytest.mark.parametrize("text", ["1e400", "0", "0.5", "-1", "nan", "inf", "1.2.3", "2 GiBB", "", "GiB"])
def test_what_is_no_size_is_bad_input(text):
    with pytest.raises(BadInput, match="is not a size; expected"):
        parse_bytes(text)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_timeout_is_bad_input(seconds):
    with pytest.raises(BadInput, match="timeout is"):
        replace(SMOKE, timeout=seconds)
    with pytest.raises(BadInput, match=r"max_minutes is .*; expected minutes above 0"):
        replace(SMOKE, max_minutes=seconds)


OTHER = RunOptions(
    "smoke", ("dense", "my file.py:Mine"), ("mlp-*",), 5, 1.5, 2, "64MiB", 7.5, "asis", "local:2", same_machine=True
)


def test_the_python_function_has_every_option_with_its_default():
    parameters = signature(jb.run).parameters
    assert {*parameters} - {"out", "model"} == {option.name for option in fields(RunOptions)}
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
