"""The worker of `gate --pytest` as a process, on suites with the peculiarities of public ones."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import venv
from dataclasses import asdict
from pathlib import Path

import pytest

from jacobench.bench.cell import heap_memory
from jacobench.bench.gate.session import pytest_worker
from jacobench.bench.gate.session.pytest_worker import PytestJob
from jacobench.reports.data.pytest_benchmark_json import read_benchmark_file

SUM = "def test_sum(benchmark):\n    assert benchmark(sum, range(100)) == 4950\n"
FAST = {"test_speed.py::test_sum": "ok"}


class Session:
    """Events of one worker."""

    def __init__(self, done, json_file):
        self.events = [json.loads(line) for line in done.stdout.splitlines()]
        self.json_file, self.output = json_file, done.stderr

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    @property
    def collected(self):
        (event,) = self.of("collected")
        return event

    @property
    def ids(self):
        return [each["id"] for each in self.collected["benchmarks"]]

    @property
    def statuses(self):
        return {event["id"]: event["status"] for event in self.of("ended")}

    @property
    def reasons(self):
        return {event["id"]: event["reason"] for event in self.of("ended") if event["reason"]}

    @property
    def entries(self):
        return {each["fullname"]: each for each in json.loads(self.json_file.read_text())["benchmarks"]}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def listed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def run(tmp_path, tmp_path_factory):
    """Return a function that runs the worker on a suite in the folder `tree`, and checks that it writes nothing there."""
    tree = tmp_path / "tree"
    tree.mkdir()

    def run(files, *arguments, python=sys.executable, start="", environment=None, **fields):
        write(tree, files)
        out = tmp_path_factory.mktemp("out")
        job = {
            "action": "time",
            "arguments": arguments,
            "ids": None,
            "json_file": str(out / "times.json"),
            "top": str(tree),
            "folder": str(tree),
            "max_seconds": 0.01,
            "machine_info": {},
            "raw": True,
            "cell": str(Path(heap_memory.__file__).parent),
        } | fields
        before = listed(tree)
        done = subprocess.run(
            [python, "-P", pytest_worker.__file__],
            check=False,
            input=json.dumps(asdict(PytestJob(**job))),
            cwd=tree / start,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | (environment or {}),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert listed(tree) == before
        return Session(done, out / "times.json")

    return run


def test_a_benchmark_is_timed_and_other_tests_are_left_out(run):
    suite = {
        "sub/test_speed.py": SUM + "def test_wrong(benchmark):\n    benchmark(int, 'x')\n",
        "sub/test_other.py": "import pytest\n\ndef test_plain():\n    1 / 0\n\n"
        "@pytest.mark.benchmark\ndef test_marked():\n    pass\n",
    }
    session = run(suite, "sub", start="sub/..", raw=False)
    assert session.ids == ["sub/test_speed.py::test_sum", "sub/test_speed.py::test_wrong"]
    assert (session.collected["n_tests"], session.collected["n_marked_only"]) == (4, 1)
    assert [each["file"] for each in session.collected["benchmarks"]] == ["sub/test_speed.py"] * 2
    assert session.statuses == {"sub/test_speed.py::test_sum": "ok", "sub/test_speed.py::test_wrong": "error"}
    assert session.reasons == {
        "sub/test_speed.py::test_wrong": "ValueError: invalid literal for int() with base 10: 'x'"
    }
    (benchmark,) = read_benchmark_file(session.json_file).benchmarks
    assert benchmark.key[0] == "sub/test_speed.py::test_sum"
    assert 0 < benchmark.seconds < 1
    assert len(session.of("calibration")) == 4  # at both ends, and before each benchmark
    assert session.of("done") == [{"event": "done", "exit_code": 1}]


SLOW_OPTIONS = (
    "--benchmark-warmup=on --benchmark-min-time=2 --benchmark-max-time=60 --benchmark-min-rounds=100000 "
    "--benchmark-calibration-precision=10000000 --benchmark-group-by=param:missing --benchmark-sort=fullname"
)
FILES_OPTIONS = (
    "--benchmark-autosave --benchmark-save=mine --benchmark-save-data --benchmark-json=own.json --junitxml=junit.xml "
    "--benchmark-storage=file://here --benchmark-compare --benchmark-compare-fail=min:1% --benchmark-histogram=plot "
    "--benchmark-cprofile=tottime --benchmark-cprofile-dump=profile --cache-clear"
)

ADDOPTS = {
    "benchmarks are off": "--benchmark-disable",
    "benchmarks are skipped": "--benchmark-skip",
    "only benchmarks, and these are off": "--benchmark-only --benchmark-disable --benchmark-verbose",
    "several processes": "-n 2 --dist loadfile",
    "processes and no capture": "-n auto -s -v",
    "the first failure ends the session": "-x --maxfail=1 --lf --ff --sw",
    "rounds are long": SLOW_OPTIONS,
    "files are written": FILES_OPTIONS,
    "the plug-in is off": "-p no:benchmark -p no:cacheprovider -p no:terminal",
    "importlib": "--import-mode=importlib -o python_files='test_*.py' --doctest-modules --strict-markers --strict-config",
}


@pytest.mark.long
@pytest.mark.parametrize("kind", ADDOPTS)
def test_options_of_the_suite_do_not_matter_if(run, kind):
    suite = {
        "pytest.ini": f"[pytest]\naddopts = {ADDOPTS[kind]}\nfilterwarnings = error\n",
        "test_a_failing.py": "def test_wrong(benchmark):\n    benchmark(int, 'x')\n",
        "test_broken.py": "import missing_module\n",
        "test_speed.py": SUM + "def documented():\n    '''Return one.\n\n    >>> 1 + 1\n    3\n    '''\n",
    }
    session = run(suite, *(["-p", "no:benchmark"] if kind == "the plug-in is off" else []))
    assert session.statuses == {"test_a_failing.py::test_wrong": "error", "test_speed.py::test_sum": "ok"}
    assert session.collected["errors"][0] == {
        "file": "test_broken.py",
        "reason": "ModuleNotFoundError: No module named 'missing_module'",
    }
    assert list(session.entries) == ["test_speed.py::test_sum"]
    assert session.entries["test_speed.py::test_sum"]["stats"]["rounds"] < 100_000


CONFIGURATIONS = {
    "pytest.ini": "[pytest]\npython_files = bench_*.py\npython_functions = bench_*\n",
    ".pytest.ini": "[pytest]\npython_files = bench_*.py\npython_functions = bench_*\n",
    "tox.ini": "[pytest]\npython_files = bench_*.py\npython_functions = bench_*\n",
    "setup.cfg": "[tool:pytest]\npython_files = bench_*.py\npython_functions = bench_*\n",
    "pyproject.toml": '[tool.pytest.ini_options]\npython_files = "bench_*.py"\npython_functions = "bench_*"\n',
}
if int(pytest.__version__.partition(".")[0]) >= 9:
    CONFIGURATIONS["pyproject"] = '[tool.pytest]\npython_files = ["bench_*.py"]\npython_functions = ["bench_*"]\n'


@pytest.mark.long
@pytest.mark.parametrize("file", CONFIGURATIONS)
def test_the_configuration_of_the_suite_counts_in(run, file):
    name = {"pyproject": "pyproject.toml"}.get(file, file)
    suite = {name: CONFIGURATIONS[file], "speed/bench_sum.py": SUM.replace("test_", "bench_"), "test_speed.py": SUM}
    assert run(suite).statuses == {"speed/bench_sum.py::bench_sum": "ok"}


HOOKS = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.option.benchmark_disable = True
    config.option.benchmark_json = "own.json"

def pytest_benchmark_update_json(config, benchmarks, output_json):
    for entry in output_json["benchmarks"]:
        entry["fullname"] = "renamed"
        entry["stats"]["min"] *= 1e9
        entry["extra_info"]["unit"] = "ns"
    del output_json["benchmarks"][0]

def pytest_benchmark_generate_machine_info(config):
    return {"machine": "mine"}

def pytest_benchmark_group_stats(config, benchmarks, group_by):
    raise ZeroDivisionError

def pytest_benchmark_scale_unit(config, unit, benchmarks, best, worst, sort):
    return "m", 1e3

@pytest.fixture(autouse=True)
def noted(request):
    if "benchmark" in request.fixturenames:
        request.getfixturevalue("benchmark").extra_info["mine"] = 1
"""


@pytest.mark.long
@pytest.mark.parametrize("update", ["", "    1 / 0\n"])
def test_hooks_of_the_suite_do_not_change_names_and_times(run, update):
    conftest = HOOKS.replace("    for entry in output_json", f"{update}    for entry in output_json")
    session = run({"conftest.py": conftest, "test_speed.py": SUM}, machine_info=None)
    assert session.statuses == FAST
    entry = session.entries["test_speed.py::test_sum"]
    assert 0 < entry["stats"]["min"] < 1
    assert entry["extra_info"]["mine"] == 1
    assert session.of("machine_info") == [{"event": "machine_info", "value": {"machine": "mine"}}]


IDS = """
import unittest
import pytest

NAMES = ["at 0x10", "at 0x20", "a b", "[x]", "a+b*c/d=e|f", "1.5", "a::b", "é", "True"]

@pytest.mark.parametrize("name", NAMES)
def test_named(benchmark, name):
    benchmark(len, name)

class Silent:
    def __repr__(self):
        raise ZeroDivisionError

@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {(1, 2): 3}, Silent()], ids=range(5))
def test_value(benchmark, value):
    benchmark.extra_info["value"] = value
    benchmark(id, value)

@pytest.mark.parametrize("value", [object(), object()], ids=str)
def test_address(benchmark, value):
    benchmark(id, value)

@pytest.mark.parametrize("file", [__file__], ids=str)
def test_file(benchmark, file):
    benchmark(id, file)

@pytest.mark.parametrize("flag", [True, False])
class TestFlags:
    def test_same(self, benchmark, flag):
        benchmark(bool, flag)

class TestMore:
    def test_same(self, benchmark):
        benchmark(bool)

class TestOld(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, benchmark):
        self.benchmark = benchmark

    def test_old(self):
        self.benchmark(sum, [1])
"""


@pytest.mark.long
def test_any_name_is_found_again(run):
    first = run({"test_ids.py": IDS, "sub/test_ids.py": IDS, "sub/__init__.py": ""})
    assert set(first.statuses.values()) == {"ok"}
    assert first.ids == list(first.entries)
    assert {
        f"test_ids.py::test_named[{name}]"
        for name in ("at 0x10", "at 0x20", "a b", "[x]", "a+b*c/d=e|f", "1.5", "a::b", "True")
    } < set(first.ids)
    assert {"test_ids.py::TestOld::test_old", "sub/test_ids.py::test_file[sub/test_ids.py]"} < set(first.ids)
    chosen = [each for each in first.ids if each.startswith("sub/") or "TestFlags" in each or "a::b" in each]
    assert [each for each in first.ids if "test_address" in each and "sub" not in each] == [
        "test_ids.py::test_address[<object object at 0x>]",
        "test_ids.py::test_address[<object object at 0x>]#2",
    ]
    assert first.entries["test_ids.py::test_value[1]"]["params"] == {"value": "UNSERIALIZABLE[{1, 2}]"}
    assert first.entries["test_ids.py::test_value[2]"]["extra_info"] == {"value": "NaN"}
    assert first.entries["test_ids.py::test_value[4]"]["extra_info"] is None
    assert {each.key[0] for each in read_benchmark_file(first.json_file).benchmarks} == set(first.ids)
    again = run({}, "-k", "not nothing", ids=chosen)
    assert again.ids == chosen == list(again.entries)


KINDS = """
import asyncio
import pytest

def test_once(benchmark):
    benchmark.pedantic(sum, args=([1],), rounds=1)

def test_prepared(benchmark):
    benchmark.pedantic(list.pop, setup=lambda: (([1],), {}), rounds=4)

def test_loop(benchmark):
    async def wait():
        await asyncio.sleep(0)
    benchmark(lambda: asyncio.run(wait()))

@pytest.mark.benchmark(min_rounds=40, max_time=0.0001, group="mine", disable_gc=True)
def test_marker(benchmark):
    benchmark(sum, range(10000))

@pytest.fixture
def indirect(benchmark):
    return benchmark

def test_indirect(indirect):
    indirect(sum, [1])

def test_unused(benchmark):
    pass

def test_skipped(benchmark):
    pytest.skip("not today")

@pytest.mark.skipif(True, reason="not here")
def test_left_out(benchmark):
    pass

@pytest.mark.xfail(reason="known", strict=True)
def test_expected(benchmark):
    benchmark(int, "x")

def test_wrong_result(benchmark):
    assert benchmark(sum, [1]) == 2

def test_relative(benchmark):
    open("data.txt").close()
"""


@pytest.mark.long
def test_each_kind_of_benchmark_has_its_status(run):
    session = run({"sub/test_kinds.py": KINDS, "sub/data.txt": ""}, "sub")
    names = {case.rpartition("::")[2]: status for case, status in session.statuses.items()}
    good = ["test_once", "test_prepared", "test_loop", "test_marker", "test_indirect"]
    assert [name for name, status in names.items() if status == "ok"] == good
    assert [case.rpartition("::")[2] for case in session.entries] == good
    assert session.entries["sub/test_kinds.py::test_once"]["stats"]["rounds"] == 1
    assert session.entries["sub/test_kinds.py::test_marker"]["stats"]["rounds"] >= 40
    reasons = {case.rpartition("::")[2]: reason for case, reason in session.reasons.items()}
    assert reasons == {
        "test_unused": "nothing was measured: the test did not call benchmark",
        "test_skipped": "not today",
        "test_left_out": "not here",
        "test_expected": "known",
        "test_wrong_result": "AssertionError: assert 1 == 2",
        "test_relative": "FileNotFoundError: [Errno 2] No such file or directory: 'data.txt' (there is one in 'sub')",
    }


@pytest.mark.long
@pytest.mark.parametrize("end", ["os._exit(3)", "pytest.exit('enough')", "sys.exit(2)", "raise KeyboardInterrupt"])
def test_a_test_that_ends_the_session_is_reported(run, end):
    text = f"import os, sys, pytest\n{SUM}def test_end(benchmark):\n    {end}\n\ndef test_last(benchmark):\n    benchmark(int)\n"
    session = run({"test_speed.py": text})
    starts, statuses = [event["id"] for event in session.of("start")], session.statuses
    assert statuses["test_speed.py::test_sum"] == "ok"
    if "_exit" in end:
        assert starts[-1] not in statuses
        assert not session.of("done")
    else:
        assert statuses["test_speed.py::test_end"] == "error"
        assert statuses["test_speed.py::test_last"] == ("ok" if "sys" in end else "error")
        assert session.reasons["test_speed.py::test_end"].startswith(("Exit: enough", "SystemExit: 2", "Keyboard"))
        assert "test_speed.py::test_sum" in session.entries


REFUSALS = {
    "--unknown-option": "unrecognized arguments: --unknown-option; install the plug-in, or add '-o addopts='",
    "-p missing": "Error importing plugin \"missing\": No module named 'missing'; install the plug-in, or add",
    "-m 'not' --strict-markers": "Wrong expression passed to '-m'",
    "--maxfail=none": "argument --maxfail: invalid int value: 'none'",
}


@pytest.mark.long
@pytest.mark.parametrize("addopts", REFUSALS)
def test_a_session_that_cannot_start_is_refused(run, addopts):
    session = run({"pytest.ini": f"[pytest]\naddopts = {addopts}\n", "test_speed.py": SUM})
    (refused,) = session.of("refused")
    assert REFUSALS[addopts] in refused["reason"]
    assert not session.of("collected")


@pytest.mark.long
@pytest.mark.parametrize("addopts", ["", "-p pytest_benchmark.plugin"])
def test_an_environment_without_automatic_plugins_needs_the_option(run, addopts):
    suite = {"pytest.ini": f"[pytest]\naddopts = {addopts}\n", "test_speed.py": SUM}
    session = run(suite, environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    if addopts:
        assert session.statuses == FAST
    else:
        (refused,) = session.of("refused")
        assert refused["reason"].startswith(
            "pytest-benchmark is installed but not loaded; add '-p benchmark' to --pytest"
        )


BROKEN = {
    "conftest.py": ("conftest.py", "1 / 0\n", "ZeroDivisionError: division by zero"),
    "sub/conftest.py": ("sub/conftest.py", "1 / 0\n", "ZeroDivisionError: division by zero"),
    "a hook": ("", "def pytest_collection_modifyitems():\n    1 / 0\n", "ZeroDivisionError: division by zero"),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", BROKEN)
def test_what_breaks_a_session_is_reported_with_its_file(run, kind):
    file, text, reason = BROKEN[kind]
    session = run({file or "conftest.py": text, "sub/test_speed.py": SUM}, "sub")
    assert session.collected["errors"] == [{"file": file, "reason": reason}]
    assert not session.statuses


@pytest.mark.long
def test_a_script_that_exits_does_not_hide_other_files(run):
    session = run({"script.py": "raise SystemExit(1)\n", "test_speed.py": SUM}, "script.py", "test_speed.py")
    assert session.collected["errors"] == [{"file": "script.py", "reason": "SystemExit: 1"}]
    assert session.statuses == FAST


FIXTURE = "import pytest\n\n@pytest.fixture\ndef numbers():\n    return range(10)\n\ndef other():\n    pass\n"


@pytest.mark.long
def test_fixtures_of_other_modules_of_the_project_belong_to_the_source(run):
    suite = {
        "pytest.ini": "[pytest]\npythonpath = src\n",
        "conftest.py": 'pytest_plugins = ["mine.fixtures"]\n',
        "src/mine/fixtures.py": FIXTURE,
        "test_speed.py": "import mine.fixtures\n\ndef test_numbers(benchmark, numbers):\n    benchmark(sum, numbers)\n",
    }
    sources = []
    for text in (FIXTURE, FIXTURE.replace("pass", "return 1"), FIXTURE.replace("range(10)", "range(11)")):
        session = run(suite | {"src/mine/fixtures.py": text}, action="collect")
        sources.append(session.collected["benchmarks"][0]["source"])
    assert sources[0] == sources[1] != sources[2]


@pytest.mark.long
def test_options_that_change_times_are_reported_as_they_are_used(run):
    addopts = "--benchmark-timer=time.process_time --benchmark-disable-gc --benchmark-max-time=9 --benchmark-sort=name"
    suite = {"pytest.ini": f"[pytest]\naddopts = {addopts}\n", "test_speed.py": SUM}
    found = run(suite, "--benchmark-warmup=on", action="collect", max_seconds=0.5).collected["options"]
    assert (
        found.items()
        >= {
            "--benchmark-timer": "time.process_time",
            "--benchmark-disable-gc": "True",
            "--benchmark-warmup": "True",
            "--benchmark-max-time": "0.5",
        }.items()
    )
    assert not [name for name in found if "sort" in name or "json" in name]


@pytest.mark.long
def test_nothing_is_run_to_collect(run):
    session = run({"test_speed.py": "def test_end(benchmark):\n    1 / 0\n"}, action="collect")
    assert session.ids == ["test_speed.py::test_end"]
    assert not session.statuses
    assert not session.json_file.exists()


@pytest.mark.long
def test_a_side_without_an_argument_reports_it(run):
    suite = {"sub/test_speed.py": SUM, "speed.py": SUM}
    session = run(
        suite, "sub/test_speed.py::test_sum", "sub/test_speed.py::test_new", "speed.py", "new", "new.py::test"
    )
    assert session.ids == ["sub/test_speed.py::test_sum", "speed.py::test_sum"]
    assert session.collected["missing"] == ["new", "new.py::test", "sub/test_speed.py::test_new"]
    session = run({}, "new")
    assert session.ids == []
    assert session.collected["missing"] == ["new"]


UNNAMED = {
    "sub/speed.py": SUM,
    "sub/test_a.py": "def bench_sum(benchmark):\n    benchmark(sum, [1])\n",
    "sub/test_b.py": "class Speed:\n    def test_sum(self, benchmark):\n        benchmark(sum, [1])\n",
    "sub/test_c.py": "def test_plain():\n    pass\n",
    "sub/conftest.py": "import pytest\n\n@pytest.fixture\ndef mine(benchmark):\n    return benchmark\n",
}


def test_files_and_functions_that_pytest_does_not_collect_by_name_are_reported(run, tmp_path):
    (tmp_path / "tree" / "sub").mkdir()
    (tmp_path / "tree" / "sub" / ".#speed.py").symlink_to("nobody@nowhere.1234")  # Emacs locks a file by such a link
    session = run(UNNAMED, "sub", "nothing", start="sub/..", action="collect")
    assert session.collected["unnamed"] == [
        {"file": "sub/speed.py", "function": ""},
        {"file": "sub/test_a.py", "function": "bench_sum"},
        {"file": "sub/test_b.py", "function": "Speed.test_sum"},
    ]
    assert session.collected["missing"] == ["nothing"]


@pytest.mark.long
def test_a_file_outside_the_tree_is_found_again(run, tmp_path):
    write(tmp_path / "shared", {"test_speed.py": SUM, "conftest.py": ""})
    case = f"{tmp_path.as_posix()}/shared/test_speed.py::test_sum"
    assert run({}, str(tmp_path / "shared"), action="collect").ids == [case]
    assert run({}, str(tmp_path / "shared"), ids=[case]).statuses == {case: "ok"}


@pytest.mark.long
def test_benchmarks_that_options_leave_out_are_reported(run):
    suite = {
        "test_speed.py": SUM + "\ndef test_plain():\n    pass\n",
        "test_more.py": f"import pytest\n\n@pytest.mark.slow\n{SUM}",
        "pytest.ini": "[pytest]\nmarkers = slow: not fast\n",
    }
    ids = {name: f"test_{name}.py::test_sum" for name in ("speed", "more")}
    selections = {
        "-k more": ("more", "speed"),
        "-m 'not slow'": ("speed", "more"),
        "--deselect test_more.py": ("speed", "more"),
    }
    for options, (kept, left_out) in selections.items():
        session = run(suite, ".", *shlex.split(options), action="collect")
        assert (session.ids, session.collected["deselected"]) == ([ids[kept]], [ids[left_out]])
    session = run(suite, ".", "-k", "typo", action="collect")
    assert (session.ids, sorted(session.collected["deselected"])) == ([], sorted(ids.values()))


@pytest.mark.long
def test_files_that_need_something_else_are_reported(run):
    suite = {
        "test_skipped.py": "import pytest\npytest.importorskip('missing_module')\n" + SUM,
        "test_local.py": "import helpers.tools\n" + SUM,
        "helpers/tools.py": "",
        "test_marked.py": "import pytest\n\n@pytest.mark.benchmark\ndef test_marked():\n    pass\n",
        "pytest.ini": "[pytest]\naddopts = --import-mode=importlib\n",
    }
    session = run(suite)
    assert session.ids == []
    assert session.collected["n_marked_only"] == 1
    assert session.collected["skipped"] == [
        {"file": "test_skipped.py", "reason": "could not import 'missing_module': No module named 'missing_module'"}
    ]
    assert session.collected["errors"] == [
        {
            "file": "test_local.py",
            "reason": "ModuleNotFoundError: No module named 'helpers'; it is in the folder of the run: "
            "add '-o pythonpath=.' to --pytest",
        }
    ]
    assert not session.json_file.exists()
    assert run({}, "-o", "pythonpath=.").ids == ["test_local.py::test_sum"]


FILE_OPTIONS = """
import argparse

class Other(argparse.FileType):
    pass

def pytest_addoption(parser):
    parser.addoption("--limits", type=argparse.FileType("r"))
    parser.addoption("--more-limits", type=Other("rb"))
    parser.addoption("--report", type=argparse.FileType("w"))

def pytest_configure(config):
    option = config.option
    assert (option.limits.read(), option.more_limits.read(), option.report) == ("3", b"3", "report.txt")
"""


@pytest.mark.long
def test_a_file_that_an_option_reads_is_open_and_none_is_written(run):
    options = "--limits=limits.txt --more-limits=limits.txt --report=report.txt"
    suite = {"conftest.py": FILE_OPTIONS, "limits.txt": "3", "test_speed.py": SUM}
    assert run(suite, *options.split()).statuses == FAST


COVERAGE = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--cov", action="append", default=[], nargs="?", const=True, dest="cov_source")
    parser.addoption("--cov-fail-under", type=float)

@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    if early_config.known_args_namespace.cov_source:
        early_config.pluginmanager.register(Coverage(), "_cov")

class Coverage:
    def pytest_sessionfinish(self, session):
        session.exitstatus = 1
"""


@pytest.mark.long
def test_coverage_is_not_measured(run, tmp_path):
    suite = {
        "pytest.ini": "[pytest]\naddopts = -p pytest_cov.plugin --cov=src --cov-fail-under=100\n",
        "test_speed.py": SUM,
    }
    session = run(
        suite | {"pytest_cov/__init__.py": "", "pytest_cov/plugin.py": COVERAGE},
        environment={"PYTHONPATH": str(tmp_path / "tree")},
    )
    assert session.statuses == FAST
    assert session.of("done") == [{"event": "done", "exit_code": 0}]


CODSPEED = """
import os
import pytest

def is_on(config):
    return config.getoption("--codspeed") or "CODSPEED_ENV" in os.environ

def pytest_addoption(parser):
    parser.addoption("--codspeed", action="store_true")

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "benchmark: of codspeed")
    config.addinivalue_line("markers", "codspeed_benchmark: of codspeed")
    if is_on(config):
        config.option.benchmark_disable = True
        config.pluginmanager.set_blocked("pytest-benchmark")

@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    if is_on(session.config):
        raise RuntimeError("replaces the fixture benchmark")

@pytest.fixture
def codspeed_benchmark():
    return lambda call, *arguments: call(*arguments)
"""
"""What pytest-codspeed 5.0 does where pytest-benchmark is installed, too. It was checked with the plug-in itself."""

WITH_CODSPEED = """
import pytest

@pytest.mark.benchmark(group="mine", max_rounds=3)
def test_marker(benchmark):
    benchmark(sum, range(100))

@pytest.mark.codspeed_benchmark
def test_only_marked():
    pass

def test_prepared(benchmark):
    benchmark.pedantic(sum, args=([1],), rounds=2)
"""


@pytest.mark.long
@pytest.mark.parametrize("addopts", ["", "--codspeed"])
def test_a_suite_for_codspeed_is_timed_by_pytest_benchmark(run, tmp_path, addopts):
    suite = {
        "plugins/pytest_codspeed/__init__.py": "",
        "plugins/pytest_codspeed/plugin.py": CODSPEED,
        "plugins/pytest_codspeed-0.dist-info/METADATA": "Metadata-Version: 2.1\nName: pytest-codspeed\nVersion: 0\n",
        "plugins/pytest_codspeed-0.dist-info/entry_points.txt": "[pytest11]\ncodspeed = pytest_codspeed.plugin\n",
        "pytest.ini": f"[pytest]\naddopts = --strict-markers {addopts}\nfilterwarnings = error\n",
        "test_speed.py": WITH_CODSPEED,
    }
    variables = {"PYTHONPATH": str(tmp_path / "tree" / "plugins"), "CODSPEED_ENV": "1"}
    session = run(suite, "test_speed.py", environment=variables)
    assert session.statuses == {"test_speed.py::test_marker": "ok", "test_speed.py::test_prepared": "ok"}
    assert session.entries.keys() == session.statuses.keys()
    assert session.collected["n_marked_only"] == 1


OWN_OPTIONS = """
def pytest_addoption(parser):
    for name in ("reruns", "report-log", "cov-source", "memray", "timeout"):
        parser.addoption(f"--{name}")

def pytest_configure(config):
    option = config.option
    given = [option.reruns, option.report_log, option.cov_source, option.memray, option.timeout]
    assert given == ["3"] * 5, given
"""


@pytest.mark.long
def test_an_option_of_the_suite_may_have_the_name_of_one_of_a_plugin(run):
    options = [f"--{name}=3" for name in ("reruns", "report-log", "cov-source", "memray", "timeout")]
    suite = {"conftest.py": OWN_OPTIONS, "test_speed.py": SUM}
    assert run(suite, *options).statuses == FAST


@pytest.mark.long
def test_a_name_that_is_not_utf_8_and_a_long_message_are_reported(run):
    text = "def test_{}(benchmark):\n    raise ValueError('x' * 5000 + '\\udc80\\n')\n".format
    session = run({"test_a.py": text("long"), os.fsdecode(b"test_\xff.py"): text("b")})
    assert [each.encode() for each in session.ids] == [b"test_a.py::test_long", b"test_?.py::test_b"]
    assert session.reasons["test_a.py::test_long"] == f"ValueError: {'x' * 299}…"


ORDER = """
import random

def pytest_collection_modifyitems(items):
    random.shuffle(items)
"""


@pytest.mark.long
def test_the_order_is_that_of_the_files(run):
    text = "".join(SUM.replace("sum(", f"sum_{number}(", 1) for number in range(20))
    session = run({"conftest.py": ORDER, "test_speed.py": text})
    assert session.ids == list(session.statuses) == [f"test_speed.py::test_sum_{number}" for number in range(20)]


REPEAT = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(2):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    return True
"""


@pytest.mark.long
def test_a_benchmark_that_a_plugin_repeats_counts_once(run):
    session = run({"conftest.py": REPEAT, "test_speed.py": SUM})
    assert session.statuses == FAST
    assert len(json.loads(session.json_file.read_text())["benchmarks"]) == 1


MEMORY = """
import pytest

CALLS = []

def large(size=2_000_000):
    CALLS.append(size)
    return bytearray(size)

def test_plain(benchmark):
    assert len(benchmark(large)) == 2_000_000
    assert 0 < benchmark.stats["mean"] == benchmark.stats.stats.max

def test_prepared(benchmark):
    CALLS.clear()
    benchmark.pedantic(large, setup=lambda: ((1_000_000,), {}), rounds=5)
    assert CALLS == [1_000_000]

def test_released(benchmark):
    benchmark(lambda: len(bytearray(3_000_000)))

def test_named(benchmark):
    def call(**given):
        assert list(given) == ["function", "fixture", "arguments"]
        return bytearray(4_000_000)
    benchmark(function_to_benchmark=call, function=1, fixture=2, arguments=3)

def test_target(benchmark):
    benchmark.pedantic(target=bytearray, args=(5_000_000,))

def test_wrong(benchmark):
    benchmark(int, "x")
"""

MEMORY_OF = {
    "plain": (2e6, 2e6),
    "prepared": (1e6, 1e6),
    "released": (3e6, 0),
    "named": (4e6, 4e6),
    "target": (5e6, 5e6),
}
"""Test → peak and retained bytes."""


@pytest.mark.long
def test_memory_of_the_benchmarked_call(run):
    session = run({"test_memory.py": MEMORY}, action="memory")
    found = {event["id"]: event for event in session.of("memory")}
    assert list(found) == [f"test_memory.py::test_{name}" for name in MEMORY_OF]
    for name, (peak, retained) in MEMORY_OF.items():
        event = found[f"test_memory.py::test_{name}"]
        assert event["peak_bytes"] == pytest.approx(peak, rel=0.05)
        assert (event["retained_bytes"] or 0) == pytest.approx(retained, rel=0.05, abs=10_000)
    assert list(session.statuses.values()) == ["ok"] * len(MEMORY_OF) + ["error"]
    assert not session.json_file.exists()


@pytest.mark.long
def test_modules_depend_on_the_configuration_of_the_tree(run):
    suite = {
        "pytest.ini": "[pytest]\npythonpath = lib\n",
        "lib/tools.py": "def work(): pass\n",
        "sub/benchmarks/__init__.py": "",
        "sub/benchmarks/common.py": "from tools import work\n",
        "sub/benchmarks/test_speed.py": "from .common import work\n\ndef test_work(benchmark):\n    benchmark(work)\n",
    }
    session = run(suite, "benchmarks", start="sub")
    assert session.statuses == {"sub/benchmarks/test_speed.py::test_work": "ok"}


@pytest.fixture
def side(tmp_path):
    """Return the Python of an environment that sees this one's packages, and its folder of packages."""
    venv.create(tmp_path / "side", symlinks=os.name != "nt", with_pip=False)
    packages = next(path for path in (tmp_path / "side").rglob("site-packages"))
    ours = Path(pytest.__file__).parents[1]
    (packages / "zz_after.pth").write_text(f"{ours}\n")
    return tmp_path / "side" / ("Scripts/python.exe" if os.name == "nt" else "bin/python"), packages


@pytest.mark.long
@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
@pytest.mark.parametrize("source", ["src", "."])
def test_a_suite_inside_the_package_measures_the_installed_copy(run, side, tmp_path, mode, source):
    python, packages = side
    package = {
        "mypkg/__init__.py": "from ._built import work\n",
        "mypkg/tests/__init__.py": "",
        "mypkg/tests/helpers.py": "",
    }
    tests = {
        "mypkg/tests/conftest.py": "import mypkg\n",
        "mypkg/tests/test_speed.py": "from mypkg import work\nfrom . import helpers\nfrom .. import _built\n\n"
        "def test_work(benchmark):\n    assert benchmark(work) == 'built'\n",
        "mypkg/extra/__init__.py": "",
        "mypkg/extra/test_more.py": "import mypkg\n\ndef test_more(benchmark):\n    benchmark(mypkg.work)\n",
    }
    stale = {name: text.replace("benchmark(", "1 / 0 and (") for name, text in tests.items() if "speed" in name}
    write(packages, package | stale | {"mypkg/_built.py": "def work():\n    return 'built'\n"})
    rules = {
        "owned": ["mypkg"],
        "inside": [str(tmp_path / "tree"), str(packages)],
        "repository": str(tmp_path / "repo"),
    }
    write(tmp_path, {"rules.json": json.dumps(rules)})
    suite = {f"{source}/{name}": text for name, text in (package | tests).items()}
    session = run(suite, source, f"--import-mode={mode}", python=python, rules=str(tmp_path / "rules.json"))
    prefix = "" if source == "." else f"{source}/"
    assert session.statuses == {
        f"{prefix}mypkg/extra/test_more.py::test_more": "ok",
        f"{prefix}mypkg/tests/test_speed.py::test_work": "ok",
    }
    assert not session.of("foreign")


@pytest.mark.long
@pytest.mark.parametrize("place", ["file", "benchmark"])
def test_a_module_of_another_tree_is_reported(run, tmp_path, place):
    write(tmp_path, {"repo/mine.py": "", "tree/mine.py": ""})
    rules = {"owned": ["mine"], "inside": [str(tmp_path / "tree")], "repository": str(tmp_path / "repo")}
    write(tmp_path, {"rules.json": json.dumps(rules)})
    paths = f"import sys\nsys.path.insert(0, {str(tmp_path / 'repo')!r})\n"
    text = f"{paths}import mine\n{SUM}" if place == "file" else f"{paths}{SUM}    import mine\n"
    session = run({"sub/test_speed.py": text}, rules=str(tmp_path / "rules.json"))
    assert session.of("foreign")[0] == {
        "event": "foreign",
        "module": "mine",
        "file": str(tmp_path / "repo" / "mine.py"),
    }


@pytest.mark.long
def test_an_environment_without_the_plugin_is_refused(run, tmp_path):
    venv.create(tmp_path / "bare", symlinks=os.name != "nt", with_pip=False)
    python = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    (refused,) = run({"test_speed.py": SUM}, python=python).of("refused")
    assert refused["reason"] == "pytest is not installed in this environment; run pip install pytest"
