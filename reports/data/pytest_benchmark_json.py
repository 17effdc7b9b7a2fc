"""Reader of pytest-benchmark's JSON. The full name of a benchmark identifies its row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.columns import CELL_KEYS, STATUSES, tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.run_data import PASS_COLUMNS, Run, read
from jacobench.reports.data.run_json import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STRATEGY, PHASE = "benchmark", "call"
"""Strategy and phase of a benchmark that does not name them in its ``extra_info``."""

COUNTS = ("peak_bytes", "retained_bytes", "n_nonzeros")
"""Columns that are read from ``extra_info``."""

EXPECTED = "a JSON file that pytest-benchmark wrote"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of a file.

    ``key``: case, strategy and phase in ``extra`` (its ``extra_info``) if all three are there, else the full name,
    `STRATEGY` and `PHASE`. ``status``: the known status in ``extra``, else ``ok``. ``seconds``: minimum over the
    rounds, and over the entries with this key.
    """

    key: tuple[str, str, str]
    status: str
    seconds: float
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class BenchmarkFile:
    """One file, which is one process and so one pass.

    ``name``: folder and name, such as ``Linux-CPython-3.11-64bit/0001_first``. ``benchmarks``: one per key, in the
    order of the file, which has ``n_entries``. ``machine``: processor, cores and system. ``python``: implementation and
    version. ``commit``: twelve hex digits, with ``-dirty`` if there were changes; empty if unknown.
    """

    name: str
    benchmarks: tuple[Benchmark, ...]
    n_entries: int
    machine: str
    python: str
    commit: str
    commit_info: Mapping[str, Any]
    datetime: str | None


def read_any(path: str | Path) -> Run:
    """Read a run of jacobench (folder or ``run.json``), or a file or folder of pytest-benchmark, whose files are the passes.

    ``facts["read_as"]`` describes plain files, such as "10 files from 10 commits" or "8 entries from one process". Raises
    BadInput if the path is neither.
    """
    path = Path(path)
    if path.is_dir():
        is_run = any((path / name).exists() for name in ("run.json", "journal.jsonl")) or any(path.glob("*/run.json"))
        is_plain = bool(_json_files(path)) and not is_run
    else:
        is_plain = path.is_file() and _is_plain(parse(path))
    return _run(path.name, read_benchmark_files(path)) if is_plain else read(path)


def read_benchmark_files(path: str | Path) -> list[BenchmarkFile]:
    """Read a file, a folder of files, or a folder ``.benchmarks`` with a folder per machine; in the order of the names.

    Raises BadInput if there is no file, or one is invalid.
    """
    path = Path(path)
    files = _json_files(path) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"no JSON file in {str(path)!r}: expected a folder that 'pytest --benchmark-autosave' wrote")
    return [_file(file) for file in files]


def _json_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])


def _is_plain(content: Mapping[str, Any]) -> bool:
    """Return whether a file is pytest-benchmark's but not a run: a run has case, strategy and phase in every entry."""
    entries = content.get("benchmarks")
    if not isinstance(entries, list) or "jacobench" in content or "machine_info" not in content:
        return False
    return not entries or not all(isinstance(entry, dict) and _own_key(entry) for entry in entries)


def _own_key(entry: Mapping[str, Any]) -> tuple[str, str, str] | None:
    extra = entry.get("extra_info") or {}
    return (str(extra["case"]), str(extra["strategy"]), str(extra["phase"])) if extra.keys() >= set(CELL_KEYS) else None


def _file(path: Path) -> BenchmarkFile:
    content = parse(path, EXPECTED)
    if "jacobench" in content:
        raise BadInput(
            f"{str(path)!r} is a run of jacobench, not a plain file of pytest-benchmark; to add it to a history: "
            f"jacobench history add {path}"
        )
    info, commit = content.get("machine_info"), content.get("commit_info") or {}
    entries = content.get("benchmarks")
    if not (isinstance(info, dict) and isinstance(commit, dict) and isinstance(entries, list)):
        raise BadInput(f"{str(path)!r} is not pytest-benchmark's JSON: expected 'benchmarks' and 'machine_info'")
    fastest: dict[tuple[str, str, str], Benchmark] = {}
    for entry in entries:
        found = _benchmark(path, entry)
        known = fastest.get(found.key)
        if known is None or found.seconds < known.seconds:
            fastest[found.key] = found
    if not fastest:
        raise BadInput(f"{str(path)!r} has no benchmarks: expected at least one")
    where = (_machine(info), _python(info), _commit(commit), commit, content.get("datetime"))
    return BenchmarkFile(f"{path.parent.name}/{path.stem}", tuple(fastest.values()), len(entries), *where)


def _benchmark(path: Path, entry: Any) -> Benchmark:
    try:
        full_name, extra, seconds = entry["fullname"], entry.get("extra_info") or {}, entry["stats"]["min"]
        key = _own_key(entry) or (str(full_name), STRATEGY, PHASE)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadInput(
            f"{str(path)!r} is not pytest-benchmark's JSON: expected a benchmark with 'fullname' and 'stats', "
            f"got {str(entry)[:80]!r} ({type(error).__name__}: {error})"
        ) from None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise BadInput(f"{str(path)!r}: the minimum of {full_name!r} is {seconds!r}: expected seconds above 0")
    status = extra.get("status")
    return Benchmark(key, status if status in STATUSES else "ok", float(seconds), extra)


def _machine(info: Mapping[str, Any]) -> str:
    cpu = info.get("cpu") or {}
    brand = cpu.get("brand_raw") or info.get("processor") or info.get("machine")
    system = " ".join(str(info[name]) for name in ("system", "machine") if info.get(name))
    return ", ".join(str(part) for part in (brand, f"{cpu.get('count', '?')} cores", system) if part)


def _python(info: Mapping[str, Any]) -> str:
    version = ".".join(str(info.get("python_version", "")).split(".")[:2])
    return f"{info.get('python_implementation', '')} {version}".strip()


def _commit(info: Mapping[str, Any]) -> str:
    known = str(info.get("id") or "")
    return "" if known in {"", "unversioned", "unknown"} else known[:12] + ("-dirty" if info.get("dirty") else "")


def _run(name: str, files: Sequence[BenchmarkFile]) -> Run:
    lines = [
        (*one.key, number, 0, one.seconds, one.status, *(_number(one.extra.get(column)) for column in COUNTS))
        for number, file in enumerate(files)
        for one in file.benchmarks
    ]
    every = pd.DataFrame(lines, columns=[*PASS_COLUMNS, "status", *COUNTS])
    settings = {
        "machine": " and ".join(sorted({file.machine for file in files})),
        "commit": " and ".join(sorted({file.commit for file in files} - {""})) or None,
    }
    rows = []
    for key, own in every.groupby(list(CELL_KEYS), sort=False):
        failed = [status for status in own["status"] if status != "ok"]
        times = {"seconds_min": own["seconds"].min(), "seconds_median": own["seconds"].median()}
        counts = {column: own[column].median() for column in COUNTS}
        summary = {"status": failed[0] if failed else "ok", "passes": len(own)}
        rows.append(dict(zip(CELL_KEYS, key, strict=True)) | summary | settings | times | counts)
    passes = every.loc[every["status"] == "ok", list(PASS_COLUMNS)].reset_index(drop=True)
    return Run(tidy(rows), passes, name=name, facts={"read_as": _read_as(files)})


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _read_as(files: Sequence[BenchmarkFile]) -> str:
    if len(files) == 1:
        n = files[0].n_entries
        return f"{n} {'entry' if n == 1 else 'entries'} from one process"
    n = len({file.commit for file in files} - {""})
    return f"{len(files)} files from {n} {'commit' if n == 1 else 'commits'}" if n else f"{len(files)} files"
