"""run.json on disk: found, parsed, and checked row by row. Nothing in the file is executed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.row.columns import PHASES, STATUSES
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1

# What a row cannot do without, and the values that are allowed where they are known.
REQUIRED: dict[str, tuple[str, ...] | None] = {"case": None, "strategy": None, "phase": PHASES, "status": STATUSES}


@dataclass(frozen=True)
class Document:
    """A run.json that was checked.

    Attributes
    ----------
    path : Path
        The file.
    rows : list of dict
        Timed and untimed, in the order of the run.
    entries : list of dict
        pytest-benchmark's, one a timed cell.
    facts : mapping
        What else stands under ``jacobench``, and pytest-benchmark's ``datetime`` and ``commit_info``.
    """

    path: Path
    rows: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    facts: Mapping[str, Any]


def read_document(run: str | Path) -> Document:
    """Read a run's folder, or its run.json, and check what it holds.

    Raises
    ------
    BadInput
        If it is not there, cannot be read, is not a run's, or is not finished.
    """
    path = _find(Path(run))
    content = parse(path)
    rows = sorted(_rows(path, content), key=lambda row: row.get("position", float("inf")))
    facts = {name: value for name, value in content.get("jacobench", {}).items() if name != "untimed"}
    facts |= {"datetime": content.get("datetime"), "commit_info": content.get("commit_info")}
    return Document(path, rows, content["benchmarks"], facts)


def newest_run(folder: str | Path) -> Path | None:
    """Return the finished run in a folder of runs that was written last, or None."""
    documents = sorted(Path(folder).glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    return documents[-1].parent if documents else None


def _find(path: Path) -> Path:
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.exists():
            return path
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from None
    raise BadInput(f"no run at {str(path)!r}: expected a run's folder or its run.json{_nearest(path)}")


def _in_folder(folder: Path) -> Path:
    if (folder / "run.json").is_file():
        return folder / "run.json"
    if (folder / "journal.jsonl").is_file():
        raise BadInput(f"the run in {str(folder)!r} is unfinished: 'jacobench run --resume {folder}' finishes it")
    runs = sorted(path.parent for path in folder.glob("*/run.json"))
    hint = (
        f"; did you mean {str(runs[-1])!r}?" if runs else ""
    )  # a run's name begins with its date: the last is the newest
    raise BadInput(f"{str(folder)!r} is not a run's folder: expected a run.json in it{hint}")


def _nearest(path: Path) -> str:
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        return ""
    near = get_close_matches(path.name, siblings, n=1)
    return f"; did you mean {str(path.with_name(near[0]))!r}?" if near else ""


def parse(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises
    ------
    BadInput
        If it cannot be read, or holds none.
    """
    try:
        document = _decode(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise BadInput(f"{str(path)!r} {_what_is_wrong(path, error)}; expected a run.json of jacobench's") from None
    if not isinstance(document, dict):
        raise _not_ours(path)
    return document


def _decode(text: str) -> Any:
    """Return what a text of JSON says.

    By msgspec, which took 0.2 s less of 0.6 for 10,000 rows; json takes NaN, and says where a text is wrong.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return json.loads(text)


def _what_is_wrong(path: Path, error: Exception) -> str:
    if not isinstance(error, json.JSONDecodeError):
        return "is not JSON"
    if not error.doc:
        return "is empty"
    at = f"line {error.lineno}, column {error.colno}"
    if error.doc.startswith("{") and (error.pos >= len(error.doc) or not error.doc.endswith("}")):
        return f"is cut short at {at} ({path.stat().st_size} bytes)"
    return f"is not JSON: {error.msg} at {at}"


def _rows(path: Path, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of both places, timed and untimed, each checked."""
    timed = document.get("benchmarks")
    ours = document.get("jacobench", {})
    if not isinstance(timed, list) or not isinstance(ours, dict):
        raise _not_ours(path)
    found = [entry.get("extra_info") if isinstance(entry, dict) else None for entry in timed]
    if "jacobench" not in document and not any(isinstance(row, dict) and "strategy" in row for row in found):
        raise BadInput(
            f"{str(path)!r} is pytest-benchmark's JSON but not a run of jacobench's: "
            "its benchmarks have no case, strategy and phase in their extra_info"
        )
    if (schema := ours.get("schema", SCHEMA)) != SCHEMA:
        raise BadInput(f"{str(path)!r} has schema {schema!r}: expected {SCHEMA}; another version of jacobench wrote it")
    untimed = ours.get("untimed", [])
    rows = [*found, *(untimed if isinstance(untimed, list) else [untimed])]
    seen: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows):
        _check(path, number, row)
        cell = (row["case"], row["strategy"], row["phase"])
        if cell in seen:
            raise BadInput(
                f"{str(path)!r} is damaged: the cell {' · '.join(cell)} is there twice; expected one row a cell"
            )
        seen.add(cell)
    return rows


def _check(path: Path, number: int, row: object) -> None:
    if not isinstance(row, dict):
        raise BadInput(
            f"{str(path)!r} is damaged: row {number} is {row!r}, expected an object with case, strategy and phase"
        )
    for name, allowed in REQUIRED.items():
        value = row.get(name)
        if not isinstance(value, str) or (allowed is not None and value not in allowed):
            expected = "a name" if allowed is None else f"one of {', '.join(allowed)}"
            raise BadInput(f"{str(path)!r} is damaged: row {number} has {name} {value!r}, expected {expected}")
    if not isinstance(row.get("position", 0), int | float):
        raise BadInput(f"{str(path)!r} is damaged: row {number} has position {row['position']!r}, expected a number")


def _not_ours(path: Path) -> BadInput:
    return BadInput(f"{str(path)!r} is JSON but not a run of jacobench's: expected an object with a list 'benchmarks'")
