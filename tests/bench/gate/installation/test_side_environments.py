"""A side's environment: the current packages come after its own, and the project's own installation is hidden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jacobench.bench.gate.installation import side_environments
from jacobench.bench.gate.installation.repository_distributions import installed
from jacobench.bench.gate.installation.side_environments import create_environment, lacking_to_build, write_rules
from jacobench.bench.gate.trees.revisions import Project, Tree

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="environments have another layout")

SEES = """
import json, sys
from importlib import import_module
from importlib.metadata import distributions
from importlib.util import find_spec

def seen(name):
    try:
        return import_module(name).__file__
    except ImportError as error:
        return type(error).__name__

names = [each.metadata["Name"] for each in distributions()]
modules = {names!r}
assert "PathFinder" in {{getattr(finder, "__name__", "") for finder in sys.meta_path}}, "other hooks look for it"
print(json.dumps([{{name: seen(name) for name in modules}}, names, find_spec("fastad.removed") is None]))
"""

FINDER = """
import sys, importlib.util
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("{package}"):
            file = "{folder}/" + name.replace(".", "/") + "{end}"
            return importlib.util.spec_from_file_location(name, file)
sys.meta_path.insert(0, Finder)
"""


def ask(side, *names):
    """Return what a process of a side imports under names, the distributions that it sees, and whether one is hidden."""
    code = SEES.format(names=names)
    done = subprocess.run([side.python, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def world(tmp_path, monkeypatch, install_files):
    """Return a project with everything in the current environment that could be mistaken for a side's own code."""
    site, repo = tmp_path / "site", tmp_path / "repo"
    for top in ("repo", "base", "head"):
        for file in ("fastad/__init__.py", "fastad/impl.py", "fastad/removed.py", "vendored/ven.py", "tools/tool.py"):
            (tmp_path / top / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / top / file).write_text("")
    (repo / "ignored").mkdir()
    (repo / "ignored/jab.py").write_text("")
    plain = ["fastad/__init__.py", "fastad/removed.py", "space/core.py", "space/old.py"]
    install_files(site, "fastad", dict.fromkeys(plain, ""), version="0.9")
    finder = FINDER.format(package="fastad", folder=repo, end="/__init__.py")
    install_files(site, "old-name", {"_old.py": finder, "old.pth": "import _old"}, source=repo, editable=True)
    install_files(site, "vendored", {"ven.pth": str(repo / "vendored")}, source=repo / "vendored", editable=True)
    install_files(site, "ignored", {"jab.pth": str(repo / "ignored")}, source=repo / "ignored", editable=True)
    install_files(site, "other", {"space/other.py": "", "other.py": ""})
    (site / "untraced.py").write_text(FINDER.format(package="fastad.impl", folder=repo, end=".py"))
    (site / "untraced.pth").write_text(f"import untraced\n{repo / 'tools'}\n")
    monkeypatch.setattr(side_environments, "_site_folders", lambda: [str(site), str(Path(np.__file__).parents[1])])
    monkeypatch.setattr(sys, "path", [*sys.path, *(str(repo / name) for name in ("tools", "vendored", "ignored"))])
    return Project(repo, repo), {each.name: each for each in installed([str(site)])}


def test_a_side_sees_its_own_code_and_what_the_project_did_not_install(world, tmp_path, install_files):
    project, current = world
    base, head = (
        create_environment(name, Tree(name, tmp_path / name, tmp_path / name), tmp_path / f"{name}-env")
        for name in ("base", "head")
    )
    own = ["fastad/__init__.py", "fastad/impl.py", "space/core.py"]
    for side in (base, head):
        install_files(side.packages, "fastad", dict.fromkeys(own, ""))
    hidden = [current["fastad"], current["old-name"]]
    write_rules(base, head, project, hidden, [current["vendored"], current["ignored"]])
    modules, names, is_hidden = ask(
        base, "fastad", "fastad.impl", "fastad.removed", "space.core", "space.old",
        "space.other", "other", "ven", "jab", "tool", "numpy",
    )  # fmt: skip
    packages, site = base.packages, tmp_path / "site"
    assert modules == {
        "fastad": str(packages / "fastad/__init__.py"),
        "fastad.impl": str(packages / "fastad/impl.py"),
        "fastad.removed": "ModuleNotFoundError",
        "space.core": str(packages / "space/core.py"),
        "space.old": "ModuleNotFoundError",
        "space.other": str(site / "space/other.py"),
        "other": str(site / "other.py"),
        "ven": str(tmp_path / "repo/vendored/ven.py"),
        "jab": str(tmp_path / "repo/ignored/jab.py"),
        "tool": str(tmp_path / "base/tools/tool.py"),
        "numpy": np.__file__,
    }
    assert names.count("fastad") == 1
    assert "old-name" not in names
    assert {"vendored", "ignored", "other"} <= set(names)
    assert is_hidden
    assert [each.version for each in base.built()] == ["0.1"]
    assert base.registered() == [], "it registers what is installed in it, not what it sees"


def test_a_build_that_pip_isolates_does_not_see_the_current_environment(world, tmp_path):
    project, _ = world
    tree = Tree("base", tmp_path / "base", tmp_path / "base")
    side = create_environment("base", tree, tmp_path / "base-env")
    write_rules(side, side, project, [], [])

    def path(first):
        variables = os.environ | {"PYTHONPATH": os.pathsep.join([first, "/other"])}
        program = [side.python, "-P", "-c", "import sys; print(*sys.path, *sys.meta_path, sep='\\n')"]
        return subprocess.run(program, env=variables, capture_output=True, text=True, check=True).stdout.split("\n")

    isolated, shared = path("/tmp/pip-build-env-abc/site"), path("/tmp/mine")
    assert str(tmp_path / "site") in shared
    assert str(side.packages) in isolated
    assert str(tmp_path / "site") not in isolated
    assert not [each for each in isolated if "SideFinder" in each]


@pytest.mark.long
def test_the_old_setuptools_that_comes_with_pip_does_not_hide_the_current_one(tmp_path, monkeypatch):
    monkeypatch.setattr(side_environments, "find_spec", lambda _name: None)
    side = create_environment("base", Tree("base", tmp_path, tmp_path), tmp_path / "env")
    assert [each.name for each in side.distributions()] == ["pip"]
    assert not [each.name for each in side.packages.iterdir() if "setuptools" in each.name or "distutils" in each.name]


def test_what_a_build_lacks_is_named_with_the_command_that_installs_it(tmp_path):
    requires = ["numpy >= 99", "pip", "No_Such.Package[x]", "other; python_version < '3'"]
    (tmp_path / "pyproject.toml").write_text(f"[build-system]\nrequires = {requires}\n")
    assert lacking_to_build(tmp_path) == (
        "its build requires numpy>=99 and No_Such.Package[x], here "
        f"numpy {np.__version__} and No_Such.Package is missing: run pip install 'numpy>=99' 'No_Such.Package[x]'"
    )
    (tmp_path / "pyproject.toml").write_text("[build-system]\nrequires = ['pip', 'numpy>1']\n")
    assert lacking_to_build(tmp_path) == ""
