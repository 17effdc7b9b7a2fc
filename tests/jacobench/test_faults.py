"""Plug-ins that misbehave, and kills: the rows that are hit say so, all others are as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

import jacobench as jb
from jacobench.bench.suites.case import BY_STRATEGY

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

FAULTS = '''
import ctypes, os, signal, sys, threading, time
import numpy as np

class Wrong(Right):
    name = "wrong"
    def after_pullback(self, bars):
        return {name: bar + 1e-3 for name, bar in bars.items()}

class Exits(Right):
    name = "exits"
    def prepare(self, graph):
        os._exit(3)

class Segfaults(Right):
    name = "segfaults"
    def before_linearize(self):
        os.kill(os.getpid(), signal.SIGSEGV)

class Hangs(Right):
    name = "hangs"
    def before_linearize(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        time.sleep(1000)

class Raises(Right):
    name = "raises"
    def after_pullback(self, bars):
        raise ZeroDivisionError("no gradient today")

class Leaves(Right):
    name = "leaves"
    def before_linearize(self):
        sys.exit("I am off")

class Interrupts(Right):
    name = "interrupts"
    def prepare(self, graph):
        raise KeyboardInterrupt

class Anything(Right):
    name = "anything"
    def prepare(self, graph):
        raise type("Anything", (BaseException,), {})("at all")

class Late(Right):
    """Is right as long as it is being proved, and dies in the middle of being timed."""
    name = "late"
    calls = 0
    def after_pullback(self, bars):
        Late.calls += 1
        if Late.calls == 8:
            os._exit(5)
        return bars

class Loud(Right):
    name = "loud"
    def before_linearize(self):
        print("{" + "loud " * 50)
        os.write(1, b"straight to the descriptor\\n" * 50)
        os.write(2, b"and to the other\\n" * 50)

class Litters(Right):
    """Leaves a thread, and a child that holds whatever it has inherited."""
    name = "litters"
    def prepare(self, graph):
        if not hasattr(Litters, "child"):
            Litters.child = os.fork()
            if not Litters.child:
                time.sleep(1000)
                os._exit(0)
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        return super().prepare(graph)

class Picky(Right):
    name = "picky"
    def prepare(self, graph):
        raise type("Unsupported", (Exception,), {})("no perceptrons")

class Namesake(Right):
    name = "dense"
'''

EXPECTED = {
    "wrong": ("wrong", "from the reference", BY_STRATEGY),
    "exits": ("crashed", "status 3", BY_STRATEGY),
    "segfaults": ("crashed", "SIGSEGV", BY_STRATEGY),
    "hangs": ("timeout", "2 s", BY_STRATEGY),
    "raises": ("error", "no gradient today", ("linearize", "pullback", "gradient")),
    "leaves": ("error", "I am off", ("linearize", "pullback", "gradient")),
    "late": ("crashed", "status 5", ("pullback", "gradient")),
    "picky": ("unsupported", "no perceptrons", BY_STRATEGY),
    "loud": ("ok", "", ()),
    "litters": ("ok", "", ()),
}
"""Strategy → the status, what the reason says, and the phases that cannot be had."""


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory, jacobench, right):
    """Return the table of a run that has every fault in it, its journal, and the process."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "faults.py").write_text(right + FAULTS)
    (folder / "broken.py").write_text("raise ImportError('no torch here')\nclass Mine: pass\n")
    names = ["dense", *(f"faults.py:{name}" for name in CLASSES), "broken.py:Mine", "sparse", "vjp"]
    (folder / "faults.toml").write_text(
        f'[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\nstrategies = {json.dumps(names)}\n'
        '[[sweep]]\ngraph = "mlp"\nwidth = 5\ndepth = 1\n'
    )
    done = jacobench("run", "--suite", "faults.toml", "--passes", 2, "--timeout", 2, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return jb.load(folder / "run"), folder / "run", done


CLASSES = [line.split("(")[0].removeprefix("class ") for line in FAULTS.splitlines() if line.startswith("class ")]


def test_every_cell_ends_as_a_row(spoilt):
    table, _, _ = spoilt
    assert len(table) == 1 + 4 * (len(CLASSES) + 4) + 1 + 4 * 3
    assert not table.duplicated(["case", "strategy", "phase"]).any()
    assert "not_tried" not in set(table["status"])


def test_all_other_rows_are_complete(spoilt):
    table, _, _ = spoilt
    healthy = table[table["strategy"].isin(["forward", "dense", "sparse", "vjp"])]
    assert len(healthy) == 2 * (1 + 3 * 4)
    assert set(healthy["status"]) == {"ok"}
    assert set(healthy["passes"]) == {2}
    assert healthy["memory_tool"].notna().all()
    paired = healthy[healthy["strategy"] != "forward"]
    assert paired["ratio_to_vjp"].notna().all()


@pytest.mark.parametrize("strategy", EXPECTED)
def test_a_fault_costs_its_own_rows_and_says_why(strategy, spoilt):
    table, _, _ = spoilt
    status, reason, phases = EXPECTED[strategy]
    rows = table[table["strategy"] == strategy].set_index("phase")
    assert len(rows) == 4
    assert {phase: rows["status"][phase] for phase in BY_STRATEGY} == {
        phase: status if phase in phases else "ok" for phase in BY_STRATEGY
    }
    assert all(reason in rows["reason"][phase] for phase in phases)
    assert rows.loc[[p for p in BY_STRATEGY if p not in phases], "seconds_min"].notna().all()


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [("Mine", "error", "no torch here"), ("Interrupts", "crashed", ""), ("Anything", "error", "at all")],
)
def test_one_whose_name_was_never_heard_is_called_by_its_class(name, status, reason, spoilt):
    table, _, _ = spoilt
    rows = table[table["strategy"].str.endswith(name) | (table["strategy"] == name.lower())]
    assert len(rows) == 4
    assert set(rows["status"]) == {status}
    assert rows["reason"].str.contains(reason).all()


def test_a_namesake_keeps_its_rows_apart_though_the_worker_is_another(spoilt):
    table, _, _ = spoilt
    rows = table[table["strategy"].str.endswith("faults.py:Namesake")]
    assert len(rows) == 4
    assert set(rows["status"]) == {"ok"}


def test_tracebacks_are_in_the_journal_and_on_no_screen(spoilt):
    _, folder, done = spoilt
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert any("ZeroDivisionError" in line.get("traceback", "") for line in lines)
    assert any("no torch here" in line.get("traceback", "") for line in lines)
    assert "Traceback" not in done.stdout + done.stderr
    for printed in ("loud loud", "straight to the descriptor", "and to the other"):
        assert printed not in done.stdout + done.stderr


# ---- kills

WAITS = """
import os, time
from pathlib import Path

class Waits(Right):
    '''Says which process it is in and waits, the first time; afterwards it is a strategy as any other.'''
    name = "waits"
    def prepare(self, graph):
        if not Path({file!r}).exists():
            Path({file!r} + ".new").write_text(str(os.getpid()))
            Path({file!r} + ".new").rename({file!r})
            time.sleep(1000)
        return super().prepare(graph)
"""


@pytest.fixture
def waiting(tmp_path, popen, plugin_file):
    """Start a run that waits in the middle; return its process and the id of its worker."""
    said = tmp_path / "worker"
    plugin_file(WAITS.format(file=str(said)), "waits.py")
    (tmp_path / "my.toml").write_text(
        '[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\nbatch = [1, 2]\nstrategies = ["vjp", "waits.py:Waits", "dense"]\n'
    )
    process = popen(
        "run", "--suite", "my.toml", "--passes", 1, "--out", "run", cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not said.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process, int(said.read_text())
    process.kill()
    process.communicate()


def gone(pid):
    """Wait until a process has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def measured(folder):
    """Return how often each cell was measured in each pass, other than as a partner in another worker."""
    found = Counter()
    for line in (folder / "journal.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["case"]:
            found[entry["case"], entry["spec"], entry["phase"], entry.get("pass", 0)] += 1
    return found


def cells(table):
    return set(zip(table["case"], table["strategy"], table["phase"], strict=True))


ALL = {
    (case, strategy, phase)
    for case in ("mlp-w4-d1-b1", "mlp-w4-d1-b2")
    for strategy in ("vjp", "waits", "dense")
    for phase in BY_STRATEGY
} | {(case, "forward", "forward") for case in ("mlp-w4-d1-b1", "mlp-w4-d1-b2")}


def test_a_worker_that_is_killed_costs_the_cells_it_was_at(waiting, tmp_path):
    process, worker = waiting
    os.kill(worker, signal.SIGKILL)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 0, stderr
    table = jb.load(tmp_path / "run")
    bad = table[table["status"] != "ok"]
    assert set(bad["status"]) == {"crashed"}
    assert bad["reason"].str.contains("SIGKILL").all()
    assert set(zip(bad["case"], bad["phase"], strict=True)) == {("mlp-w4-d1-b1", phase) for phase in BY_STRATEGY}
    assert bad["strategy"].str.contains("[Ww]aits").all()
    good = table[table["status"] == "ok"]
    assert len(good) == len(ALL) - 4
    assert set(good["passes"]) == {1}
    assert good[good["strategy"] != "forward"]["ratio_to_vjp"].notna().all()


@pytest.mark.parametrize("victim", ["parent", "both"])
def test_a_run_that_is_killed_is_finished_by_resuming_and_measures_nothing_twice(victim, waiting, tmp_path, jacobench):
    process, worker = waiting
    if victim == "both":
        os.kill(worker, signal.SIGSTOP)
    process.kill()
    process.communicate()
    if victim == "both":
        os.kill(worker, signal.SIGKILL)
    assert gone(worker), "the worker outlived its parent"
    folder = tmp_path / "run"
    before = (folder / "journal.jsonl").read_bytes()
    done_before = measured(folder)
    assert done_before

    resumed = jacobench("run", "--resume", "run", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    table = jb.load(folder)
    assert cells(table) == ALL
    assert set(table["status"]) == {"ok"}
    assert set(table["passes"]) == {1}
    assert (folder / "journal.jsonl").read_bytes().startswith(before)
    again = {key[1] for key, count in measured(folder).items() if count > 1}
    assert again <= {"vjp"}, "only the reference is timed again, as a partner"


def test_a_second_run_is_refused_and_ctrl_c_keeps_what_was_measured(waiting, tmp_path, jacobench):
    process, worker = waiting
    second = jacobench("run", "--resume", "run", cwd=tmp_path)
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert "in use" in second.stderr
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == ("Interrupted. Results so far are saved. To continue: jacobench run --resume run")
    assert "Traceback" not in stderr
    assert gone(worker)
    assert measured(tmp_path / "run")
