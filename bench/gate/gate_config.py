"""Configuration of a gate, from the command line or ``[tool.jacobench.gate]`` of the project's pyproject.toml."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.installer import INSTALL
from jacobench.bench.gate.revisions import DEFAULT_UNTRACKED
from jacobench.bench.gate.side_environments import read_pyproject
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.graphs.errors import BadInput, real_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jacobench.bench.gate.revisions import Project

WHERE = "[tool.jacobench.gate]"

DEFAULT_SUITE = "gate"


@dataclass(frozen=True)
class GateConfig:
    """What a gate measures."""

    suite: str = DEFAULT_SUITE  # name or path; both sides are measured with the suite of the working tree
    strategies: tuple[str, ...] = ()  # names, file.py:Class or package.module:Class; empty: the registered ones
    cases: tuple[str, ...] = ()  # globs; empty: all
    base_with: tuple[str, ...] = ()  # requirements that are installed for base only
    head_with: tuple[str, ...] = ()
    install: str = INSTALL  # command that installs a side
    untracked: str = DEFAULT_UNTRACKED  # largest size of all untracked files together
    max_minutes: float = 10.0  # after these, only suspected regressions are measured again
    timeout_seconds: float = 60.0  # of one phase of a cell

    def __post_init__(self) -> None:
        for name in ("max_minutes", "timeout_seconds"):
            if not 0 < getattr(self, name) < inf:
                raise BadInput(f"{name} is {getattr(self, name)}: expected a number above 0")
        parse_bytes(self.untracked)  # report an invalid size before any work


def read_table(project: Project) -> dict[str, Any]:
    """Return ``[tool.jacobench.gate]`` of a project's pyproject.toml, or {}; raise BadInput if it is not a table."""
    found: Any = read_pyproject(project.folder)
    for key in ("tool", "jacobench", "gate"):
        found = found.get(key, {}) if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise BadInput(f"{project.folder / 'pyproject.toml'}: {WHERE} is {found!r}: expected a table")
    return found


def config_from_table(table: Mapping[str, Any], folder: Path) -> tuple[GateConfig, dict[str, Any]]:
    """Split a table into the configuration and the thresholds; its paths are relative to the project's folder."""
    given = {
        option.name: _value(option.name, table[option.name]) for option in fields(GateConfig) if option.name in table
    }
    rest = {name: value for name, value in table.items() if name not in given}
    if given.get("suite", "").endswith(".toml"):
        given["suite"] = str(folder / given["suite"])
    if "strategies" in given:
        given["strategies"] = tuple(_in_folder(spec, folder) for spec in given["strategies"])
    return replace(GateConfig(), **given), rest


def _in_folder(spec: str, folder: Path) -> str:
    place, _, name = spec.rpartition(":")
    return f"{folder / place}:{name}" if place.endswith(".py") else spec


def _value(name: str, given: Any) -> Any:
    """Return the value of a field of `GateConfig` if it has the type of the default."""
    what, default = f"{WHERE} {name}", getattr(GateConfig, name)
    if isinstance(default, float):
        return real_number(what, given)
    if isinstance(default, str):
        if not isinstance(given, str):
            raise BadInput(f"{what} is {given!r}: expected text")
        return given
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise BadInput(f"{what} is {given!r}: expected a list of text")
    return tuple(given)
