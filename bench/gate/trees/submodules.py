"""Checkout of commits with their submodules, from the objects of this clone alone."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.machine.git_command import git
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

INDEX = ""  # in place of a commit


@dataclass(frozen=True)
class Submodule:
    """Submodule of a commit. The name, from .gitmodules, is empty for a nested repository that is not in this file."""

    path: str
    name: str
    commit: str
    wanted: bool = True  # False if it has ``update = none``


def check_out(place: Path, commit: str, target: Path, undo: ExitStack) -> None:
    """Check out a commit of a repository and its submodules, nested ones included; `undo` removes all.

    `place` is as for `git`. Raises BadInput if the clone lacks a submodule's commit.
    """
    add_worktree(place, commit, target, undo)
    for submodule in submodules(place, commit):
        check_out_submodule(place, submodule, target, undo)


def check_out_submodule(place: Path, submodule: Submodule, target: Path, undo: ExitStack) -> None:
    """Check out a submodule into the checkout `target` of its repository; see `check_out`."""
    stores = list(_stores(place, submodule))
    for store in stores:
        if _has(store, submodule.commit):
            check_out(store, submodule.commit, target / submodule.path, undo)
            return
    if submodule.name and submodule.wanted:
        lack, fix = "it is not in this clone", "git submodule update --init --recursive"
        if stores:
            lack = f"its commit {submodule.commit} is not in this clone"
            fix = f"git -C {work_tree(place) / submodule.path} fetch origin {submodule.commit}"
        raise BadInput(f"cannot check out the submodule {submodule.path!r}: {lack}; to fetch it, run {fix}")


def work_tree(place: Path) -> Path:
    """Return the folder of a repository's work tree; a git directory without one is returned unchanged."""
    return place.parent if place.name == ".git" else place


def present(place: Path, submodule: Submodule) -> Path | None:
    """Return the ``.git`` of a submodule in the work tree; None if it is not checked out there."""
    inside = work_tree(place) / submodule.path / ".git"
    return inside if inside.exists() else None


def add_worktree(place: Path, commit: str, target: Path, undo: ExitStack) -> None:
    """Check out a commit of a repository, without its submodules, into a folder that is replaced; `undo` removes it."""
    clear(target)
    undo.callback(_remove, place, target)
    git(place, "worktree", "add", "--quiet", "--detach", str(target), commit)


def clear(target: Path) -> None:
    """Remove a file, a link or a folder, if there is one."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


def _remove(place: Path, target: Path) -> None:
    with suppress(BadInput):  # it was not made, or only in part
        git(place, "worktree", "remove", "--force", "--force", str(target))
    shutil.rmtree(target, ignore_errors=True)


def submodules(place: Path, commit: str) -> list[Submodule]:
    """Return the submodules of a commit, or of the index."""
    if commit == INDEX:
        lines = git(place, "ls-files", "--stage", "-z").split("\0")
    else:
        lines = git(place, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    links = [line.partition("\t") for line in lines if line.startswith("160000 ")]
    named = _named(place, commit) if links else {}
    found = []
    for facts, _, path in links:
        name, wanted = named.get(path, ("", True))
        sha = next(word for word in facts.split() if len(word) >= 40)
        found.append(Submodule(path, name, sha, wanted))
    return found


def _named(place: Path, commit: str) -> dict[str, tuple[str, bool]]:
    """Return path → name of each submodule in .gitmodules, and whether it is wanted."""
    try:
        text = git(place, "config", "--blob", f"{commit}:.gitmodules", "-z", "--get-regexp", r"^submodule\..*")
    except BadInput:  # there is no such file
        return {}
    values = dict(line.split("\n", 1) for line in text.split("\0") if "\n" in line)
    names = {value: key[len("submodule.") : -len(".path")] for key, value in values.items() if key.endswith(".path")}
    found = {path: (name, _update(place, name, values) != "none") for path, name in names.items()}
    return {path: (name, wanted) for path, (name, wanted) in found.items() if ".." not in Path(name).parts}


def _update(place: Path, name: str, values: dict[str, str]) -> str:
    key = f"submodule.{name}.update"
    try:
        return git(place, "config", "--get", key).strip()
    except BadInput:  # it is not set for this clone
        return values.get(key, "")


def _stores(place: Path, submodule: Submodule) -> Iterator[Path]:
    """List the repositories in this clone that may have a submodule's commits: its work tree, then git's folders."""
    if inside := present(place, submodule):
        yield inside
    folders = git(place, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir").splitlines()
    own, common = map(Path, folders)
    for folder in dict.fromkeys((own, common, *sorted(common.glob("worktrees/*")))):
        if submodule.name and (store := folder / "modules" / submodule.name).is_dir():
            yield store


def _has(store: Path, commit: str) -> bool:
    try:
        git(store, "cat-file", "-e", f"{commit}^{{commit}}")
    except BadInput:
        return False
    return True
