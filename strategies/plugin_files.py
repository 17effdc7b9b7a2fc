"""Files of the user that are imported by their path, and the modules in their folder that they import.

Installed modules come first. If there are several folders, each file gets the modules of its own folder.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from contextlib import suppress
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_IMPORTED: list[Path] = []  # files that `import_file` has imported in this process

_FOLDERS: dict[str, Path] = {}  # module → folder that it is imported from, if there are several


class NameClash(BadInput):
    """Two files import different modules of the same name; one process can have only one of them."""


def import_file(path: Path) -> Any:
    """Import a file, once; its folder is importable from then on.

    The module's name is that of the file, so that child processes find it, too, or, if this name belongs to another
    module, a name of its own. Raises NameClash as `check_neighbours`, also for files imported earlier.
    """
    path = path.resolve()
    importlib.invalidate_caches()  # the file may be newer than the time at which Python read its folder
    _FOLDERS.update({name: place.parent for name, place in check_neighbours([path]).items()})
    is_new = path not in _IMPORTED
    if is_new:
        _IMPORTED.append(path)
    try:
        return importlib.import_module(path.stem) if _place(path.stem) == path else _import_under_own_name(path)
    except BaseException:
        if is_new:
            _IMPORTED.remove(path)
        raise


class FolderFinder:
    """Finder of modules in the folders of imported files: `folders` returns those that may contain a module."""

    def __init__(self, folders: Callable[[str], Iterable[Path]]) -> None:
        self._folders = folders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a module at the top, as importlib requires; None if it is in none of the folders."""
        return None if path else PathFinder.find_spec(name, list(map(str, self._folders(name))), target)


_of_paths = (k for k, finder in enumerate(sys.meta_path) if isinstance(finder, type) and issubclass(finder, PathFinder))
# First the modules that a file imports from its folder if others have them, too; last, the modules of all folders.
sys.meta_path.insert(next(_of_paths, len(sys.meta_path)), FolderFinder(lambda name: filter(None, [_FOLDERS.get(name)])))
sys.meta_path.append(FolderFinder(lambda _name: (file.parent for file in _IMPORTED)))


def share_with_children(folder: Path) -> None:
    """Make a folder importable in child processes that run Python, too.

    In those that start anew, it comes before all packages. So it is not shared with them if a file in it has the name of
    an installed module, such as ``random.py``.
    """
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # multiprocessing passes it on
    folders = {folder, *(file.parent for file in _IMPORTED)}
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    places = (_place(entry.stem) for entry in folder.iterdir() if entry.suffix == ".py" or entry.is_dir())
    if str(folder) not in entries and all(place is None or place.parent in folders for place in places):
        os.environ["PYTHONPATH"] = os.pathsep.join([*entries, str(folder)])


def check_neighbours(paths: Iterable[Path]) -> dict[str, Path]:
    """Check that one process can import files, in addition to those that it has imported; raise NameClash if not.

    Two files that import a module of the same name from their folders must import the same code. Returns the place of
    each such module; nothing if all files are in one folder.
    """
    files = [*_IMPORTED, *(path.resolve() for path in paths)]
    folders = {file.parent for file in files}
    places: dict[str, Path] = {}
    importers: dict[str, Path] = {}
    for file in files if len(folders) > 1 else ():
        for name, place in neighbours(file, folders).items():
            loaded = _place(name) if name in sys.modules else None
            other = places.setdefault(name, loaded or place)
            importer = importers.setdefault(name, file if other == place else other)
            if other != place and _content(other) != _content(place):
                raise NameClash(
                    f"{file} and {importer} import different modules with the name {name!r} ({place} and {other}), which "
                    "is impossible in one process: rename one of these modules, or measure the two files separately"
                )
    return places


def neighbours(path: Path, folders: Collection[Path]) -> dict[str, Path]:
    """Return the modules in a file's folder that it imports, directly or through one of them, with their place.

    Modules found elsewhere than in `folders`, such as installed ones, come first and are left out.
    """
    found: dict[str, Path] = {}
    pending = [path]
    while pending:
        for name in sorted(imported_names(pending.pop()) - found.keys()):
            place = _location(PathFinder.find_spec(name, [str(path.parent)]), name)
            current = _place(name)
            if place is not None and (current is None or current.parent in folders):
                found[name] = place
                pending += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return found


def imported_names(path: Path) -> set[str]:
    """Return the first names of the modules that a file imports anywhere, without relative imports."""
    names: set[str] = set()
    with suppress(OSError, SyntaxError, ValueError):  # not readable as Python: the import reports it
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Import(names=aliases):
                    names |= {alias.name.partition(".")[0] for alias in aliases}
                case ast.ImportFrom(module=str(module), level=0):
                    names.add(module.partition(".")[0])
    return names


def _place(name: str) -> Path | None:
    """Return the file or the package's folder that ``import name`` gives in this process; None if there is none."""
    if not name.isidentifier():
        return None
    try:
        return _location(find_spec(name), name)
    except ValueError:  # a module without a spec, such as __main__: not a neighbour
        return Path(os.devnull)


def _location(spec: ModuleSpec | None, name: str) -> Path | None:
    """Return the file of a module, or the folder of a package; for a built-in module a place that is in no folder."""
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or ():
        return Path(folder).resolve()
    return Path(spec.origin).resolve() if spec.has_location and spec.origin else Path(os.devnull) / name


def _content(place: Path) -> list[bytes]:
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return [part for file in files for part in (str(file.relative_to(place)).encode(), file.read_bytes())]


def _import_under_own_name(path: Path) -> Any:
    """Import a file under a name that no other file has; dataclasses and pickle need the module to be registered."""
    module_name = f"{path.stem}_{crc32(str(path).encode(errors='surrogateescape')):08x}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec = spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} cannot be imported: expected a Python file")
    module = module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
