"""Both sides are installed with what the revisions change, and what is measured is listed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from jacobench.bench.gate import side_environments, side_installation
from jacobench.bench.gate.repository_distributions import installed
from jacobench.bench.gate.revisions import Project, SideSource, Tree
from jacobench.bench.gate.side_installation import install_sides
from jacobench.graphs.errors import BadInput

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="environments have another layout")

REVISIONS = (SideSource("one"), SideSource(None))

INSTALLER = """
import shutil, sys, sysconfig, tomllib
from pathlib import Path
source, site = Path(sys.argv[1]), Path(sysconfig.get_path("purelib"))
name = tomllib.loads((source / "pyproject.toml").read_text())["project"]["name"]
metadata = site / f"{name}-0.1.dist-info"
shutil.rmtree(metadata, ignore_errors=True)
metadata.mkdir()
(metadata / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 0.1\\n")
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
    requires = INSTALLER.replace("Version: 0.1", "Version: 0.1\\nRequires-Dist: unrelated>1")
    installer.write_text(requires)
    _, code = install_sides(project, trees, REVISIONS, tmp_path, template, lambda _: None)
    (found,) = (each for each in code.distributions if each.name == "unrelated")
    assert (found.side, found.version, found.commit) == ("both", "9", "0123456789ab")
    assert "was not installed from it" in found.note


def test_a_project_that_is_renamed_and_what_its_command_adds_are_listed_once(world, tmp_path):
    project, trees, template = world
    head = trees[1].folder
    (head / "pyproject.toml").write_text((head / "pyproject.toml").read_text().replace('"ad"', '"da"'))
    (head / "ad.py").rename(head / "da.py")
    copies, _, writes = INSTALLER.partition('shutil.copy(source / f"{name}.py", site)\n')
    again = copies.partition('["name"]\n')[2]
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
