"""Copy of the working tree: HEAD with its changed and untracked files, and the submodules as they are."""

from __future__ import annotations

import math
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.trees.submodules import (
    INDEX,
    Submodule,
    add_worktree,
    check_out_submodule,
    clear,
    present,
    submodules,
    work_tree,
)
from jacobench.bench.machine.git_command import MORE_SPACE, git
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import ExitStack

MB = 10**6

GENERATED = (
    *("__pycache__", ".*_cache", ".tox", ".nox", ".hypothesis", ".benchmarks", ".ipynb_checkpoints", "node_modules"),
    *(".eggs", "*.egg-info", "build/lib*", "build/bdist.*", "build/temp.*"),  # of setuptools
)
"""Folders that tools write. They are never part of head."""

MARKERS = ("pyvenv.cfg", "conda-meta", "CACHEDIR.TAG")
"""Files that mark a virtual environment or a cache."""

RUN = ("settings.json", "journal.jsonl")
"""Files that mark the folder of a run."""


@dataclass(frozen=True)
class WorkingTree:
    """A repository's files that differ from its HEAD, by name, and its submodules; `place` is as for `git`."""

    place: Path
    commit: str
    changed: tuple[str, ...]
    untracked: tuple[str, ...]
    submodules: tuple[tuple[Submodule, WorkingTree | None], ...]  # None: not checked out in the working tree

    @property
    def dirty(self) -> bool:
        """Whether any file differs from the commit."""
        return bool(self.changed or self.untracked) or any(inner and inner.dirty for _, inner in self.submodules)

    def files(self, *, untracked_only: bool = False) -> Iterator[Path]:
        """List the files that a copy takes from the working tree, those of submodules included."""
        for name in self.untracked if untracked_only else (*self.changed, *self.untracked):
            yield work_tree(self.place) / name
        for _, inner in self.submodules:
            if inner:
                yield from inner.files(untracked_only=untracked_only)


def read_working_tree(place: Path) -> WorkingTree:
    """Return what differs from HEAD, without ignored files and generated folders; nothing is read from the files."""
    folder = work_tree(place)
    changed = git(place, "diff", "--name-only", "-z", "--no-renames", "--ignore-submodules=dirty", "HEAD").split("\0")
    others = git(place, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    inner = ((each, present(place, each)) for each in submodules(place, INDEX))
    return WorkingTree(
        place,
        git(place, "rev-parse", "HEAD").strip(),
        tuple(name for name in changed if name),
        without_generated(folder, filter(None, others)),
        tuple((each, read_working_tree(found) if found else None) for each, found in inner),
    )


def without_generated(top: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that are not in a virtual environment, a cache of a tool, or a folder of runs."""
    generated = cache(is_generated)
    return tuple(name for name in names if not any(generated(top / each) for each in _with_parents(name)))


def _with_parents(name: str) -> list[Path]:
    return [Path(name), *list(Path(name).parents)[:-1]]


def is_generated(path: Path) -> bool:
    """Return whether a path is a folder that tools write: an environment, a cache, a build, or runs."""
    runs = [each.parent for each in path.glob(f"*/{RUN[1]}")] if path.name == "runs" else []
    return (
        (path.is_dir() and any(path.match(pattern) for pattern in GENERATED))
        or any((path / marker).exists() for marker in MARKERS)
        or any(all((run / name).exists() for name in RUN) for run in (path, *runs))
    )


def check_sizes(tree: WorkingTree, most_untracked: int, into: Path) -> None:
    """Check that the files to copy are within the limits; raise BadInput that names the largest and the fix.

    Untracked files may have `most_untracked` bytes, all files the free space of the folder `into`.
    """
    untracked, everything = _sizes(tree.files(untracked_only=True)), _sizes(tree.files())
    free, total = shutil.disk_usage(into).free, sum(untracked.values())
    if total > most_untracked:
        raise BadInput(
            f"the untracked files have {total / MB:,.0f} MB, more than {most_untracked / MB:,.0f} MB; {_largest(untracked)}: "
            f"add it to .gitignore, remove it, or allow more with --untracked {math.ceil(total / MB)}MB"
        )
    if sum(everything.values()) > free:
        raise UnsuitableEnvironment(
            f"the changed and untracked files have {sum(everything.values()) / MB:,.0f} MB, but {into} has only "
            f"{free / MB:,.0f} MB free; {_largest(everything)}: {MORE_SPACE}"
        )


def _sizes(files: Iterator[Path]) -> dict[Path, int]:
    sizes = {}
    for file in files:
        with suppress(OSError):  # it was removed
            sizes[file] = os.lstat(file).st_size
    return sizes


def _largest(sizes: Mapping[Path, int]) -> str:
    largest = max(sizes, key=lambda file: sizes[file])
    return f"the largest is {str(largest)!r} ({sizes[largest] / MB:,.0f} MB)"


def copy_working_tree(tree: WorkingTree, target: Path, undo: ExitStack) -> None:
    """Check out HEAD and apply the changes; `undo` removes it. Raises BadInput if the clone lacks a submodule."""
    add_worktree(tree.place, tree.commit, target, undo)
    _apply(tree, target)
    for submodule, inner in tree.submodules:
        if _through_link(target, submodule.path):
            continue
        if inner:
            copy_working_tree(inner, target / submodule.path, undo)
        else:
            check_out_submodule(tree.place, submodule, target, undo)


def _apply(tree: WorkingTree, copy: Path) -> None:
    """Apply the changed and untracked files of a working tree to a copy of its HEAD."""
    top, names = work_tree(tree.place), (*tree.changed, *tree.untracked)
    # Remove first, then copy, and never through a link: a folder that became a link leads out of the copy.
    for name in names:
        target = copy / name
        if not _through_link(copy, name) and (target.is_symlink() or target.is_file()):
            target.unlink()
            _remove_empty_parents(copy, name)
    for name in names:
        source, target = top / name, copy / name
        if _through_link(top, name) or not (source.is_symlink() or source.is_file()):
            continue
        clear(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def _remove_empty_parents(copy: Path, name: str) -> None:
    """Remove the folders that a removed file leaves empty, as git does."""
    with suppress(OSError):  # the first that is not empty
        for parent in _with_parents(name)[1:]:
            (copy / parent).rmdir()


def _through_link(folder: Path, name: str) -> bool:
    """Return whether a parent folder of a name is a symbolic link."""
    return any((folder / parent).is_symlink() for parent in Path(name).parents)
