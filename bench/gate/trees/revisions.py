"""Files of the two sides: a commit in a git worktree, or a copy of the working tree."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.trees.submodules import check_out
from jacobench.bench.gate.trees.working_tree import check_sizes, copy_working_tree, read_working_tree
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.machine.git_command import MORE_SPACE, git
from jacobench.bench.machine.interrupts import CleanupStack
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

HERE = ("pyproject.toml", "setup.py", "setup.cfg")  # files that mark the folder of a project

FULL = 2**20
"""Free bytes below which a file system counts as full."""

UNSHALLOW = "this clone is shallow: run 'git fetch --unshallow', or set fetch-depth: 0 in actions/checkout"

DEFAULT_UNTRACKED = "200MB"
"""Largest size of all untracked files together, which head contains."""


@dataclass(frozen=True)
class Project:
    """The project under test: the top folder of its git repository, and its own folder in it (often the same)."""

    top: Path
    folder: Path
    here: Path | None = None  # whose counterpart measuring processes start in; None: the current folder


@dataclass(frozen=True)
class SideSource:
    """What a side consists of: the files of a revision, and the requirements that are installed for this side only.

    suite: the revision whose benchmark files the side runs, with ``--pytest``; None: as ``--suite-from`` states.
    """

    revision: str | None  # None: the working tree
    requirements: tuple[str, ...] = ()
    suite: str | None = None


@dataclass(frozen=True)
class Tree:
    """Files of one side. The revision is the first 12 digits of the commit, with ``-dirty`` if files differ from it."""

    revision: str
    top: Path
    folder: Path  # of the project
    counterpart: Path | None = None  # of the current folder, which may not exist in this tree; None: see `here`

    @property
    def here(self) -> Path:
        """Folder to which the paths of ``--pytest`` are relative; it may not exist."""
        return self.counterpart or self.folder

    @property
    def start(self) -> Path:
        """Folder in which measuring processes start: `here`, or the nearest one above it that exists."""
        return next(each for each in (self.here, *self.here.parents) if each.is_dir())


def project_of(folder: Path) -> Project:
    """Return the project that a folder belongs to. Raises BadInput outside a git repository, or without git."""
    top = Path(git(folder, "rev-parse", "--show-toplevel").strip()).resolve()
    inside = [each for each in (folder.resolve(), *folder.resolve().parents) if each.is_relative_to(top)]
    named = (each for each in inside if any((each / name).is_file() for name in HERE))
    return Project(top, next(named, top))


def commit_of(project: Project, revision: str) -> str:
    """Return the commit that a revision names. Raises BadInput if there is none."""
    try:
        return git(
            project.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        ).strip()
    except BadInput:
        near = get_close_matches(revision, _names(project), n=1)
        fix = f"; {UNSHALLOW}" if is_shallow(project) else f"; did you mean {near[0]!r}?" if near else ""
        raise BadInput(
            f"unknown revision {revision!r}: expected a branch, tag or commit of {project.top}{fix}"
        ) from None


def _names(project: Project) -> list[str]:
    """Return the names of all branches and tags."""
    return git(project.top, "for-each-ref", "--format=%(refname:short)").splitlines()


def is_shallow(project: Project | Tree) -> bool:
    """Return whether the clone lacks a part of the history."""
    return git(project.top, "rev-parse", "--is-shallow-repository").strip() == "true"


@contextmanager
def checked_out(
    project: Project,
    base: str | None,
    head: str | None,
    into: Path,
    most_untracked: int = parse_bytes(DEFAULT_UNTRACKED),
) -> Iterator[tuple[Tree, Tree]]:
    """Check out both sides. Each is a commit, or None: HEAD with the changes of the working tree, without ignored files.

    The trees, submodules included, are folders in `into`, and are removed at the end. In the project, only git's list
    of worktrees changes; it is restored. Raises BadInput if the untracked files have more bytes than `most_untracked`,
    if there is no space for the changed files, or if the clone lacks a submodule.
    """
    with CleanupStack() as undo:
        try:
            if base is None or head is None:
                check_sizes(read_working_tree(project.top), most_untracked, into)
            trees = _side(project, base, into / "base", undo), _side(project, head, into / "head", undo)
        except BadInput as error:
            if shutil.disk_usage(into).free < FULL:  # git does not always report this cause
                raise UnsuitableEnvironment(
                    f"{into.parent} has no space for a copy of the repository; {MORE_SPACE}"
                ) from error
            raise
        yield trees


@contextmanager
def suite_checked_out(project: Project, revision: str | None, into: Path) -> Iterator[Tree | None]:
    """Check out the revision whose benchmark files both sides run; None if there is none."""
    if revision is None:
        yield None
        return
    commit = commit_of(project, revision)
    with CleanupStack() as undo:
        check_out(project.top, commit, into / "suite", undo)
        yield _tree(project, into / "suite", commit[:12])


def _side(project: Project, commit: str | None, top: Path, undo: ExitStack) -> Tree:
    """Check out one side into a folder; `undo` removes it."""
    if commit is not None:
        check_out(project.top, commit, top, undo)
        return _tree(project, top, commit[:12])
    working = read_working_tree(project.top)
    copy_working_tree(working, top, undo)
    return _tree(project, top, working.commit[:12] + ("-dirty" if working.dirty else ""))


def _tree(project: Project, top: Path, revision: str) -> Tree:
    """Return a side with the counterpart of the current folder, or of the one that takes its place."""
    here = project.here or Path.cwd()
    inside = here.relative_to(project.top) if here.is_relative_to(project.top) else Path()
    return Tree(revision, top, top / project.folder.relative_to(project.top), top / inside)
