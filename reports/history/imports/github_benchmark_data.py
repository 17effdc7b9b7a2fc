"""Import of github-action-benchmark's ``data.js``, or of the JSON file that it keeps instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.reports.data.pytest_benchmark_json import committed_at
from jacobench.reports.history.history_records import Record
from jacobench.reports.history.imports.imported_file import (
    REPEATED,
    BenchmarkCells,
    ImportedFile,
    list_of,
    text_of,
    utc_of,
)
from jacobench.reports.history.imports.value_units import interval, unit_of

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    entries = [(suite, entry) for suite, own in content["entries"].items() for entry in list_of(own)]
    found = [_record(suite, entry, reasons) for suite, entry in entries]
    records = tuple(record for record in found if record)
    if not records:
        raise BadInput(f"{str(path)!r} has no results: expected at least one commit with a benchmark")
    return ImportedFile(records, tuple(reasons))


def _record(suite: str, entry: Any, reasons: list[str]) -> Record | None:
    """Return the run of an entry; None if it has no commit, date or result. Adds why something is left out."""
    known = entry.get("commit") if isinstance(entry, dict) else None
    if not isinstance(known, dict) or not (commit := text_of(known.get("id"))):
        reasons.append("an entry without a commit")
        return None
    measured_at, cells = utc_of(entry.get("date")), _cells(entry, reasons)
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
        committed_at=committed_at({"time": known.get("timestamp")}),
        control_seconds=None,
        cells=cells,
    )


def _cells(entry: Mapping[str, Any], reasons: list[str]) -> tuple[tuple[Any, ...], ...]:
    cells, larger_is_better = BenchmarkCells(), LARGER_IS_BETTER.get(text_of(entry.get("tool")))
    for bench in list_of(entry.get("benches")):
        try:
            name, value, text = text_of(bench["name"]), float(bench["value"]), text_of(bench.get("unit"))
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            name = ""
        if not name:
            reasons.append("a benchmark without a name or a number")
            continue
        unit = unit_of(text, larger_is_better)
        converted = unit.convert(value) if unit else None
        if not unit or converted is None:
            reasons.append("no positive, finite number" if unit else f"larger is better, and {text!r} is no rate")
            continue
        spread = interval(value, text_of(bench.get("range")), unit) if unit.column == "seconds_median" else None
        low, high = spread or (None, None)
        if cells.put(name, "ok", {unit.column: converted, "seconds_low": low, "seconds_high": high}):
            reasons.append(REPEATED)
    return cells.cells()
