"""Both sides contain the submodules, which come from this clone alone."""

import subprocess

import pytest

from jacobench.bench.gate.trees.revisions import checked_out, commit_of, project_of
from jacobench.graphs.errors import BadInput

OPTIONS = ("user.name=Nobody", "user.email=nobody@example.org", "commit.gpgsign=false", "protocol.file.allow=always")


def git(folder, *arguments):
    command = ["git", *(word for option in OPTIONS for word in ("-c", option)), *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder, text):
    (folder / "file").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", text)


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """Return a repository with a submodule that has one, too; the second commit uses a later commit of the first."""
    top = tmp_path_factory.mktemp("origins")
    for name, inside in (("inner", ""), ("middle", "inner"), ("origin", "middle")):
        (top / name).mkdir()
        git(top / name, "init", "-q", "-b", "main")
        if inside:
            git(top / name, "submodule", "add", "-q", f"file://{top / inside}", f"sub/{inside}")
        commit(top / name, "one")
    commit(top / "middle", "two")
    git(top / "origin" / "sub" / "middle", "pull", "-q")
    commit(top / "origin", "two")
    return top / "origin"


@pytest.fixture
def clone(origin, tmp_path, monkeypatch):
    """Return a clone with all submodules, from which nothing can be fetched."""
    git(tmp_path, "clone", "-q", "--recurse-submodules", str(origin), "clone")
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "none")
    return tmp_path / "clone"


def files(clone, tmp_path):
    """Return the content of the files named ``file`` on both sides, and the revision of head."""
    project = project_of(clone)
    into = tmp_path / "sides"
    into.mkdir(exist_ok=True)
    with checked_out(project, commit_of(project, "HEAD~1"), None, into) as sides:
        found = [{str(p.parent.relative_to(s.top)): p.read_text() for p in s.top.rglob("file")} for s in sides]
        revision = sides[1].revision
    assert list(into.iterdir()) == []
    assert git(clone, "worktree", "list").count("\n") == 1
    lists = git(clone, "submodule", "foreach", "--recursive", "--quiet", "git worktree list | wc -l")
    assert set(lists.split()) <= {"1"}
    return *found, revision


BASE = {".": "one", "sub/middle": "one", "sub/middle/sub/inner": "one"}
HEAD = BASE | {".": "two", "sub/middle": "two"}


def test_both_sides_have_their_own_commits_of_nested_submodules(clone, tmp_path):
    base, head, revision = files(clone, tmp_path)
    assert (base, head) == (BASE, HEAD)
    assert not revision.endswith("-dirty")


def test_changes_in_submodules_are_part_of_head(clone, tmp_path):
    (clone / "sub" / "middle" / "file").write_text("changed")
    inner = clone / "sub" / "middle" / "sub" / "inner"
    (inner / "new").mkdir()
    (inner / "new" / "file").write_text("untracked")
    commit(inner, "committed")
    base, head, revision = files(clone, tmp_path)
    changed = {"sub/middle": "changed", "sub/middle/sub/inner": "committed", "sub/middle/sub/inner/new": "untracked"}
    assert (base, head) == (BASE, HEAD | changed)
    assert revision.endswith("-dirty")


def test_submodules_that_are_not_checked_out_come_from_gits_folder(clone, tmp_path):
    git(clone, "submodule", "deinit", "-q", "-f", "--all")
    assert files(clone, tmp_path)[:2] == (BASE, HEAD)


def test_a_worktree_of_a_repository_with_submodules(clone, tmp_path):
    git(clone, "worktree", "add", "-q", "--detach", str(tmp_path / "second"), "HEAD")
    project = project_of(tmp_path / "second")
    (tmp_path / "sides").mkdir()
    with checked_out(project, commit_of(project, "HEAD~1"), None, tmp_path / "sides") as (base, head):
        assert [(side.top / "sub" / "middle" / "file").read_text() for side in (base, head)] == ["one", "two"]


def test_a_submodule_that_the_clone_lacks_is_bad_input_and_leaves_nothing(origin, tmp_path):
    git(tmp_path, "clone", "-q", str(origin), "clone")
    clone = tmp_path / "clone"
    with pytest.raises(BadInput, match=r"^cannot check out the submodule 'sub/middle': it is not .*update --init"):
        files(clone, tmp_path)
    git(clone, "submodule", "update", "-q", "--init", "--recursive", "--depth", "1")
    with pytest.raises(
        BadInput, match=r"'sub/middle': its commit [0-9a-f]{40} is not in this clone; .*fetch origin [0-9a-f]"
    ):
        files(clone, tmp_path)
    assert list((tmp_path / "sides").iterdir()) == []
    assert git(clone, "worktree", "list").count("\n") == 1


def test_a_submodule_that_the_user_has_deselected_is_left_empty(origin, tmp_path):
    git(tmp_path, "clone", "-q", str(origin), "clone")
    git(tmp_path / "clone", "config", "submodule.sub/middle.update", "none")
    assert files(tmp_path / "clone", tmp_path)[:2] == ({".": "one"}, {".": "two"})
