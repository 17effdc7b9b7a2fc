"""A request that is checked, and the budget that it becomes where there is less memory than is asked for."""

from dataclasses import replace

import psutil
import pytest

from jacobench.bench.machine import machine_record
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.run.run_plan import Request, plan
from jacobench.commands.cmd_run import _budget_note
from jacobench.graphs.errors import BadInput

SMOKE = Request("smoke")

CGROUPS = {"v2": "/sys/fs/cgroup/memory.max", "v1": "/sys/fs/cgroup/memory/memory.limit_in_bytes"}


@pytest.fixture
def cgroup(monkeypatch):
    """Return a function that makes the machine's files say what a control group has."""
    real = machine_record.read

    def say(version, text):
        said = dict.fromkeys(CGROUPS.values(), "") | {CGROUPS[version]: text}
        monkeypatch.setattr(machine_record, "read", lambda path: said[path] if path in said else real(path))

    return say


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
    with pytest.raises(BadInput, match="is no size: expected"):
        parse_bytes(text)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_timeout_is_bad_input(seconds):
    with pytest.raises(BadInput, match="timeout is"):
        plan(replace(SMOKE, timeout_seconds=seconds))
