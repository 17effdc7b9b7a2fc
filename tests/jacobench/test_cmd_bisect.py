"""Bisection end to end: real git repositories, measured by real gates."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

SUITE = """
[[sweep]]
graph = "mlp"
width = 8
depth = 1
wrt = ["W1"]
"""

PLUGIN = """
from types import SimpleNamespace

import jacobench as jb

ROUNDS = 1


class Mine:
    name = "mine"

    def prepare(self, graph):
        prepared = jb.strategy("vjp").prepare(graph)

        def linearize(leaves):
            linearized = prepared.linearize(leaves)

            def pullback(seeds):
                for _ in range(ROUNDS):
                    bars = linearized.pullback(seeds)
                return bars

            return SimpleNamespace(output=linearized.output, pullback=pullback)

        return SimpleNamespace(linearize=linearize)
"""

SLOW = PLUGIN.replace("ROUNDS = 1", "ROUNDS = 20")
"""Several times the work, so that the outcome is certain."""

BROKEN = "import no_such_module\n"

HISTORY = {
    "A strategy": PLUGIN,
    "Rename nothing": PLUGIN + "# 2\n",
    "Forget an import": BROKEN,
    "Find it again": PLUGIN + "# 4\n",
    "Make it slower [1.5x]": SLOW,
    "Describe it": SLOW + "# 6\n",
    "Forget another import": BROKEN,
    "Describe it better": SLOW + "# 8\n",
}


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a repository with the history, and uncommitted changes that break the strategy."""
    folder = tmp_path_factory.mktemp("bisect") / "repository"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[tool.jacobench.gate]\nsuite = "tiny.toml"\npairs = 8\n')
    (folder / "tiny.toml").write_text(SUITE)
    git(folder, "init", "-q", "-b", "main")
    for subject, text in HISTORY.items():
        (folder / "my_plugin.py").write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", subject)
    (folder / "my_plugin.py").write_text(BROKEN)
    return folder


@pytest.fixture
def left_behind(tmp_path, repository, monkeypatch):
    """Return a function that returns what is left: temporary files, git's worktrees, changes."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))

    def left():
        worktrees = git(repository, "worktree", "list", "--porcelain").count("worktree ")
        return list((tmp_path / "tmp").iterdir()), worktrees, git(repository, "status", "--porcelain")

    return left


UNCHANGED = ([], 1, " M my_plugin.py\n")


def test_the_commit_that_made_a_strategy_slower_is_found(repository, jacobench, left_behind, tmp_path):
    done = jacobench(
        *("bisect", "--good", "HEAD~7", "--bad", "main", "--strategy", "my_plugin.py:Mine", "--max-minutes", 1),
        *("--markdown", tmp_path / "bisect.md"),
        cwd=repository,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_behind() == UNCHANGED
    commit = git(repository, "rev-parse", "HEAD~3")[:12]
    found = f"the first regressed commit is {commit} 'Make it slower [1.5x]' ("
    assert done.stdout.startswith(f"Regression · {found}"), done.stdout
    assert re.search(
        r"^regressed +mlp-\S+ +mine +pullback +time +\S+ µs +\S+ µs +\d+\.\d\d× ", done.stdout, re.MULTILINE
    )
    assert found in (tmp_path / "bisect.md").read_text()
    assert done.stderr.count("is skipped: what regressed cannot be measured there") <= 2
    assert 4 <= len(re.findall(r"^gate \d: ", done.stderr, re.MULTILINE)) <= 6
