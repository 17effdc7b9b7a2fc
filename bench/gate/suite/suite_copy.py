"""Files of a suite: those of one side are copied over the other side's, and nothing outside of it is changed."""

from __future__ import annotations

import os
import shutil
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.gate.suite.pytest_selection import CONFTEST, place_in
from jacobench.bench.gate.trees.submodules import clear
from jacobench.bench.gate.trees.working_tree import GENERATED, without_generated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from jacobench.bench.gate.installation.side_environments import Side
    from jacobench.bench.gate.trees.revisions import Tree

MODULE_SUFFIXES = (*all_suffixes(), ".pyx")

TEST_FILES = ("test_*.py", "*_test.py", "bench*.py")


def copy_suite(source: Tree, target: Tree, places: Iterable[str], files: Iterable[str], sides: Iterable[Side]) -> None:
    """Copy the benchmark files of a tree over the tree of one of the sides.

    These are `files`, and each ``conftest.py`` above them. A folder among `places` is copied as a whole, so that its
    helper modules and data come along, unless it contains a module of the project's packages. If nothing was built, any
    other module may be what is measured, so only its data are copied. Paths are relative to the project's folder. What
    is outside the tree is not copied: both sides use it where it is.
    """
    from_here, modules = source.folder, _built_modules(sides)
    for folder in (from_here / place for place in places if not Path(place).is_absolute()):
        has_project = from_here.resolve().is_relative_to(folder.resolve())
        if folder.is_dir() and not has_project and not modules:
            _copy_data(folder, source, target)
        elif folder.is_dir() and not has_project and not _has_modules(source, folder, modules):
            _copy_folder(folder, source, target)
    for file in (Path(os.path.normpath(from_here / file)) for file in files):
        for folder in (each for each in reversed(file.parents) if each.is_relative_to(source.top)):
            _copy_file(folder / CONFTEST, source, target)
        if file.is_file():
            _copy_file(file, source, target)


def _copy_folder(folder: Path, source: Tree, target: Tree) -> None:
    """Copy a folder of a tree to another tree, in place of the one that is there."""
    if there := _counterpart(folder, source, target):
        _make_room(there, target.top)
        ignored = shutil.ignore_patterns(*(pattern for pattern in GENERATED if "/" not in pattern))
        shutil.copytree(folder.resolve(), there, symlinks=True, ignore=ignored)


def _copy_data(folder: Path, source: Tree, target: Tree) -> None:
    """Copy the files of a folder that are no modules, and its ``conftest.py``, to another tree."""
    if _counterpart(folder, source, target) is None:
        return
    top = source.top.resolve()
    names = (path.relative_to(top).as_posix() for path in sorted(folder.resolve().rglob("*")))
    for path in (top / name for name in without_generated(top, names) if ".git" not in Path(name).parts):
        if path.is_file() and (path.name == CONFTEST or not path.name.endswith(MODULE_SUFFIXES)):
            _copy_file(path, source, target)


def _copy_file(file: Path, source: Tree, target: Tree) -> None:
    """Copy a file of a tree to another tree; remove the file there if there is no source."""
    if there := _counterpart(file, source, target):
        if file.is_file():
            _make_room(there, target.top)
            shutil.copyfile(file, there)
        elif there.is_file() and _is_inside(there, target.top):
            there.unlink()


def _counterpart(path: Path, source: Tree, target: Tree) -> Path | None:
    """Return where the counterpart of a path of a tree is in another tree; None if the path leads out of its tree.

    Links on the way to it become links of the other tree. So the path that is returned has no links in `source`.
    """
    path = Path(os.path.normpath(path))
    for each in (*reversed(path.parents), path):
        if each.is_symlink() and _is_inside(each, source.top):
            there = target.top / each.parent.resolve().relative_to(source.top.resolve()) / each.name
            _make_room(there, target.top)
            there.symlink_to(each.readlink())
            _counterpart(each.parent / each.readlink(), source, target)
    top, real = source.top.resolve(), path.resolve()
    return target.top / real.relative_to(top) if real.is_relative_to(top) else None


def _is_inside(path: Path, top: Path) -> bool:
    """Return whether a file, folder or link is in a tree, and not behind a link that leads out of it."""
    return path.parent.resolve().is_relative_to(top.resolve())


def _make_room(path: Path, top: Path) -> None:
    """Remove what is at a path in a tree. The folders above it become real ones: a link could lead out of the tree."""
    for parent in reversed(path.relative_to(top).parents):
        if (top / parent).is_symlink() or (top / parent).is_file():
            (top / parent).unlink()
    clear(path)
    path.parent.mkdir(parents=True, exist_ok=True)


def files_of_tests(tree: Tree, places: Iterable[str]) -> set[str]:
    """Return the files with usual names of tests or benchmarks in places of a tree that was not collected."""
    found = (path for place in places for name in TEST_FILES for path in (tree.folder / place).rglob(name))
    files = {place for place in places if (tree.folder / place).is_file()}
    return files | {place_in(path, tree) for path in found}


def _built_modules(sides: Iterable[Side]) -> set[str]:
    """Return the names of the modules in the packages that were built for the sides."""
    return {module for side in sides for each in side.built() for module in (each.modules or each.importable)}


def _has_modules(tree: Tree, folder: Path, owned: Collection[str]) -> bool:
    """Return whether a folder of a tree contains a module with one of these names."""
    inside = (path.relative_to(tree.folder).with_suffix("").parts for path in folder.rglob("*.py"))
    names = ((*parts[:-1], *(parts[-1:] if parts[-1] != "__init__" else ())) for parts in inside)
    return any(".".join(parts[n:]) in owned for parts in names for n in range(len(parts)))
