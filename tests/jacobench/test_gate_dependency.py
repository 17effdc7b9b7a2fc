"""The gate with two releases of a dependency: really installed from a folder of wheels, measured by real processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="environments have another layout"),
]

SUITE = """
import dep

def test_work(benchmark):
    assert benchmark(dep.work) > 0

def test_other(benchmark):
    assert benchmark(sorted, range(20000))
"""

DEP = "def work():\n    return sum(range({}))\n"


@pytest.fixture
def gate(tmp_path, jacobench, monkeypatch, write_wheel):
    """Return a function that runs the gate in a repository, and checks that it leaves nothing behind."""
    write_wheel(tmp_path / "index", "dep", "1.0", {"dep.py": DEP.format(20000)}, ["pulled<2"])
    write_wheel(tmp_path / "index", "dep", "2.0", {"dep.py": DEP.format(80000)}, ["pulled>=2"])
    write_wheel(tmp_path / "index", "pulled", "1.0", {"pulled.py": ""})
    write_wheel(tmp_path / "index", "pulled", "2.0", {"pulled.py": ""})
    options = {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(tmp_path / "index")}
    for name, value in options.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    repository, temporary = tmp_path / "repository", tmp_path / "tmp"
    repository.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    (repository / "test_speed.py").write_text(SUITE)
    (repository / "pyproject.toml").write_text("[tool.jacobench.gate]\npairs = 10\ntime = 0.5\n")

    def git(*arguments):
        identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=repository, check=True, capture_output=True, text=True
        )
        return done.stdout

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "A suite")

    def run(*arguments):
        before = git("status", "--porcelain", "--ignored")
        done = jacobench("gate", *arguments, cwd=repository, timeout=500)
        assert git("status", "--porcelain", "--ignored") == before
        assert git("worktree", "list").count("\n") == 1
        assert list(temporary.iterdir()) == []
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


def test_a_slower_release_is_found_and_what_differs_is_listed(gate, tmp_path):
    files = ("--markdown", tmp_path / "gate.md", "--junit", tmp_path / "gate.xml")
    sides = ("--base-with", "dep==1.0", "--head-with", "dep>=2")
    suite = "test_speed.py --benchmark-max-time=0.1 --benchmark-min-rounds=3"
    done = gate("--pytest", suite, *sides, "--max-minutes", 3, *files)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^regressed +test_speed.py::test_work ", done.stdout, re.MULTILINE)
    assert not re.search(r"^(regressed|broken) +test_speed.py::test_other ", done.stdout, re.MULTILINE)
    assert re.search(r"^Regression · (\w+) with dep==1.0 → \1 with dep>=2 · ", done.stdout)
    differing = "Distributions that differ: dep 1.0 → 2.0 and pulled 1.0 → 2.0."
    assert differing in done.stdout
    assert differing in (tmp_path / "gate.md").read_text()
    found = {each.get("name"): each.get("value") for each in ET.parse(tmp_path / "gate.xml").iter("property")}
    assert {name: found[name].partition(",")[0] for name in found if "files" not in name} == {
        "base: dep": "1.0", "base: pulled": "1.0", "head: dep": "2.0", "head: pulled": "2.0",
    }  # fmt: skip
    (again,) = re.findall(r"jacobench gate .*", done.stderr)
    assert "--base-with dep==1.0 --head-with 'dep>=2'" in again
    assert "--against" not in again


HIDING = "import sys; sys.modules['pytest_benchmark'] = None\n"


def test_a_side_without_the_plugin_is_bad_input(gate, tmp_path, write_wheel):
    write_wheel(tmp_path / "index", "hiding", "1.0", {"hiding.pth": HIDING})
    done = gate("--pytest", "test_speed.py", "--head-with", "hiding")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("jacobench: ")]
    assert re.search(r"head \(\w+\) cannot be measured: pytest-benchmark is not installed in this environment", line)
    assert line.endswith("run pip install pytest-benchmark")


BAD = {
    "no such release": (["--base-with", "dep==9"], "base with dep==9 cannot be installed: no release satisfies dep==9"),
    "no such name": (["--head-with", "no-such-name"], "the package index has no release of no-such-name"),
    "no requirement": (["--head-with", "dep=1.0"], "--head-with 'dep=1.0': expected a requirement such as"),
    "nothing to compare": ([], "expected --against REV, --base-with REQ or --head-with REQ, or --self-test"),
    "self-test": (["--self-test", "--base-with", "dep"], "--self-test compares the current environment with itself"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(name, gate):
    arguments, said = BAD[name]
    done = gate(*arguments)
    told = [line for line in done.stderr.splitlines() if line.startswith("jacobench: ")]
    assert done.returncode == 2, done.stderr
    assert told == done.stderr.splitlines()[-1:]
    assert said in told[0]


def test_an_index_that_cannot_be_reached_is_bad_input(gate, monkeypatch):
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")  # no server has this port
    monkeypatch.setenv("PIP_RETRIES", "0")
    done = gate("--pytest", "test_speed.py", "--head-with", "dep==2.0")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("jacobench: ")]
    assert "head with dep==2.0 cannot be installed: the package index cannot be reached (" in line
    assert line.endswith("check the network and pip's index-url")
