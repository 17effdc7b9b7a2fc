"""Requirements of one side: what a user may give, and what the installing command gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from jacobench.bench.gate.installation.side_requirements import read_requirement, words_for
from jacobench.bench.gate.trees.revisions import Project, Tree
from jacobench.graphs.errors import BadInput

GIVEN = {
    "Jax[cpu]==0.4.34": ("jax", False),
    "my.dep >= 1 ; python_version > '3'": ("my-dep", False),
    "name[x] @ https://example.org/other-1.0.zip": ("name", True),
    "https://example.org/a/Some_Dep-1.0-py3-none-any.whl?x=1": ("some-dep", True),
    "https://example.org/some-dep-1.0.tar.gz": ("some-dep", True),
    "git+https://example.org/x.git@main#egg=some_dep": ("some-dep", True),
    "git+https://example.org/x.git": ("", True),
    "some_dep-1.0-py3-none-any.whl": ("some-dep", True),
    "./some-dep-1.0.tar.gz": ("some-dep", True),
    "./core[fast]": ("core", True),
    "libs/core": ("core", True),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return a repository, the current folder, with archives and a project in it."""
    repo = tmp_path / "repo"
    for folder in ("core", "libs/core"):
        (repo / folder).mkdir(parents=True)
        (repo / folder / "pyproject.toml").write_text('[project]\nname = "core"\nversion = "1"\n')
    for file in ("some_dep-1.0-py3-none-any.whl", "some-dep-1.0.tar.gz"):
        (repo / file).write_text("")
    monkeypatch.chdir(repo)
    return repo


@pytest.mark.parametrize("text", GIVEN)
def test_a_requirement_is_read_as_pip_reads_it(text, here):
    found = read_requirement("--base-with", text)
    assert (found.text, found.name, found.is_direct) == (text, *GIVEN[text])


BAD = {
    "jax=0.4": "expected a requirement such as",
    "-r requirements.txt": "expected a requirement such as",
    "": "expected a requirement such as",
    "./none.whl": "no file or folder '/",
    "none.whl": "no file or folder '/",
    "none/core": "expected a requirement such as",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_requirement_is_bad_input(text, here):
    with pytest.raises(BadInput, match=f"^--head-with {text!r}: {BAD[text]}"):
        read_requirement("--head-with", text)


def test_a_requirement_is_met_by_its_version_and_where_its_marker_does_not_apply(here):
    wanted = read_requirement("--base-with", "dep>=2")
    assert wanted.is_met({"dep": "2.1.dev1"})
    assert not wanted.is_met({"dep": "1.9"})
    assert not wanted.is_met({})
    assert read_requirement("--base-with", "dep>=2; python_version < '3'").is_met({})
    assert read_requirement("--base-with", "./core").is_met({})


def test_paths_become_absolute_and_a_build_writes_into_no_folder_of_the_user(here, tmp_path):
    tree = Tree("base", tmp_path / "base", tmp_path / "base")
    (tree.top / "core").mkdir(parents=True)
    (tmp_path / "elsewhere/.git").mkdir(parents=True)
    (tmp_path / "elsewhere/.venv").mkdir()
    (tmp_path / "elsewhere/.venv/pyvenv.cfg").write_text("")
    (tmp_path / "elsewhere/mine.py").write_text("")

    def words(text):
        given = read_requirement("--base-with", text)
        return words_for(given, Project(here, here), tree, tmp_path / "copies")

    assert words("numpy==2.3.1") == "numpy==2.3.1"
    assert words("./some-dep-1.0.tar.gz") == str(here / "some-dep-1.0.tar.gz")
    assert words("./core[fast]") == f"{tree.top / 'core'}[fast]", "the side's own revision"
    assert words("libs/core") == str(tmp_path / "copies/0"), "the side has no such folder"
    assert words("core @ " + (here / "core").as_uri()) == "core @ " + (tree.top / "core").as_uri()
    copy = Path(words(str(tmp_path / "elsewhere")))
    assert sorted(each.name for each in copy.iterdir()) == [".git", "mine.py"]
