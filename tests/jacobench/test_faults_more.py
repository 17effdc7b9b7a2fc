"""Plug-ins that spoil others' inputs, die where nobody looks, or hang where Python cannot reach: all others go on."""

from __future__ import annotations

import json
import os
import re
import select
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

HEALTHY = ["forward", "vjp", "dense", "sparse"]

FAULTS = '''
import ctypes, os, signal, subprocess, threading, time
import numpy as np

class _Seeing(Prepared):
    """Lets the strategy see the leaves, as a strategy of one's own would."""
    def linearize(self, leaves):
        self.strategy.leaves = leaves
        return super().linearize(leaves)

class WritesInputs(Right):
    name = "writes-inputs"
    def prepare(self, graph):
        return _Seeing(vjp().prepare(graph), self)
    def before_linearize(self):
        self.leaves["W1"][...] += 1

class WritesLate(Right):
    """Leaves its inputs alone while it is being proved, and writes them while it is being timed."""
    name = "writes-late"
    calls = 0
    def prepare(self, graph):
        return _Seeing(vjp().prepare(graph), self)
    def after_pullback(self, bars):
        WritesLate.calls += 1
        if WritesLate.calls > 2:
            self.leaves["W1"][...] += 1e-3
        return bars

class Shape(Right):
    name = "shape"
    def after_pullback(self, bars):
        return {**bars, "W1": bars["W1"][0]}

class Dtype(Right):
    name = "dtype"
    def after_pullback(self, bars):
        return {name: bar.astype("f4") for name, bar in bars.items()}

class Nan(Right):
    name = "nan"
    def after_pullback(self, bars):
        bars["b1"][...] = np.nan
        return bars

class Missing(Right):
    name = "missing"
    def after_pullback(self, bars):
        return {"W1": bars["W1"]}

class Extra(Right):
    name = "extra"
    def after_pullback(self, bars):
        return {**bars, "x": bars["W1"]}

class Moody(Right):
    name = "moody"
    calls = 0
    def after_pullback(self, bars):
        Moody.calls += 1
        bars["W1"][...] *= 1 + 1e-3 * (Moody.calls % 2 == 0)
        return bars

class Leaks(Right):
    name = "leaks"
    kept = []
    def after_pullback(self, bars):
        Leaks.kept.append(np.ones(10_000))
        return bars

class Prints(Right):
    name = "prints"
    said = False
    def prepare(self, graph):
        if not Prints.said:
            Prints.said = True
            print("megabytes " * 300_000)
        return super().prepare(graph)

class Starts(Right):
    """Starts a thread that no interpreter waits out, and a child."""
    name = "starts"
    started = None
    def prepare(self, graph):
        if Starts.started is None:
            threading.Thread(target=time.sleep, args=(1000,)).start()
            Starts.started = subprocess.Popen(["sleep", "1000"])
            with open("children", "a") as file:
                print(Starts.started.pid, file=file)
        return super().prepare(graph)

class Native(Right):
    """Hangs in C with the interpreter's lock held: no Python signal handler is ever run."""
    name = "native"
    def before_linearize(self):
        ctypes.PyDLL(None).pause()

class RealTime(Right):
    name = "real-time"
    def before_linearize(self):
        os.kill(os.getpid(), signal.SIGRTMIN + 5)

class Needs(Right):
    name = "needs"
    def __init__(self, device):
        self.device = device

class Markup(Right):
    name = "mine[/b]"
    def prepare(self, graph):
        raise type("Unsupported", (Exception,), {})("no such [/dev/x] for [batch, n]")
'''
CLASSES = [line.split("(")[0].removeprefix("class ") for line in FAULTS.splitlines() if line.startswith("class ")][1:]

LATER = BY_STRATEGY[1:]
EXPECTED = {
    "writes-inputs": ("wrong", "linearize wrote its inputs: W1", BY_STRATEGY),
    "writes-late": ("ok", "", ()),
    "shape": ("wrong", "cotangent of W1 is float64 (4, 4): expected float64 (1, 4, 4)", BY_STRATEGY),
    "dtype": ("wrong", "cotangent of W1 is float32 (1, 4, 4): expected float64", BY_STRATEGY),
    "nan": ("wrong", "cotangent of b1 has 4 entries that are NaN or infinite", BY_STRATEGY),
    "missing": ("wrong", "pullback returned W1: expected exactly the leaves W1, b1", BY_STRATEGY),
    "extra": ("wrong", "pullback returned W1, b1, x: expected exactly the leaves W1, b1", BY_STRATEGY),
    "moody": ("wrong", "the second pullback differs from the first by 1.0e-03, relative", BY_STRATEGY),
    "leaks": ("ok", "", ()),
    "prints": ("ok", "", ()),
    "starts": ("ok", "", ()),
    "native": ("timeout", "not finished after 3 s while verifying", BY_STRATEGY),
    "real-time": ("crashed", "the process was ended by signal", BY_STRATEGY),
    "mine[/b]": ("unsupported", "no such [/dev/x] for [batch, n]", BY_STRATEGY),
}
"""Strategy → the status, what the reason says, and the phases that cannot be had."""


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory, jacobench, right):
    """Return the table of a run that has every fault in it, its folder, and the process."""
    folder = tmp_path_factory.mktemp("more faults")
    (folder / "faults.py").write_text(right + FAULTS)
    rogues = [f"faults.py:{name}" for name in CLASSES]
    # vjp last of all: it must be taken first all the same; dense and sparse with faults on both sides.
    names = [*rogues[:7], "dense", *rogues[7:13], "sparse", *rogues[13:], "vjp"]
    (folder / "faults.toml").write_text(
        f'[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\nstrategies = {json.dumps(names)}\n'
        '[[sweep]]\ngraph = "mlp"\nwidth = 5\ndepth = 1\n'
    )
    done = jacobench("run", "--suite", "faults.toml", "--passes", 2, "--timeout", 3, "--out", "x[bold]/r", cwd=folder)
    assert done.returncode == 0, done.stderr
    return jb.load(folder / "x[bold]" / "r"), folder, done


def lines(folder):
    """Return the journal's measurements."""
    found = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return [entry for entry in found if entry["case"]]


def test_all_other_rows_are_complete_in_every_pass(spoilt):
    table, _, _ = spoilt
    assert len(table) == 1 + 4 * (len(CLASSES) + 3) + 1 + 4 * 3
    healthy = table[table["strategy"].isin(HEALTHY)]
    assert len(healthy) == 2 * (1 + 3 * 4)
    assert set(healthy["status"]) == {"ok"}
    assert set(healthy["passes"]) == {2}
    assert healthy["reason"].isna().all()
    assert healthy["memory_tool"].notna().all()


def test_every_strategy_is_paired_with_the_reference_in_every_pass_though_others_ended_the_process(spoilt):
    table, folder, _ = spoilt
    assert table[table["status"].eq("ok") & (table["strategy"] != "forward")]["ratio_low"].notna().all()
    found = lines(folder / "x[bold]" / "r")
    assert len({entry.get("worker", 0) for entry in found if not entry.get("pass")}) > 1, "none was lost"
    partners = {
        (entry.get("pass", 0), entry.get("worker", 0), entry["case"], entry["phase"])
        for entry in found
        if entry["spec"] == "vjp"
    }
    for entry in found:
        if entry.get("status", "ok") == "ok" and entry["strategy"] != "forward":
            assert (entry.get("pass", 0), entry.get("worker", 0), entry["case"], entry["phase"]) in partners


@pytest.mark.parametrize("strategy", EXPECTED)
def test_a_fault_costs_its_own_rows_and_says_why(strategy, spoilt):
    table, _, _ = spoilt
    if strategy == "real-time" and not hasattr(signal, "SIGRTMIN"):
        pytest.skip("there are no real-time signals here")
    status, reason, phases = EXPECTED[strategy]
    rows = table[table["strategy"] == strategy].set_index("phase")
    assert rows["status"].to_dict() == {phase: status if phase in phases else "ok" for phase in BY_STRATEGY}
    assert all(reason in rows["reason"][phase] for phase in phases)
    assert not rows["reason"].str.contains("\n").any()
    assert (rows["passes"] == (0 if phases else 2)).all()


def test_a_wrong_signature_costs_its_own_rows(spoilt):
    table, _, _ = spoilt
    rows = table[table["strategy"].str.endswith("Needs")]
    assert list(rows["status"]) == ["error"] * 4
    assert rows["reason"].str.contains("missing 1 required positional argument: 'device'").all()


def test_manners_are_noted(spoilt):
    table, folder, done = spoilt
    reasons = table[table["case"] == "mlp-w4-d1-b1"].set_index(["strategy", "phase"])["reason"]
    leaked = re.match("leaks ([0-9,]+) bytes per call", reasons["leaks", "gradient"])
    assert 80_000 <= int(leaked[1].replace(",", "")) < 100_000  # Python's own objects are counted too
    assert reasons["prints", "prepare"] == "printed 3,000,001 characters"
    assert reasons["starts"].str.startswith("started 1 thread that it did not end; started 1 process").all()
    assert "megabytes" not in done.stdout + done.stderr
    assert (folder / "x[bold]" / "r" / "journal.jsonl").stat().st_size < 300_000
    assert (folder / "x[bold]" / "r" / "run.json").stat().st_size < 1_000_000


def test_no_child_outlives_the_run(spoilt):
    _, folder, _ = spoilt
    children = [int(line) for line in (folder / "children").read_text().split()]
    assert len(children) >= 2
    assert not any(_runs_sleep(child) for child in children)


def _runs_sleep(pid):
    """Say whether a process sleeps on; one that has ended may stand in the table until its new parent asks after it."""
    try:
        process = psutil.Process(pid)
        return process.name() == "sleep" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_brackets_in_names_and_messages_are_shown_as_they_are(spoilt):
    _, _, done = spoilt
    shown = " ".join(done.stdout.split())
    assert "no such [/dev/x] for [batch, n]" in shown
    assert "mine[/b], unsupported" in shown
    assert "x[bold]/r: run.json" in done.stderr


def test_brackets_in_names_are_no_trouble_to_the_progress_on_a_terminal(tmp_path, popen, plugin_file):
    """A closing tag that was never opened once ended the whole run, exit code 4, as soon as its cell began."""
    import pty  # POSIX only, as termios
    import termios

    (tmp_path / "x[/b]").mkdir(parents=True)  # two folders, the first of them "x["
    plugin_file("class Mine(Right):\n    name = 'mine'\n", "x[/b]/mine.py")
    (tmp_path / "one.toml").write_text('[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\n')
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 500))
    arguments = ("run", "--suite", "one.toml", "--strategy", "vjp", "--strategy", "x[/b]/mine.py:Mine", "--passes", 1)
    process = popen(*arguments, "--out", "run", cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # its end is closed
                break
    assert process.wait(10) == 0, shown.decode(errors="replace")[-2000:]
    os.close(ours)
    assert set(jb.load(tmp_path / "run")["status"]) == {"ok"}
    assert b"/x[/b]/mine.py:Mine" in shown, "it never got as far as its cells"


# ---- how workers end

ENDS = '''
import atexit, ctypes, os, signal, sys, threading, time

class AtExit(Right):
    """Its library dies when the interpreter ends."""
    name = "at-exit"
    def prepare(self, graph):
        atexit.register(ctypes.string_at, 0)
        return super().prepare(graph)

class Stays(Right):
    """Leaves a thread that the interpreter would wait for."""
    name = "stays"
    def prepare(self, graph):
        if not hasattr(Stays, "thread"):
            Stays.thread = threading.Thread(target=time.sleep, args=(1000,))
            Stays.thread.start()
        return super().prepare(graph)

class Between(Right):
    """Has its worker killed after one of its cells was reported and before the next begins."""
    name = "between"
    def prepare(self, graph):
        reporter = self.reporter()
        emit = reporter.emit
        def last(event, **content):
            emit(event, **content)
            found = content.get("measurement")
            is_last = found is not None and (found.strategy, found.phase) == ("between", "linearize")
            if is_last and not os.path.exists("killed"):
                open("killed", "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
        reporter.emit = last
        Between.prepare = Right.prepare
        return super().prepare(graph)
    def reporter(self):
        """Return the object that reports cells; changes of its class are undone after the cell."""
        frame = sys._getframe()
        while "item" not in frame.f_locals:
            frame = frame.f_back
        plugins = frame.f_locals["item"].config.pluginmanager.get_plugins()
        return next(plugin for plugin in plugins if type(plugin).__name__ == "Reporter")

class Slow(Right):
    """Takes its time in the second pass, at the smaller size."""
    name = "slow"
    def after_pullback(self, bars):
        time.sleep(1000 if os.environ["PYTHONHASHSEED"] == "1" and bars["W1"].size == 16 else 0)
        return bars
'''

ONE = '[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\nstrategies = {}\n'


@pytest.fixture(scope="module")
def ended(tmp_path_factory, jacobench, right):
    """Return the table of a run of two sizes whose workers end in odd ways, and its folder."""
    folder = tmp_path_factory.mktemp("ends")
    (folder / "ends.py").write_text(right + ENDS)
    names = ["dense", *(f"ends.py:{name}" for name in ("AtExit", "Stays", "Between", "Slow")), "vjp"]
    (folder / "ends.toml").write_text(ONE.format(json.dumps(names)).replace("4", "[4, 8]", 1))
    done = jacobench("run", "--suite", "ends.toml", "--passes", 2, "--timeout", 2, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return jb.load(folder / "run"), folder


def test_a_worker_that_dies_between_cells_or_at_its_end_costs_nothing(ended):
    table, folder = ended
    others = table[table["strategy"] != "slow"]
    assert (len(others), set(others["status"]), set(others["passes"])) == (2 * (1 + 5 * 4), {"ok"}, {2})
    assert (folder / "killed").exists()
    found = Counter((e["case"], e["strategy"], e["phase"], e.get("pass", 0)) for e in lines(folder / "run"))
    assert {strategy for (_, strategy, _, _), count in found.items() if count > 1} <= {"vjp"}, "measured twice"


def test_a_timeout_in_a_later_pass_leaves_what_was_measured_at_larger_sizes(ended):
    table, _ = ended
    slow = table[table["strategy"] == "slow"].set_index(["case", "phase"])
    assert slow["status"]["mlp-w4-d1-b1", "gradient"] == "timeout"
    assert set(slow["status"]["mlp-w8-d1-b1"]) == {"ok"}
    assert set(slow["passes"]["mlp-w8-d1-b1"]) == {2}


def test_a_worker_that_cannot_start_ends_the_run_in_one_line(tmp_path, jacobench, monkeypatch):
    (tmp_path / "one.toml").write_text(ONE.format('["vjp"]'))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'jacobench.bench.run.worker' in sys.orig_argv:\n"
        "    os.write(2, b'no worker today\\n')\n"
        "    os._exit(1)\n"
    )
    with monkeypatch.context() as broken:
        broken.setenv("PYTHONPATH", str(tmp_path / "site"))
        done = jacobench("run", "--suite", "one.toml", "--passes", 1, "--out", "run", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1), done.stderr
    assert "no worker today" in done.stderr
    assert "jacobench run --resume run" in done.stderr
    resumed = jacobench("run", "--resume", "run", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert set(jb.load(tmp_path / "run")["status"]) == {"ok"}


# ---- verify


def test_verify_goes_on_after_a_graph_that_ends_the_process(tmp_path, plugin_file, jacobench):
    plugin_file("""
        import os
        class Mine(Right):
            name = "mine"
            def prepare(self, graph):
                if [node.op.name for node in graph.nodes] == ["softmax"]:
                    os._exit(7)
                return super().prepare(graph)
    """)
    done = jacobench("verify", "--strategy", "plugin.py:Mine", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    shown = " ".join(done.stdout.split())
    assert "softmax-float64" in shown
    assert "crashed: the process exited with status 7" in shown
    right, of = shown.partition("plugin.py:Mine ")[2].split(" of ")[:2]
    assert int(right) == int(of.split()[0]) - 2
