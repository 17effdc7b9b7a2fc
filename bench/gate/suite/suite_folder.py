"""Folders and files that a suite needs, as far as an error shows them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jacobench.bench.gate.trees.revisions import Project, Tree


def fix_of(reason: str, tree: Tree, project: Project) -> str:
    """Return what to do about a file or module that is missing, but is in the tree or the working tree; else empty.

    reason: the message of FileNotFoundError or ModuleNotFoundError on a side.
    """
    if found := re.search(r"FileNotFoundError: .*No such file or directory: '([^']+)'", reason):
        path = Path(found[1])
        folders = [] if path.is_absolute() else _folders_with(tree.top, path)
        if place := _nearest(folders, tree.top):
            return (
                f"the suite needs another working directory: run the gate in the folder {place!r} of the repository, with "
                "--pytest"
            )
        if place := _ignored(path, tree, project):
            return (
                f"git ignores {place!r} of the working tree, so no side has it: let the suite read it from a folder outside "
                "the repository, which an environment variable names"
            )
    if found := re.search(r"ModuleNotFoundError: No module named '(\w+)[^']*'$", reason):
        modules = Path(f"{found[1]}.py"), Path(found[1], "__init__.py")
        if place := _nearest([each for module in modules for each in _folders_with(tree.top, module)], tree.top):
            return f"the suite needs the folder {place!r} of the repository on its path: set PYTHONPATH to it"
    return ""


def _ignored(path: Path, tree: Tree, project: Project) -> str:
    """Return the place of a file that only the working tree has, relative to the top; empty if it has none.

    path: of the file on a side, or relative to the folder in which the suite runs.
    """
    file = Path(os.path.abspath(tree.start / path))  # noqa: PTH100  (resolve() would follow links)
    sides = tree.top.parent  # both trees are in it
    if not file.is_relative_to(sides):
        return ""
    place = Path(*file.relative_to(sides).parts[1:])
    return place.as_posix() if (project.top / place).exists() else ""


def _folders_with(top: Path, path: Path) -> list[Path]:
    """Return the folders of a tree in which a relative path exists."""
    depth = len(path.parts)
    return [each.parents[depth - 1] for each in top.rglob(path.name) if each.parts[-depth:] == path.parts]


def _nearest(folders: Iterable[Path], top: Path) -> str:
    """Return the folder with the fewest levels, relative to the top; empty if there is none."""
    places = [each.relative_to(top).as_posix() for each in folders if each.is_relative_to(top)]
    return min(places, key=lambda place: (place.count("/"), place), default="")
