"""The two sides as installations: an environment each, which sees the current one's packages behind its own.

An installation of the project itself in the current environment is not seen: a side's own comes first on its path, and the
folders that an editable one adds are taken off it.
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
"""How a side is installed: no network is needed, as what it depends on and what builds it are those of the current environment."""

PLACEHOLDERS = ("{python}", "{dir}")

LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
"""What builds a project that does not say what does (PEP 517)."""


@dataclass(frozen=True)
class Side:
    """One of the two revisions, ready to be measured.

    Attributes
    ----------
    name : {"base", "head"}
        Which one.
    tree : Tree
        Its files.
    python : Path
        The interpreter that sees it.
    packages : Path
        Where it is installed, and nothing else.
    """

    name: str
    tree: Tree
    python: Path
    packages: Path

    def registered(self) -> list[str]:
        """Return the names of the strategies that the project itself registers."""
        found = distributions(path=[str(self.packages)])
        return sorted(point.name for each in found for point in each.entry_points.select(group=GROUP))

    def spec(self, strategy: str, project: Project) -> str:
        """Return what this side loads for a strategy: of a file in the project, its own."""
        spec = absolute(strategy)
        place, colon, name = spec.rpartition(":")
        if not (colon and place.endswith(".py") and Path(place).is_relative_to(project.top)):
            return spec
        return f"{self.tree.top / Path(place).relative_to(project.top)}:{name}"


def check_template(template: str) -> str:
    """Return the template if it has both placeholders and nothing else in braces.

    Raises
    ------
    BadInput
        Otherwise.
    """
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


def build_system(folder: Path) -> dict[str, Any] | None:
    """Return a project's build system as its pyproject.toml has it; None if there is nothing to install.

    Raises
    ------
    BadInput
        If the file is not TOML.
    """
    path = folder / "pyproject.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} of the project: not TOML: {error}") from None
    if {"project", "build-system"} & content.keys() or (folder / "setup.py").is_file():
        return dict(content.get("build-system", {}))
    return None


def check_backend(tree: Tree) -> None:
    """Check that what builds a project is there.

    Raises
    ------
    BadInput
        If it is not, with the mend.
    """
    system = build_system(tree.folder)
    if system is None or "backend-path" in system:
        return
    backend = system.get("build-backend", LEGACY_BACKEND).partition(":")[0]
    if find_spec(backend.partition(".")[0]) is None:
        needed = " ".join(map(shlex.quote, system.get("requires", ["setuptools"])))
        raise BadInput(
            f"{backend}, which builds the project at {tree.revision}, is not installed here: pip install {needed}, "
            "or give --install a command that brings its own"
        )


def install(name: str, tree: Tree, folder: Path, project: Project, template: str = INSTALL) -> Side:
    """Make an environment and install a side into it.

    Parameters
    ----------
    name : {"base", "head"}
        The side.
    tree : Tree
        Its files.
    folder : Path
        Where the environment is made.
    project : Project
        As it stands in the working tree; its installation in the current environment is kept out of sight.
    template : str
        The command, with `PLACEHOLDERS`. It is run in the side's folder, and by no shell.

    Returns
    -------
    Side
        Ready.

    Raises
    ------
    BadInput
        If it cannot be installed: the last line that the command printed.
    """
    venv.create(folder, symlinks=os.name != "nt", with_pip=find_spec("pip") is None)
    packages = next(path for path in folder.rglob("site-packages") if path.is_dir())
    (packages / "zz_behind.pth").write_text(_behind(project), encoding="utf-8")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if build_system(tree.folder) is not None:
        command = [word.format(python=python, dir=tree.folder) for word in shlex.split(template)]
        code, said = _run(command, tree.folder, os.environ | {"VIRTUAL_ENV": str(folder)})
        if code:
            raise BadInput(f"{name} ({tree.revision}) cannot be installed: {_complaint(said)}")
    return Side(name, tree, python, packages)


def _behind(project: Project) -> str:
    """Return the .pth file that puts the current environment's packages behind a side's own."""
    places = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    ours = [entry for entry in sys.path if entry and _is_editable(Path(entry), project)]
    lines = [f"import site; site.addsitedir({place!r})" for place in places if Path(place).is_dir()]
    hide = f"import sys; sys.path[:] = [entry for entry in sys.path if entry not in {ours!r}]"
    return "\n".join([*lines, hide, ""])


def _is_editable(entry: Path, project: Project) -> bool:
    """Return whether a folder on the path is one of the project's own, and not of an environment that lies in it."""
    resolved = entry.resolve()
    return resolved.is_relative_to(project.top) and not resolved.is_relative_to(Path(sys.prefix).resolve())


def python_path(project: Project) -> str:
    """Return this process's ``PYTHONPATH`` without the project's own folders."""
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return os.pathsep.join(str(Path(entry).resolve()) for entry in entries if not _is_editable(Path(entry), project))


def _run(command: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a command to its end, or end it and all that it has started; return its exit code and what it printed."""
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
            said, _ = process.communicate()
        except BaseException:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def _complaint(said: str) -> str:
    """Return the line of an installer's output that tells most: the last that names an error, or else the last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception|Unavailable)\b|ERROR:|error:", line)]
    named = [line for line in errors if not line.startswith(("ERROR: Failed", "error: subprocess", "error: metadata"))]
    return (named or errors or lines or ["it printed nothing"])[-1][:500]
