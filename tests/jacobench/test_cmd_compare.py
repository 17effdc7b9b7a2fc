"""The command compare, in fresh processes, on runs that were written for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shlex import quote
from xml.etree import ElementTree as ET

import pytest

import jacobench as jb

NAMES = ("test_a.py::test_fast", "test_a.py::test_slow")


@pytest.fixture
def runs(tmp_path):
    """Write two folders of pytest-benchmark's files, head's second test taking ``ratio`` times as long."""

    def write(ratio=1.0, passes=8, brand="AMD EPYC"):
        for side, factor, cpu in (("base", 1.0, "AMD EPYC"), ("head", ratio, brand)):
            (tmp_path / side).mkdir()
            for number in range(passes):
                times = (1e-3 * (1 + number / 999), 2e-3 * factor * (1 + number / 999))
                entries = [{"fullname": name, "stats": {"min": t}} for name, t in zip(NAMES, times, strict=True)]
                info = {"cpu": {"brand_raw": cpu, "count": 2}}
                content = {"machine_info": info, "benchmarks": entries}
                (tmp_path / side / f"{number}.json").write_text(json.dumps(content))
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("given", "code", "expected"),
    [
        ({}, 0, "No regression"),
        ({"ratio": 1.3}, 1, "regressed"),
        ({"ratio": 1.3, "passes": 3}, 3, "3 passes: expected at least 8"),
    ],
)
def test_exit_codes_and_what_is_said(jacobench, runs, given, code, expected):
    done = jacobench("compare", "base", "head", cwd=runs(**given))
    assert done.returncode == code, done.stderr
    assert expected in done.stdout
    assert "base → head" in done.stdout
    assert done.stderr == ""


@pytest.mark.long
def test_files_and_github(jacobench, runs, monkeypatch):
    folder = runs(ratio=1.3)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = jacobench("compare", "base", "head", "--markdown", "-", "--junit", "out/junit.xml", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.startswith("### 🔴 Regression")
    assert done.stderr.startswith("::error title=Regression")
    assert (folder / "summary.md").read_text().startswith("### 🔴 Regression")
    (suite,) = ET.parse(folder / "out" / "junit.xml").getroot()
    assert suite.get("failures") == "2"
    printed = done.stdout
    done = jacobench("compare", "base", "head", "--markdown", "said.md", cwd=folder)
    assert (folder / "said.md").read_text() == printed[: printed.rindex("\n") + 1]
    assert "regressed" in done.stdout


def test_other_machines_are_bad_input_in_one_line(jacobench, runs):
    done = jacobench("compare", "base", "head", cwd=runs(brand="Other"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--across-machines" in done.stderr
    assert done.stderr.count("\n") == 1


def test_files_that_cannot_be_written_do_not_change_the_exit_code(jacobench, runs, monkeypatch):
    folder = runs(ratio=1.3)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "nowhere" / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(folder / "output"))
    files = ("--junit", "base/0.json/x.xml", "--markdown", "base/0.json/x.md")
    done = jacobench("compare", "base", "head", *files, cwd=folder)
    assert done.returncode == 1
    assert (folder / "output").read_text() == "verdict=regressed\n"
    assert "regressed" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("jacobench: cannot write ") for line in lines)
    assert [name for name in ("x.md", "x.xml", "GITHUB_STEP_SUMMARY") if any(name in line for line in lines)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
@pytest.mark.parametrize(
    ("output", "cause"), [("> /dev/full", "No space left"), ("| true", "its reader has ended"), (">&-", "it is closed")]
)
@pytest.mark.long
def test_standard_output_that_cannot_be_written_does_not_change_the_exit_code(runs, output, cause):
    """In a shell, ``| true`` is a reader that ends at once, and ``>&-`` closes the output."""
    folder = runs(ratio=1.3)
    script = f"{{ sleep 0.2; {quote(sys.executable)} -m jacobench compare base head --junit x.xml; echo $? > code; }} {output}"
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert (folder / "code").read_text() == "1\n", done.stderr
    assert done.stderr.count("\n") == 1
    assert cause in done.stderr
    assert (folder / "x.xml").exists(), "the other outputs are written"


def test_a_run_of_ours_against_itself(jacobench, finished):
    folder, _ = finished
    done = jacobench("compare", folder, folder / "run.json", cwd=folder)
    assert done.returncode == 3, done.stderr
    assert "2 passes: expected at least 8 per side" in done.stdout
    assert "--passes 10" in done.stdout


def test_the_same_from_python(runs):
    folder = runs(ratio=1.3)
    outcome = jb.compare(folder / "base", str(folder / "head"))
    assert outcome.state == "regressed"
    assert outcome.verdicts.query("verdict == 'regressed'")["case"].tolist() == ["test_a.py::test_slow"]
