"""Folders that a suite needs as its working directory, or on its path, as far as an error shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jacobench.bench.gate.revisions import Tree


def fix_of(reason: str, tree: Tree) -> str:
    """Return what to do about a relative file or a module that is missing, but is in the tree; empty if it is not.

    reason: the message of FileNotFoundError or ModuleNotFoundError.
    """
    if found := re.search(r"FileNotFoundError: .*No such file or directory: '([^']+)'", reason):
        folders = [] if Path(found[1]).is_absolute() else _folders_with(tree.top, Path(found[1]))
        if place := _nearest(folders, tree.top):
            return f"the suite needs another working directory: run the gate in the folder {place!r} of the repository, with --pytest"
    if found := re.search(r"ModuleNotFoundError: No module named '(\w+)[^']*'$", reason):
        modules = Path(f"{found[1]}.py"), Path(found[1], "__init__.py")
        if place := _nearest([each for module in modules for each in _folders_with(tree.top, module)], tree.top):
            return f"the suite needs the folder {place!r} of the repository on its path: set PYTHONPATH to it"
    return ""


def _folders_with(top: Path, path: Path) -> list[Path]:
    """Return the folders of a tree in which a relative path exists."""
    depth = len(path.parts)
    return [each.parents[depth - 1] for each in top.rglob(path.name) if each.parts[-depth:] == path.parts]


def _nearest(folders: Iterable[Path], top: Path) -> str:
    """Return the folder with the fewest levels, relative to the top; empty if there is none."""
    places = [each.relative_to(top).as_posix() for each in folders if each.is_relative_to(top)]
    return min(places, key=lambda place: (place.count("/"), place), default="")
