"""Installed distributions: their modules and origin, and which of them the project's repository contains."""

from __future__ import annotations

import configparser
import filecmp
import json
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from graphlib import CycleError, TopologicalSorter
from importlib.machinery import all_suffixes
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePath
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from jacobench.bench.gate.trees.revisions import HERE
from jacobench.bench.suites.suite_files import read_toml
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jacobench.bench.gate.trees.revisions import Project, Tree

COMMIT_DIGITS = 12

SITE_FOLDERS = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Installed:
    """A distribution of an environment."""

    name: str  # as installers compare it
    version: str
    commit: str  # of the repository that it was installed from, as far as its metadata has it
    source: Path | None  # local folder or archive that it was installed from
    is_editable: bool
    folder: Path  # that its modules are in
    metadata: Path
    requirements: tuple[str, ...]  # names
    details: Distribution

    @property
    def path_files(self) -> tuple[Path, ...]:
        """Its .pth files."""
        files = [Path(str(self.details.locate_file(file))) for file in self.details.files or ()]
        return tuple(file.resolve() for file in files if file.suffix == ".pth")

    @property
    def modules(self) -> frozenset[str]:
        """Dotted names of its modules, as far as its metadata has them: of an editable installation, some at the top."""
        found = {module for file in self.details.files or () if (module := module_name(file))}
        if self.is_editable:
            found |= set((self.details.read_text("top_level.txt") or "").split())
            found |= {point.module for point in self.details.entry_points}
        return frozenset(found)

    @property
    def importable(self) -> frozenset[str]:
        """Names at the top that an editable installation makes importable, with neighbours that are not part of it."""
        modules = (module.name for folder in folders_on_path(self.path_files) for module in iter_modules([str(folder)]))
        return frozenset({self.name.replace("-", "_"), *modules})


@dataclass(frozen=True)
class Sibling:
    """A distribution of the current environment that the repository contains, besides the project itself.

    `folders` has the folder of its source on each side, relative to the top; None if the side does not have it.
    """

    installed: Installed
    folders: tuple[PurePath | None, PurePath | None]
    is_from_repository: bool  # installed from there; else the repository has a project with its name
    differs: bool  # between the revisions

    @property
    def is_per_side(self) -> bool:
        """Whether each side gets an installation of its own revision."""
        return self.differs and self.is_from_repository


def normalized(name: str) -> str:
    """Return a distribution's name as installers compare it (PEP 503).

    >>> normalized("My.Package_1")
    'my-package-1'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(path: Sequence[str] | None = None) -> list[Installed]:
    """Return the distributions on a path, by default that of this process; the first with a name counts."""
    found: dict[str, Installed] = {}
    for each in distributions(path=list(sys.path if path is None else path)):
        if name := each.metadata["Name"]:
            found.setdefault(normalized(name), _read(normalized(name), each))
    return list(found.values())


def _read(name: str, found: Distribution) -> Installed:
    origin = _json(found.read_text("direct_url.json"))
    address = urlsplit(str(origin.get("url", "")))
    source = Path(url2pathname(address.path)).resolve() if address.scheme == "file" else None
    folder = Path(str(found.locate_file(""))).resolve()
    metadata = Path(str(getattr(found, "_path", folder))).resolve()
    if metadata.suffix == ".egg-info" and folder.name not in SITE_FOLDERS:  # by setup.py develop, next to the source
        source = folder
    is_editable = source == folder or bool(_table(origin.get("dir_info")).get("editable"))
    return Installed(
        name,
        found.version,
        str(_table(origin.get("vcs_info")).get("commit_id", ""))[:COMMIT_DIGITS],
        source,
        is_editable,
        source if is_editable and source else folder,
        metadata,
        tuple(normalized(match[0]) for each in found.requires or () if (match := re.match(r"[\w.-]+", each))),
        found,
    )


def _json(text: str | None) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(text or "{}")
        return found if isinstance(found, dict) else {}
    return {}


def module_name(file: PurePath) -> str:
    """Return the dotted name of the module in an installed file; empty if it is none.

    >>> module_name(PurePath("ns/core/__init__.py")), module_name(PurePath("ns-1.0.dist-info/METADATA"))
    ('ns.core', '')
    """
    parts = [*file.parts[:-1], file.name.partition(".")[0]]
    if not file.name.endswith(tuple(all_suffixes())) or not all(part.isidentifier() for part in parts):
        return ""
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def folders_on_path(path_files: Iterable[Path]) -> Iterator[Path]:
    """Return the folders that .pth files put on the path."""
    for file in path_files:
        with suppress(OSError, UnicodeDecodeError):
            for line in file.read_text(encoding="utf-8").splitlines():
                folder = file.parent / line.rstrip()
                if line.strip() and not line.startswith(("#", "import ", "import\t")) and folder.is_dir():
                    yield folder


@cache
def projects_in(top: Path) -> dict[str, PurePath]:
    """Return the projects of a tree: name → folder relative to its top; of equal names, the one nearest to the top."""
    found: dict[str, PurePath] = {}
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        if any(name in files for name in HERE) and (name := static_metadata(Path(folder)).get("name", "")):
            place = PurePath(folder).relative_to(top)
            found[normalized(name)] = min(place, found.get(normalized(name), place), key=lambda each: len(each.parts))
    return found


def static_metadata(folder: Path) -> Mapping[str, str]:
    """Return name and version of a project as its files state them; what is not stated there is missing."""
    content: Any = {}
    with suppress(BadInput):
        content = read_toml(folder / "pyproject.toml")
    tables = [content.get("project"), _table(content.get("tool")).get("poetry"), _setup_cfg(folder), _setup_py(folder)]
    stated: dict[str, str] = {}
    for table in map(_table, tables):
        stated |= {
            key: table[key] for key in ("name", "version") if key not in stated and isinstance(table.get(key), str)
        }
    return stated


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _setup_cfg(folder: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    with suppress(configparser.Error, OSError, UnicodeDecodeError):
        parser.read(folder / "setup.cfg", encoding="utf-8")
        return dict(parser["metadata"]) if parser.has_section("metadata") else {}
    return {}


def _setup_py(folder: Path) -> dict[str, str]:
    with suppress(OSError, UnicodeDecodeError):
        text = (folder / "setup.py").read_text(encoding="utf-8")
        return dict(re.findall(r"\b(name|version)\s*=\s*[\"']([^\"']+)[\"']", text))
    return {}


def is_in(path: Path | None, folder: Path) -> bool:
    """Return whether a path is known and in a folder."""
    return path is not None and path.resolve().is_relative_to(folder)


def is_in_repository(path: Path | None, project: Project) -> bool:
    """Return whether a path is known, in the project's repository, and not in the current environment inside it."""
    return is_in(path, project.top) and not is_in(path, Path(sys.prefix).resolve())


def is_own(found: Installed, names: Iterable[str], project: Project) -> bool:
    """Return whether a distribution is the project itself: by name, or installed from its folder."""
    return found.name in names or found.source == project.folder


def siblings(current: Sequence[Installed], project: Project, trees: tuple[Tree, Tree]) -> list[Sibling]:
    """Return the distributions among `current` that the repository contains, those that others require first."""
    stated = [projects_in(tree.top) for tree in trees]
    return [
        sibling
        for each in _required_first(current)
        if (sibling := _sibling(each, project, trees, tuple(names.get(each.name) for names in stated))) is not None
    ]


def _sibling(
    found: Installed, project: Project, trees: tuple[Tree, Tree], named: tuple[PurePath | None, ...]
) -> Sibling | None:
    at = _place(found, project)
    base, head = (
        at if at is not None and any((tree.top / at / name).is_file() for name in HERE) else place
        for tree, place in zip(trees, named, strict=True)
    )
    if at is None and base is None and head is None:
        return None
    places = [tree.top / place if place else None for tree, place in zip(trees, (base, head), strict=True)]
    versions = {static_metadata(place).get("version") for place in places if place}
    is_built_from_it = (found.source is None or found.source.is_file()) and found.version in versions
    return Sibling(found, (base, head), at is not None or is_built_from_it, not same_files(*places))


def _place(found: Installed, project: Project) -> PurePath | None:
    """Return what a distribution was installed from, relative to the repository; None if that is elsewhere."""
    return found.source.relative_to(project.top) if found.source and is_in_repository(found.source, project) else None


def same_files(one: Path | None, other: Path | None) -> bool:
    """Return whether two folders have the same files with the same content; None is the same only as None."""
    if one is None or other is None:
        return one is other
    names = [sorted(_files(folder)) for folder in (one, other)]
    return names[0] == names[1] and all(map(partial(_same_file, one, other), names[0]))


def _files(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (str((Path(place) / name).relative_to(folder)) for name in [*files, *links] if name != ".git")
        folders[:] = [name for name in folders if name != ".git"]


def _same_file(one: Path, other: Path, name: str) -> bool:
    a, b = one / name, other / name
    if a.is_symlink() or b.is_symlink():
        return a.is_symlink() and b.is_symlink() and a.readlink() == b.readlink()
    return filecmp.cmp(a, b, shallow=False)


def _required_first(current: Sequence[Installed]) -> list[Installed]:
    """Return distributions in an order in which each comes after what it requires, if there is one."""
    by_name = {each.name: each for each in current}
    try:
        order = TopologicalSorter({each.name: each.requirements for each in current}).static_order()
        return [by_name[name] for name in order if name in by_name]
    except CycleError:
        return list(current)


def required_by(own: Iterable[Installed], current: Iterable[Installed]) -> set[str]:
    """Return the names of what distributions require, directly or through others."""
    by_name = {each.name: each for each in current}
    found: set[str] = set()
    left = [name for each in own for name in each.requirements]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += by_name[name].requirements if name in by_name else ()
    return found
