"""`gate --pytest` end to end: real git repositories, measured by real processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from textwrap import dedent

import iniconfig
import pytest

from jacobench.reports.regression.outcome import FAILING, VERDICTS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "quick"
version = "0.1.0"

[tool.hatch.build.targets.wheel]
packages = ["src/quick"]

[tool.pytest.ini_options]
addopts = "--benchmark-disable --benchmark-max-time=0.05"

[tool.jacobench.gate]
pytest = ["benchmarks/"]
pairs = 16
time = 0.5  # so that other processes of the machine change no verdict

[[tool.jacobench.gate.rows]]
case = "*::test_tolerated*"
time = 0.95
"""

QUICK = """
def work(n):
    total = 0
    for i in range(n):
        total += i * i
    return total


def same(n):
    total = 0
    for i in range(n):
        total += i ^ 3
    return total


def mild(n):
    return sum(i * 3 for i in range(n))


def strict(n):
    return n


def helper():
    return 3
"""

SPEED = """
import pytest
from quick import mild, same, strict, work


@pytest.mark.parametrize("how", ["a b/c", "[x]"])
def test_slower(benchmark, how, n):
    benchmark(work, n)


def test_tolerated(benchmark, n):
    benchmark(mild, n)


def test_same(benchmark, n):
    benchmark(same, n)


def test_edited(benchmark, n):
    benchmark(same, n)


def test_strict(benchmark, n):
    benchmark(strict, n)


def test_never(benchmark):
    benchmark(lambda: {}["no key"])


def test_old(benchmark, n):
    benchmark(same, n)


def test_plain():
    raise AssertionError("it is not a benchmark")
"""

FILES = {
    "pyproject.toml": PROJECT,
    "src/quick/__init__.py": QUICK,
    "benchmarks/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef n():\n    return 3000\n",
    "benchmarks/test_speed.py": SPEED,
    "benchmarks/test_other_file.py": "from quick import helper\n\n\ndef test_helper(benchmark):\n    benchmark(helper)\n",
}

HEAD = {
    "src/quick/__init__.py": QUICK.replace("range(n):\n        total += i * i", "range(4 * n):\n        total += i * i")
    .replace("return n\n", 'raise ValueError("it regressed")\n')
    .replace("def helper", "def renamed")
    .replace("in range(n))", "in range(13 * n // 10))"),
    "benchmarks/test_speed.py": SPEED.replace(
        "test_edited(benchmark, n):\n    ", "test_edited(benchmark, n):\n    n += 1\n    "
    ).replace("test_old", "test_new")
    + "\n\ndef test_new_and_broken(benchmark):\n    benchmark(lambda: 1 / 0)\n",
}

SAME = "unchanged, or inconclusive on a busy machine"

SPEED_ROWS = {
    "test_slower[a b/c]": "regressed",
    "test_slower[[x]]": "regressed",
    "test_tolerated": SAME,
    "test_same": SAME,
    "test_edited": "changed",
    "test_strict": "broken",
    "test_never": "not measured",
    "test_old": "gone",
    "test_new": "new",
    "test_new_and_broken": "broken",
}


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(dedent(text))


def committed(folder, files):
    """Return a repository with these files."""
    folder.mkdir()
    write(folder, files)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A suite")
    return folder


def state(folder):
    """Return what a gate must not change: files, ignored ones included, and worktrees."""
    return git(folder, "status", "--porcelain", "--ignored"), git(folder, "worktree", "list").count("\n")


@pytest.fixture(scope="module")
def gate(jacobench, tmp_path_factory):
    """Return a function that runs the gate in a repository and checks that it leaves nothing behind."""
    temporary = tmp_path_factory.mktemp("tmp")

    def run(repository, *arguments, inside=".", against="HEAD", variables=()):
        before = state(repository)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"TMPDIR": str(temporary), **dict(variables)}.items():
                patch.setenv(name, value)
            done = jacobench("gate", "--against", against, *arguments, cwd=repository / inside, timeout=900)
        assert state(repository) == before, done.stdout + done.stderr
        assert list(temporary.iterdir()) == []
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


def verdicts(text):
    """Return the verdict of each benchmark on the screen, by the part of its id behind the file."""
    names = "|".join(VERDICTS)
    return {
        test: SAME if verdict in {"unchanged", "inconclusive"} else verdict
        for verdict, test in re.findall(rf"^({names}) +\S*\.py(?:::)?(.*?)  +time ", text, re.MULTILINE)
    }


def only_own_verdicts(text, of):
    """Return the lines that have the id of a benchmark and a failing verdict that is not its own."""
    wrong = []
    for line in text.splitlines():
        for test, verdict in of.items():
            others = [word for word in FAILING if word != verdict and re.search(rf"\b{word}\b", line.replace(test, ""))]
            if f"::{test}" in line and others and sum(f"::{each}" in line for each in of) == 1:
                wrong.append(line)
    return wrong


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a repository whose working tree has every kind of change."""
    folder = committed(tmp_path_factory.mktemp("suite") / "quick project", FILES)
    write(folder, HEAD)
    (folder / "quick.egg-info").mkdir()
    (folder / "quick.egg-info" / "PKG-INFO").write_text("")
    return folder


@pytest.fixture(scope="module")
def judged(repository, gate, tmp_path_factory):
    out = tmp_path_factory.mktemp("judged")
    paths = ("--junit", out / "gate.xml", "--markdown", out / "gate.md", "--out", out / "raw")
    return gate(repository, *paths, variables={"GITHUB_ACTIONS": "true"}), out


def test_each_benchmark_has_its_verdict_and_the_slower_ones_fail_the_gate(judged):
    done, _ = judged
    assert done.returncode == 1, done.stdout + done.stderr
    assert verdicts(done.stdout) == {**SPEED_ROWS, "test_helper": "broken"}
    assert re.search(r"test_strict +time .*error \(ValueError: it", done.stdout) is None, "the line leaves the word out"
    assert "1 row broken: error (ValueError: it regressed)" in done.stdout
    assert re.search(r"test_helper +time .*ImportError: cannot import name 'helper'", done.stdout)
    assert re.search(r"test_never +time .* error \(KeyError: 'no key'\) in base and head", done.stdout)
    assert "strategy" not in done.stdout.partition("Measured code")[0]


def test_a_line_with_an_id_has_a_failing_verdict_only_if_it_is_its_own(judged):
    done, out = judged
    written = (out / "gate.md").read_text()
    for text in (done.stdout, done.stderr, written, (out / "gate.xml").read_text()):
        assert only_own_verdicts(text, {**SPEED_ROWS, "test_helper": "broken"}) == []
    assert re.search(r"\| 🔴 regressed \| `benchmarks/test_speed.py::test_slower\[a b/c\]` \| time \|", written)
    failed = [
        test.get("classname")
        for test in ET.parse(out / "gate.xml").iter("testcase")
        if test.find("failure") is not None
    ]
    assert sorted(each.partition("::")[2] for each in failed if "::" in each) == [
        "test_helper", "test_new_and_broken", "test_slower[[x]]", "test_slower[a b/c]", "test_strict"
    ]  # fmt: skip
    assert len(re.findall(r"^::error title=Regression.*::test_slower\[", done.stdout, re.MULTILINE)) == 2


def test_the_command_that_measures_again_is_on_one_line(judged):
    done, _ = judged
    (command,) = re.findall(r"To measure again: (jacobench gate --against HEAD .*)", done.stderr)
    assert command.count("--case ") == 3
    assert "--pytest benchmarks/" in command
    assert "--out" not in command


def test_the_times_of_each_process_are_kept_on_request(judged):
    _, out = judged
    names = sorted(path.name for path in (out / "raw").iterdir())
    assert names == [f"{side}-{pair:03d}.json" for side in ("base", "head") for pair in range(len(names) // 2)]
    assert len(names) >= 2 * 14
    content = json.loads((out / "raw" / "head-000.json").read_text())
    assert {each["fullname"].partition("::")[2] for each in content["benchmarks"]} >= {
        "test_same",
        "test_slower[a b/c]",
    }


def test_a_documentation_change_passes_also_with_the_files_of_one_side(repository, gate, tmp_path):
    folder = tmp_path / "copy"
    git(tmp_path, "clone", "-q", str(repository), str(folder))
    (folder / "README.md").write_text("words\n")
    case = "benchmarks/test_speed.py::test_slower[a b/c]"
    done = gate(folder, "--case", case, "--case", "*::test_same", "--case", "test_old")
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    assert verdicts(done.stdout).keys() == {"test_slower[a b/c]", "test_same", "test_old"}
    assert not set(verdicts(done.stdout).values()) & set(FAILING)
    assert re.search(r"3 benchmarks: at least 6 pairs × [\d.]+ s = \d+ s; at most 10 min", done.stderr)
    write(folder, {"benchmarks/test_speed.py": HEAD["benchmarks/test_speed.py"]})
    done = gate(folder, "--suite-from", "head", "--case", "*::test_new", "--case", "*::test_edited", inside="src")
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    assert verdicts(done.stdout).keys() == {"test_new", "test_edited"}
    assert set(verdicts(done.stdout).values()) <= {SAME, "improved"}


def test_rows_of_one_side_pass_and_rows_that_cannot_be_compared_are_no_verdict(repository, gate, tmp_path):
    done = gate(repository, "--case", "test_old", "--case", "test_new")
    assert (done.returncode, verdicts(done.stdout)) == (0, {"test_old": "gone", "test_new": "new"})
    assert "1 row is gone: " in done.stdout
    assert "1 row is new: " in done.stdout
    done = gate(repository, "--case", "test_edited", "--case", "test_never")
    assert (done.returncode, verdicts(done.stdout)) == (4, {"test_edited": "changed", "test_never": "not measured"})
    assert done.stdout.count("so there is no verdict") == 1


PLAIN = {
    "marks/test_marks.py": "import pytest\n\n\n@pytest.mark.benchmark\ndef test_marked():\n    pass\n",
    "plain/test_plain.py": "def test_plain():\n    pass\n",
    "absent/test_absent.py": "import pytest\n\npytest.importorskip('no_such_package')\n",
    "broken/test_broken.py": "import no_such_package\n\n\ndef test_it(benchmark):\n    benchmark(int)\n",
    "elsewhere/data/x.txt": "3",
    "elsewhere/test_data.py": "def test_data(benchmark):\n    benchmark(open('data/x.txt').read)\n",
    "elsewhere/test_helped.py": "import helpers_of_suite\n\n\ndef test_it(benchmark):\n    benchmark(int)\n",
    "lib/helpers_of_suite.py": "",
    "bench/test_int.py": "def test_int(benchmark):\n    benchmark(int)\n",
    "pytest.ini": "[pytest]\nmarkers = benchmark: shown to everybody\n",
}

BAD = {
    "quotes": (["--pytest", "'bench"], '--pytest "\'bench": No closing quotation'),
    "path": (["--pytest", "bench/no.py"], "neither side has 'bench/no.py'"),
    "folder": (["--pytest", "bench no-such-folder/"], "neither side has 'no-such-folder'"),
    "marks": (["--pytest", "marks"], "1 test with the mark 'benchmark' but without the fixture 'benchmark'"),
    "no benchmark": (["--pytest", "plain"], "1 test, none of which requests the fixture 'benchmark'"),
    "skipped": (["--pytest", "absent"], "0 benchmarks were collected from absent, 1 skipped: could not import"),
    "case": (
        ["--pytest", "bench", "--case", "bench/test_int.py::test_in"],
        "matches none of the 1 benchmark: expected an id or a glob, such as 'bench/test_int.py::test_int'",
    ),
    "working directory": (["--pytest", "elsewhere/test_data.py"], "run the gate in the folder 'elsewhere'"),
    "path of modules": (
        ["--pytest", "elsewhere/test_helped.py"],
        "needs the folder 'lib' of the repository on its path",
    ),
    "strategies": (["--pytest", "bench", "--strategy", "vjp"], "leave out --suite and --strategy"),
    "id": (
        ["--pytest", "bench/test_int.py::test_in"],
        "neither side has 'bench/test_int.py::test_in': expected a benchmark, such as 'bench/test_int.py::test_int'",
    ),
    "words": (["--pytest", "bench -k typo"], "bench -k typo selects none of the 1 benchmark in its files"),
    "option": (["--pytest", "bench --no-such-option"], "unrecognized arguments: --no-such-option"),
    "time": (["--pytest", "bench", "--max-minutes", "0.001"], "allow at least --max-minutes"),
    "out": (["--pytest", "bench", "--out", "bench"], "--out 'bench' already exists; choose another folder"),
    "suite-from": (["--pytest", "bench", "--suite-from", "haed"], "did you mean 'head'?"),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Return a repository of suites that is not a package, so nothing is installed."""
    return committed(tmp_path_factory.mktemp("plain") / "plain", PLAIN)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(name, plain, gate):
    arguments, said = BAD[name]
    done = gate(plain, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("jacobench: ")]
    assert said in line


def test_several_sessions_are_measured_together(plain, gate, tmp_path):
    folder = tmp_path / "several"
    git(tmp_path, "clone", "-q", str(plain), str(folder))
    marked = "import pytest\n\n\n@pytest.mark.fast\ndef test_marked(benchmark):\n    benchmark(int)\n"
    write(
        folder,
        {
            "pytest.ini": "[pytest]\nmarkers = fast: not slow\naddopts = --benchmark-max-time=0.02 --strict-markers\n",
            "pyproject.toml": "[tool.jacobench.gate]\npairs = 10\ntime = 0.5\n",
            "bench/test_marked.py": marked,
            "more/test_more.py": "def test_one(benchmark):\n    benchmark(int)\n\n\ndef test_two(benchmark):\n    benchmark(int)\n",
        },
    )
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Several sessions")
    done = gate(
        folder, "--pytest", "bench -m fast", "--pytest", "more/test_more.py::test_two", "--out", tmp_path / "raw"
    )
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    assert verdicts(done.stdout) == {"test_marked": SAME, "test_two": SAME}
    written = {path.name: json.loads(path.read_text())["benchmarks"] for path in (tmp_path / "raw").iterdir()}
    assert len(written) >= 4 * 6
    for name, benchmarks in written.items():
        assert [each["name"] for each in benchmarks] == ["test_two" if name.endswith("-1.json") else "test_marked"]


OWN = """
import iniconfig


def test_own(benchmark):
    assert "jacobench-gate-" in iniconfig.__file__
    benchmark(int)
    assert not hasattr(iniconfig, "CHANGED"), "it is that of head"
"""


def test_a_project_that_pytest_itself_imports_is_measured_on_each_side(gate, tmp_path):
    """Each side reads `pytest.ini` with its own iniconfig."""
    modules = Path(iniconfig.__file__).parent.glob("*.py")
    files = {f"src/iniconfig/{path.name}": path.read_text() for path in modules}
    project = PROJECT.replace("quick", "iniconfig").replace("0.1.0", "9.0")
    folder = committed(
        tmp_path / "own",
        {**files, "pyproject.toml": project, "benchmarks/test_own.py": OWN, "pytest.ini": "[pytest]\n"},
    )
    write(folder, {"src/iniconfig/__init__.py": files["src/iniconfig/__init__.py"] + "\nCHANGED = True\n"})
    done = gate(folder)
    assert (done.returncode, verdicts(done.stdout)) == (1, {"test_own": "broken"}), done.stdout + done.stderr
    assert "AssertionError: it is that of head" in done.stdout


def test_an_interrupted_gate_leaves_nothing(plain, popen, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = state(plain)
    files = ("--out", tmp_path / "out", "--junit", tmp_path / "gate.xml")
    process = popen("gate", "--against", "HEAD", "--pytest", "bench", *files, cwd=plain, stderr=subprocess.PIPE)
    while "stage 1" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    again = f"jacobench gate --against HEAD --pytest bench --junit {tmp_path / 'gate.xml'}"
    assert said.splitlines()[-1] == f"Interrupted. To start again without --out: {again}"
    assert state(plain) == before
    assert [path.name for path in tmp_path.iterdir()] in ([], ["out"])


CHANCE = """
import os
from pathlib import Path

COUNT = Path(os.environ["SUITE_FOLDER"], Path(__file__).parents[1].name)


def test_flaky(benchmark):
    before = COUNT.read_text() if COUNT.exists() else ""
    COUNT.write_text(before + "x")
    assert (len(before) + 1) % 4, "fails in each fourth process"
    benchmark(sum, range(20_000))


def test_dies(benchmark):
    if COUNT.name == "head":
        os._exit(3)
    benchmark(sum, range(20_000))


def test_last(benchmark):
    benchmark(sum, range(20_000))


def test_larger(benchmark):
    benchmark(bytearray, 10**6 if COUNT.name == "base" else 2 * 10**6)
"""


FAULTS = {
    "bench/sub/conftest.py": """
        from pathlib import Path

        if Path(__file__).parents[2].name == "head":
            raise RuntimeError("bad conftest")
    """,
    "bench/sub/test_sub.py": "def test_sub(benchmark):\n    benchmark(int)\n",
    "bench/test_absent.py": """
        from pathlib import Path

        import pytest

        if Path(__file__).parents[1].name == "head":
            pytest.importorskip("no_such_package")


        def test_absent(benchmark):
            benchmark(int)
    """,
}


def test_chance_breaks_nothing_a_lost_process_breaks_its_benchmark_and_memory_is_compared(plain, gate, tmp_path):
    """The suite reads a variable of the caller, and the folder of its side is `base` or `head`."""
    folder = tmp_path / "chance"
    git(tmp_path, "clone", "-q", str(plain), str(folder))
    settings = "[tool.jacobench.gate]\npairs = 10\ntime = 0.5\n"
    write(folder, {"bench/test_chance.py": CHANCE, "pyproject.toml": settings, **FAULTS})
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Chance")
    write(folder, {"bench/test_error.py": PLAIN["broken/test_broken.py"]})
    arguments = (
        "--pytest",
        "bench --benchmark-max-time=0.02",
        "--memory",
        "--markdown",
        tmp_path / "gate.md",
    )
    done = gate(folder, *arguments, variables={"SUITE_FOLDER": str(tmp_path)})
    assert done.returncode == 1, done.stdout + done.stderr
    found = verdicts(done.stdout)
    assert found == {
        "test_flaky": SAME,
        "test_last": SAME,
        "test_int": SAME,
        "test_dies": "broken",
        "test_larger": "regressed",
        "test_sub": "broken",
        "": "broken",  # a new file that cannot be collected
        "test_absent": "not measured",
    }
    assert re.search(
        r"bench/test_error.py +time .*No module named 'no_such_package'.* in head; base does not have it", done.stdout
    )
    assert "the process exited with status 3" in done.stdout
    peak = re.search(r"🔴 regressed \| `.*::test_larger` \| peak memory \|(.*)", (tmp_path / "gate.md").read_text())
    assert peak, done.stdout
    assert "+100.0%" in peak[1]
    assert "confirmed with fresh" in peak[1]
