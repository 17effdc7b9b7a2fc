"""The rules of the house: see ARCHITECTURE.md."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jacobench

TOP = Path(__file__).parents[1]
ROOMS = ("graphs", "strategies", "bench", "reports")  # each may import itself and those to its left
FRONT_DOOR = ("api", "gating", "commands", "__main__")
PEERS = ("torch", "jax", "autograd", "asdex")

FILES = {room: sorted((TOP / room).rglob("*.py")) for room in ROOMS}
FILES["the front door"] = [
    path for path in sorted((TOP / "jacobench").rglob("*.py*")) if path.relative_to(TOP).parts[1] not in ROOMS
]
FILES["the front door"] = [path for path in FILES["the front door"] if path.suffix in {".py", ".pyi"}]
OURS = [path for paths in FILES.values() for path in paths] + [TOP / "conftest.py"]
TESTS = sorted((TOP / "tests").rglob("*.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(jacobench.__path__, "jacobench.")
    if module.name != "jacobench.__main__"
)


def imported(source: str) -> set[str]:
    """Return the dotted names that a source imports anywhere; ``from a import b`` gives ``a.b``, dots of level 1 ``.``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=module, names=names, level=level):
                found |= {f"{'.' * level}{module or ''}.{alias.name}" for alias in names}
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if "import" in ast.unparse(function):
                found.add(name)
    return found


def breaches(source: str, room: str) -> set[str]:
    """Return what a module of a room imports and must not."""
    allowed = ROOMS[: ROOMS.index(room) + 1]
    return {
        name
        for name in imported(source)
        if name.startswith(".") or (name.split(".")[0] == "jacobench" and [*name.split("."), ""][1] not in allowed)
    }


def bare(source: str) -> set[str]:
    """Return the rooms that a module imports by their bare names."""
    return {name for name in imported(source) if name.split(".")[0] in ROOMS}


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    assert FILES[room]
    found = {str(path.relative_to(TOP)): breaches(path.read_text("utf-8"), room) for path in FILES[room]}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("import jacobench.strategies.vjp", "graphs"),
        ("from jacobench.bench.suites.case import Case", "strategies"),
        ("from jacobench import reports", "bench"),
        ("from jacobench import mlp", "reports"),
        ("import jacobench", "reports"),
        ("def f():\n    from jacobench.api import run", "reports"),
        ("if TYPE_CHECKING:\n    from jacobench.commands import screen", "bench"),
        ("import_module('jacobench.reports.data.run_data')", "bench"),
        ("from .case import Case", "bench"),
    ],
)
def test_an_import_against_the_way_is_seen(source: str, room: str) -> None:
    assert breaches(source, room)


def test_an_import_along_the_way_is_let_through() -> None:
    assert not breaches(
        "from jacobench.graphs.generators.mlp import mlp\nimport numpy\nfrom jacobench.bench import case", "bench"
    )


def test_nobody_imports_a_bare_room() -> None:
    assert bare("from graphs import mlp")
    found = {str(path.relative_to(TOP)): bare(path.read_text("utf-8")) for path in [*OURS, *TESTS]}
    assert {path: names for path, names in found.items() if names} == {}


def test_other_libraries_for_derivatives_are_named_where_they_are_wrapped() -> None:
    """There, inside functions: the tests with a fresh process below see to it."""
    found = {
        str(path.relative_to(TOP)): {name for name in imported(path.read_text("utf-8")) if name.split(".")[0] in PEERS}
        for path in OURS
    }
    named = {path for path, names in found.items() if names}
    assert {path for path in named if not path.startswith("strategies/peers/")} == {"graphs/arrays/namespaces.py"}
    assert named >= {f"strategies/peers/peer_{name}.py" for name in PEERS}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_the_one_at_the_top(room: str) -> None:
    assert (TOP / "jacobench" / room).samefile(TOP / room)


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_importing_a_room_loads_that_room_and_those_it_needs(room: str) -> None:
    name = f"jacobench.{room}".rstrip(".")
    loaded = in_a_fresh_process(f"import sys, {name}; print(*sys.modules)").split()
    allowed = ROOMS[: ROOMS.index(room) + 1] if room else ()
    of_ours = {module.split(".")[1] for module in loaded if module.startswith("jacobench.")}
    assert of_ours <= set(allowed)
    assert set(loaded).isdisjoint(PEERS)
    if room in {"", "graphs", "strategies"}:
        assert set(loaded).isdisjoint({"pandas", "matplotlib", "pytest", "rich", "typer"})


def test_importing_everything_loads_no_other_library_for_derivatives() -> None:
    loaded = in_a_fresh_process(f"import sys, {', '.join(MODULES)}; print(*sys.modules)").split()
    assert set(MODULES) <= set(loaded)
    assert set(loaded).isdisjoint(PEERS)


def test_taking_a_strategy_loads_no_plots_and_no_other_library_for_derivatives() -> None:
    loaded = in_a_fresh_process(
        "import sys, jacobench as jb; jb.strategies(); graph, leaves = jb.mlp([2, 2]); graph.evaluate(leaves);"
        "jb.strategy('vjp').prepare(graph).linearize(leaves); print(*sys.modules)"
    ).split()
    assert set(loaded).isdisjoint({*PEERS, "matplotlib", "jacobench.commands"})


def stub() -> dict[str, str]:
    """Return the public names of ``__init__.pyi`` and the modules they are from; "" for what it declares itself."""
    found = {}
    for node in ast.parse((TOP / "jacobench/__init__.pyi").read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names), "a stub exports only 'x as x'"
            found |= {alias.name: str(node.module) for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            found[node.name] = ""
    return found


def test_the_stub_and_the_lazy_attributes_agree() -> None:
    assert set(stub()) == set(jacobench.__all__)
    assert set(jacobench.__all__) <= set(dir(jacobench))
    for name, module in stub().items():
        attribute = getattr(jacobench, name)
        assert callable(attribute)
        if module:
            assert attribute is getattr(importlib.import_module(module), name)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        jacobench.no_such_name  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_in_docstrings() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert any(test.examples for name in MODULES for test in finder.find(importlib.import_module(name)))


def test_every_dependency_has_its_sentence() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    wanted += [each for extra in project["project"]["optional-dependencies"].values() for each in extra]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in wanted}
    said = (TOP / "ARCHITECTURE.md").read_text("utf-8").partition("## Dependencies, and why")[2]
    assert said
    assert {name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", said)} == set()
