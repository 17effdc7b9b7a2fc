"""Reader of run.json: find, parse and check it. Nothing in the file is executed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.row.columns import PHASES, STATUSES
from jacobench.bench.run.run_options import resume_command
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.former_names import with_selection

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMAS = (1, 2)  # versions of the format that can be read; the last is the current one
RENAMED = {"control_seconds": "calibration_seconds"}  # columns and facts of schema 1 whose names have changed

# Columns that every row needs, and their allowed values.
REQUIRED: dict[str, tuple[str, ...] | None] = {"case": None, "strategy": None, "phase": PHASES, "status": STATUSES}


@dataclass(frozen=True)
class Document:
    """Checked content of a run.json.

    `rows` are timed and untimed, in the order of the run; `entries` are pytest-benchmark's, one per timed cell. `facts`
    is the other content of ``jacobench``, and pytest-benchmark's ``datetime`` and ``commit_info``.
    """

    path: Path
    rows: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    facts: Mapping[str, Any]


def read_document(run: str | Path) -> Document:
    """Read and check a run's folder, or its run.json.

    Raises BadInput if it does not exist, cannot be read, is not a run, is not finished, or is damaged.
    """
    path = _find(Path(run))
    return check_document(parse(path), path)


def check_document(content: dict[str, Any], path: Path) -> Document:
    """Check the content of a run.json. Its errors name `path`."""
    rows = sorted(_rows(path, content), key=lambda row: row.get("position", float("inf")))
    facts = {name: value for name, value in content.get("jacobench", {}).items() if name != "untimed"}
    if facts.get("schema", 1) == 1:
        facts, rows = _renamed(facts), [_renamed(row) for row in rows]
    rows = list(map(with_selection, rows))
    facts |= {"datetime": content.get("datetime"), "commit_info": content.get("commit_info")}
    return Document(path, rows, content["benchmarks"], facts)


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row, or the facts, under their current names."""
    return {RENAMED.get(name, name): value for name, value in values.items()}


def newest_run(folder: str | Path) -> Path | None:
    """Return the newest finished run in a folder of runs, or None."""
    documents = sorted(Path(folder).glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return documents[-1].parent if documents else None


def _find(path: Path) -> Path:
    try:
        if not path.is_dir():
            if path.exists():
                return path
            near = get_close_matches(path.name, [other.name for other in path.parent.glob("*")], n=1)
            raise BadInput(
                f"no run at {str(path)!r}; expected a run's folder or its run.json{_hint(path.parent, near)}"
            )
        if (path / "run.json").is_file():
            return path / "run.json"
        if (path / "journal.jsonl").is_file():
            raise BadInput(f"the run in {str(path)!r} is not finished; to continue: {resume_command(path)}")
        # The name of a run begins with its date: the last is the newest.
        runs = sorted(other.parent.name for other in path.glob("*/run.json"))[-1:]
        raise BadInput(f"{str(path)!r} is not a run's folder; expected a run.json in it{_hint(path, runs)}")
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from None


def _hint(folder: Path, names: list[str]) -> str:
    return "".join(f"; did you mean {str(folder / name)!r}?" for name in names)


def parse(path: Path, expected: str = "a run.json of jacobench") -> dict[str, Any]:
    """Read a file that contains one JSON object; raises BadInput, which names what is expected, if it does not."""
    document = parse_any(path, expected)
    if not isinstance(document, dict):
        raise BadInput(f"{str(path)!r} is JSON but not an object; expected {expected}")
    return document


def parse_any(path: Path, expected: str, prefix: str = "") -> Any:
    """Read a file that contains one JSON value, perhaps assigned to a variable in JavaScript: the pattern ``prefix``.

    Raises BadInput as `parse`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
        assigned = re.match(prefix, text) if prefix else None
        return _decode(text[assigned.end() :].rstrip("; ") if assigned else text)
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise BadInput(f"{str(path)!r} {_what_is_wrong(path, error)}; expected {expected}") from None


def _decode(text: str) -> Any:
    """Decode JSON: msgspec takes 0.4 s instead of 0.6 for 10,000 rows; json accepts NaN and locates errors."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return json.loads(text)


def _what_is_wrong(path: Path, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text"
    if not isinstance(error, json.JSONDecodeError):
        return "is not JSON"
    if not error.doc:
        return "is empty"
    at = f"line {error.lineno}, column {error.colno}"
    if error.doc.startswith("{") and (error.pos >= len(error.doc) or not error.doc.endswith("}")):
        return f"is cut short at {at} ({path.stat().st_size} bytes)"
    return f"is not JSON: {error.msg} at {at}"


def _rows(path: Path, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows, timed and untimed, after checking each."""
    timed = document.get("benchmarks")
    ours = document.get("jacobench", {})
    if not isinstance(timed, list) or not isinstance(ours, dict):
        raise BadInput(f"{str(path)!r} is JSON but not a run of jacobench; expected an object with a list 'benchmarks'")
    found = [entry.get("extra_info") if isinstance(entry, dict) else None for entry in timed]
    if "jacobench" not in document and not any(isinstance(row, dict) and "strategy" in row for row in found):
        raise BadInput(
            f"{str(path)!r} is pytest-benchmark's JSON but not a run of jacobench: "
            "its benchmarks have no case, strategy and phase in extra_info"
        )
    if (schema := ours.get("schema", 1)) not in SCHEMAS:
        known = " or ".join(map(str, SCHEMAS))
        raise BadInput(f"{str(path)!r} has schema {schema!r}; expected {known}. A newer version of jacobench wrote it")
    untimed = ours.get("untimed", [])
    rows = [*found, *(untimed if isinstance(untimed, list) else [untimed])]
    cells: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows):
        problem = _problem(row)
        if problem:
            raise BadInput(f"{str(path)!r} is damaged: row {number} {problem}")
        cell = (row["case"], row["strategy"], row["phase"])
        if cell in cells:
            raise BadInput(f"{str(path)!r} is damaged: {' · '.join(cell)} occurs twice; expected one row per cell")
        cells.add(cell)
    return rows


def _problem(row: object) -> str:
    """Return what is wrong with a row, or an empty text."""
    if not isinstance(row, dict):
        return f"is {row!r}; expected an object with case, strategy and phase"
    for name, allowed in REQUIRED.items():
        value = row.get(name)
        if not isinstance(value, str) or (allowed is not None and value not in allowed):
            expected = "a name" if allowed is None else f"one of {', '.join(allowed)}"
            return f"has {name} {value!r}; expected {expected}"
    if not isinstance(row.get("position", 0), int | float):
        return f"has position {row['position']!r}; expected a number"
    return ""
