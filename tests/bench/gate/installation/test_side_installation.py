"""Both sides are installed with what the revisions change, and what is measured is listed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from jacobench.bench.gate.installation import side_environments, side_installation
from jacobench.bench.gate.installation.installer import INSTALL
from jacobench.bench.gate.installation.repository_distributions import installed
from jacobench.bench.gate.installation.requirement_changes import RequirementChange, UnmetRequirement
from jacobench.bench.gate.installation.side_installation import install_sides, missing_tags
from jacobench.bench.gate.trees.revisions import Project, SideSource, Tree
from jacobench.graphs.errors import BadInput

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="environments have another layout")

REVISIONS = (SideSource("one"), SideSource(None))

INSTALLER = """
import shutil, sys, sysconfig, tomllib
from pathlib import Path
source, site = Path(sys.argv[1]), Path(sysconfig.get_path("purelib"))
project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
name, requires = project["name"], "".join(f"Requires-Dist: {each}\\n" for each in project.get("dependencies", []))
metadata = site / f"{name}-0.1.dist-info"
shutil.rmtree(metadata, ignore_errors=True)
metadata.mkdir()
(metadata / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 0.1\\n{requires}")
(metadata / "RECORD").write_text(f"{name}.py,,\\n{name}-0.1.dist-info/METADATA,,\\n")
shutil.copy(source / f"{name}.py", site)
"""
"""Stands for pip, which takes longer."""


@pytest.fixture
def world(tmp_path, monkeypatch, install_files):
    """Return a project, its trees and a template; `core` and `unrelated` differ between the trees, `same` does not."""
    (tmp_path / "installer.py").write_text(INSTALLER)
    for number, top in enumerate(("base", "head", "repo")):
        for name in ("ad", "core", "same", "unrelated"):
            folder = tmp_path / top / "packages" / name
            folder.mkdir(parents=True)
            (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nversion = "0.1"\n')
            (folder / f"{name}.py").write_text(f"REVISION = {0 if name == 'same' else min(number, 1)}\n")
    site = tmp_path / "site"
    packages = tmp_path / "repo/packages"
    for name in ("ad", "core", "same"):
        install_files(site, name, {f"{name}.py": ""}, source=packages / name)
    install_files(site, "unrelated", {}, version="9", source="https://example.org/unrelated", vcs="0123456789abcdef")
    monkeypatch.setattr(side_environments, "_site_folders", lambda: [str(site), str(Path(np.__file__).parents[1])])
    monkeypatch.setattr(side_installation, "installed", lambda: installed([str(site)]))
    project = Project(tmp_path / "repo", packages / "ad")
    trees = tuple(Tree(name, tmp_path / name, tmp_path / name / "packages/ad") for name in ("base", "head"))
    return project, trees, f"{{python}} {tmp_path / 'installer.py'} {{dir}}"


def test_what_the_revisions_change_is_installed_for_each_side(world, tmp_path):
    project, trees, template = world
    said = []
    sides, code = install_sides(project, trees, REVISIONS, tmp_path, template, said.append)
    assert said == ["installing base: base, with core", "installing head: head, with core"]
    for number, side in enumerate(sides):
        assert {each.name for each in side.distributions()} == {"ad", "core"}
        assert (side.packages / "core.py").read_text() == f"REVISION = {number}\n"
    assert {(each.side, each.name, each.version, each.commit, each.folder) for each in code.distributions} == {
        *((side.name, name, "0.1", side.name, str(side.packages)) for side in sides for name in ("ad", "core")),
        ("both", "same", "0.1", "", str(tmp_path / "site")),
    }


def test_a_changed_sibling_from_elsewhere_is_listed_if_the_project_requires_it(world, tmp_path):
    project, trees, template = world
    installer = tmp_path / "installer.py"
    installer.write_text(INSTALLER.replace("{requires}", "Requires-Dist: unrelated>1\\n"))
    _, code = install_sides(project, trees, REVISIONS, tmp_path, template, lambda _: None)
    (found,) = (each for each in code.distributions if each.name == "unrelated")
    assert (found.side, found.version, found.commit) == ("both", "9", "0123456789ab")
    assert "was not installed from it" in found.note


def test_requirements_that_differ_or_that_the_current_environment_does_not_satisfy_are_found(world, tmp_path):
    project, trees, template = world
    for tree, wanted in zip(trees, (["unrelated>8", "same"], ["unrelated>9", "none", "same"]), strict=True):
        path = tree.folder / "pyproject.toml"
        groups = f"[dependency-groups]\nbench = {wanted}\n"
        path.write_text(f"{path.read_text()}dependencies = {wanted}\n{groups}")
    _, code = install_sides(project, trees, REVISIONS, tmp_path, template, lambda _: None)
    assert code.changes == (
        RequirementChange("none", "", "none", "", "", is_shared=False),
        RequirementChange("unrelated", "unrelated>8", "unrelated>9", "9", "9", is_shared=True),
        RequirementChange("unrelated", "unrelated>8", "unrelated>9", "9", "9", is_shared=True, of="group bench"),
    )
    assert set(code.unmet) == {
        UnmetRequirement("ad 0.1", "unrelated>9", "9", "head"),
        UnmetRequirement("ad 0.1", "none", "", "head"),
    }


def test_a_project_that_is_renamed_and_what_its_command_adds_are_listed_once(world, tmp_path):
    project, trees, template = world
    head = trees[1].folder
    (head / "pyproject.toml").write_text((head / "pyproject.toml").read_text().replace('"ad"', '"da"'))
    (head / "ad.py").rename(head / "da.py")
    copies, _, writes = INSTALLER.partition('shutil.copy(source / f"{name}.py", site)\n')
    again = "metadata = site" + copies.partition("metadata = site")[2]
    (tmp_path / "installer.py").write_text(f"{copies}{writes}\nname = 'dependency' + name[0]\n{again}")
    _, code = install_sides(project, trees, REVISIONS, tmp_path, template, lambda _: None)
    found = [
        (each.side, each.name, each.commit)
        for each in code.distributions
        if each.side != "both" and each.name != "core"
    ]
    assert found == [
        ("base", "ad", "base"),
        ("base", "dependencya", ""),
        ("head", "da", "head"),
        ("head", "dependencyd", ""),
    ]


def test_a_command_that_installs_nothing_is_bad_input(world, tmp_path):
    project, trees, _ = world
    with pytest.raises(
        BadInput, match=r"^base \(base, packages/core\) was not installed: the command 'true .* nothing"
    ):
        install_sides(project, trees, REVISIONS, tmp_path, "true {python} {dir}", lambda _: None)


def test_a_project_that_is_not_a_package_is_listed_by_its_files(world, tmp_path):
    project, _, template = world
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    trees = tuple(Tree(name, tmp_path / name, tmp_path / name) for name in ("one", "two"))
    _, code = install_sides(project, trees, REVISIONS, tmp_path, template, lambda _: None)
    assert [(each.side, each.name, each.commit, each.folder) for each in code.distributions if each.side != "both"] == [
        ("base", "files", "one", str(tmp_path / "one")),
        ("head", "files", "two", str(tmp_path / "two")),
    ]


IMPORTS = """
import importlib, json
found = {}
for name in ("dep", "dep.old", "dep.new", "dep_top", "base"):
    try:
        found[name] = importlib.import_module(name).__file__
    except ImportError:
        found[name] = None
print(json.dumps(found))
"""


@pytest.fixture
def releases(tmp_path, monkeypatch, install_files, write_wheel):
    """Return a project that is no package, with an index of wheels.

    The current environment has `dep` 2.0 from a folder, in editable mode with its own import finder, and `base` 1.0.
    """
    index, site, source, repo = (tmp_path / name for name in ("index", "site", "source", "repo"))
    for folder in (index, source / "dep", repo):
        folder.mkdir(parents=True)
    for file in ("__init__.py", "new.py"):
        (source / "dep" / file).write_text("")
    (source / "dep_top.py").write_text("")
    write_wheel(index, "dep", "1.0", {"dep/__init__.py": "", "dep/old.py": ""}, ["base>=1"])
    write_wheel(index, "dep", "2.0", {"dep/__init__.py": "", "dep/new.py": ""}, ["base>=1"])
    write_wheel(index, "dep", "3.0", {"dep/__init__.py": ""}, ["base>=2"])
    write_wheel(index, "base", "1.0", {"base.py": ""})
    write_wheel(index, "base", "2.0", {"base.py": ""})
    finder = f"""
import sys
from importlib.machinery import PathFinder
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, path or [{str(source)!r}]) if name.partition(".")[0] in ("dep", "dep_top") else None
sys.meta_path.insert(0, Finder)
"""
    files = {"_finder.py": finder, "dep.pth": "import _finder\n"}
    install_files(site, "dep", files, version="2.0", source=source, editable=True, requires=["base>=1"])
    install_files(site, "base", {"base.py": ""}, version="1.0")
    install_files(site, "other", {}, version="5", requires=["base<2"])
    pip = str(Path(find_spec("pip").origin).parents[1])
    monkeypatch.setattr(side_environments, "_site_folders", lambda: [str(site), pip])
    monkeypatch.setattr(side_installation, "installed", lambda: installed([str(site), pip]))
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(index)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    trees = tuple(Tree(name, tmp_path / name, tmp_path / name) for name in ("base", "head"))
    for tree in trees:
        tree.top.mkdir()

    def install(base_with, head_with=(), template=INSTALL):
        into = Path(tempfile.mkdtemp(dir=tmp_path))
        sources = SideSource(None, tuple(base_with)), SideSource(None, tuple(head_with))
        return install_sides(Project(repo, repo), trees, sources, into, template, lambda _: None)

    return install


def seen(side):
    """Return what a side's process imports: module → file."""
    done = subprocess.run([side.python, "-P", "-c", IMPORTS], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def versions(code):
    return sorted((each.name, each.side, each.version) for each in code.distributions if each.version)


@pytest.mark.long
def test_a_requirement_replaces_an_editable_package_on_its_side_and_shares_what_suits(releases, tmp_path):
    (base, head), code = releases(["dep==1.0"])
    assert [each.name for each in base.distributions()] == ["dep"], "`base` 1.0 suits it and is not installed again"
    packages, source, site = base.packages, tmp_path / "source", tmp_path / "site"
    assert seen(base) == {
        "dep": str(packages / "dep/__init__.py"),
        "dep.old": str(packages / "dep/old.py"),
        "dep.new": None,
        "dep_top": None,
        "base": str(site / "base.py"),
    }
    assert seen(head)["dep.new"] == str(source / "dep/new.py"), "head has no requirement"
    assert seen(head)["dep_top"] == str(source / "dep_top.py")
    assert versions(code) == [("dep", "base", "1.0"), ("dep", "head", "2.0")]
    assert (code.unmet, code.changes) == ((), ())


@pytest.mark.long
def test_what_a_requirement_pulls_in_and_breaks_is_listed(releases, tmp_path):
    (_, head), code = releases([], ["dep>2"])
    assert versions(code) == [
        ("base", "base", "1.0"), ("base", "head", "2.0"), ("dep", "base", "2.0"), ("dep", "head", "3.0"),
    ]  # fmt: skip
    assert seen(head)["base"] == str(head.packages / "base.py")
    assert [(each.side, each.by, each.requirement, each.version) for each in code.unmet] == [
        ("head", "other 5", "base<2", "2.0")
    ]


@pytest.mark.long
def test_a_release_or_a_file_with_the_version_of_the_current_package_is_installed(releases, tmp_path):
    local = tmp_path / "base-1.0-py3-none-any.whl"
    shutil.copy(tmp_path / "index" / local.name, local)
    (base, head), code = releases([str(local)], ["dep==2.0"])
    assert [each.name for each in base.distributions()] == ["base"]
    assert [each.name for each in head.distributions()] == ["dep"], "the release, not the editable folder"
    assert versions(code) == [
        (name, side, version) for name, version in (("base", "1.0"), ("dep", "2.0")) for side in ("base", "head")
    ]


@pytest.mark.long
def test_a_requirement_that_does_not_hold_is_bad_input(releases, tmp_path):
    with pytest.raises(BadInput, match=r"^base with dep==9 cannot be installed: no release satisfies dep==9: .* 3\.0"):
        releases(["dep==9"])
    with pytest.raises(
        BadInput, match=r"^head with none cannot be installed: the package index has no release of none"
    ):
        releases([], ["none"])
    replaced = f"{sys.executable} {tmp_path / 'replaces.py'} {{python}} {{dir}}"
    (tmp_path / "replaces.py").write_text(
        "import subprocess, sys\npython, *what = sys.argv[1:]\n"
        "subprocess.run([python, '-m', 'pip', 'install', '-q', '-U', '--ignore-installed', what[0].replace('1.0', '2.0')], check=True)\n"
    )
    with pytest.raises(BadInput, match=r"^base has dep 2.0 instead of dep==1.0: the command .* replaced it"):
        releases(["dep==1.0"], template=replaced)


@pytest.mark.long
def test_a_release_of_the_project_is_compared_with_its_files(releases, tmp_path):
    """Head cannot be built; that does not matter, because both sides have the same files."""
    for top in ("repo", "base", "head"):
        (tmp_path / top / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "none"\n[project]\nname = "dep"\nversion = "4.0"\n'
        )
        (tmp_path / top / "dep").mkdir(exist_ok=True)
        (tmp_path / top / "dep/__init__.py").write_text("")
    (base, head), _ = releases(["dep==3.0"])
    assert {(each.name, each.version) for each in base.distributions()} == {("base", "2.0"), ("dep", "3.0")}
    assert head.distributions() == []
    program = f"import sys; sys.path.insert(0, {str(tmp_path / 'base')!r}); import dep; print(dep.__file__)"
    done = subprocess.run([base.python, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(base.packages / "dep/__init__.py"), "not the project's files"
    assert seen(head)["dep"] is None, "the current environment's installation of the project is hidden"


def test_a_version_from_tags_in_a_clone_without_tags_is_one_line_with_the_fix(tmp_path):
    def git(folder, *words):
        identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    repo = tmp_path / "repo"
    repo.mkdir()
    system = '[build-system]\nrequires = ["setuptools", "{}>=8"]\n[project]\nname = "a"\ndynamic = ["version"]\n'
    (repo / "pyproject.toml").write_text(system.format("setuptools_scm[toml]"))
    git(repo, "init", "-q")
    for number in range(2):
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "--allow-empty", "-m", str(number))
    tree = Tree("1a2b3c", repo, repo)
    assert missing_tags(tree).endswith("none precedes 1a2b3c in this clone: to fetch them, run git fetch --tags")
    git(tmp_path, "clone", "-q", "--depth", "1", repo.as_uri(), "shallow")
    shallow = Tree("1a2b3c", tmp_path / "shallow", tmp_path / "shallow")
    assert missing_tags(shallow).endswith("run git fetch --tags --unshallow")
    git(repo, "tag", "v1")
    assert missing_tags(tree) == ""
    (shallow.folder / "pyproject.toml").write_text(system.format("wheel"))
    assert missing_tags(shallow) == ""
