"""Files of the two sides: the base in a git worktree, the head as a copy of the working tree."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = ("pyproject.toml", "setup.py", "setup.cfg")  # files that mark the folder of a project

ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")
"""Variables that git sets for its hooks. With them it would use another repository than the given folder's."""


@dataclass(frozen=True)
class Project:
    """The project under test: the top folder of its git repository, and its own folder in it (often the same)."""

    top: Path
    folder: Path


@dataclass(frozen=True)
class Tree:
    """Files of one side. The revision is the first 12 digits of the commit, with ``-dirty`` if files differ from it."""

    revision: str
    top: Path
    folder: Path


def project_of(folder: Path) -> Project:
    """Return the project that a folder belongs to. Raises BadInput outside a git repository, or without git."""
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip()).resolve()
    inside = [each for each in (folder.resolve(), *folder.resolve().parents) if each.is_relative_to(top)]
    named = (each for each in inside if any((each / name).is_file() for name in HERE))
    return Project(top, next(named, top))


def commit_of(project: Project, revision: str) -> str:
    """Return the commit that a revision names. Raises BadInput if there is none."""
    try:
        return _git(
            project.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        ).strip()
    except BadInput:
        fix = "; this clone is shallow, fetch the rest with 'git fetch --unshallow'" if _is_shallow(project) else ""
        raise BadInput(
            f"unknown revision {revision!r}: expected a branch, tag or commit of {project.top}{fix}"
        ) from None


def _is_shallow(project: Project) -> bool:
    return _git(project.top, "rev-parse", "--is-shallow-repository").strip() == "true"


@contextmanager
def checked_out(project: Project, commit: str, into: Path) -> Iterator[tuple[Tree, Tree]]:
    """Check out a commit (base), and HEAD with the changes of the working tree (head); ignored files are left out.

    The trees are folders in `into`, and are removed at the end. In the project, only git's list of worktrees changes;
    it is restored.
    """
    head = commit_of(project, "HEAD")
    sides = {"base": commit, "head": head}
    try:
        for side, wanted in sides.items():
            _git(project.top, "worktree", "add", "--quiet", "--detach", str(into / side), wanted)
        changed = _apply_changes(project.top, into / "head")
        names = {"base": commit[:12], "head": head[:12] + ("-dirty" if changed else "")}
        inside = project.folder.relative_to(project.top)
        base, tip = (Tree(names[side], into / side, into / side / inside) for side in sides)
        yield base, tip
    finally:
        for side in sides:
            with suppress(BadInput):  # it was not made, or only in part
                _git(project.top, "worktree", "remove", "--force", "--force", str(into / side))
            shutil.rmtree(into / side, ignore_errors=True)


def _apply_changes(top: Path, copy: Path) -> bool:
    """Apply the working tree's changes to a copy of HEAD; return whether there are any."""
    listed = _git(top, "diff", "--name-only", "-z", "--no-renames", "HEAD") + _git(
        top, "ls-files", "-z", "--others", "--exclude-standard"
    )
    names = [name for name in listed.split("\0") if name]
    # Remove first, then copy, and never through a link: a folder that became a link leads out of the copy.
    for name in names:
        target = copy / name
        if not _through_link(copy, name) and (target.is_symlink() or target.is_file()):
            target.unlink()
    for name in names:
        source, target = top / name, copy / name
        if _through_link(top, name) or not (source.is_symlink() or source.is_file()):
            continue
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    return bool(names)


def _through_link(folder: Path, name: str) -> bool:
    """Return whether a parent folder of a name is a symbolic link."""
    return any((folder / parent).is_symlink() for parent in Path(name).parents)


def _git(folder: Path, *arguments: str) -> str:
    """Return the output of git; an error of git is bad input. No hooks are run."""
    command = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ANOTHER_REPOSITORY}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    except OSError as error:
        raise BadInput(f"cannot run git: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        raise BadInput(f"git {arguments[0]} failed in {folder}: {said[-1]}") from None
    return done.stdout
