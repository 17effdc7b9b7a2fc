"""The gate end to end: real git repositories of a plug-in package, really installed, measured by real processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from textwrap import dedent
from typing import TYPE_CHECKING

import psutil
import pytest

import jacobench as jb

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "jacobench-plugin-under-test"
version = "0.1.0"

[project.entry-points."jacobench.strategies"]
mine = "my_plugin:Mine"

[tool.hatch.build.targets.wheel]
include = ["my_plugin.py"]

[tool.jacobench.gate]
suite = "tiny.toml"
pairs = 10
time = 0.5  # so that other processes of the machine change no verdict
"""

SUITE = """
[[sweep]]
graph = "mlp"
width = 48
depth = 2
batch = 4
"""

PLUGIN = """
from types import SimpleNamespace

import jacobench as jb


class Mine:
    name = "mine"

    def prepare(self, graph):
        prepared = jb.strategy("vjp").prepare(graph)

        def linearize(leaves):
            linearized = prepared.linearize(leaves)

            def pullback(seeds):
                bars = linearized.pullback(seeds)
                return bars

            return SimpleNamespace(output=linearized.output, pullback=pullback)

        return SimpleNamespace(linearize=linearize)


class Raises(Mine):
    name = "raises"


class Wrong(Mine):
    name = "wrong"


class Gone(Mine):
    name = "gone"
"""

WITH_COPIES = PLUGIN.replace(
    "                return bars\n",
    """
                for _ in range(6):
                    kept = [{name: bar.copy() for name, bar in bars.items()} for _ in range(4)]
                return bars
""",
)
"""Several times the work of the pullback, so that the outcome is certain, and 150 KiB."""

WITH_ALL = (
    (
        WITH_COPIES.replace(
            'name = "raises"',
            'name = "raises"\n\n    def prepare(self, graph):\n        raise ZeroDivisionError("not today")',
        )
        .replace(
            'name = "wrong"',
            'name = "wrong"\n\n    def prepare(self, graph):\n        return Twice(super().prepare(graph))',
        )
        .replace("class Gone", "class New")
        .replace('"gone"', '"new"')
    )
    + """

class Twice:
    def __init__(self, prepared):
        self.prepared = prepared

    def linearize(self, leaves):
        linearized = self.prepared.linearize(leaves)

        def pullback(seeds):
            return {name: 2 * bar for name, bar in linearized.pullback(seeds).items()}

        return SimpleNamespace(output=linearized.output, pullback=pullback)
"""
)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path):
    """Return a committed repository of a plug-in package that is installed nowhere."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name, text in {"pyproject.toml": PROJECT, "tiny.toml": SUITE, "my_plugin.py": PLUGIN}.items():
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A strategy")
    return folder


def change(repository, **files):
    """Write files, named with _ for the dot, and commit them."""
    for name, text in files.items():
        path = repository / name.replace("__", ".")
        assert text != path.read_text()
        path.write_text(text)
    git(repository, "commit", "-qam", "A change")


def left_behind(tmp_path):
    """Return what a gate should have taken away again: its temporary folders, and git's worktrees."""
    worktrees = git(tmp_path / "repository", "worktree", "list", "--porcelain").count("worktree ")
    return [path.name for path in (tmp_path / "tmp").iterdir()], worktrees


@pytest.fixture
def gate(tmp_path, jacobench, monkeypatch):
    """Return a function that runs the gate in the repository and checks that it leaves nothing behind."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))

    def run(*arguments, against="HEAD~1"):
        done = jacobench("gate", "--against", against, *arguments, cwd=tmp_path / "repository", timeout=500)
        assert left_behind(tmp_path) == ([], 1)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def judged(repository, gate, tmp_path, monkeypatch):
    """Return what a gate printed and wrote of a change that does everything at once, and the strategies it asked for."""
    change(repository, my_plugin__py=WITH_ALL)
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    names = [
        name for each in ("Mine", "Raises", "Wrong", "Gone", "New") for name in ("--strategy", f"my_plugin:{each}")
    ]
    names[1] = "my_plugin.py:Mine"  # of a file, each side loads its own
    return gate(*names, "--junit", tmp_path / "gate.xml", "--markdown", tmp_path / "gate.md"), summary


def test_what_is_slower_larger_or_broken_fails_the_gate_and_is_named_with_its_figures(judged, tmp_path):
    done, summary = judged
    assert done.returncode == 1, done.stdout + done.stderr
    printed = done.stdout + done.stderr

    written = (tmp_path / "gate.md").read_text()
    time_row = re.search(r"\| .*regressed \| `mlp-w48-d2-b4` \| `mine` \| `pullback` \| time \|(.*)\|", written)
    assert time_row, printed
    assert re.fullmatch(r" [\d.]+ [µm]s \| [\d.]+ [µm]s \| \d+\.\d\d× \| \[\S+, \S+\] \| \S+ \| .* ", time_row[1])
    assert re.search(r"\| .*regressed .*`pullback` \| peak memory \| [\d.]+ KiB \| [\d.]+ KiB \|", written)
    assert not re.search(r"regressed.*`(prepare|linearize)`", written), "what was not changed is not named"
    assert summary.read_text().strip() == written.strip()

    assert re.search(r"regressed +mlp-w48-d2-b4 +mine +pullback +time ", done.stdout)
    rows = re.findall(r"^(\w+|not measured) +mlp-w48-d2-b4 +(\S+) +(\w+) ", done.stdout, re.MULTILINE)
    assert len(rows) == len({row[1:] for row in rows}), "one line per row"
    assert {"regressed", "broken", "unchanged", "new", "gone"} <= {row[0] for row in rows}
    assert re.search(
        "jacobench gate --against 'HEAD~1' --suite tiny.toml --strategy .* --case mlp-w48-d2-b4\n", done.stderr
    )
    assert "::error title=Regression" in done.stdout
    failures = [
        ET.tostring(found, "unicode")
        for found in ET.parse(tmp_path / "gate.xml").iter("testcase")
        if found.find("failure") is not None
    ]
    assert any("mine" in failure and "pullback" in failure for failure in failures)

    assert re.search(r"\| .*broken \| `mlp-w48-d2-b4` \| `raises` ", written)
    assert re.search(r"\| .*broken \| `mlp-w48-d2-b4` \| `wrong` ", written)
    assert "ZeroDivisionError: not today" in done.stdout
    assert "from the reference" in done.stdout
    assert re.search(r"\| new \| `mlp-w48-d2-b4` \| `new` ", written)


def test_a_renamed_variable_in_the_working_tree_passes(repository, gate):
    (repository / "my_plugin.py").write_text(PLUGIN.replace("bars", "cotangents"))
    (repository / "untracked.txt").write_text("not in the way")
    done = gate("--max-minutes", 0.1, "--markdown", "-", against="HEAD")
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    assert re.search(r"[0-9a-f]{12} → [0-9a-f]{12}-dirty", done.stdout)
    assert "regressed" not in done.stdout
    assert done.stdout.startswith("### ")
    assert git(repository, "status", "--porcelain").split() == ["M", "my_plugin.py", "??", "untracked.txt"]


def test_what_cannot_be_compared_never_passes(repository, gate):
    change(repository, my_plugin__py=PLUGIN.replace("class Gone", "class New"))
    done = gate("--strategy", "my_plugin.py:Gone", "--max-minutes", 0.1)
    assert done.returncode == 4, done.stdout + done.stderr


BAD = {
    "revision": (["--against", "no-such-branch"], "unknown revision 'no-such-branch'", ()),
    "not installable": ([], "base (", ('version = "0.1.0"', 'version = "not a version"')),
    "backend": ([], "pip install hatchling", ("hatchling.build", "no_such_backend")),
    "no strategy": ([], "--strategy path/to/file.py:Class", ("jacobench.strategies", "another.group")),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(name, repository, gate):
    arguments, said, edit = BAD[name]
    if edit:
        change(repository, pyproject__toml=PROJECT.replace(*edit))
    done = gate(*arguments, against="HEAD")
    told = [line for line in done.stderr.splitlines() if line.startswith("jacobench: ")]
    assert done.returncode == 2, done.stderr
    assert told == done.stderr.splitlines()[-1:]
    assert said in told[0]


REDIRECTED = """
import sys
from importlib.util import spec_from_file_location


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, {file!r}) if name == "my_plugin" else None


sys.meta_path.insert(0, Finder)

from my_plugin import Mine
"""
"""A strategy that imports one copy of the project on both sides."""


def test_a_side_that_measures_another_copy_of_the_project_is_bad_input(repository, gate):
    installed = repository / "my_plugin.py"
    (repository / "redirected.py").write_text(REDIRECTED.format(file=str(installed)))
    done = gate("--strategy", "redirected.py:Mine", "--max-minutes", 0.1, against="HEAD")
    assert done.returncode == 2, done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    assert re.match(
        rf"jacobench: \w+ \(\w+(-dirty)?\) imported my_plugin from {re.escape(str(installed))}: expected", last
    )
    assert done.stdout == ""


def test_outside_a_repository_is_bad_input(tmp_path, jacobench, monkeypatch):
    done = jacobench("gate", "--against", "HEAD", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "git" in done.stderr
    monkeypatch.chdir(tmp_path)
    with pytest.raises(jb.BadInput, match="git"):
        jb.gate("HEAD")


@pytest.mark.parametrize("signalled", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_worktree_no_process_and_no_folder(signalled, repository, tmp_path, popen, monkeypatch):
    said = tmp_path / "probe"
    waits = f"""
        import os, time
        from pathlib import Path

        Path({str(said)!r}).write_text(str(os.getpid()))
        time.sleep(1000)
    """
    (repository / "my_plugin.py").write_text(dedent(waits))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    process = popen(
        "gate", "--against", "HEAD", cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (said.exists() and said.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signalled)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "Interrupted. To start again: jacobench gate --against HEAD"
    assert "Traceback" not in stderr
    assert left_behind(tmp_path) == ([], 1)
    assert not psutil.pid_exists(int(said.read_text()))


SLOW_GIT = """#!/bin/sh
case "$*" in *"worktree remove"*) touch '{marker}'; sleep 1;; esac
exec '{git}' "$@"
"""


@pytest.mark.parametrize(("install", "first", "code"), [("sleep 100", signal.SIGHUP, 130), ("exit 1", None, 2)])
def test_no_signal_disturbs_the_cleanup(install, first, code, repository, tmp_path, popen, monkeypatch):
    """The signals reach git, too, as Ctrl-C in a terminal does."""
    marker, programs = tmp_path / "removing", tmp_path / "programs"
    for folder in (programs, tmp_path / "tmp"):
        folder.mkdir()
    (programs / "git").write_text(SLOW_GIT.format(marker=marker, git=shutil.which("git")))
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    template = f"sh -c '{install}' {{python}} {{dir}}"
    arguments = ("gate", "--against", "HEAD", "--install", template)
    process = popen(*arguments, cwd=repository, stderr=subprocess.PIPE, start_new_session=True)
    while "installing base" not in process.stderr.readline():
        assert process.poll() is None
    if first is not None:
        process.send_signal(first)
    while not marker.exists():
        assert process.poll() is None
        time.sleep(0.02)
    for signalled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.killpg(process.pid, signalled)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert left_behind(tmp_path) == ([], 1)


def test_the_first_strategy_of_a_project_passes_and_is_broken_if_it_fails(repository, gate, tmp_path):
    """Base has neither a project nor the package, so nothing can be timed in pairs."""
    git(repository, "rm", "-q", "--cached", "pyproject.toml", "my_plugin.py")
    git(repository, "commit", "-qm", "Nothing to measure")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "The first strategy")
    done = gate("--junit", tmp_path / "gate.xml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^new +mlp-w48-d2-b4 +mine +gradient ", done.stdout, re.MULTILINE)
    assert "4 rows are new" in done.stdout
    assert "stage 1" not in done.stderr
    change(repository, my_plugin__py=WITH_ALL)
    names = [name for each in ("Raises", "Wrong") for name in ("--strategy", f"my_plugin:{each}")]
    done = gate(*names, against="HEAD~2")
    assert done.returncode == 1, done.stdout + done.stderr
    rows = re.findall(r"^broken +mlp-w48-d2-b4 +(\w+) +(\w+) ", done.stdout, re.MULTILINE)
    assert len(rows) == 8


def test_what_no_side_can_measure_is_reported_once_before_stage_one(repository, gate, tmp_path):
    (repository / "alone.py").write_text("import no_such_module\n" + PLUGIN)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "A strategy that cannot be imported")
    files = ("--junit", tmp_path / "gate.xml", "--markdown", tmp_path / "gate.md")
    done = gate("--strategy", "alone.py:Mine", *files, against="HEAD")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "stage 1" not in done.stderr
    assert (done.stdout + done.stderr).count("no_such_module") == 1
    assert "no_such_module" in (tmp_path / "gate.md").read_text()
    assert len(ET.parse(tmp_path / "gate.xml").findall("*/testcase/skipped")) == 4
