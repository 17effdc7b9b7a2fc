"""Environments of the two sides: each has the side's installation first, then the current environment's packages.

The project's installation in the current environment is hidden: the side's own comes first on the path, and the folders
of an editable installation are removed from it.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import site
import subprocess
import sys
import tomllib
import venv
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.strategies.registry import GROUP, absolute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.bench.gate.revisions import Project, Tree

INSTALL = "{python} -m pip install --quiet --no-deps --no-build-isolation --ignore-installed {dir}"
"""Default command. It needs no network: dependencies and build tools are those of the current environment."""

PLACEHOLDERS = ("{python}", "{dir}")

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"  # build backend of a project that names none (PEP 517)


@dataclass(frozen=True)
class Side:
    """One of the two revisions, "base" or "head", installed. The folder `packages` contains only its installation."""

    name: str
    tree: Tree
    python: Path
    packages: Path

    def registered(self) -> list[str]:
        """Return the names of the strategies that the project registers."""
        found = distributions(path=[str(self.packages)])
        return sorted(point.name for each in found for point in each.entry_points.select(group=GROUP))

    def spec(self, strategy: str, project: Project) -> str:
        """Return the spec that this side loads for a strategy: a file in the project is replaced by the side's own."""
        spec = absolute(strategy)
        place, colon, name = spec.rpartition(":")
        if not (colon and place.endswith(".py") and Path(place).is_relative_to(project.top)):
            return spec
        return f"{self.tree.top / Path(place).relative_to(project.top)}:{name}"


def check_template(template: str) -> str:
    """Return the template of a command if it has both placeholders and no others; raise BadInput otherwise."""
    given = set(re.findall(r"\{[^}]*\}", template))
    if given != set(PLACEHOLDERS):
        raise BadInput(
            f"--install {template!r}: expected a command with {' and '.join(PLACEHOLDERS)}, as in {INSTALL!r}"
        )
    try:
        shlex.split(template.format(python="", dir=""))
    except ValueError as error:
        raise BadInput(f"--install {template!r}: {error}; expected a command as in {INSTALL!r}") from None
    return template


def read_pyproject(folder: Path) -> dict[str, Any]:
    """Return the content of a project's pyproject.toml, empty if it has none; raise BadInput if it is not TOML."""
    path = folder / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not TOML: {error}") from None


def build_system(folder: Path) -> dict[str, Any] | None:
    """Return ``[build-system]`` of a project's pyproject.toml; None if there is nothing to install."""
    content = read_pyproject(folder)
    if {"project", "build-system"} & content.keys() or (folder / "setup.py").is_file():
        return dict(content.get("build-system", {}))
    return None


def check_backend(tree: Tree) -> None:
    """Check that the build backend of a project is installed; else raise BadInput with the packages to install."""
    system = build_system(tree.folder)
    if system is None or "backend-path" in system:
        return
    backend = system.get("build-backend", LEGACY_BACKEND).partition(":")[0]
    if find_spec(backend.partition(".")[0]) is None:
        needed = " ".join(map(shlex.quote, system.get("requires", ["setuptools"])))
        raise BadInput(
            f"{backend}, which builds the project at {tree.revision}, is not installed: run pip install {needed}, "
            "or use a command for --install that installs it"
        )


def install(name: str, tree: Tree, folder: Path, project: Project, template: str = INSTALL) -> Side:
    """Create an environment in `folder` and install a side into it.

    The installation of `project` in the current environment is hidden. The command `template` runs in the side's
    folder, without a shell. Raises BadInput if it fails, with the line of the command's output that names the error.
    """
    venv.create(folder, symlinks=os.name != "nt", with_pip=find_spec("pip") is None)
    packages = next(path for path in folder.rglob("site-packages") if path.is_dir())
    (packages / "zz_after.pth").write_text(_after(project), encoding="utf-8")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if build_system(tree.folder) is not None:
        command = [word.format(python=python, dir=tree.folder) for word in shlex.split(template)]
        code, output = _run(command, tree.folder, os.environ | {"VIRTUAL_ENV": str(folder)})
        if code:
            raise BadInput(f"{name} ({tree.revision}) cannot be installed: {_error_line(output)}")
    return Side(name, tree, python, packages)


def _after(project: Project) -> str:
    """Return the .pth file that puts the current environment's packages after a side's own."""
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    hidden = [entry for entry in sys.path if entry and _is_editable(Path(entry), project)]
    lines = [f"import site; site.addsitedir({folder!r})" for folder in folders if Path(folder).is_dir()]
    hide = f"import sys; sys.path[:] = [entry for entry in sys.path if entry not in {hidden!r}]"
    return "\n".join([*lines, hide, ""])


def _is_editable(entry: Path, project: Project) -> bool:
    """Return whether a folder on the path belongs to the project, and not to an environment inside it."""
    resolved = entry.resolve()
    return resolved.is_relative_to(project.top) and not resolved.is_relative_to(Path(sys.prefix).resolve())


def python_path(project: Project) -> str:
    """Return this process's ``PYTHONPATH`` without the project's own folders."""
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return os.pathsep.join(str(Path(entry).resolve()) for entry in entries if not _is_editable(Path(entry), project))


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a command; return its exit code and output. On an interrupt, end it and all its children."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    with process:
        try:
            output, _ = process.communicate()
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output


def _error_line(output: str) -> str:
    """Return the most useful line of an installer's output: the last that names an error, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception|Unavailable)\b|ERROR:|error:", line)]
    named = [line for line in errors if not line.startswith(("ERROR: Failed", "error: subprocess", "error: metadata"))]
    return (named or errors or lines or ["no output"])[-1][:500]
