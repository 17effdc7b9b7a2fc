"""The two sides as files, from real git repositories."""

import os
import shutil
import subprocess

import pytest

from jacobench.bench.gate.trees.revisions import checked_out, commit_of, project_of
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment


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


def test_base_is_the_commit_and_head_the_working_tree_as_it_is(repository, tmp_path):
    (repository / "package" / "inner" / "kept.py").write_text("three")
    (repository / "removed.py").unlink()
    (repository / "ignored").write_text("not taken")
    (repository / "new ünd odd.py").write_text("new")
    (repository / "staged.py").write_text("new")
    (repository / "link.py").symlink_to("staged.py")
    git(repository, "add", "staged.py")
    before = git(repository, "status", "--porcelain")
    project = project_of(repository / "package")
    with checked_out(project, commit_of(project, "HEAD~1"), None, tmp_path) as (base, head):
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


def test_processes_start_in_the_counterpart_of_the_current_folder(repository, tmp_path, monkeypatch):
    (repository / "package" / "inner" / "new").mkdir()
    (repository / "package" / "inner" / "new" / "file").write_text("")
    monkeypatch.chdir(repository / "package" / "inner" / "new")
    project = project_of(repository / "package")
    with checked_out(project, commit_of(project, "HEAD"), None, tmp_path) as (base, head):
        assert (base.start, head.start) == (base.folder / "inner", head.folder / "inner" / "new")


def test_a_clean_tree_is_its_commit_and_an_error_leaves_nothing(repository, tmp_path):
    project = project_of(repository)

    def fail():
        with checked_out(project, commit_of(project, "HEAD"), None, tmp_path) as (base, head):
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


def test_the_error_of_a_shallow_clone_names_the_command_for_more_commits(repository, tmp_path):
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(BadInput, match=r"git fetch --unshallow.*fetch-depth: 0"):
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
    (tmp_path / "sides").mkdir()
    with checked_out(project, commit_of(project, "HEAD"), None, tmp_path / "sides") as (base, head):
        assert (base.folder / "inner" / "kept.py").read_text() == "two"
        assert (head.folder / "inner").is_symlink()
    assert (outside / "kept.py").read_text() == "the reader's own"


def test_names_that_are_not_utf_8_and_generated_folders(repository, tmp_path):
    latin_1 = os.fsdecode("caf\xe9.txt".encode("latin-1"))
    (repository / latin_1).write_text("new")
    generated = ["env/pyvenv.cfg", "env/lib/x.py", ".pytest_cache/x", "runs/a/settings.json", "runs/a/journal.jsonl"]
    generated += [
        "runs/note.html",
        "out/b/settings.json",
        "out/b/journal.jsonl",
        "a.egg-info/PKG-INFO",
        ".benchmarks/Linux-CPython-3.11-64bit/0001_a.json",
        "build/lib/x.py",
    ]
    own = (latin_1, "inner/runs/own.py", "build/own.py", "inner/build/library.py")
    for name in (*own[1:], *generated):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("")
    project = project_of(repository)
    with checked_out(project, commit_of(project, "HEAD"), None, tmp_path) as (_, head):
        assert (head.top / latin_1).read_text() == "new"
        assert [name for name in generated if (head.top / name).exists()] == []
        assert [name for name in own if not (head.top / name).exists()] == []
    for name in own:
        (repository / name).unlink()
    with checked_out(project, commit_of(project, "HEAD"), None, tmp_path) as (_, head):
        assert not head.revision.endswith("-dirty"), "generated folders are no changes"


def test_large_untracked_files_are_refused_before_anything_is_copied(repository, tmp_path):
    with (repository / "large file.bin").open("wb") as file:
        file.truncate(300 * 10**6)
    project = project_of(repository)
    commit = commit_of(project, "HEAD")
    said = r"have 300 MB, more than 200 MB; the largest is '.*/large file\.bin' \(300 MB\): .*--untracked 300MB"
    with pytest.raises(BadInput, match=said), checked_out(project, commit, None, tmp_path):
        pass
    os.truncate(repository / "large file.bin", shutil.disk_usage(tmp_path).free + 10**9)
    said = r"but .* has only .* MB free; the largest is '.*/large file\.bin'.*TMPDIR"
    with pytest.raises(UnsuitableEnvironment, match=said), checked_out(project, commit, None, tmp_path, 2**60):
        pass
    assert list(tmp_path.iterdir()) == [repository]


def test_a_full_temporary_folder_is_named_with_the_fix(repository, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    project, full = project_of(repository), shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: full)
    said = "has no space for a copy of the repository; set TMPDIR"
    failing = checked_out(project, "0" * 40, None, tmp_path / "full")  # git fails
    with pytest.raises(UnsuitableEnvironment, match=said), failing:
        pass


def test_the_reason_why_git_refuses_a_repository_is_reported(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(BadInput, match=r"dubious ownership in repository .*git config --global --add safe\.directory"):
        project_of(repository)
    for name, value in (("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", str(repository))):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert project_of(repository).top == repository


def test_a_filter_that_is_not_installed_is_named(repository, tmp_path, monkeypatch):
    (repository / ".gitattributes").write_text("*.bin filter=large\n")
    (repository / "x.bin").write_text("pointer")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "three")
    for name, value in (("smudge", "no-such-program"), ("clean", "no-such-program"), ("required", "true")):
        git(repository, "config", f"filter.large.{name}", value)
    project = project_of(repository)
    said = r"x\.bin: (clean|smudge) filter '?large'? failed \(.*cannot run no-such-program.*\); install the program"
    with pytest.raises(BadInput, match=said), checked_out(project, commit_of(project, "HEAD"), None, tmp_path):
        pass


def test_each_side_may_be_a_commit_or_the_working_tree(repository, tmp_path):
    (repository / "package" / "inner" / "kept.py").write_text("three")
    project = project_of(repository / "package")
    commit = commit_of(project, "HEAD~1")
    for number, (base, head, texts) in enumerate(
        [(None, commit, ["three", "one"]), (commit, commit, ["one", "one"]), (None, None, ["three", "three"])]
    ):
        into = tmp_path / str(number)
        into.mkdir()
        with checked_out(project, base, head, into) as trees:
            assert [(tree.folder / "inner" / "kept.py").read_text() for tree in trees] == texts
            assert [tree.revision.endswith("-dirty") for tree in trees] == [base is None, head is None]
        assert not list(into.iterdir())
    assert git(repository, "worktree", "list").count("\n") == 1
