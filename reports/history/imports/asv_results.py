"""Import of the result files of asv (airspeed velocity), versions 1 and 2."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from math import isnan
from typing import TYPE_CHECKING, Any

from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_json import parse_any
from jacobench.reports.history.history_records import Record
from jacobench.reports.history.imports.imported_file import (
    REPEATED,
    BenchmarkCells,
    ImportedFile,
    list_of,
    text_of,
    utc_of,
)
from jacobench.reports.history.imports.value_units import OTHER, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

EXPECTED = "a file of asv"
MACHINE = ("machine", "cpu", "os")  # keys of ``params`` that name the machine

PREFIXES = {"time": "seconds", "timeraw": "seconds", "mem": "bytes", "peakmem": "bytes"}
"""Beginning of a benchmark's name → unit, where ``benchmarks.json`` does not state it."""

OLD_VERSION = "an earlier version of the benchmark than that of benchmarks.json"


def matches(content: Any) -> bool:
    """Return whether a JSON value is a result file, with the benchmarks of one commit in one environment."""
    return isinstance(content, dict) and "commit_hash" in content and isinstance(content.get("results"), dict)


def matches_description(content: Any) -> bool:
    """Return whether a JSON value is asv's ``machine.json`` or ``benchmarks.json``, which have no results."""
    if not isinstance(content, dict) or "results" in content:
        return False
    benchmarks = [value for name, value in content.items() if name != "version"]
    are_described = all(isinstance(one, dict) and {"name", "type"} <= one.keys() for one in benchmarks)
    return bool(benchmarks) and (are_described or content.keys() >= {"machine", "version"})


def read_description(_path: Path, _content: Any) -> ImportedFile:
    """Return no run."""
    return ImportedFile(())


def read(path: Path, content: Any) -> ImportedFile:
    """Return the run of a file; `BadInput` if it has no commit, no date or no result.

    asv adds results to the file when it measures more benchmarks. As asv does, this function leaves out results of an earlier version of a benchmark than that of ``benchmarks.json``. A skipped
    benchmark (NaN) has no cell; a failed one has the status ``error``.
    """
    rows, known = _rows(content), _benchmarks(path)
    reasons = [OLD_VERSION for name, row in rows.items() if _is_outdated(row, known.get(name, {}))]
    cells = BenchmarkCells()
    for name, row in rows.items():
        if not _is_outdated(row, known.get(name, {})):
            _put(cells, name, row, known.get(name, {}).get("unit"), reasons)
    measured_at = utc_of(min((row["started_at"] for row in rows.values() if row.get("started_at")), default=None))
    committed_at = utc_of(content.get("date"))
    needed = {
        "result of a current benchmark": cells.found,
        "date": measured_at or committed_at,
        "commit": text_of(content["commit_hash"]),
    }
    for what, found in needed.items():
        if not found:
            raise BadInput(f"{str(path)!r} has no {what}: expected {EXPECTED} with at least one")
    record = Record(
        run_id=f"{path.resolve().parent.name}/{path.stem}",
        machine=_machine(content),
        controls="asis",
        suite="",
        commit=content["commit_hash"],
        threads=0,
        measured_at=measured_at or committed_at,
        committed_at=committed_at,
        control_seconds=None,
        cells=cells.cells(),
        is_growing=True,
    )
    return ImportedFile((record,), tuple(reasons))


def _rows(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the fields of each benchmark with the names of version 2: result, params, version, started_at."""
    columns, rows = content.get("result_columns"), {}
    for name, value in content["results"].items():
        if isinstance(columns, list):
            row = dict(zip(columns, value if isinstance(value, list) else [], strict=False))
        else:
            row = dict(value) if isinstance(value, dict) else {"result": [value]}
            for key, own in {"version": "benchmark_version", "started_at": "started_at"}.items():
                row[key] = _dict(content.get(own)).get(name)
            stats = [_dict(one).get("ci_99") or (None, None) for one in list_of(row.get("stats"))]
            row |= {"stats_ci_99_a": [low for low, _ in stats], "stats_ci_99_b": [high for _, high in stats]}
        rows[name] = row
    return rows


def _put(cells: BenchmarkCells, name: str, row: Mapping[str, Any], stated: Any, reasons: list[str]) -> None:
    """Add the results of a benchmark, one per combination of its parameters."""
    text = str(stated or PREFIXES.get(name.rpartition(".")[2].partition("_")[0], ""))
    unit = unit_of(text, larger_is_better=False) or OTHER
    for case, result, low, high in _results(name, row):
        if result is None:
            cells.put(case, "error", {})
        elif not isinstance(result, float | int):
            reasons.append("no number")
        elif not isnan(result):
            if (converted := unit.convert(result)) is None:
                reasons.append("no positive, finite number")
            else:
                ends = (low, high) if unit.column == "seconds_median" else (None, None)
                seconds = dict(zip(("seconds_low", "seconds_high"), ends, strict=True))
                if cells.put(case, "ok", {unit.column: converted, **seconds}):
                    reasons.append(REPEATED)


def _results(name: str, row: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield the id, the result and the interval of each combination of parameters, in asv's order."""
    if not isinstance(row.get("result"), list | None):
        raise TypeError(f"the result of {name!r} is no list")
    params = [own for own in list_of(row.get("params")) if isinstance(own, list)]
    columns = [list_of(row.get(column)) for column in ("result", "stats_ci_99_a", "stats_ci_99_b")]
    for number, values in enumerate(product(*params)):
        result, low, high = (own[number] if number < len(own) else None for own in columns)
        yield f"{name}({', '.join(map(str, values))})" if values else name, result, low, high


def _is_outdated(row: Mapping[str, Any], benchmark: Mapping[str, Any]) -> bool:
    measured, current = row.get("version"), benchmark.get("version")
    return bool(measured and current and str(measured) != str(current))


def _machine(content: Mapping[str, Any]) -> str:
    """Return the machine and the environment, whose packages affect times as much."""
    params, packages = _dict(content.get("params")), _dict(content.get("requirements"))
    python = params.get("python") or content.get("python")
    names = [params.get(name) for name in MACHINE]
    versions = [f"{name} {version}".strip() for name, version in sorted(packages.items()) if version is not None]
    variables = [f"{name}={value}" for name, value in sorted(_dict(content.get("env_vars")).items())]
    return ", ".join(str(part) for part in (*names, python and f"Python {python}", *versions, *variables) if part)


def _benchmarks(path: Path) -> Mapping[str, Any]:
    """Return asv's ``benchmarks.json`` of a result file; empty if there is none."""
    for folder in path.resolve().parents[:2]:
        if (file := folder / "benchmarks.json").is_file():
            return _parsed(file, file.stat().st_mtime_ns)
    return {}


@lru_cache(maxsize=2)
def _parsed(path: Path, _changed_at: int) -> Mapping[str, Any]:
    try:
        return {name: _dict(one) for name, one in _dict(parse_any(path, EXPECTED)).items()}
    except BadInput:
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
