"""Formats that a history can import. A file's content decides which one it is, not its name."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import counted
from jacobench.reports.data.pytest_benchmark_json import read_benchmark_file, read_each
from jacobench.reports.data.run_json import parse_any
from jacobench.reports.history.history_records import from_benchmark_file
from jacobench.reports.history.imports import asv_results, github_benchmark_data, history_exports
from jacobench.reports.history.imports.imported_file import ImportedFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jacobench.reports.history.history_records import Record


@dataclass(frozen=True)
class ImportFormat:
    """Format of a file: whether it has a content, and its runs."""

    name: str
    matches: Callable[[Any], bool]
    read: Callable[[Path, Any], ImportedFile]


def _is_benchmark_file(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("benchmarks"), list)


def _read_benchmark_file(path: Path, _content: Any) -> ImportedFile:
    file = read_benchmark_file(path)
    return ImportedFile((from_benchmark_file(file),), notes=file.notes)


def _has_no_dates(content: Any) -> bool:
    """Return whether a JSON value is the input of github-action-benchmark, or the Bencher Metric Format."""
    items = content if isinstance(content, list) else list(content.values()) if isinstance(content, dict) else []
    return bool(items) and all(
        isinstance(one, dict) and ({"name", "unit", "value"} <= one.keys() or _are_metrics(one)) for one in items
    )


def _are_metrics(one: dict[str, Any]) -> bool:
    return bool(one) and all(isinstance(metric, dict) and "value" in metric for metric in one.values())


def _refuse(path: Path, _content: Any) -> ImportedFile:
    raise BadInput(
        f"{str(path)!r} has the results of one run without its commit and date: expected the file in which the tool "
        "keeps them (github-action-benchmark: data.js), or 'history export' as csv or json"
    )


FORMATS = (
    ImportFormat("pytest-benchmark", _is_benchmark_file, _read_benchmark_file),
    ImportFormat("github-action-benchmark", github_benchmark_data.matches, github_benchmark_data.read),
    ImportFormat("asv", asv_results.matches, asv_results.read),
    ImportFormat("asv", asv_results.matches_description, asv_results.read_description),
    ImportFormat("'history export' as csv or json", history_exports.matches, history_exports.read),
)
WITHOUT_DATES = ImportFormat("one run without its date", _has_no_dates, _refuse)

EXPECTED = f"a file of {' or '.join(dict.fromkeys(one.name for one in FORMATS))}"
DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error)
"""What the reader of a format raises for a value of an unexpected type or size."""

PATTERNS = ("*.json", "*/*.json", "*.js", "*.csv")  # files of a folder


def read_source(source: Path) -> tuple[list[Record], list[str]]:
    """Return the runs of a file or folder, and one sentence for each file or kind of result that is left out.

    Raises BadInput if there is no run.
    """
    files, problems = read_each(_paths(source), read_file)
    reasons = Counter(reason for file in files for reason in file.left_out)
    problems += [note for file in files for note in file.notes]
    problems += [f"{source}: {counted(n, 'result', 'results')} left out: {reason}" for reason, n in reasons.items()]
    records = [record for file in files for record in file.records]
    if not records:
        raise BadInput(f"{str(source)!r} has no results: expected {EXPECTED}")
    return records, problems


def read_file(path: Path) -> ImportedFile:
    """Return the runs of a file; raises BadInput, which names it, if it has none of the formats or is damaged."""
    try:
        file = _read(path, _content(path))
        msgspec.json.encode(file.records)  # fails for a text that cannot be stored, such as half a surrogate pair
    except BadInput:
        raise
    except DAMAGE as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f"{str(path)!r} is damaged: {why[:200]}; expected {EXPECTED}") from None
    return file


def _read(path: Path, content: Any) -> ImportedFile:
    for one in (*FORMATS, WITHOUT_DATES):
        if one.matches(content):
            return one.read(path, content)
    raise BadInput(f"{str(path)!r} has none of the known formats: expected {EXPECTED}")


def _paths(source: Path) -> list[Path]:
    """Return a file, or the files of a folder by name."""
    if not source.exists():
        raise BadInput(f"{str(source)!r} does not exist: expected {EXPECTED}, or a folder of them")
    if not source.is_dir():
        return [source]
    if found := sorted({path for pattern in PATTERNS for path in source.glob(pattern)}):
        return found
    raise BadInput(f"no file in {str(source)!r}: expected a folder with {EXPECTED}")


def _csv_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a CSV file as dicts; `BadInput` if one ends too early, as in a file that was not written fully."""
    text = path.read_text("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    for number, line in enumerate(lines, 1):
        if None in line.values() or (number == len(lines) and not text.endswith("\n")):
            raise BadInput(
                f"{str(path)!r} is cut short in line {number}: expected {len(lines[0])} columns and a line end"
            )
    return lines


def _content(path: Path) -> Any:
    """Return the JSON value of a file, or the lines of a CSV file as dicts. Nothing in it is executed."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
        if start.startswith(b"SQLite format 3"):
            raise BadInput(f"{str(path)!r} is a database; to add another history: jacobench history merge {path}")
        if start.removeprefix(codecs.BOM_UTF8).startswith(b"run_id,"):
            return _csv_lines(path)
    except (OSError, UnicodeDecodeError):
        pass  # the reader of JSON states the cause
    return parse_any(path, EXPECTED, prefix=github_benchmark_data.PREFIX)
