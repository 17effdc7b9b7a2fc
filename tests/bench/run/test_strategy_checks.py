"""`check_all` tries every graph, whatever the strategy does to the process it is tried in."""

from __future__ import annotations

import sys
import time

import numpy as np
import psutil
import pytest

from jacobench.bench.cell.shared_state import read_state
from jacobench.bench.run import strategy_checks
from jacobench.bench.run.strategy_checks import check_all, op_cases
from jacobench.bench.suites.suite_files import load_suite

ROGUE = """
import ctypes, os, signal, time
from pathlib import Path

class Mine(Right):
    name = "mine"
    forked = False

    def prepare(self, graph):
        if not Mine.forked:
            Mine.forked = True
            child = os.fork()
            if not child:
                time.sleep(1000)
                os._exit(0)
            with open(Path(__file__).with_name("children"), "a") as file:
                print(child, file=file)
        names = [node.op.name for node in graph.nodes]
        if names == ["softmax"]:
            os._exit(7)
        if names == ["gelu"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        if names == ["tanh"] and graph.dtype == "float32":
            ctypes.PyDLL(None).pause()
        if names == ["relu"]:
            raise ValueError("no rectifiers")
        return super().prepare(graph)
"""

NAMES = [case.name for case in (*op_cases(), *load_suite("smoke").cases)]


@pytest.mark.long
def test_a_right_strategy_is_right_on_every_graph():
    checks = check_all("vjp", "smoke")
    assert [check.graph for check in checks] == NAMES
    assert {(check.status, check.reason) for check in checks} == {("ok", "")}


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="signals and fork are POSIX")
def test_what_ends_or_hangs_the_process_costs_its_own_graph(plugin_file, monkeypatch):
    """Each process has a child that holds its output open: waiting for the end of that would wait for the child."""
    monkeypatch.setattr(strategy_checks, "GRAPH_SECONDS", 5.0)
    file = plugin_file(ROGUE)
    checks = check_all(f"{file}:Mine", "smoke")
    assert [check.graph for check in checks] == NAMES
    found = {check.graph: (check.status, check.reason) for check in checks if check.status != "ok"}
    for dtype in ("float64", "float32"):
        assert found.pop(f"softmax-{dtype}") == ("crashed", "the process exited with status 7")
        status, reason = found.pop(f"gelu-{dtype}")
        assert (status, "ended by SIGSEGV" in reason) == ("crashed", True)
        status, reason = found.pop(f"relu-{dtype}")
        assert (status, "no rectifiers" in reason) == ("error", True)
    assert found == {"tanh-float32": ("timeout", "not finished after 5 s while preparing")}
    children = [int(line) for line in file.with_name("children").read_text().split()]
    assert len(children) == 6
    deadline = time.monotonic() + 5
    while (left := [child for child in children if alive(child)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == [], "a child of the strategy's outlived its process"


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_changes_of_the_process_are_undone_and_noted(plugin_file):
    file = plugin_file(
        "class Mine(Right):\n    def prepare(self, graph):\n        np.seterr(all='raise')\n"
        "        return super().prepare(graph)\n"
    )
    found = strategy_checks._check(f"{file}:Mine", op_cases()[0], lambda _step: None, read_state())
    assert found.status == "ok"
    assert found.reason == "its changes to the process were undone: NumPy's error handling"
    assert np.geterr()["over"] == "warn"
