"""What both sides of a pytest suite collect and how their benchmarks end, with processes that only report it."""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path

import pytest

from jacobench.bench.gate.gate_client import CellStatus, EndedProcess, TimeIsUp
from jacobench.bench.gate.installation.side_environments import Side
from jacobench.bench.gate.suite import benchmark_runner, suite_processes
from jacobench.bench.gate.suite.benchmark_runner import BenchmarkRunner
from jacobench.bench.gate.suite.suite_processes import SuiteProcesses, suite_environment
from jacobench.bench.gate.suite.time_plan import check_time
from jacobench.bench.gate.trees.revisions import Project, Tree
from jacobench.graphs.errors import BadInput

TEXTS = {
    "bench/test_a.py": "def test_x(benchmark): ...\n",
    "bench/test_b.py": "def test_y(benchmark): ...\n",
    "plain/test_gpu.py": "import no_such_module  # no benchmark\n\ndef test_it(): ...\n",
    "fails/test_new.py": "import no_such_module\n\ndef test_it(benchmark): ...\n",
}

NOTHING = {
    "benchmarks": [],
    "errors": [],
    "skipped": [],
    "missing": [],
    "unnamed": [],
    "deselected": [],
    "options": {},
    "n_tests": 0,
    "n_marked_only": 0,
}


def collects(*ids, source="", **more):
    """Return the event of a session that collects benchmarks, by default with equal sources on both sides."""
    benchmarks = [{"id": each, "source": source, "file": each.partition("::")[0]} for each in ids]
    return {"event": "collected", **NOTHING, "benchmarks": benchmarks, **more}


def ended(at, status):
    """Return the events of a benchmark that ends with a status after a second; "timeout": it never ends."""
    start = {"event": "start", "id": at}
    end = {"event": "ended", "id": at, "status": status, "reason": status.removeprefix("ok"), "seconds": 1.0}
    return [start] if status == "timeout" else [start, end]


class Processes:
    """Processes that report what they are told, on a clock of their own.

    says: side → event of `collects`, or how the process is lost. ends: (side, id) → status; default: ok. A process takes
    a second, and one more for each benchmark that ends; what never ends takes a minute.
    """

    def __init__(self, says, ends):
        self.says, self.ends, self.now = says, dict(ends), 0.0

    def monotonic(self):
        return self.now

    def run(self, side, _script, job, _variables, timeout, until):
        done = self._collected(side) if job["action"] == "collect" else self._timed(side, job["ids"])
        n_ended = sum(event["event"] == "ended" for event in done.events)
        self.now += 1 + n_ended + (timeout if done.lost else 0)
        if self.now > until:
            self.now = until + 0.1  # to end it takes time
            raise TimeIsUp
        return done

    def _collected(self, side):
        said = self.says[side.name]
        return said if isinstance(said, EndedProcess) else EndedProcess([said])

    def _timed(self, side, ids):
        events = []
        for at in ids:
            status = self.ends.get((side.name, at), "ok")
            events += ended(at, status)
            if status == "timeout":
                return EndedProcess(events, CellStatus("timeout", "not finished"))
        return EndedProcess(events)


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """Return a function that makes a runner of these selections with the given `Processes`."""

    def make(*selections, says, ends=()):
        sides = []
        for name in ("base", "head"):
            for file, text in TEXTS.items():
                (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name / file).write_text(text)
            tree = Tree(f"rev of {name}", tmp_path / name, tmp_path / name)
            sides.append(Side(name, tree, Path(sys.executable), tmp_path / name))
        processes, folder = Processes(says, ends), tmp_path / "processes"
        folder.mkdir()
        monkeypatch.setattr(suite_processes, "run_process", processes.run)
        monkeypatch.setattr(benchmark_runner, "time", processes)
        project = Project(tmp_path, tmp_path)
        return BenchmarkRunner(SuiteProcesses(project, tuple(sides), selections, folder, None, 60.0, {}), (), "")

    return make


X, Y = "bench/test_a.py::test_x", "bench/test_b.py::test_y"

BOTH = ("base", "head")


def test_each_selection_gives_its_benchmarks_once(runner):
    here = runner(["bench"], [X, Y], says={"base": collects(X), "head": collects(X, Y)})
    here.collect()
    assert here.ids == (X, Y)
    assert {each: found.selection for each, found in here.suites["head"].benchmarks.items()} == {X: 0, Y: 0}
    assert list(here.suites["base"].benchmarks) == [X]


MISTYPED = {
    "a folder": (["bench", "typo/"], {"missing": ["typo"]}, "neither side has 'typo': expected files, folders or ids"),
    "an id": (
        ["bench/test_a.py::test_typo", "bench/test_b.py"],
        {},
        f"has 'bench/test_a.py::test_typo'.* or '{X}'",
    ),
    "an id of a function": (
        ["bench/test_a.py::test", "bench/test_b.py"],
        {},
        "has 'bench/test_a.py::test': expected a",
    ),
}


@pytest.mark.parametrize("kind", MISTYPED)
def test_what_no_side_has_is_bad_input(runner, kind):
    words, more, said = MISTYPED[kind]
    with pytest.raises(BadInput, match=said):
        runner(words, says=dict.fromkeys(BOTH, collects(X, Y, **more))).collect()


KNOWN = {
    "one side has it": (["bench", "new"], collects(X, missing=["new"]), collects(X)),
    "its file fails": ([f"{X}", Y], collects(Y, errors=[{"file": "bench/test_a.py", "reason": "why"}]), collects(Y)),
    "-k leaves it out": ([X, Y, "-k", "y"], collects(Y, deselected=[X]), collects(Y, deselected=[X])),
    "it has parameters": (["bench/test_a.py::test_x", Y], collects(f"{X}[1]", Y), collects(Y)),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_what_a_side_has_is_not_mistyped(runner, kind):
    words, base, head = KNOWN[kind]
    here = runner(words, says={"base": base, "head": head})
    here.collect()
    assert here.ids


def failure(file):
    return {"errors": [{"file": file, "reason": "ImportError: why"}]}


MARKS = {"n_marked_only": 3}
UNNAMED = {"unnamed": [{"file": "bench/bench_a.py", "function": ""}]}

REASONS = {
    "-k": ({"deselected": [X, Y], "n_tests": 12}, "selects none of the 2 benchmarks in its files, such as .*: change -k or -m"),
    "-k, next to a file that is no benchmark": ({"deselected": [X], **failure("plain/test_gpu.py")}, "none of the 1 benchmark"),
    "marks": (MARKS, "3 tests with the mark 'benchmark' but without the fixture"),
    "marks, next to a file that is no benchmark": ({**MARKS, **failure("plain/test_gpu.py")}, "3 tests with the mark"),
    "a conftest.py": ({**MARKS, **failure("bench/conftest.py")}, "bench/conftest.py: ImportError: why"),
    "only a file that is no benchmark": (failure("plain/test_gpu.py"), "plain/test_gpu.py: ImportError: why"),
    "skipped": ({"skipped": [{"file": "bench/test_a.py", "reason": "not here"}]}, "from bench, 1 skipped: not here"),
    "the name of a file": (UNNAMED, r"does not collect 'bench/bench_a.py' by its name; .*-o 'python_files=bench_\*\.py'"),
    "the name of a function": (
        {"unnamed": [{"file": "bench/test_a.py", "function": "bench_x"}]},
        r"'bench_x' in 'bench/test_a.py' by its name; add the option -o 'python_functions=bench_\*' to --pytest",
    ),
    "the name of a class": (
        {"unnamed": [{"file": "bench/test_a.py", "function": "Speed.test_x"}]},
        "'Speed.test_x' in 'bench/test_a.py' by its name; add the option -o 'python_classes=Speed' to --pytest",
    ),
    "other tests": ({"n_tests": 12}, "12 tests, none of which requests the fixture"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REASONS)
def test_the_reason_why_there_is_no_benchmark(runner, kind):
    found, said = REASONS[kind]
    with pytest.raises(BadInput, match=said):
        runner(["bench"], says=dict.fromkeys(BOTH, collects(**found))).collect()


def test_a_new_file_that_fails_is_a_row_only_if_it_has_benchmarks(runner):
    errors = [{"file": file, "reason": "why"} for file in TEXTS if "bench" not in file]
    here = runner(["."], says={"base": collects(X), "head": collects(X, errors=errors)})
    for file in ("plain/test_gpu.py", "fails/test_new.py"):
        (here.sides[0].tree.top / file).unlink()
    here.collect()
    assert here.ids == (X, "fails/test_new.py")


LOST = {
    "timeout": "head (rev of head) cannot be collected: why; raise it in [tool.jacobench.gate] of pyproject.toml",
    "crashed": "head (rev of head) cannot be collected: why; to find the cause, run pytest --collect-only there",
}


@pytest.mark.parametrize("status", LOST)
def test_a_process_that_is_lost_while_it_collects_is_bad_input(runner, status):
    says = {"base": collects(X), "head": EndedProcess([], CellStatus(status, "why"))}
    with pytest.raises(BadInput) as raised:
        runner(["bench"], says=says).collect()
    assert LOST[status] in str(raised.value)


HANGS = {("head", X): "timeout", ("head", Y): "timeout"}
Z = "bench/test_b.py::test_z"


@pytest.mark.parametrize("ids", [(X, Y), (X, Y, Z)])
def test_what_hangs_in_head_keeps_its_status_when_the_time_is_up(runner, ids):
    """To run the two again takes two minutes each time: not all six times, and the pairs of the others still fit."""
    here = runner(["bench"], says=dict.fromkeys(BOTH, collects(*ids)), ends=HANGS)
    here.precheck(0.0, 600.0)
    statuses = {each: found.status for each, found in here.statuses["head"].items()}
    assert statuses == {each: "ok" if each == Z else "timeout" for each in ids}
    assert set(here.timed_ids()) == {*ids} - {X, Y}
    assert here.times().pair == (4.0 if Z in ids else 0.0)
    check_time(here.times(), benchmark_runner.time.now, 600.0)


@pytest.mark.parametrize(
    ("cases", "until", "reached"),
    [
        ((), 100.0, "when 1 of 3 benchmarks had run once on each side"),
        ((X, Y), 60.0, "when 0 of 2 benchmarks had run once on each side"),
        ((), 1.5, "in the collection"),
    ],
)
def test_the_time_may_be_up_before_each_benchmark_has_run(runner, cases, until, reached):
    """A benchmark counts once, when both sides have run it; those that are not selected, or of base alone, do not run."""
    says = {"base": collects(X, Y, Z, "bench/test_b.py::test_gone"), "head": collects(X, Y, Z)}
    here = runner(["bench"], says=says, ends={("head", Y): "timeout", ("head", Z): "timeout"})
    here.cases = cases
    with pytest.raises(BadInput, match=f"was reached {reached}, before any pair"):
        here.precheck(0.0, until)


OPTIONS = {"--benchmark-timer": "time.perf_counter", "--benchmark-warmup": "False"}
OTHER_TIMER = {**OPTIONS, "--benchmark-timer": "time.process_time"}

DIFFERENCES = {
    "none": ({}, "", "ok", ""),
    "its source": ({"source": "other"}, "", "changed", ""),
    "its source, but one side's files are used": ({"source": "other"}, "head", "ok", ""),
    **{
        f"an option, with the files of {files or 'each side'}": (
            {"options": OTHER_TIMER},
            files,
            "changed",
            "--benchmark-timer is time.perf_counter in base, time.process_time in head",
        )
        for files in ("", "head")
    },
}


@pytest.mark.parametrize("kind", DIFFERENCES)
def test_a_benchmark_that_is_timed_in_another_way_is_changed(runner, kind):
    head, files, status, reason = DIFFERENCES[kind]
    here = runner(
        ["bench"], says={"base": collects(X, options=OPTIONS), "head": collects(X, **{"options": OPTIONS} | head)}
    )
    here.suite_from = files
    here.precheck(0.0, inf)
    assert here.statuses["base"] == here.statuses["head"] == {X: CellStatus(status, reason)}


def test_a_benchmark_whose_memory_is_not_measured_is_noted(runner):
    here = runner(["bench"], says=dict.fromkeys(BOTH, collects(X, Y)))
    here.precheck(0.0, inf)
    suite_processes.run_process.__self__.ends["head", Y] = "error"
    base, head = here.precheck_memory()
    assert base.statuses == head.statuses == {X: CellStatus("ok"), Y: CellStatus("ok")}
    assert here.without_memory == {Y: "error in head"}


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
