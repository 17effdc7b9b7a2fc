"""Files of the user that are imported by their path, and the modules in their folder that they import.

The folder of each such file is importable in this process, after all installed packages.
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
    from collections.abc import Collection, Iterable
    from importlib.machinery import ModuleSpec

_IMPORTED: list[Path] = []  # files that `import_file` has imported in this process


class NameClash(BadInput):
    """Two files import different modules of the same name; one process can have only one of them."""


def import_file(path: Path) -> Any:
    """Import a file, once; its folder is importable from then on.

    The module's name is that of the file, so that child processes find it, too, or, if this name belongs to another
    module, a name of its own. Raises NameClash as `check_neighbours`, also for files imported earlier.
    """
    path = path.resolve()
    importlib.invalidate_caches()  # the file may be newer than the time at which Python read its folder
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    check_neighbours([path])
    module = importlib.import_module(path.stem) if _place(path.stem) == path else _import_under_own_name(path)
    if path not in _IMPORTED:
        _IMPORTED.append(path)
    return module


def share_with_children(folder: Path) -> None:
    """Make a folder importable in child processes that run Python, too.

    There it comes before all packages. So this does nothing if a file in it has the name of a module found elsewhere,
    such as ``random.py``.
    """
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    places = (_place(entry.stem) for entry in folder.iterdir() if entry.suffix == ".py" or entry.is_dir())
    if str(folder) not in entries and all(place is None or place.parent == folder for place in places):
        os.environ["PYTHONPATH"] = os.pathsep.join([*entries, str(folder)])


def check_neighbours(paths: Iterable[Path]) -> None:
    """Check that one process can import files, in addition to those that it has imported; raise NameClash if not.

    Each must get the modules of its own folder: two that import a module of the same name must import the same code.
    """
    files = [*_IMPORTED, *(path.resolve() for path in paths)]
    folders = {file.parent for file in files}
    owners: dict[str, tuple[Path, Path]] = {}  # module → a file that imports it, its place
    for file in files if len(folders) > 1 else ():
        for name, place in neighbours(file, folders).items():
            other, others = owners.setdefault(name, (file, place))
            if others != place and _content(others) != _content(place):
                raise NameClash(
                    f"{file} and {other} import different modules with the name {name!r} ({place} and {others}), which "
                    "is impossible in one process: rename one of these modules, or measure the two files separately"
                )
        owners.setdefault(file.stem, (file, file))


def neighbours(path: Path, folders: Collection[Path]) -> dict[str, Path]:
    """Return the modules in a file's folder that it imports, directly or through one of them, with their place.

    Modules found elsewhere than in `folders`, such as installed ones, come first and are left out.
    """
    found: dict[str, Path] = {}
    pending = [path]
    while pending:
        for name in sorted(_imported_names(pending.pop()) - found.keys()):
            place = _location(PathFinder.find_spec(name, [str(path.parent)]), name)
            current = _place(name)
            if place is not None and (current is None or current.parent in folders):
                found[name] = place
                pending += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return found


def _imported_names(path: Path) -> set[str]:
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
