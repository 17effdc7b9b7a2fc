"""A suite's cases, each in a file of its own: what a revision cannot make costs it that case and no other."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.suites.suite_files import suite_file
from jacobench.bench.suites.sweep_expansion import apart, expand

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def write_cases(suite: str, names: Collection[str], folder: Path) -> dict[str, Path]:
    """Write each case of a suite into a suite file of its own.

    Parameters
    ----------
    suite : str
        A name or path, which `load_suite` has found good.
    names : collection of str
        The cases that are wanted.
    folder : Path
        Where to write.

    Returns
    -------
    dict of str to Path
        Name of the case → its file.
    """
    source = suite_file(suite)
    beside = Path(str(source)).parent
    found: dict[str, Path] = {}
    for sweep in tomllib.loads(source.read_text(encoding="utf-8"))["sweep"]:
        for single in apart(sweep, beside):
            (case,) = expand(single, beside)
            if case.name in names and case.name not in found:
                path = folder / f"{len(found):04d}.toml"
                path.write_text(_toml(single), encoding="utf-8")
                found[case.name] = path
    return found


def _toml(sweep: Mapping[str, Any]) -> str:
    """Write scalars and lists: TOML has them as JSON does."""
    return "[[sweep]]\n" + "".join(
        f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in sweep.items()
    )
