"""Cases in files of their own: together they are the suite, and they say no more than it does."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jacobench.bench.gate.gate_config import GateConfig
from jacobench.bench.gate.installation.side_code import MeasuredCode
from jacobench.bench.gate.installation.side_environments import Side, side_variables
from jacobench.bench.gate.sides import forbids_execution, here_twice, two_revisions, write_cases
from jacobench.bench.gate.trees.revisions import Project, SideSource, Tree, project_of
from jacobench.bench.suites import suite_files
from jacobench.bench.suites.case import build
from jacobench.bench.suites.suite_files import load_suite, suite_names
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

GRAPH_FILE = """
from jacobench.graphs.generators.mlp import mlp_graph

def make_graph(width, hidden=(3,)):
    return mlp_graph([width, *hidden, 2])
"""


SUITES = Path(suite_files.__file__).resolve().parent
MARKED = [pytest.param(name, marks=pytest.mark.models) if name == "models" else name for name in suite_names()]


@pytest.mark.parametrize("name", MARKED)
def test_each_case_of_a_suite_is_made_again_from_its_own_file(name, tmp_path):
    suite = load_suite(name)
    files = write_cases(name, [case.name for case in suite.cases], tmp_path)
    assert list(files) == [case.name for case in suite.cases]
    for case in suite.cases:
        (again,) = load_suite(str(files[case.name])).cases
        place, colon, function = str(case.knobs["graph"]).rpartition(":")  # the path of a graph's file becomes absolute
        path = {"graph": f"{SUITES / place}:{function}"} if colon else {}
        assert (again.name, again.knobs, again.rng_seed, again.task) == (
            case.name,
            {**case.knobs, **path},
            case.rng_seed,
            case.task,
        )
    _, leaves = build(suite.cases[0])
    _, others = build(load_suite(str(files[suite.cases[0].name])).cases[0])
    assert all(np.array_equal(leaves[key], others[key]) for key in leaves)


def test_only_the_cases_that_are_wanted_are_written(tmp_path):
    wanted = load_suite("smoke").cases[1].name
    assert list(write_cases("smoke", [wanted], tmp_path)) == [wanted]


def test_a_graph_of_ones_own_is_found_from_anywhere_and_strategies_are_left_out(tmp_path):
    (tmp_path / "mine.py").write_text(GRAPH_FILE)
    text = '[[sweep]]\ngraph = "mine.py:make_graph"\nwidth = [4, 5]\nhidden = [[3], [6, 7]]\nstrategies = ["dense"]\n'
    (tmp_path / "my.toml").write_text(text)
    suite = load_suite(str(tmp_path / "my.toml"))
    (tmp_path / "elsewhere").mkdir()
    files = write_cases(str(tmp_path / "my.toml"), [case.name for case in suite.cases], tmp_path / "elsewhere")
    assert len(files) == 4
    for case in suite.cases:
        (again,) = load_suite(str(files[case.name])).cases
        assert again.name == case.name
        assert again.make().leaves.keys() == case.make().leaves.keys()
        (sweep,) = tomllib.loads(files[case.name].read_text())["sweep"]
        assert sweep.keys() == {"graph", "width", "hidden"}


def test_each_side_has_its_own_folders_on_pythonpath(tmp_path, monkeypatch):
    repo = tmp_path / "repo"
    for name in ("repo/src", "repo/ignored", "repo/sub", "base/src", "head/src", "head/new", "head/sub", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    trees = [Tree(name, tmp_path / name, tmp_path / name) for name in ("base", "head")]
    sides = [Side(tree.revision, tree, Path(sys.executable), tmp_path / "packages") for tree in trees]
    monkeypatch.chdir(repo / "sub")
    project = Project(repo, repo)
    monkeypatch.setenv("PYTHONPATH", f"../src:{repo / 'new'}::{repo / 'ignored'}:{tmp_path / 'elsewhere'}")
    kept = [str(repo / "ignored"), str(tmp_path / "elsewhere")]  # in no revision
    base, head = (side_variables(project, *pair)["PYTHONPATH"].split(":") for pair in (sides, sides[::-1]))
    assert base == [str(tmp_path / "base" / "src"), *kept]
    assert head == [*(str(tmp_path / "head" / name) for name in ("src", "new", "sub")), *kept]
    monkeypatch.delenv("PYTHONPATH")
    assert side_variables(project, *sides)["PYTHONPATH"] == ""


def test_programs_are_the_sides_own_then_those_of_the_current_environment(tmp_path, monkeypatch):
    tree = Tree("base", tmp_path, tmp_path)
    base, head = (Side(name, tree, tmp_path / name / "bin/python", tmp_path) for name in ("base", "head"))
    monkeypatch.setenv("PATH", "/usr/bin")
    scripts = sysconfig.get_path("scripts")
    path = side_variables(Project(tmp_path, tmp_path), head, base)["PATH"]
    assert path.split(os.pathsep) == [str(tmp_path / "head/bin"), scripts, "/usr/bin"]
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", scripts]))
    path = side_variables(Project(tmp_path, tmp_path), head, base)["PATH"]
    assert path.split(os.pathsep) == [str(tmp_path / "head/bin"), "/usr/bin", scripts]


@pytest.mark.skipif(not hasattr(os, "ST_NOEXEC"), reason="the system does not report it")
def test_a_folder_from_which_nothing_can_be_executed_is_recognized(tmp_path, monkeypatch):
    assert not forbids_execution(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_NOEXEC | os.ST_NOSUID))
    assert forbids_execution(tmp_path)


STRATEGY = """
import os, subprocess, sys
from pathlib import Path
import helpers, shared
import jacobench as jb

class Mine:
    name = "mine"

    def prepare(self, graph):
        top = Path(__file__).parents[1]
        assert Path("data.txt").read_text() == helpers.TEXT == shared.TEXT, "files of two revisions"
        assert Path.cwd() == top / "benchmarks"
        code = "import helpers, shared; print(helpers.TEXT + shared.TEXT)"
        assert subprocess.check_output([sys.executable, "-P", "-c", code], text=True).split() == [helpers.TEXT * 2]
        return jb.strategy("vjp").prepare(graph)
"""

GRAPH = """
import jacobench as jb
{}

def net(width):
    return jb.mlp([width, width])[0]
"""


@pytest.fixture
def application(tmp_path, monkeypatch):
    """Return a repository of two commits that is no package; its strategy is in a file with neighbours."""
    repo = tmp_path / "application"
    git = ["git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    texts = {
        "pyproject.toml": "[project]\nname = 'thesis'\nversion = '1'\n[tool.uv]\npackage = false\n",
        "benchmarks/mine.py": STRATEGY,
        "benchmarks/net.py": GRAPH.format(""),
        "suite.toml": '[[sweep]]\ngraph = "benchmarks/net.py:net"\nwidth = 4\n',
    }
    for text in ("one", "two"):
        texts |= {"benchmarks/data.txt": text}
        texts |= dict.fromkeys(("benchmarks/helpers.py", "lib/shared.py"), f"TEXT = {text!r}\n")
        for name, content in texts.items():
            (repo / name).parent.mkdir(parents=True, exist_ok=True)
            (repo / name).write_text(content)
        subprocess.run([*git, "init", "-q"], cwd=repo, check=True)
        subprocess.run([*git, "add", "-A"], cwd=repo, check=True)
        subprocess.run([*git, "commit", "-qm", text], cwd=repo, check=True)
    monkeypatch.chdir(repo / "benchmarks")
    monkeypatch.setenv("PYTHONPATH", "../lib")
    return repo


@pytest.mark.parametrize(("in_project", "place"), [(True, "."), (False, "benchmarks")])
def test_a_suite_of_pyproject_starts_in_the_folder_of_the_project(application, monkeypatch, in_project, place):
    def install_sides(_project, trees, *_):
        return tuple(Side(tree.revision, tree, Path(), Path()) for tree in trees), MeasuredCode()

    monkeypatch.setattr("jacobench.bench.gate.sides.install_sides", install_sides)
    config = GateConfig(pytest=("benchmarks",), in_project=in_project)
    with two_revisions(project_of(application), SideSource("HEAD"), SideSource(None), config, print) as runner:
        trees = [side.tree for side in runner.sides]
        assert [tree.start for tree in trees] == [tree.folder / place for tree in trees]


@pytest.mark.long
def test_every_process_of_a_side_uses_its_own_files(application):
    config = GateConfig(suite=str(application / "suite.toml"), strategies=("mine.py:Mine",))
    with two_revisions(project_of(Path.cwd()), SideSource("HEAD~1"), SideSource(None), config, print) as runner:
        runner.precheck()
        for side in runner.sides:
            assert {(found.status, found.reason) for found in runner.statuses[side.name].values()} == {("ok", "")}


@pytest.mark.long
def test_a_graph_and_a_strategy_that_need_different_modules_of_one_name_are_refused(application):
    (application / "benchmarks" / "net.py").write_text(GRAPH.format("import helpers"))
    config = GateConfig(suite=str(application / "suite.toml"), strategies=("mine.py:Mine",))
    said = r"^base \([0-9a-f]{12}\) cannot be measured: .*mine.py and .*net.py import different modules .* 'helpers'"
    with (
        two_revisions(project_of(Path.cwd()), SideSource("HEAD~1"), SideSource(None), config, print) as runner,
        pytest.raises(BadInput, match=said),
    ):
        runner.precheck()


def test_no_temporary_folder_is_bad_input_before_anything_is_made(monkeypatch):
    def gettempdir():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", gettempdir)
    said = r"No usable temporary directory.*set TMPDIR"
    with pytest.raises(UnsuitableEnvironment, match=said), here_twice(GateConfig()):
        pass


def test_a_full_disk_while_the_sides_are_made_is_named_with_the_fix(tmp_path, monkeypatch):
    def full(folder, _folder):
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("jacobench.bench.gate.sides.Project", full)
    said = f"{re.escape(str(tmp_path))}: No space left on device; set TMPDIR"
    with pytest.raises(UnsuitableEnvironment, match=said), here_twice(GateConfig()):
        pass
    assert list(tmp_path.iterdir()) == []
