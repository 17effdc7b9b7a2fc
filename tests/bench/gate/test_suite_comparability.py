"""Processes of both sides of `gate --pytest`, without running them."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace

import pytest

from jacobench.bench.gate.benchmark_runner import BenchmarkRunner, SideSuite, SuiteBenchmark, suite_environment
from jacobench.bench.gate.gate_client import CellStatus, EndedProcess


@pytest.fixture
def runner(tmp_path):
    """Return a runner of two sides that both have the benchmark `t.py::test_a`."""
    sides = SimpleNamespace(name="base", tree=None), SimpleNamespace(name="head", tree=None)
    runner = BenchmarkRunner(None, sides, [["t.py"]], (), "", tmp_path, None, 1.0, {})
    benchmark = SuiteBenchmark("t.py::test_a", "digest", "t.py", 0)
    runner.suites = {side.name: SideSuite({benchmark.id: benchmark}) for side in sides}
    return runner


@pytest.mark.parametrize(("suite_from", "differing"), [("", "source"), ("", "options"), ("head", "options")])
def test_a_benchmark_whose_source_or_options_differ_is_changed(runner, monkeypatch, suite_from, differing):
    monkeypatch.setattr(runner, "collect", lambda _until: None)
    monkeypatch.setattr(runner, "_precheck", lambda side, ids, _until: runner.statuses[side.name].update(
        dict.fromkeys(ids, CellStatus("ok"))))  # fmt: skip
    runner.ids, runner.suite_from = ("t.py::test_a",), suite_from
    runner.precheck(0.0, inf)
    assert runner.timed_ids() == ["t.py::test_a"]
    if differing == "source":
        runner.suites["head"].benchmarks["t.py::test_a"] = SuiteBenchmark("t.py::test_a", "other", "t.py", 0)
    else:
        runner.suites["base"].options[0], runner.suites["head"].options[0] = {"--x": "1"}, {"--x": "2"}
    runner.precheck(0.0, inf)
    reason = "" if differing == "source" else "--x is 1 in base, 2 in head"
    assert runner.statuses["base"] == runner.statuses["head"] == {"t.py::test_a": CellStatus("changed", reason)}


def test_options_that_change_times_must_be_equal(runner):
    for suite in runner.suites.values():
        suite.options[0] = {"--benchmark-disable-gc": "False", "--benchmark-warmup": "False"}
    assert runner._options_differ("t.py::test_a") == ""
    runner.suites["head"].options[0] = {"--benchmark-disable-gc": "True", "--benchmark-warmup": "False"}
    assert runner._options_differ("t.py::test_a") == "--benchmark-disable-gc is False in base, True in head"
    assert runner._options_differ("t.py::test_of_head") == ""


def test_a_suite_gets_the_variables_of_the_caller(monkeypatch):
    given = {"PYTEST_DATA_DIR": "data", "OMP_NUM_THREADS": "4", "PYTHONTRACEMALLOC": "1", "A": "mine"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    found = suite_environment({"A": "ours", "B": "ours"}, 3)
    assert found.items() >= (given | {"B": "ours", "PYTHONHASHSEED": "3"}).items()
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in found
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert suite_environment({}, 3)["PYTHONHASHSEED"] == "0"


def test_a_benchmark_whose_memory_is_not_measured_is_noted(runner, monkeypatch):
    monkeypatch.setattr(runner, "collect", lambda _until: None)
    runner.ids = ("t.py::test_a",)
    runner.statuses = {side.name: {"t.py::test_a": CellStatus("ok")} for side in runner.sides}
    start = {"event": "start", "id": "t.py::test_a"}
    ended = {"base": EndedProcess([start | {"event": "ended", "status": "ok", "reason": ""}])}
    ended["head"] = EndedProcess([start], CellStatus("crashed", "the process was ended by SIGSEGV"))
    monkeypatch.setattr(runner, "_run", lambda side, *_: ended[side.name])
    base, head = runner.precheck_memory()
    assert base.statuses == head.statuses == {"t.py::test_a": CellStatus("ok")}
    assert runner.without_memory == {"t.py::test_a": "the process was ended by SIGSEGV in head"}
