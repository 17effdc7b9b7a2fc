"""Rules of the layout: the direction of imports, unique names, lazy loading, and docstring examples."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

import jacobench

TOP = Path(__file__).parents[1]
PACKAGES = ("graphs", "strategies", "bench", "reports")  # each imports itself and those to its left
FRONT_END = ("api", "gate_session", "bisect_session", "commands", "__main__")
PEERS = ("torch", "jax", "autograd", "asdex")

# The modules and subpackages of each package, in the order of ARCHITECTURE.md: each imports itself and those to its left.
ORDER = {
    "graphs": [
        "errors",
        "wording",
        "array_types",
        "calls",
        "structures",
        "arrays",
        "op",
        "ops",
        "graph",
        "builder",
        "generators",
        "importers",
        "architectures",
    ],
    "strategies": [
        "contract",
        "tape",
        "seed_batching",
        "memory_model",
        "reverse",
        "dense",
        "sparse",
        "vjp",
        "forward",
        "linear_operator",
        "peers",
        "plugin_files",
        "registry",
    ],
    "bench": ["cell", "row", "suites", "machine", "floor", "run", "cluster", "gate"],
    "reports": ["data", "analysis", "regression", "claims", "explain", "plots", "render", "page", "history"],
}
SHARED_NAMES = {"__init__.py", "__main__.py", "conftest.py"}

FILES = {package: sorted((TOP / package).rglob("*.py")) for package in PACKAGES}
FILES["jacobench"] = [
    path
    for path in sorted((TOP / "jacobench").rglob("*.py*"))
    if path.relative_to(TOP).parts[1] not in PACKAGES and path.suffix in {".py", ".pyi"}
]
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


def forbidden(source: str, package: str, part: str = "") -> set[str]:
    """Return the imports of a module that are against the direction.

    ``part`` is the module or subpackage of ``ORDER[package]`` that the source belongs to; "" for the package itself.
    """
    return {name for name in imported(source) if not allowed(name, package, part)}


def allowed(name: str, package: str, part: str) -> bool:
    if name.startswith("."):
        return (package, part) in {("bench", "cell"), ("bench", "gate")}  # loaded by their paths, under other names
    top, *rest = name.split(".")
    if top != "jacobench":
        return True
    if not rest or rest[0] not in PACKAGES[: PACKAGES.index(package) + 1]:
        return False
    if (package, part) == ("bench", "cell") and rest[0] == "strategies":
        return rest[1] == "contract"
    if rest[0] != package or not part:
        return True
    order = ORDER[package]
    return rest[1] in order[: order.index(part) + 1]


def part_of(path: Path) -> str:
    """Return the entry of ``ORDER`` that a file belongs to."""
    name = path.relative_to(TOP).parts[1]
    return "" if name == "__init__.py" else name.removesuffix(".py")


def names_used_twice(places: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: found for name, found in places.items() if len(found) > 1}


def file_names() -> dict[str, list[str]]:
    """Return the places of each file name in the packages."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in OURS:
        if path.suffix == ".py" and path.name not in SHARED_NAMES:
            places[path.name].append(str(path.relative_to(TOP)))
    return places


def class_names() -> dict[str, list[str]]:
    """Return the places of each class name in the packages."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in OURS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(TOP)}:{node.lineno}")
    return places


def bare(source: str) -> set[str]:
    """Return the packages that a module imports by their bare names."""
    return {name for name in imported(source) if name.split(".")[0] in PACKAGES}


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    assert FILES[package]
    found = {
        str(path.relative_to(TOP)): forbidden(path.read_text("utf-8"), package, part_of(path))
        for path in FILES[package]
    }
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_order_names_every_module_and_subpackage(package: str) -> None:
    assert {part_of(path) for path in FILES[package]} - {""} <= set(ORDER[package])


@pytest.mark.parametrize(
    ("source", "package", "part"),
    [
        ("import jacobench.strategies.vjp", "graphs", "op"),
        ("from jacobench.bench.suites.case import Case", "strategies", "vjp"),
        ("from jacobench import reports", "bench", "run"),
        ("from jacobench import mlp", "reports", "data"),
        ("import jacobench", "reports", "data"),
        ("def f():\n    from jacobench.api import run", "reports", "page"),
        ("if TYPE_CHECKING:\n    from jacobench.commands import console", "bench", "run"),
        ("if TYPE_CHECKING:\n    from jacobench.graphs.builder import Value", "graphs", "ops"),
        ("import_module('jacobench.reports.data.run_data')", "bench", "run"),
        ("from .case import Case", "bench", "suites"),
        ("from jacobench.reports.page import notebook", "reports", "data"),
        ("from jacobench.bench.run.session import Session", "bench", "machine"),
        ("from jacobench.strategies.registry import load", "bench", "cell"),
    ],
)
def test_an_import_against_the_direction_is_found(source: str, package: str, part: str) -> None:
    assert forbidden(source, package, part)


@pytest.mark.parametrize(
    ("source", "package", "part"),
    [
        ("from jacobench.graphs.generators.mlp import mlp\nimport numpy", "bench", "run"),
        ("from jacobench.bench.suites.case import Case", "bench", "run"),
        ("from jacobench.strategies.contract import placed", "bench", "cell"),
        ("from .verification import verify", "bench", "cell"),
    ],
)
def test_an_import_along_the_direction_is_allowed(source: str, package: str, part: str) -> None:
    assert not forbidden(source, package, part)


def test_file_and_class_names_are_unique() -> None:
    assert names_used_twice(file_names()) == {}
    assert names_used_twice(class_names()) == {}
    assert names_used_twice({"a.py": ["graphs/a.py", "bench/a.py"]})


def test_a_main_module_is_not_named_after_its_package() -> None:
    assert [str(path) for path in OURS if path.stem == path.parent.name] == []


def test_no_module_imports_a_bare_package() -> None:
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
    wrappers = ("strategies/peers/", "graphs/importers/from_")
    assert {path for path in named if not path.startswith(wrappers)} == {
        "graphs/arrays/namespaces.py",
        "bench/suites/example_models.py",
    }
    assert named >= {f"strategies/peers/peer_{name}.py" for name in PEERS}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_the_folder_at_the_top(package: str) -> None:
    assert (TOP / "jacobench" / package).samefile(TOP / package)


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_importing_a_package_loads_only_it_and_those_to_its_left(package: str) -> None:
    name = f"jacobench.{package}".rstrip(".")
    loaded = in_a_fresh_process(f"import sys, {name}; print(*sys.modules)").split()
    allowed = PACKAGES[: PACKAGES.index(package) + 1] if package else ()
    of_ours = {module.split(".")[1] for module in loaded if module.startswith("jacobench.")}
    assert of_ours <= set(allowed)
    assert set(loaded).isdisjoint(PEERS)
    if package in {"", "graphs", "strategies"}:
        assert set(loaded).isdisjoint({"pandas", "matplotlib", "pytest", "rich", "typer"})


def test_importing_everything_loads_no_other_library_for_derivatives() -> None:
    loaded = in_a_fresh_process(f"import sys, {', '.join(MODULES)}; print(*sys.modules)").split()
    assert set(MODULES) <= set(loaded)
    assert set(loaded).isdisjoint(PEERS)


def test_taking_a_strategy_loads_no_plots_and_no_other_library_for_derivatives() -> None:
    loaded = in_a_fresh_process(
        "import sys, jacobench as jb; jb.strategy_names(); graph, leaves = jb.mlp([2, 2]); graph.evaluate(leaves);"
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
        assert callable(attribute) or isinstance(attribute, ModuleType)
        if module:
            assert attribute is getattr(importlib.import_module(module), name)


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        jacobench.no_such_name  # noqa: B018


LIBRARIES = {"from_torch": "torch", "from_onnx": "onnx", "from_sklearn": "sklearn", "from_jax": "jax"}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    if library := LIBRARIES.get(name.rpartition(".")[2]):
        pytest.importorskip(library)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples_in_docstrings() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    assert any(test.examples for name in MODULES for test in finder.find(importlib.import_module(name)))


def test_every_dependency_has_its_sentence() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    wanted += [each for extra in project["project"]["optional-dependencies"].values() for each in extra]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in wanted}
    said = (TOP / "ARCHITECTURE.md").read_text("utf-8").partition("## Dependencies")[2]
    assert said
    assert {name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", said)} == set()
