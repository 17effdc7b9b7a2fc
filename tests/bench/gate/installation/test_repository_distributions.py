"""Installed distributions of the repository: modules, origin, and what the revisions change."""

from __future__ import annotations

import pytest

from jacobench.bench.gate.installation.repository_distributions import (
    installed,
    is_own,
    projects_in,
    required_by,
    same_files,
    siblings,
    static_metadata,
)
from jacobench.bench.gate.trees.revisions import Project, Tree


def by_name(folder):
    return {each.name: each for each in installed([str(folder)])}


def test_modules_are_those_of_the_metadata(tmp_path, install_files):
    files = ["space/core/__init__.py", "space/core/_c.cpython-311-x86_64-linux-gnu.so", "one.py", "space/core/data.txt"]
    install_files(tmp_path, "My_Space", {**dict.fromkeys(files, ""), "space/core/__pycache__/x.cpython-311.pyc": ""})
    (found,) = by_name(tmp_path).values()
    assert (found.name, found.version, found.source, found.is_editable) == ("my-space", "0.1", None, False)
    assert found.modules >= {"space.core", "space.core._c", "one"}
    assert not {"space", "space.core.data"} & found.modules


def test_an_editable_installation_has_its_top_modules_and_its_folder(tmp_path, install_files):
    source = tmp_path / "repo/src"
    (source / "fastad").mkdir(parents=True)
    (source / "fastad/__init__.py").write_text("")
    (source / "neighbour.py").write_text("")
    site = tmp_path / "site"
    install_files(site, "fast-ad", {"_fast.pth": f"{source}\nimport sys\n"}, source=tmp_path / "repo", editable=True)
    (found,) = by_name(site).values()
    assert found.is_editable
    assert found.folder == found.source == tmp_path / "repo"
    assert found.path_files == (site / "_fast.pth",)
    assert found.modules == set()
    assert found.importable == {"fastad", "fast_ad", "neighbour"}


def test_an_installation_by_setup_develop_is_editable(tmp_path):
    (tmp_path / "repo/fastad.egg-info").mkdir(parents=True)
    (tmp_path / "repo/fastad.egg-info/PKG-INFO").write_text("Metadata-Version: 2.1\nName: fastad\nVersion: 1\n")
    (tmp_path / "repo/fastad.egg-info/top_level.txt").write_text("fast\n")
    (found,) = by_name(tmp_path / "repo").values()
    assert (found.source, found.is_editable) == (tmp_path / "repo", True)
    assert "fast" in found.modules


def test_the_commit_is_that_of_the_metadata(tmp_path, install_files):
    install_files(tmp_path, "fastad", {}, source="https://example.org/fastad", vcs="0123456789abcdef")
    (found,) = by_name(tmp_path).values()
    assert (found.commit, found.source) == ("0123456789ab", None)


STATED = {
    "[project]": ("pyproject.toml", '[project]\nname = "a"\nversion = "1"\n'),
    "poetry": ("pyproject.toml", '[tool.poetry]\nname = "a"\nversion = "1"\n'),
    "setup.cfg": ("setup.cfg", "[metadata]\nname = a\nversion = 1\n"),
    "setup.py": ("setup.py", "from setuptools import setup\nsetup(name='a', version=\"1\")\n"),
}


@pytest.mark.parametrize("how", STATED)
def test_name_and_version_are_read_from_each_kind_of_file(how, tmp_path):
    name, text = STATED[how]
    (tmp_path / name).write_text(text)
    assert static_metadata(tmp_path) == {"name": "a", "version": "1"}


def test_of_two_projects_with_a_name_the_nearer_to_the_top_counts(tmp_path):
    for place in ("tests/fixtures/a", "packages/a", ".hidden"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "pyproject.toml").write_text('[project]\nname = "a"\n')
    (tmp_path / "pyproject.toml").write_text("not TOML")
    assert {name: place.as_posix() for name, place in projects_in(tmp_path).items()} == {"a": "packages/a"}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_folders_are_the_same_if_all_files_are(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, {"x.py": "1", "sub/y.py": "2", ".git": "a pointer to another place"})
    (tmp_path / "a/.git").write_text("differs")
    assert same_files(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b/sub/y.py").write_text("3")
    assert not same_files(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b/sub/y.py").unlink()
    (tmp_path / "b/sub/y.py").symlink_to("../x.py")
    assert not same_files(tmp_path / "a", tmp_path / "b")
    assert not same_files(tmp_path / "a", None)


@pytest.fixture
def monorepo(tmp_path):
    """Return a project in a repository with siblings, and its two trees; `core` and `moved` differ between them."""
    project = Project(tmp_path / "repo", tmp_path / "repo/packages/ad")
    trees = tuple(Tree(name, tmp_path / name, tmp_path / name / "packages/ad") for name in ("base", "head"))
    for number, top in enumerate((tmp_path / "base", tmp_path / "head", tmp_path / "repo")):
        for name in ("ad", "core", "same"):
            write(top / "packages" / name, {"pyproject.toml": f'[project]\nname = "{name}"\nversion = "0.1"\n'})
        write(top / "packages/core", {"core.py": f"{min(number, 1)}"})
        write(
            top / ("moved" if number else "packages/moved"),
            {"pyproject.toml": f'[project]\nname = "moved"\ndescription = "{number}"\n'},
        )
    write(tmp_path / "repo/third_party/ignored", {"pyproject.toml": '[project]\nname = "ignored"\n'})
    return project, trees


def test_siblings_are_per_side_if_they_differ(monorepo, tmp_path, install_files):
    project, trees = monorepo
    site, packages = tmp_path / "site", project.top / "packages"
    install_files(site, "ad", {}, source=packages / "ad", editable=True, requires=["core", "same>=0"])
    install_files(site, "core", {"core.py": ""}, source=packages / "core")
    install_files(site, "moved", {}, source=project.top / "moved", editable=True)
    install_files(site, "same", {}, source=packages / "same", editable=True)
    install_files(site, "ignored", {}, source=project.top / "third_party/ignored", editable=True)
    install_files(site, "numpy", {"numpy.py": ""})
    current = installed([str(site)])
    own = [each for each in current if is_own(each, ["ad"], project)]
    assert [each.name for each in own] == ["ad"]
    found = siblings([each for each in current if each not in own], project, trees)
    assert {each.installed.name: each.is_per_side for each in found} == {
        "core": True,
        "moved": True,
        "same": False,
        "ignored": False,
    }
    (moved,) = (each for each in found if each.installed.name == "moved")
    assert [place and place.as_posix() for place in moved.folders] == ["packages/moved", "moved"]
    assert required_by(own, current) == {"core", "same"}


@pytest.mark.parametrize(
    ("version", "source", "per_side"),
    [("0.1", None, True), ("0.1", "core-0.1-py3-none-any.whl", True), ("2.0", None, False), ("0.1", "folder", False)],
)
def test_a_sibling_installed_from_elsewhere_is_one_if_its_version_agrees(
    version, source, per_side, monorepo, tmp_path, install_files
):
    project, trees = monorepo
    write(tmp_path / "dist", {"core-0.1-py3-none-any.whl": "", "folder/x": ""})
    install_files(
        tmp_path / "site", "core", {"core.py": ""}, version=version, source=source and tmp_path / "dist" / source
    )
    (found,) = siblings(installed([str(tmp_path / "site")]), project, trees)
    assert (found.differs, found.is_per_side) == (True, per_side)


def test_what_others_require_comes_first(monorepo, tmp_path, install_files):
    project, trees = monorepo
    for name, requires in {"ad": [], "core": ["same"], "same": ["moved[extra]>1"], "moved": ["ad"]}.items():
        install_files(tmp_path / "site", name, {}, source=project.top / "packages" / name, requires=requires)
    found = siblings(installed([str(tmp_path / "site")]), project, trees)
    assert [each.installed.name for each in found] == ["ad", "moved", "same", "core"]
