"""Environments of the two sides: each has the side's installation first, then the current environment's packages.

What the project's own distributions installed into the current environment is hidden (`side_finder`).
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import site
import sys
import sysconfig
import venv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.installation import side_finder
from jacobench.bench.gate.installation.repository_distributions import (
    Installed,
    folders_on_path,
    installed,
    is_in,
    is_in_repository,
    normalized,
    projects_in,
)
from jacobench.bench.gate.installation.requirement_changes import is_satisfied, parsed
from jacobench.bench.gate.trees.submodules import clear
from jacobench.bench.suites.suite_files import read_toml
from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import listed
from jacobench.strategies.registry import GROUP, absolute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jacobench.bench.gate.trees.revisions import Project, Tree

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"  # build backend of a project that names none (PEP 517)

NOT_A_PACKAGE = (
    ("uv", "package", False),
    ("poetry", "package-mode", False),
    ("pdm", "distribution", False),
    ("rye", "virtual", True),
)
"""Keys of ``[tool.NAME]`` by which a project declares that it is not a package."""

NO_PACKAGES = (
    *(
        "ci",
        "bin",
        "doc",
        "docs",
        "documentation",
        "manpages",
        "news",
        "changelog",
        "tools",
        "util",
        "utils",
        "scripts",
    ),
    *("test", "tests", "unit_test", "unit_tests", "example", "examples", "exercise", "exercises", "python", "tasks"),
    *("benchmark", "benchmarks", "build", "dist", "venv", "env", "requirements", "setup", "conftest", "manage"),
    *("toxfile", "noxfile", "fabfile", "pavement", "dodo", "conanfile", "site_scons"),
)
"""Top-level names that setuptools takes for no package (``setuptools.discovery``)."""


OF_SETUPTOOLS = ("setuptools*", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
"""Files of the old setuptools that comes with pip before Python 3.12. It would hide the current environment's."""


@dataclass(frozen=True)
class Side:
    """One of the two revisions, "base" or "head", installed. The folder `packages` contains only its installation."""

    name: str
    tree: Tree
    python: Path
    packages: Path
    rules: str = ""  # file with the rules of `side_finder`; "": none, both sides are the current environment
    required: frozenset[str] = frozenset()  # names of the distributions that the side's requirements installed

    @property
    def environment(self) -> Path:
        """Folder of the environment."""
        return self.python.parents[1]

    def distributions(self) -> list[Installed]:
        """Return what is installed in this side's own environment."""
        return installed([str(self.packages)])

    def built(self) -> list[Installed]:
        """Return the distributions that were built from this side's tree, without what the command added to them."""
        found = [each for each in self.distributions() if each.name not in self.required]
        named = projects_in(self.tree.top)
        own = [each for each in found if each.name in named or is_in(each.source, self.tree.top)]
        return own or [each for each in found if each.name != "pip"]

    def registered(self) -> list[str]:
        """Return the names of the strategies that the project registers."""
        points = (point for each in self.distributions() for point in each.details.entry_points)
        return sorted(point.name for point in points if point.group == GROUP)

    def spec(self, strategy: str, project: Project) -> str:
        """Return the spec that this side loads for a strategy: a file in the project is replaced by the side's own."""
        spec = absolute(strategy)
        place, colon, name = spec.rpartition(":")
        if not (colon and place.endswith(".py") and Path(place).is_relative_to(project.top)):
            return spec
        return f"{self.tree.top / Path(place).relative_to(project.top)}:{name}"


def read_pyproject(folder: Path) -> dict[str, Any]:
    """Return the content of a project's pyproject.toml, empty if it has none; raise BadInput if it is not TOML."""
    path = folder / "pyproject.toml"
    return read_toml(path) if path.is_file() else {}


def build_system(folder: Path) -> dict[str, Any] | None:
    """Return ``[build-system]`` of a project's pyproject.toml; None if there is nothing to install."""
    content = read_pyproject(folder)
    return dict(content.get("build-system", {})) if is_package(folder, content) else None


def is_package(folder: Path, content: Mapping[str, Any]) -> bool:
    """Return whether a project with this pyproject.toml is a package, and not an application that is never installed.

    It is none if it declares so, or if it names no build backend and no packages, and setuptools, the default backend,
    cannot guess them: it accepts one top-level folder, or one module.
    """
    tools = _table(content, "tool")
    if any(_table(tools, tool).get(key) is value for tool, key, value in NOT_A_PACKAGE):
        return False
    if "build-system" in content or (folder / "setup.py").is_file():
        return True
    if "project" not in content:
        return False
    if "setuptools" in tools or any((folder / each).exists() for each in ("src", "setup.cfg")):
        return True
    names = [each for each in folder.iterdir() if each.stem.isidentifier() and each.stem not in NO_PACKAGES]
    packages = [each for each in names if each.is_dir() and not each.suffix and each.name[0] != "_"]
    modules = [each for each in names if each.suffix == ".py" and each.name[0] != "_"]
    return len(packages or modules) == 1


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def check_backend(folder: Path, revision: str) -> None:
    """Check that the build backend of a project is installed; else raise BadInput with the packages to install."""
    system = build_system(folder)
    if system is None or "backend-path" in system:
        return
    backend = system.get("build-backend", LEGACY_BACKEND).partition(":")[0]
    if find_spec(backend.partition(".")[0]) is None:
        needed = " ".join(map(shlex.quote, system.get("requires", ["setuptools"])))
        raise BadInput(
            f"{backend}, which builds the project at {revision}, is not installed: run pip install {needed}, "
            "or use a command for --install that installs it"
        )


def lacking_to_build(folder: Path) -> str:
    """Return what the build of a project requires and the current environment does not satisfy, with the fix; else empty."""
    system = build_system(folder) or {}
    versions = {each.name: each.version for each in installed()}
    lacking = {
        str(each).partition(";")[0]: f"{each.name} {versions.get(normalized(each.name), 'is missing')}"
        for each in parsed(map(str, system.get("requires", ())))
        if not is_satisfied(each, versions)
    }
    words = " ".join(map(shlex.quote, lacking))
    has = listed(list(lacking.values()))
    return f"its build requires {listed(list(lacking))}, here {has}: run pip install {words}" if lacking else ""


def side_variables(project: Project, side: Side, other: Side) -> dict[str, str]:
    """Return the variables of a side's processes that differ from this process's: ``PATH`` and ``PYTHONPATH``.

    Programs are the side's own, then those of the current environment, which need not be activated.
    """
    given = os.environ.get("PATH", os.defpath).split(os.pathsep)
    current = sysconfig.get_path("scripts")
    path = [str(side.python.parent), *([] if current in given else [current]), *given]
    return {"PATH": os.pathsep.join(path), "PYTHONPATH": _python_path(project, side, other)}


def _python_path(project: Project, side: Side, other: Side) -> str:
    """Return this process's ``PYTHONPATH`` for a side: its own folders instead of the repository's."""
    given = os.environ.get("PYTHONPATH")
    entries = [str(Path(entry).resolve()) for entry in given.split(os.pathsep)] if given else []  # "": this folder
    replaced = (_replaced(entry, side, other, project) for entry in entries)
    return os.pathsep.join(entry for entry in replaced if entry)


def create_environment(name: str, tree: Tree, folder: Path) -> Side:
    """Create an environment for a side in `folder`. It sees the current one's packages once it has its rules."""
    with_pip = find_spec("pip") is None  # in the current environment, as in those that uv makes
    venv.create(folder, symlinks=os.name != "nt", with_pip=with_pip)
    packages = next(path for path in folder.rglob("site-packages") if path.is_dir())
    for file in OF_SETUPTOOLS if with_pip else ():
        for path in packages.glob(file):
            clear(path)
    copy = packages / f"_jacobench_{Path(side_finder.__file__).name}"
    shutil.copyfile(side_finder.__file__, copy)
    (packages / "zz_after.pth").write_text(f"import {copy.stem}; {copy.stem}.start()\n", encoding="utf-8")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return Side(name, tree, python, packages, str(packages / side_finder.RULES))


def write_rules(
    side: Side, other: Side, project: Project, hidden: Iterable[Installed], shared: Iterable[Installed]
) -> None:
    """Write the rules of a side's imports.

    hidden: distributions of the current environment that this side does not see. shared: those that the repository
    contains and both sides see.
    """
    hidden = list(hidden)
    owned = {module for each in hidden for module in each.modules}
    for each in (*side.built(), *other.built()):
        owned |= each.modules or each.importable
    required = _modules(each for each in side.distributions() if each.name in side.required)
    required |= _modules(each for each in hidden if each.name in side.required)
    kept = {str(folder) for each in shared for folder in folders_on_path(each.path_files)}
    replaced = {entry: _replaced(entry, side, other, project) for entry in sys.path if entry and entry not in kept}
    packages = {entry for entry, now in replaced.items() if now == entry and any(Path(entry).glob("*.dist-info"))}
    rules = {
        "owned": sorted(owned | required),
        "inside": [str(side.tree.top), str(side.environment)],
        "required": sorted(required),
        "packages": str(side.environment),
        "repository": str(project.top),
        "trees": [str(side.tree.top), str(other.tree.top)],
        "shared": [
            str(Path(sys.prefix).resolve()),
            *(str(each.folder) for each in shared),
            *sorted(map(os.path.realpath, packages)),
        ],
        "site_folders": [folder for folder in _site_folders() if Path(folder).is_dir()],
        "path_files": [str(file) for each in hidden for file in each.path_files],
        "metadata": [str(each.metadata) for each in hidden],
        "replaced": replaced,
    }
    Path(side.rules).write_text(json.dumps(rules), encoding="utf-8")


def _modules(found: Iterable[Installed]) -> set[str]:
    return {module for each in found for module in each.modules}


def _site_folders() -> list[str]:
    return [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]


def _replaced(entry: str, side: Side, other: Side, project: Project) -> str:
    """Return what a side has instead of an entry of the current path: its own folder of the repository, if it has one."""
    if not is_in_repository(Path(entry), project):
        return entry
    place = Path(entry).resolve().relative_to(project.top)
    here, there = side.tree.top / place, other.tree.top / place
    return str(here) if here.is_dir() else "" if there.is_dir() else entry
