"""A suite's cases, each in a file of its own, so that a case that a revision cannot build affects no other case."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.suites.suite_files import suite_file
from jacobench.bench.suites.sweep_expansion import expand, split_sweep

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def write_cases(suite: str, names: Collection[str], folder: Path) -> dict[str, Path]:
    """Write each case of a suite into a suite file of its own.

    Parameters
    ----------
    suite : str
        A name or path that `load_suite` has accepted.
    names : collection of str
        Cases to write.
    folder : Path
        Where to write.

    Returns
    -------
    dict of str to Path
        Name of the case → its file.
    """
    source = suite_file(suite)
    suite_folder = Path(str(source)).parent
    found: dict[str, Path] = {}
    for sweep in tomllib.loads(source.read_text(encoding="utf-8"))["sweep"]:
        for single in split_sweep(sweep, suite_folder):
            (case,) = expand(single, suite_folder)
            if case.name in names and case.name not in found:
                path = folder / f"{len(found):04d}.toml"
                path.write_text(_toml(single), encoding="utf-8")
                found[case.name] = path
    return found


def _toml(sweep: Mapping[str, Any]) -> str:
    """Return a sweep as TOML, which writes scalars and lists as JSON does."""
    return "[[sweep]]\n" + "".join(
        f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in sweep.items()
    )
