"""Suite files: TOML files of sweeps, those of this package or the user's own."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.suites.case import Suite
from jacobench.bench.suites.model_sweep import MODEL
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.errors import BadInput, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

    from jacobench.bench.suites.case import Case


def suite_names() -> tuple[str, ...]:
    """Return the sorted names of the suites of this package."""
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml"))
    )


def load_suite(name_or_path: str) -> Suite:
    """Load and check a suite: one of `suite_names`, the path of a file ending in ``.toml``, or the text of such a file.

    A text begins with ``[[sweep]]``; the suite's name is "model", because the commands write suites of models as text.

    A case of several sweeps occurs once, with the strategies of all. Raises BadInput if the suite does not exist or is
    invalid. The message is one line: file, place in the file, expected value.
    """
    if str(name_or_path).startswith("[[sweep]]"):
        return Suite(MODEL, _cases(tomllib.loads(name_or_path), Path()))
    file = suite_file(name_or_path)
    document = read_toml(file)
    try:
        cases = _cases(document, Path(str(file)).parent)
    except BadInput as error:
        raise BadInput(f"{file}: ${error}") from error.__cause__
    return Suite(file.name.removesuffix(".toml"), cases)


def read_toml(file: Path | Traversable) -> dict[str, Any]:
    """Read a TOML file, with or without a byte-order mark; raises BadInput, which names the file, if it is invalid."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file}: not TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{file}: expected UTF-8 text: {error}") from None
    except OSError as error:
        raise BadInput(f"{file}: cannot be read: {error.strerror}") from None


def suite_file(name_or_path: str) -> Path | Traversable:
    """Return the file of a suite; see `load_suite`."""
    text = str(name_or_path)
    if text.endswith(".toml") or Path(text).name != text:
        return Path(text)
    if text not in suite_names():
        raise unknown("suite", text, (*suite_names(), "FILE.toml"))
    return _folder() / f"{text}.toml"


def _folder() -> Traversable:
    return files("jacobench.bench") / "suites"


def _cases(document: Mapping[str, Any], folder: Path) -> tuple[Case, ...]:
    for key in document:
        if key != "sweep":
            raise BadInput(f".{key}: {unknown('key', key, ['sweep'])}")
    sweeps = document.get("sweep", [])
    if not isinstance(sweeps, list) or not sweeps or not all(isinstance(sweep, dict) for sweep in sweeps):
        raise BadInput(".sweep: expected at least one table [[sweep]], with double brackets")
    cases: dict[str, Case] = {}
    for k, sweep in enumerate(sweeps):
        try:
            for case in expand(sweep, folder):
                cases[case.name] = _merged(cases.get(case.name, case), case)
        except BadInput as error:
            raise BadInput(f".sweep[{k}]{error}") from error.__cause__
    return tuple(cases.values())


def _merged(case: Case, again: Case) -> Case:
    """Merge two occurrences of a case; their strategies may differ."""
    if any(getattr(case, name) != getattr(again, name) for name in ("knobs", "rng_seed", "task", "content")):
        raise BadInput(
            f": another case already has the name {case.name!r}; expected one name per case: rename a file or function, "
            "or write an argument always as a list or never"
        )
    return replace(case, strategies=tuple(dict.fromkeys((*case.strategies, *again.strategies))))
