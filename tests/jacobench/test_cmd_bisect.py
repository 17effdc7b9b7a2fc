"""Bisection end to end: real git repositories and releases of a package, measured by real gates."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jacobench.bisect_session import BisectSession
from jacobench.commands import cmd_bisect
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, process groups and shells are POSIX")

PYPROJECT = """
[tool.pytest.ini_options]
addopts = "--benchmark-max-time=0.02 --benchmark-min-rounds=3 -p no:hypothesispytest -p no:xdist"

[tool.jacobench.gate]
pytest = ["bench"]
pairs = 10
time = 0.5  # so that other processes of the machine change no verdict
max_minutes = 5.0
"""

FAST = "def work():\n    return sum(range(3000))\n\n\ndef other():\n    return sum(range(2000))\n"
SLOW = FAST.replace("range(3000)", "range(9000)")
"""Three times the work, so that the outcome is certain."""

BROKEN = "import no_such_module\n"

SUITE = {
    "conftest.py": "",
    "bench/test_speed.py": (
        "from speed import other, work\n\n\ndef test_work(benchmark):\n    benchmark(work)\n\n\n"
        "def test_other(benchmark):\n    benchmark(other)\n"
    ),
}

HISTORY = [
    ("A function", {"speed.py": FAST}),
    ("Describe it", {"README": "2"}),
    ("Forget an import", {"speed.py": BROKEN}),
    ("Find it again", {"speed.py": FAST}),
    ("Make it slower [3x]", {"speed.py": SLOW}),
    ("A benchmark", SUITE),
    ("Describe it better", {"README": "7"}),
    ("Describe it best", {"README": "8"}),
]
"""Subject → files. The benchmark is newer than the slower code."""


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a function from subjects and files to a repository with such commits."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))

    def make(history):
        (folder / "pyproject.toml").write_text(PYPROJECT)
        for subject, files in history:
            write(folder, files)
            git(folder, "add", "-A")
            git(folder, "commit", "-qm", subject)
        return folder

    return make


def left_behind(folder):
    """Return what is left: temporary files, git's worktrees, changes."""
    worktrees = git(folder, "worktree", "list", "--porcelain").count("worktree ")
    return list((folder.parent / "tmp").iterdir()), worktrees, git(folder, "status", "--porcelain", "--ignored")


ROW = r"^regressed +bench/test_speed\.py::test_work +(time +)?\S+ µs +\S+ µs +[23]\.\d\d× +\[[1-3]\.\S+, [2-5]\.\S+\]"


@pytest.mark.long
def test_the_commit_that_made_a_benchmark_slower_is_found_although_the_benchmark_is_newer(
    repository, jacobench, tmp_path
):
    folder = repository(HISTORY)
    (folder / "speed.py").write_text(BROKEN)  # which is not measured
    files = ("--markdown", tmp_path / "bisect.md", "--out", tmp_path / "out")
    done = jacobench("bisect", "--good", "HEAD~7", "--bad", "main", *files, cwd=folder, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_behind(folder) == ([], 1, " M speed.py\n")
    slower = git(folder, "rev-parse", "HEAD~3")[:12]
    assert done.stdout.startswith(f"Regression · the first regressed commit is {slower} 'Make it slower [3x]' (")
    assert re.search(ROW, done.stdout, re.MULTILINE), done.stdout
    assert slower in (tmp_path / "bisect.md").read_text().splitlines()[0]
    assert "test_other" not in done.stdout
    n_gates = len(re.findall(r"^gate \d: ", done.stderr, re.MULTILINE))
    assert n_gates <= 6
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {f"gate-{n}" for n in range(1, n_gates + 1)}


@pytest.mark.long
def test_an_interrupt_leaves_nothing_and_prints_the_command_that_continues(repository, popen):
    folder = repository([HISTORY[0], HISTORY[5], HISTORY[4]])
    files = ("--markdown", "a b.md", "--junit", "bisect.xml")
    process = popen("bisect", "--good", "HEAD~1", "--bad", "HEAD", *files, cwd=folder, stderr=subprocess.PIPE)
    said = []
    while not (said and said[-1].startswith("stage 1")):
        said.append(process.stderr.readline())
        assert said[-1], said
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert left_behind(folder) == ([], 1, "")
    good, bad = (git(folder, "rev-parse", revision)[:12] for revision in ("HEAD~1", "HEAD"))
    command = shlex.split(rest.splitlines()[-1].removeprefix("Interrupted. To continue: "))
    assert command[:8] == ["jacobench", "bisect", "--good", good, "--bad", bad, "--suite-from", bad]
    assert command[8:] == ["--pytest", "bench", "--max-minutes", "5", *files]


def test_a_failure_of_the_machine_names_the_command_that_continues(repository, monkeypatch):
    def fail(session):
        session.good, session.bad = session.searched.candidates
        raise UnsuitableEnvironment("/tmp has no space")

    folder = repository([HISTORY[0], HISTORY[5], HISTORY[4]])
    monkeypatch.chdir(folder)
    monkeypatch.setattr(BisectSession, "search", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(BadInput) as raised:
        cmd_bisect.bisect(good="HEAD~2", bad="HEAD", junit=Path("b.xml"))
    good, bad = (git(folder, "rev-parse", revision)[:12] for revision in ("HEAD~1", "HEAD"))
    command = f"jacobench bisect --good {good} --bad {bad} --suite-from {bad} --pytest bench --max-minutes 5"
    assert str(raised.value) == f"/tmp has no space. To continue: {command} --junit b.xml"


def test_the_folder_of_out_is_checked_before_the_first_gate(repository, monkeypatch):
    folder = repository([HISTORY[0], HISTORY[5], HISTORY[4]])
    (folder / "out").mkdir()
    (folder / "out" / "gate-3").write_text("")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(BisectSession, "search", lambda _session: pytest.fail("the search began"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(BadInput, match="--out 'out' already exists; choose another folder"):
        cmd_bisect.bisect(good="HEAD~1", bad="HEAD", out="out")


def release(folder, version, text):
    """Write a wheel of the package `speed`."""
    info = f"speed-{version}.dist-info"
    files = {
        "speed.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: speed\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"speed-{version}-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)


@pytest.mark.long
def test_the_release_that_made_a_benchmark_slower_is_found(repository, jacobench, tmp_path, monkeypatch):
    folder = repository([("A benchmark", SUITE)])
    for version, text in {"1.2": FAST, "1.9": FAST, "1.10rc1": SLOW, "1.10": SLOW}.items():
        release(tmp_path, version, text)
    with zipfile.ZipFile(tmp_path / "speed-1.2-py3-none-any.whl") as wheel:
        wheel.extractall(tmp_path / "installed")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    ends = ("--package", "speed", "--good", "1.2", "--bad", "1.10")
    done = jacobench("bisect", *ends, cwd=folder, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Regression · the first regressed release is speed 1.10 ·"), done.stdout
    assert re.search(ROW, done.stdout, re.MULTILINE), done.stdout
    assert "gate 2: speed 1.9; 2 candidates left" in done.stderr
    assert left_behind(folder) == ([], 1, "")
    done = jacobench("bisect", *ends[:-1], "1.11", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("jacobench: unknown release '1.11' of speed: "), done.stderr


PAGE = (Path(__file__).parents[2] / "docs" / "bisect.md").read_text("utf-8")
SCRIPT, SEARCH = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("code", "for_git"), [(0, 0), (1, 1), (2, 125), (3, 125), (4, 125), (130, 130)])
def test_the_documented_script_turns_codes_without_a_verdict_into_125(code, for_git, tmp_path):
    command = tmp_path / "jacobench"
    command.write_text(f'#!/bin/sh\n[ "$*" = "gate --against v1 --case a b" ] && exit {code}\n')
    command.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GOOD": "v1"}
    done = subprocess.run(["sh", "-c", SCRIPT, "slower.sh", "--case", "a b"], env=variables, check=False)
    assert done.returncode == for_git


@pytest.mark.long
def test_the_documented_script_for_git_bisect_finds_the_commit(repository, tmp_path, monkeypatch):
    folder = repository(
        [
            ("A benchmark", SUITE | {"speed.py": FAST}),
            ("Make it slower", {"speed.py": SLOW}),
            (
                "Change the benchmarks",
                {name: re.sub(r"(\w+)\)\n", r"lambda: \1())\n", text) for name, text in SUITE.items()},
            ),
            ("Restore the benchmark", SUITE),
            ("Describe it", {"README": "5"}),
        ]
    )
    (tmp_path / "slower.sh").write_text(SCRIPT)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    git(folder, "tag", "v1.2", "HEAD~4")
    slower = git(folder, "rev-parse", "HEAD~3").strip()
    start, search, reset = SEARCH.replace(" --strategy my_strategy.py:Mine", "").splitlines()
    subprocess.run(start, shell=True, cwd=folder, check=True)
    done = subprocess.run(search, shell=True, cwd=folder, check=False, capture_output=True, text=True)
    assert f"{slower} is the first bad commit" in done.stdout, done.stdout + done.stderr
    assert "Nothing was measured" in done.stdout, "of the commit that changed all benchmarks"
    subprocess.run(reset, shell=True, cwd=folder, check=True)
    assert left_behind(folder) == ([], 1, "")
