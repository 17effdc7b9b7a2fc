"""Import finder of a side: modules of the project's own distributions come from this side only.

Each process of a side runs a copy of this file at its start, and the gate worker checks with it what was imported. So
it imports only a few modules of the standard library. `side_environments` writes the rules.
"""

from __future__ import annotations

import json
import os
import site
import sys
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence
    from importlib.machinery import ModuleSpec

RULES = "_jacobench_side.json"
"""Name of the file with the rules, next to the copy of this file."""

HARNESS = ("__main__", "__mp_main__")
"""Modules that are the worker itself."""


ISOLATED_BUILD = f"{os.sep}pip-build-env-"
"""Part of the first folder of ``PYTHONPATH`` in a build that pip isolates."""


_resolved = cache(os.path.realpath)


def is_within(path: str, folder: str) -> bool:
    """Return whether a path is a folder or in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class ImportRules:
    """Rules of one side. All paths are absolute and resolved.

    owned: dotted names of all modules that must come from this side. They are those of the project's own distributions,
    on either side or in the current environment, and those of what else is installed on this side.
    inside: folders of this side. A module that is owned must be in one of them.
    required: the owned modules that do not come from the side's files; they must be in its folder `packages`.
    repository: top folder of the project's working tree. Other modules must not be in it, except in the folders
    `shared`, which both sides use, and files that no tree has, such as those that git ignores.
    trees: top folders of the trees of both sides.
    site_folders: folders of the current environment's packages, which come after the side's own.
    path_files, metadata: .pth files and metadata folders in them that belong to the project's own distributions.
    replaced: entry of the current path → what this side has instead; "": nothing.
    """

    def __init__(
        self,
        *,
        owned: Iterable[str] = (),
        inside: Sequence[str] = (),
        required: Iterable[str] = (),
        packages: str = "",
        repository: str = "",
        shared: Sequence[str] = (),
        trees: Sequence[str] = (),
        site_folders: Sequence[str] = (),
        path_files: Iterable[str] = (),
        metadata: Iterable[str] = (),
        replaced: dict[str, str] | None = None,
    ) -> None:
        self.owned, self.inside, self.repository, self.shared = frozenset(owned), inside, repository, shared
        self.site_folders, self.path_files, self.metadata = site_folders, frozenset(path_files), frozenset(metadata)
        self.trees, self.replaced = trees, replaced or {}
        self.required, self.packages = frozenset(required), (packages,)

    def concern(self, name: str) -> bool:
        """Return whether a module or a package that contains it is owned."""
        while name not in self.owned and name:
            name = name.rpartition(".")[0]
        return bool(name)

    def are_inside(self, path: str, name: str = "") -> bool:
        """Return whether a path is in this side's folders for a module, also if it is a link that leads out of them."""
        places = os.path.abspath(path), _resolved(path)  # noqa: PTH100  (pathlib costs more, in every import)
        folders = self.packages if name in self.required else self.inside
        return any(is_within(place, folder) for place in places for folder in folders)

    def allow(self, name: str, path: str) -> bool:
        """Return whether a module may come from a path."""
        if self.are_inside(path, name):
            return True
        real = _resolved(path)
        outside = not is_within(real, self.repository) or any(is_within(real, each) for each in self.shared)
        if outside or name in self.required:
            return name not in self.owned
        place = os.path.relpath(real, self.repository)
        return not self.concern(name) and not any(os.path.exists(os.path.join(tree, place)) for tree in self.trees)  # noqa: PTH110, PTH118


def read_rules(path: str) -> ImportRules:
    """Read the rules of a side."""
    return ImportRules(**json.loads(Path(path).read_text(encoding="utf-8")))


class SidePathFinder(PathFinder):
    """Python's finder for the path. It finds owned modules only in this side, and no metadata that is hidden."""

    rules = ImportRules()

    @classmethod
    def find_spec(cls, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Find a module on the path."""
        if fullname in cls.rules.owned:
            path = [entry for entry in (sys.path if path is None else path) if cls.rules.are_inside(entry, fullname)]
        return super().find_spec(fullname, path, target)

    @classmethod
    def find_distributions(cls, *arguments: Any, **options: Any) -> Iterator[Any]:
        """Find distributions on the path."""
        for found in super().find_distributions(*arguments, **options):
            if os.path.realpath(getattr(found, "_path", "")) not in cls.rules.metadata:
                yield found


SidePathFinder.__name__ = PathFinder.__name__  # the import hooks of typeguard and jaxtyping look for this name


class SideFinder:
    """First finder of a side's processes: asks the others, and accepts an owned module only from this side.

    Finders of editable installations, such as those of meson-python and scikit-build-core, are before Python's own.
    """

    rules = ImportRules()

    @classmethod
    def find_spec(cls, fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Find an owned module. Raises ModuleNotFoundError if another finder would import a module that is not allowed."""
        if not cls.rules.concern(fullname):
            return None
        refused = False
        for finder in sys.meta_path:
            ask = None if finder is cls else getattr(finder, "find_spec", None)
            found: ModuleSpec | None = ask(fullname, path, target) if ask else None
            if found is not None and all(cls.rules.allow(fullname, place) for place in _places_of_spec(found)):
                return found
            refused |= found is not None
        if refused:
            raise ModuleNotFoundError(f"No module named {fullname!r} in this side", name=fullname)
        return None


def _places_of_spec(spec: Any) -> list[str]:
    """Return the file or the folders of a module; empty if it was made in memory."""
    origin = spec.origin if spec.has_location else None
    return [origin] if isinstance(origin, str) else [str(each) for each in spec.submodule_search_locations or ()]


def _places(module: Any) -> list[str]:
    """Return the file of an imported module, or its folders if it has none."""
    content = getattr(module, "__dict__", {})
    file = content.get("__file__")
    if isinstance(file, str):
        return [file]
    try:
        return [each for each in content.get("__path__") or () if isinstance(each, str)]
    except Exception:  # noqa: BLE001  (a module may contain anything)
        return []


def foreign_module(rules: ImportRules, of_suite: Container[str] = ()) -> tuple[str, str] | None:
    """Return name and file of an imported module that is not allowed; None if there is none.

    of_suite: modules that the graphs of the suite imported. Both sides use the suite of the working tree, so only the
    owned ones are checked.
    """
    for name, module in list(sys.modules.items()):
        if name in HARNESS or name.startswith("_jacobench_gate_") or (name in of_suite and not rules.concern(name)):
            continue
        for place in _places(module):
            if not rules.allow(name, place):
                return name, place
    return None


class OriginCheck:
    """Check of the imported modules against the rules of a side. It calls `report` with name and file of a foreign one.

    rules: file with the rules; "": nothing is checked. of_suite: as in `foreign_module`.
    """

    def __init__(self, rules: str, report: Callable[[str, str], None], of_suite: Container[str] = ()) -> None:
        self._rules = read_rules(rules) if rules else None
        self._report, self._of_suite, self._n_modules = report, of_suite, 0

    def __call__(self) -> None:
        """Check all modules, if there are others than at the last check."""
        if len(sys.modules) != self._n_modules:
            self.check_all()

    def check_all(self) -> None:
        """Check all modules."""
        self._n_modules = len(sys.modules)
        if self._rules and (found := foreign_module(self._rules, self._of_suite)):
            self._report(*found)


def start() -> None:
    """Put the current environment's packages after the side's own, and hide what the project installed among them.

    A build that pip isolates gets none of them: they would precede the packages that the build requires.
    """
    if ISOLATED_BUILD in os.environ.get("PYTHONPATH", "").partition(os.pathsep)[0]:
        return
    rules = read_rules(str(Path(__file__).with_name(RULES)))
    for folder in rules.site_folders:
        _add_site_folder(folder, rules)
    sys.path[:] = [kept for entry in sys.path if (kept := rules.replaced.get(entry, entry)) or not entry]
    SideFinder.rules = SidePathFinder.rules = rules
    sys.meta_path[:] = [SideFinder, *(SidePathFinder if each is PathFinder else each for each in sys.meta_path)]


def _add_site_folder(folder: str, rules: ImportRules) -> None:
    """Do what `site.addsitedir` does, without the .pth files that are hidden."""
    sys.path.append(folder)
    for name in sorted(os.listdir(folder)):  # noqa: PTH208  (as in `site`)
        if name.endswith(".pth") and os.path.realpath(os.path.join(folder, name)) not in rules.path_files:  # noqa: PTH118
            site.addpackage(folder, name, None)
