"""Strategies by name: from the entry-point group ``jacobench.strategies``, from a file, or from a module."""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput, unknown
from jacobench.strategies.plugin_files import check_neighbours, import_file, share_with_children

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jacobench.strategies.contract import Strategy

GROUP = "jacobench.strategies"
REFERENCE = "vjp"
"""The strategy that the others are compared with."""

DEFAULT_STRATEGIES = ("dense", "sparse", "vjp")
"""The strategies of a sweep that names none."""


@cache
def registered() -> Mapping[str, EntryPoint]:
    """Return the installed strategies by name, without importing them: ours, peers, then plug-ins.

    If a plug-in uses one of our names, ours is kept.
    """

    def rank(point: EntryPoint) -> tuple[bool, bool, str]:
        return not point.value.startswith("jacobench."), ".peers." in point.value, point.name

    found = {point.name: point for point in sorted(entry_points(group=GROUP), key=rank, reverse=True)}
    return {point.name: point for point in sorted(found.values(), key=rank)}


def strategy_names() -> list[str]:
    """Return the names of the installed strategies, built-in ones first."""
    return list(registered())


def is_built_in(name: str) -> bool:
    """Return whether a name is that of one of our own strategies, which run no code of other libraries."""
    return is_ours(name) and not is_peer(name)


def is_peer(name: str) -> bool:
    """Return whether a name is that of a strategy of another library."""
    return is_ours(name) and ".peers." in registered()[name].value


def is_ours(name: str) -> bool:
    """Return whether a name is that of a strategy of this package, which includes those of other libraries."""
    return name in registered() and registered()[name].value.startswith("jacobench.")


def check(spec: str) -> str:
    """Check a strategy's name or location without importing it, and return it.

    `spec` is a registered name, ``path/to/file.py:ClassName`` or ``package.module:ClassName``. Raises BadInput if the name
    is unknown, or the file does not exist, is no Python or does not contain the name.
    """
    place, colon, name = spec.rpartition(":")
    if not colon:
        if spec not in registered():
            raise unknown("strategy", spec, registered())
    elif not (place and name.isidentifier()):
        raise BadInput(f"strategy {spec!r}: expected a name, path/to/file.py:ClassName or package.module:ClassName")
    elif place.endswith(".py"):
        _check_file(spec, Path(place), name)
    return spec


def _check_file(spec: str, file: Path, name: str) -> None:
    """Raise BadInput if a file does not exist, is no Python, or cannot define a name."""
    if not file.is_file():
        raise BadInput(f"strategy {spec!r}: there is no file {file}")
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise BadInput(f"strategy {spec!r}: line {line or 1} of {file} is not Python: {error.args[0]}") from None
    words = {word for node in ast.walk(tree) for word in _words(node)}
    if not words & {name, "*"}:
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        raise unknown(f"strategy in {file}", name, classes or ["a class or function of this name"])


def _words(node: ast.AST) -> list[str]:
    """Return the names that a part of a program may define; "*" if it may define any."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.Name(id=name):
            return [name]
        case ast.alias(name=name, asname=other):
            return [other or name]
        case ast.Constant(value=str(text)):  # globals()["Name"] = …
            return [text]
    return []


def check_together(specs: Iterable[str]) -> None:
    """Check that one process can load several strategies; raise BadInput if files import different modules of a name."""
    places = [spec.rpartition(":")[0] for spec in specs]
    check_neighbours(dict.fromkeys(Path(place) for place in places if place.endswith(".py")))


def absolute(spec: str) -> str:
    """Make the path in a spec absolute, so that it is valid in every folder."""
    place, colon, name = spec.rpartition(":")
    return f"{Path(place).resolve()}:{name}" if colon and place.endswith(".py") else spec


@cache
def _imported(name: str) -> Any:
    """Import the class or factory of an installed strategy."""
    return registered()[name].load()


def load(spec: str) -> Strategy:
    """Import a strategy and create it: call its class or factory without arguments.

    Raises BadInput as `check` does, or if the file or module has no such class. Exceptions of the import and the call are
    not caught.
    """
    check(spec)
    place, colon, name = spec.rpartition(":")
    if not colon:
        factory = _imported(spec)
    else:
        if place.endswith(".py"):
            share_with_children(Path(place).resolve().parent)
        module = import_file(Path(place)) if place.endswith(".py") else import_module(place)
        if not hasattr(module, name):
            callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise unknown(f"strategy in {place}", name, callables or ["none"])
        factory = getattr(module, name)
    strategy: Strategy = factory()
    for needed in ("name", "prepare"):
        if not hasattr(strategy, needed):
            raise BadInput(f"strategy {spec!r} has no {needed!r}: expected a name and a method prepare(graph)")
    return strategy
