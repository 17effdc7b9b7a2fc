"""What a gate is asked: on the command line, or in ``[tool.jacobench.gate]`` of the project's pyproject.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.side_environments import INSTALL
from jacobench.graphs.errors import BadInput, real_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jacobench.bench.gate.revisions import Project

WHERE = "[tool.jacobench.gate]"

DEFAULT_SUITE = "gate"


@dataclass(frozen=True)
class GateConfig:
    """What a gate is to measure.

    Attributes
    ----------
    suite : str
        Name or path; that of the working tree, for both sides.
    strategies : tuple of str
        Names, ``file.py:Class`` or ``package.module:Class``; empty: those that the project itself registers.
    cases : tuple of str
        Globs; empty: all.
    install : str
        How a side is installed; see `environments.INSTALL`.
    max_minutes : float
        After which only candidates are confirmed.
    timeout_seconds : float
        For a phase of a cell to be heard of again.
    """

    suite: str = DEFAULT_SUITE
    strategies: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    install: str = INSTALL
    max_minutes: float = 10.0
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.max_minutes < inf:
            raise BadInput(f"max_minutes is {self.max_minutes}: expected minutes above 0")
        if not 0 < self.timeout_seconds < inf:
            raise BadInput(f"timeout_seconds is {self.timeout_seconds}: expected seconds above 0")


def read_table(project: Project) -> dict[str, Any]:
    """Return what a project's pyproject.toml says of the gate; nothing if it has none or says nothing.

    Raises
    ------
    BadInput
        If the file is not TOML, or its ``tool.jacobench.gate`` is no table.
    """
    path = project.folder / "pyproject.toml"
    if not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not TOML: {error}") from None
    found: Any = content
    for key in ("tool", "jacobench", "gate"):
        found = found.get(key, {}) if isinstance(found, dict) else found
    if not isinstance(found, dict):
        raise BadInput(f"{path}: {WHERE} is {found!r}: expected a table")
    return found


def question_of(table: Mapping[str, Any], folder: Path) -> tuple[GateConfig, dict[str, Any]]:
    """Take from a table what is to be measured.

    Parameters
    ----------
    table : mapping
        As `read_table` returns it.
    folder : Path
        The project's, to which files in the table are relative.

    Returns
    -------
    question : GateConfig
        With the defaults where the table is silent.
    rest : dict
        What is left of the table: the thresholds.

    Raises
    ------
    BadInput
        For a value of a wrong kind.
    """
    given = {name: read(f"{WHERE} {name}", table[name]) for name, read in READERS.items() if name in table}
    rest = {name: value for name, value in table.items() if name not in READERS}
    if given.get("suite", "").endswith(".toml"):
        given["suite"] = str(folder / given["suite"])
    if "strategies" in given:
        given["strategies"] = tuple(_in_folder(spec, folder) for spec in given["strategies"])
    return replace(GateConfig(), **given), rest


def _in_folder(spec: str, folder: Path) -> str:
    place, _, name = spec.rpartition(":")
    return f"{folder / place}:{name}" if place.endswith(".py") else spec


def _text(what: str, given: Any) -> str:
    if not isinstance(given, str):
        raise BadInput(f"{what} is {given!r}: expected text")
    return given


def _texts(what: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise BadInput(f"{what} is {given!r}: expected a list of text")
    return tuple(given)


READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "suite": _text,
    "strategies": _texts,
    "cases": _texts,
    "install": _text,
    "max_minutes": real_number,
    "timeout_seconds": real_number,
}
"""Key → what reads its value; the keys are fields of `GateConfig`."""
