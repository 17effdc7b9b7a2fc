"""The action for GitHub: its steps, run as a runner does, with the variables of a runner."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX scripts")

TOP = Path(__file__).parents[1]
ACTION = YAML(typ="safe", pure=True).load((TOP / "action.yml").read_text("utf-8"))
INSTALL, GATE = ACTION["runs"]["steps"]

STUB = """#!{python}
import json, os, sys
words = sys.argv[4:]
assert sys.argv[1:4] == ["-P", "-m", "jacobench"], sys.argv
print("a table"); print("a line\\njacobench: the cause: 5 % too small", file=sys.stderr)
open("words.json", "w").write(json.dumps(words))
if os.environ["STATE"]:
    open(os.environ["GITHUB_OUTPUT"], "a").write("verdict=" + os.environ["STATE"] + "\\n")
sys.exit(int(os.environ["CODE"]))
"""

OLD_PYTHON = """#!/bin/sh
case $* in
  *"import sys; sys.exit"*) exit 1 ;;
  *"-P"*) echo "Unknown option: -P" >&2; exit 2 ;;
  *) echo {version} ;;
esac
"""

STATES = {0: "clear", 1: "regressed", 2: "", 3: "inconclusive", 4: "nothing", 130: ""}


@dataclass(frozen=True)
class Finished:
    """A step that ended: its exit code, what it printed, and its outputs."""

    code: int
    stdout: str
    stderr: str
    outputs: dict[str, str]


@pytest.fixture
def step(tmp_path):
    """Return a function that runs a step of the action with some inputs, in a folder with a space in its name."""
    folder, temporary = tmp_path / "a folder", tmp_path / "runner temp"
    folder.mkdir()
    temporary.mkdir()

    def run(which, variables=(), **inputs):
        inputs = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(inputs) <= set(ACTION["inputs"])
        values = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()} | inputs

        def valued(text):
            return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], text)

        output = temporary / "output"
        output.write_text("")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {name: valued(text) for name, text in which["env"].items()}
        environment |= {"GITHUB_ACTION_PATH": str(TOP), "GITHUB_OUTPUT": str(output), "RUNNER_TEMP": str(temporary)}
        environment |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(temporary / "summary.md")}
        script = temporary / "script.sh"
        script.write_text(which["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=folder / valued(which["working-directory"]),
            env=environment | dict(variables), capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        return Finished(
            done.returncode,
            done.stdout,
            done.stderr,
            dict(re.findall(r"^(.+?)=(.*)$", output.read_text(), re.MULTILINE)),
        )

    return run


@pytest.fixture
def stub(tmp_path, step):
    """Return a function that runs the gate's step with a stub of Python, and returns the arguments of the gate, too."""
    program = tmp_path / "python stub"
    program.write_text(STUB.format(python=sys.executable))
    program.chmod(0o755)

    def run(code=0, **inputs):
        done = step(GATE, {"CODE": str(code), "STATE": STATES[code]}, python=str(program), **inputs)
        return done, json.loads((tmp_path / "a folder" / "words.json").read_text())

    return run


def test_by_default_the_working_tree_is_compared_with_its_first_parent(stub, tmp_path):
    done, words = stub()
    markdown = f"{tmp_path}/runner temp/jacobench-gate.md"
    assert words == ["gate", "--against=HEAD^1", f"--markdown={markdown}"]
    assert done.outputs == {"verdict": "clear", "exit-code": "0", "markdown": markdown}
    assert (done.stdout, done.stderr.splitlines()[0]) == ("a table\n", "a line")


def test_every_input_reaches_the_command_as_it_is(stub, tmp_path):
    strange = """a "b" 'c' $(touch pwned) `touch pwned`; touch pwned #*"""
    lists = {name: f"-{name} {strange}\n\n  \nsecond" for name in ("pytest", "strategy", "case")}
    lists |= dict.fromkeys(("base_with", "head_with"), f"x>1 {strange}\ny")
    words = {name: f"{name} {strange}" for name in ("against", "suite", "suite_from", "install", "junit", "out")}
    _, found = stub(**lists, **words, max_minutes="2", memory="true", markdown="sub/x.md")
    expected = {f"--{name.replace('_', '-')}={value}" for name, value in words.items()}
    for name, value in lists.items():
        expected |= {f"--{name.replace('_', '-')}={line}" for line in value.splitlines() if line.strip()}
    folder = tmp_path / "a folder"
    expected |= {"gate", "--max-minutes=2", "--memory", f"--markdown={folder}/sub/x.md"}
    assert sorted(found) == sorted(expected)
    assert [path.name for path in folder.iterdir()] == ["words.json"]


@pytest.mark.parametrize(
    ("code", "inputs", "expected"),
    [
        (0, {}, 0),
        (1, {}, 1),
        (2, {}, 2),
        (3, {}, 0),
        (3, {"fail_on_inconclusive": "true"}, 3),
        (4, {}, 4),
        (4, {"fail_on_nothing": "false"}, 0),
        (130, {"fail_on_nothing": "false"}, 130),
    ],
)
def test_the_step_fails_as_its_inputs_say(code, inputs, expected, stub):
    done, _ = stub(code, **inputs)
    assert done.code == expected
    assert done.outputs["exit-code"] == str(code)
    assert done.outputs.get("verdict", "") == STATES[code]


def test_without_a_verdict_the_cause_is_an_annotation_and_the_step_fails(stub):
    done, _ = stub(2)
    assert done.stdout == "a table\n::error title=jacobench::jacobench: the cause: 5 %25 too small\n"


@pytest.mark.parametrize(("version", "is_named"), [("3.10.12", True), ("", False)])
def test_an_old_or_missing_python_is_an_annotation_with_the_fix(version, is_named, step, tmp_path):
    program = tmp_path / "python stub"
    if version:
        program.write_text(OLD_PYTHON.format(version=version))
        program.chmod(0o755)
    done = step(INSTALL, python=str(program))
    assert done.code == 2
    assert done.stdout.startswith("::error title=jacobench::expected Python 3.11 or later, but the input python (")
    assert done.stdout.endswith("; run actions/setup-python before this step, or set the input python\n")
    assert (f") is: {version};" if is_named else "No such file") in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_every_input_of_a_step_is_one_of_the_action_and_each_is_used():
    text = "".join(f"{step['env']}{step['working-directory']}" for step in (INSTALL, GATE))
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    variables = {name for name in GATE["env"] if not re.search(rf"\$\{{?{name}\b", GATE["run"])}
    assert not variables


@pytest.fixture
def python(step, tmp_path):
    """Return the interpreter of an environment into which the action installed jacobench."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    packages, python = next((tmp_path / "venv").glob("lib/python*/site-packages")), tmp_path / "venv/bin/python"
    (packages / "shared.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_IGNORE_INSTALLED": "1"}
    done = step(INSTALL, offline, python=str(python))
    assert done.code == 0, done.stderr
    assert (packages / "jacobench" / "bench" / "gate").is_dir()
    return str(python)


@pytest.fixture
def project(tmp_path):
    """Return the folder in which the steps run, as the committed repository of a project."""
    folder = tmp_path / "a folder"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Project"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    return folder


def test_every_option_is_one_of_the_gate():
    done = subprocess.run([sys.executable, "-P", "-m", "jacobench", "gate", "--help"], capture_output=True, check=True)
    options = set(re.findall(r"--[\w-]+", done.stdout.decode()))
    assert set(re.findall(r"(?:add|\+=\()\s*(--[\w-]+)", GATE["run"])) <= options


@pytest.mark.long
def test_the_action_measures_a_pytest_suite(step, python, project, tmp_path):
    (project / "work.py").write_text("def work():\n    raise ValueError('not today')\n")
    done = step(GATE, python=python, against="HEAD", pytest="benchmarks/", max_minutes="2", junit="gate.xml")
    assert done.code == 1, done.stdout + done.stderr
    assert (done.outputs["verdict"], done.outputs["exit-code"]) == ("regressed", "1")
    assert "broken | `benchmarks/test_speed.py::test_work`" in Path(done.outputs["markdown"]).read_text()
    assert "test_work" in (tmp_path / "runner temp" / "summary.md").read_text()
    assert "::error title=Regression" in done.stdout
    assert (project / "gate.xml").exists()

    done = step(GATE, python=python, against="no-such-branch")
    assert (done.code, done.outputs.get("verdict")) == (2, None)
    assert "::error title=jacobench::jacobench: unknown revision 'no-such-branch'" in done.stdout


GIT = ("git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")

FILES = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "project-of-the-action"
version = "1"

[tool.hatch.build.targets.wheel]
include = ["work.py"]
""",
    "work.py": "def work():\n    return sum(range(900))\n",
    "benchmarks/test_speed.py": "import work\n\n\ndef test_work(benchmark):\n    benchmark(work.work)\n",
}
