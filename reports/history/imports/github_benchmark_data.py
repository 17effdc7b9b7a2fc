"""Import of github-action-benchmark's ``data.js``, or of the JSON file that it keeps instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.reports.data.pytest_benchmark_json import committed_at
from jacobench.reports.history.history_records import Record
from jacobench.reports.history.imports.imported_file import BenchmarkCells, ImportedFile, utc_of
from jacobench.reports.history.imports.value_units import interval, unit_of

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = r"window\.BENCHMARK_DATA\s*=\s*"  # pattern of the beginning of data.js; the rest is JSON

LARGER_IS_BETTER = {"customBiggerIsBetter": True, "customSmallerIsBetter": False}
"""Tool → direction of its values. Units of the other tools state it: rates are better if they are larger."""


def matches(content: Any) -> bool:
    """Return whether a JSON value is the file of github-action-benchmark."""
    return isinstance(content, dict) and isinstance(content.get("entries"), dict) and "repoUrl" in content


def read(path: Path, content: Any) -> ImportedFile:
    """Return one run per commit and suite. The file does not name the machine; `BadInput` if there is no run."""
    reasons: list[str] = []
    entries = [(suite, entry) for suite, own in content["entries"].items() for entry in _list(own)]
    found = [_record(suite, entry, reasons) for suite, entry in entries]
    records = tuple(record for record in found if record)
    if not records:
        raise BadInput(f"{str(path)!r} has no results: expected at least one commit with a benchmark")
    return ImportedFile(records, tuple(reasons))


def _record(suite: str, entry: Any, reasons: list[str]) -> Record | None:
    """Return the run of an entry; None if it has no commit, date or result. Adds why something is left out."""
    if not isinstance(entry, dict) or not isinstance(entry.get("commit"), dict):
        reasons.append("an entry without a commit")
        return None
    commit, measured_at = str(entry["commit"].get("id") or ""), utc_of(entry.get("date"))
    cells = _cells(_list(entry.get("benches")), str(entry.get("tool")), reasons)
    if not measured_at or not cells:
        reasons.append("an entry without a date" if cells else "an entry without a benchmark")
        return None
    return Record(
        run_id=f"{suite}/{commit[:12]}",
        machine="",
        controls="asis",
        suite=suite,
        commit=commit,
        threads=0,
        measured_at=measured_at,
        committed_at=committed_at({"time": entry["commit"].get("timestamp")}),
        control_seconds=None,
        cells=cells,
    )


def _cells(benches: list[Any], tool: str, reasons: list[str]) -> tuple[tuple[Any, ...], ...]:
    cells = BenchmarkCells()
    for bench in benches:
        try:
            name, value, text = str(bench["name"]), float(bench["value"]), str(bench.get("unit") or "")
        except (AttributeError, KeyError, TypeError, ValueError):
            reasons.append("a benchmark without a name or a number")
            continue
        unit = unit_of(text, LARGER_IS_BETTER.get(tool))
        converted = unit.convert(value) if unit else None
        if not unit or converted is None:
            reasons.append("no positive, finite number" if unit else f"larger is better, and {text!r} is no rate")
            continue
        low, high = (unit.column == "seconds_median" and interval(value, str(bench.get("range")), unit)) or (None, None)
        cells.put(name, "ok", {unit.column: converted, "seconds_low": low, "seconds_high": high})
    return cells.cells()


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
