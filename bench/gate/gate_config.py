"""Configuration of a gate, from the command line or ``[tool.jacobench.gate]`` of the project's pyproject.toml."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.installation.installer import INSTALL
from jacobench.bench.gate.installation.side_environments import read_pyproject
from jacobench.bench.gate.suite.pytest_selection import read_selection
from jacobench.bench.gate.trees.revisions import DEFAULT_UNTRACKED
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.graphs.errors import BadInput, real_number, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.bench.gate.trees.revisions import Project

WHERE = "[tool.jacobench.gate]"

DEFAULT_SUITE = "gate"


SUITE_FROM = ("base", "head")

OF_STRATEGIES, OF_PYTEST = ("suite", "strategies"), ("pytest", "suite_from")
"""Fields that select what a gate measures: strategies at the cases of a suite, or a pytest-benchmark suite."""

COMMAND_LINE_ONLY = ("out", "base_with", "head_with", "in_project")
"""Fields that pyproject.toml cannot set."""


@dataclass(frozen=True)
class GateConfig:
    """What a gate measures: strategies, or a pytest-benchmark suite if `pytest` is not empty."""

    suite: str = DEFAULT_SUITE  # name or path; both sides are measured with the suite of the working tree
    strategies: tuple[str, ...] = ()  # names, file.py:Class or package.module:Class; empty: the registered ones
    cases: tuple[str, ...] = ()  # names, ids or globs; empty: all
    pytest: tuple[str, ...] = ()  # each is the arguments of a pytest session, quoted for a shell
    in_project: bool = False  # `pytest` is from pyproject.toml: its sessions start in the project's folder
    suite_from: str = ""  # "base" or "head": both sides run its benchmark files; "": each runs its own
    memory: bool = False  # of the benchmarks of a pytest suite; that of strategies is always measured
    out: str = ""  # folder that gets pytest-benchmark's JSON of each process
    base_with: tuple[str, ...] = ()  # requirements that are installed for base only
    head_with: tuple[str, ...] = ()
    install: str = INSTALL  # command that installs a side
    untracked: str = DEFAULT_UNTRACKED  # largest size of all untracked files together
    max_minutes: float = 10.0  # after these, only suspected regressions are measured again
    timeout_seconds: float = 60.0  # of one phase of a cell, or of one benchmark

    def __post_init__(self) -> None:
        for name in ("max_minutes", "timeout_seconds"):
            if not 0 < getattr(self, name) < inf:
                raise BadInput(f"{name} is {getattr(self, name)}: expected a number above 0")
        parse_bytes(self.untracked)  # report an invalid size before any work
        if self.suite_from not in ("", *SUITE_FROM):
            raise unknown("value of --suite-from", self.suite_from, SUITE_FROM)
        for name in ("suite_from", "out"):
            if getattr(self, name) and not self.pytest:
                raise BadInput(f"--{name.replace('_', '-')} needs --pytest: expected --pytest with files or folders")
        if self.pytest:
            self._check_pytest()

    def _check_pytest(self) -> None:
        for text in self.pytest:
            read_selection(text)
        if self.strategies or self.suite != DEFAULT_SUITE:
            raise BadInput(
                "--pytest measures a pytest suite: leave out --suite and --strategy, which measure strategies"
            )


def read_table(project: Project) -> dict[str, Any]:
    """Return ``[tool.jacobench.gate]`` of a project's pyproject.toml, or {}; raise BadInput if it is not a table."""
    found: Any = read_pyproject(project.folder)
    for key in ("tool", "jacobench", "gate"):
        found = found.get(key, {}) if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise BadInput(f"{project.folder / 'pyproject.toml'}: {WHERE} is {found!r}: expected a table")
    return found


def options_from_table(table: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a table into fields of `GateConfig` and the thresholds. Its paths are relative to the project's folder."""
    names = [option.name for option in fields(GateConfig) if option.name not in COMMAND_LINE_ONLY]
    given = {name: _value(name, table[name]) for name in names if name in table}
    rest = {name: value for name, value in table.items() if name not in given}
    if given.get("suite", "").endswith(".toml"):
        given["suite"] = str(folder / given["suite"])
    if "strategies" in given:
        given["strategies"] = tuple(_in_folder(spec, folder) for spec in given["strategies"])
    return given, rest


def new_folder(out: str) -> Path | None:
    """Return the folder of ``--out``, which is created when there is something to write; None if none is given.

    Raises BadInput if it already contains something, or cannot be written.
    """
    if not out:
        return None
    path = Path(out).absolute()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BadInput(f"--out {out!r} already exists; choose another folder")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise BadInput(f"--out {out!r} cannot be written: {error.strerror}; choose another folder") from None
    finally:
        for folder in missing:
            with suppress(OSError):  # it was not created
                folder.rmdir()
    return path


def configured(table: Mapping[str, Any], given: Mapping[str, Any]) -> GateConfig:
    """Return the configuration from the options of the table and those `given` on the command line, which override it.

    Options that select strategies also override a pytest suite of the table, and vice versa.
    """
    for ours, others in ((OF_STRATEGIES, OF_PYTEST), (OF_PYTEST, OF_STRATEGIES)):
        if given.keys() & {*ours} and not given.keys() & {*others}:
            table = {name: value for name, value in table.items() if name not in others}
    return GateConfig(**{**table, **given}, in_project="pytest" in table and "pytest" not in given)


def _in_folder(spec: str, folder: Path) -> str:
    place, _, name = spec.rpartition(":")
    return f"{folder / place}:{name}" if place.endswith(".py") else spec


def _value(name: str, given: Any) -> Any:
    """Return the value of a field of `GateConfig` if it has the type of the default."""
    what, default = f"{WHERE} {name}", getattr(GateConfig, name)
    if isinstance(default, bool):
        if not isinstance(given, bool):
            raise BadInput(f"{what} is {given!r}: expected true or false")
        return given
    if isinstance(default, float):
        return real_number(what, given)
    if isinstance(default, str):
        if not isinstance(given, str):
            raise BadInput(f"{what} is {given!r}: expected text")
        return given
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise BadInput(f"{what} is {given!r}: expected a list of text")
    return tuple(given)
