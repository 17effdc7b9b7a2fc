"""Source of benchmarks: which tests and files have some, and digests that tell whether one differs between two revisions.

`benchmark_plugin` loads this file by its path, in the environment of a side. It imports only the standard library.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

FIXTURES = "benchmark", "benchmark_weave"

REQUESTING = re.compile(r"^\s*(?:async\s+)?def\s+(\w+)\s*\([^)]*\bbenchmark(?:_weave)?\b", re.MULTILINE)
"""Function with one of the fixtures, in a text that cannot be parsed."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def is_benchmark(item: Any) -> bool:
    """Return whether a test requests the fixture of pytest-benchmark, itself or through another one."""
    return any(name in FIXTURES for name in getattr(item, "fixturenames", ()))


def is_node(test: str, node: str) -> bool:
    """Return whether a test has this node id, or is in it: in a file, a class, or a function with parameters."""
    return test == node or test.startswith((f"{node}::", f"{node}["))


def first_benchmark(file: Path) -> str:
    """Return the qualified name of the first function in a file that requests the fixture; empty if there is none."""
    content = file.read_bytes() if file.is_file() and file.suffix == ".py" else b""
    if FIXTURES[0].encode() not in content:
        return ""
    try:
        return next(_requesting(ast.parse(content), ""), "")
    except (SyntaxError, ValueError, RecursionError):
        found = REQUESTING.search(content.decode(errors="replace"))
        return found[1] if found else ""


def _requesting(node: ast.AST, place: str) -> Iterator[str]:
    """Return the qualified names of the functions that request the fixture, outside of other functions."""
    for each in ast.iter_child_nodes(node):
        match each:
            case ast.FunctionDef(name=name, args=given) | ast.AsyncFunctionDef(name=name, args=given):
                if any(one.arg in FIXTURES for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)):
                    yield f"{place}{name}"
            case ast.ClassDef(name=name):
                yield from _requesting(each, f"{place}{name}.")
            case ast.stmt():
                yield from _requesting(each, place)


@dataclass(frozen=True)
class Unit:
    """Part of a module: a test function, a test class without its tests, or a statement at the top level.

    names: what it defines, qualified; empty if it is another statement. text: its syntax tree, without docstrings, and
    so without comments and formatting. refers: identifiers that it contains.
    """

    names: tuple[str, ...]
    text: str
    refers: frozenset[str]
    is_test: bool


def unit(node: ast.stmt, names: Iterable[str], *, is_test: bool) -> Unit:
    """Return the unit of a statement."""
    return Unit(tuple(names), ast.dump(node), frozenset(_identifiers(node)), is_test)


def _identifiers(node: ast.AST) -> Iterable[str]:
    """Return names that a statement may refer to; fixtures are named by arguments, and by strings."""
    for each in ast.walk(node):
        match each:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.Constant(value=str(name)) if name.isidentifier():
                yield name


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement at the top level defines; empty if it may do anything else."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Import() | ast.ImportFrom():
            return [(each.asname or each.name).partition(".")[0] for each in node.names]
        case ast.Assign(targets=targets) if all(isinstance(each, ast.Name) for each in targets):
            return [each.id for each in targets if isinstance(each, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


class Splitter(ast.NodeTransformer):
    """Removes docstrings, and the functions and classes with these qualified names, which become units."""

    def __init__(self, tests: Iterable[str]) -> None:
        self.units: list[Unit] = []
        self._tests, self._place = frozenset(tests), ""

    def visit_Module(self, node: ast.Module) -> ast.AST:
        """Remove the docstring."""
        return self.generic_visit(without_docstring(node))

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST | None:
        """Take the tests out of a class, then the class itself."""
        outer, self._place = self._place, f"{self._place}{node.name}."
        self.generic_visit(without_docstring(node))
        self._place = outer
        return self._taken(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST | None:
        """Take out a test."""
        for inner in ast.walk(node):
            if isinstance(inner, Definition):
                without_docstring(inner)
        return self._taken(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST | None:
        """Take out a test."""
        return self.visit_FunctionDef(node)

    def _taken(self, node: Definition) -> ast.AST | None:
        name = f"{self._place}{node.name}"
        if name not in self._tests:
            return node
        self.units.append(unit(node, [name], is_test=True))
        return None


def without_docstring(node: Any) -> Any:
    """Remove the docstring of a module, class or function."""
    if ast.get_docstring(node, clean=False) is not None:
        del node.body[0]
    return node


def split(source: str | bytes, tests: Iterable[str] = ()) -> list[Unit]:
    """Split a module into units; `tests` are the qualified names of its tests and test classes."""
    splitter = Splitter(tests)
    module = splitter.visit(ast.parse(source))
    return [*splitter.units, *(unit(node, _defined(node), is_test=False) for node in module.body)]


def _reached(units: Sequence[Unit], start: Iterable[Unit]) -> set[Unit]:
    """Return the units that some refer to, by name, and these themselves."""
    reached: set[Unit] = set()
    new = set(start)
    while new:
        reached |= new
        names = frozenset().union(*(each.refers for each in new))
        new = {each for each in units if names & {name.rpartition(".")[2] for name in each.names}} - reached
    return reached


def relevant(units: Sequence[Unit], own: Iterable[str], fixtures: Iterable[str]) -> list[Unit]:
    """Return the units that count for one test: all except other tests, and what only these refer to.

    So a change that adds a benchmark with its helpers to a file does not change the others. `own` are the qualified
    names of the test and its class, `fixtures` the names of its fixtures.
    """
    own, fixtures = set(own), set(fixtures)
    others = [each for each in units if each.is_test and not own & set(each.names)]
    of_others = _reached(units, others)
    start = [each for each in units if each not in of_others or own & set(each.names) or fixtures & set(each.names)]
    kept = _reached(units, start)
    return [each for each in units if each in kept]


class Sources:
    """Benchmarks and their digests. The files below `top` are the project's.

    is_own: returns whether a module with this name is the project's, wherever it is installed.
    """

    def __init__(self, top: Path, is_own: Callable[[str], bool]) -> None:
        self._top, self._is_own = top, is_own
        self._tests: dict[Path, set[str]] = {}
        self._units: dict[Path, list[Unit]] = {}
        self._texts: dict[Path, str] = {}

    def add(self, item: Any) -> None:
        """Note a test, before the first digest."""
        self._tests.setdefault(item.path, set()).update(_names(item))

    def digest(self, item: Any) -> str:
        """Return the digest of a benchmark's source."""
        parts = [self._of_file(item), *self._of_conftests(item.path), *self._of_fixtures(item)]
        return sha256("\n".join(parts).encode(errors="replace")).hexdigest()[:16]

    def _of_file(self, item: Any) -> str:
        path = item.path
        try:
            if path not in self._units:
                self._units[path] = split(path.read_bytes(), self._tests.get(path, ()))
        except (OSError, SyntaxError, ValueError):
            return _bytes_digest(path)
        return "\n".join(each.text for each in relevant(self._units[path], _names(item), item.fixturenames))

    def _of_conftests(self, path: Path) -> list[str]:
        inside = (each.is_relative_to(self._top) or (each / "__init__.py").is_file() for each in path.parents)
        folders = [folder for folder, counts in zip(path.parents, inside, strict=True) if counts]
        return [self._whole(each / "conftest.py") for each in folders if (each / "conftest.py").is_file()]

    def _whole(self, path: Path) -> str:
        if path not in self._texts:
            try:
                text = "\n".join(each.text for each in split(path.read_bytes()))
            except (OSError, SyntaxError, ValueError):
                text = _bytes_digest(path)
            self._texts[path] = f"{path.parent.name if path.parent != self._top else ''}\n{text}"
        return self._texts[path]

    def _of_fixtures(self, item: Any) -> list[str]:
        """Return the sources of fixtures in other modules of the project."""
        known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        functions = [inspect.unwrap(each.func) for name in sorted(known) for each in known[name]]
        return [self._of_function(each) for each in functions if self._counts(each, item)]

    def _counts(self, function: Any, item: Any) -> bool:
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        file = Path(getattr(module, "__file__", None) or "/")
        if file == item.path or file.name == "conftest.py":
            return False  # counts as a whole
        return file.is_relative_to(self._top) or self._is_own(getattr(module, "__name__", ""))

    def _of_function(self, function: Any) -> str:
        try:
            return "\n".join(each.text for each in split(dedent(inspect.getsource(function))))
        except (OSError, SyntaxError, TypeError, ValueError):
            return repr(getattr(function, "__qualname__", ""))


def _names(item: Any) -> set[str]:
    """Return the qualified names of a test's function, its class, and the classes around it."""
    function, owner = getattr(item, "function", None), getattr(item, "cls", None)
    found = {getattr(each, "__qualname__", "") for each in (function, owner) if each is not None}
    place = getattr(owner, "__qualname__", "")
    if name := getattr(item, "originalname", None):  # a decorator may have replaced the function
        found.add(f"{place}.{name}" if place else name)
    around = place.split(".")
    return found | {".".join(around[:count]) for count in range(1, len(around))} - {""}


def _bytes_digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
