"""The two sides as files, from real git repositories."""

import subprocess

import pytest

from jacobench.bench.gate.revisions import checked_out, commit_of, project_of
from jacobench.graphs.errors import BadInput


def git(folder, *arguments):
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path):
    """Return a repository of two commits, with a project in a folder of it."""
    folder = tmp_path / "a repository"
    (folder / "package" / "inner").mkdir(parents=True)
    (folder / "package" / "pyproject.toml").write_text("")
    (folder / "package" / "inner" / "kept.py").write_text("one")
    (folder / "removed.py").write_text("one")
    (folder / ".gitignore").write_text("ignored\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    (folder / "package" / "inner" / "kept.py").write_text("two")
    git(folder, "commit", "-qam", "two")
    return folder


def test_the_project_is_the_nearest_folder_that_is_one(repository):
    project = project_of(repository / "package" / "inner")
    assert (project.top, project.folder) == (repository, repository / "package")
    assert project_of(repository).folder == repository


def test_base_is_the_commit_and_head_the_working_tree_as_it_stands(repository, tmp_path):
    (repository / "package" / "inner" / "kept.py").write_text("three")
    (repository / "removed.py").unlink()
    (repository / "ignored").write_text("not taken")
    (repository / "new ünd odd.py").write_text("new")
    (repository / "staged.py").write_text("new")
    (repository / "link.py").symlink_to("staged.py")
    git(repository, "add", "staged.py")
    before = git(repository, "status", "--porcelain")
    project = project_of(repository / "package")
    with checked_out(project, commit_of(project, "HEAD~1"), tmp_path) as (base, head):
        assert base.folder == base.top / "package"
        assert (base.folder / "inner" / "kept.py").read_text() == "one"
        assert (base.top / "removed.py").exists()
        assert (head.folder / "inner" / "kept.py").read_text() == "three"
        assert not (head.top / "removed.py").exists()
        assert not (head.top / "ignored").exists()
        assert (head.top / "new ünd odd.py").read_text() == "new"
        assert (head.top / "link.py").readlink().name == "staged.py"
        assert head.revision.endswith("-dirty")
        assert base.revision == git(repository, "rev-parse", "HEAD~1")[:12]
    assert not (tmp_path / "base").exists()
    assert not (tmp_path / "head").exists()
    assert git(repository, "worktree", "list").count("\n") == 1
    assert git(repository, "status", "--porcelain") == before


def test_a_clean_tree_is_its_commit_and_an_error_leaves_nothing(repository, tmp_path):
    project = project_of(repository)

    def fail():
        with checked_out(project, commit_of(project, "HEAD"), tmp_path) as (base, head):
            assert base.revision == head.revision
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert git(repository, "worktree", "list").count("\n") == 1
    assert list(tmp_path.iterdir()) == [repository]


def test_what_is_no_revision_or_no_repository_is_said(repository, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="unknown revision 'mian': expected a branch, tag or commit"):
        commit_of(project_of(repository), "mian")
    with pytest.raises(BadInput, match="unknown revision '--all'"):
        commit_of(project_of(repository), "--all")
    with pytest.raises(BadInput, match="not a git repository"):
        project_of(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="cannot run git"):
        project_of(repository)


def test_a_shallow_clone_is_told_how_to_get_more(repository, tmp_path):
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(BadInput, match="git fetch --unshallow"):
        commit_of(project_of(tmp_path / "shallow"), "HEAD~1")


def test_a_folder_that_became_a_link_costs_nothing_outside_the_copy(repository, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.py").write_text("the reader's own")
    inner = repository / "package" / "inner"
    (inner / "kept.py").unlink()
    inner.rmdir()
    inner.symlink_to(outside)
    git(repository, "add", "-A")
    project = project_of(repository / "package")
    with checked_out(project, commit_of(project, "HEAD"), tmp_path / "sides") as (base, head):
        assert (base.folder / "inner" / "kept.py").read_text() == "two"
        assert (head.folder / "inner").is_symlink()
    assert (outside / "kept.py").read_text() == "the reader's own"
