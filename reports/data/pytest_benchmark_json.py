"""Reader of pytest-benchmark's JSON. The full name of a benchmark identifies its row."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite, nan
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from jacobench.bench.row.columns import CELL_KEYS, PHASES, STATUSES, tidy
from jacobench.graphs.errors import BadInput
from jacobench.graphs.wording import counted
from jacobench.reports.data.run_data import PASS_COLUMNS, Run, read
from jacobench.reports.data.run_json import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")
Key = tuple[str, str, str]

STRATEGY, PHASE = "benchmark", "call"
"""Strategy and phase of a benchmark that is not a cell of jacobench."""

COUNTS = ("peak_bytes", "retained_bytes", "n_nonzeros")
"""Columns that are read from the ``extra_info`` of a cell of jacobench."""

EXPECTED = "a JSON file that pytest-benchmark wrote"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of a file.

    ``key``: case, strategy and phase if it is a cell of jacobench, else the full name, `STRATEGY` and `PHASE`.
    ``status``: that of the cell, else ``ok``. ``seconds``: minimum over the rounds, and over the entries with this key.
    ``extra``: the cell's ``extra_info``; empty if it is the user's own.
    """

    key: Key
    status: str
    seconds: float
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class BenchmarkFile:
    """One file, which is one process and so one pass.

    ``name``: folder and name, such as ``Linux-CPython-3.11-64bit/0001_first``. ``benchmarks``: one per key, in the
    order of the file, which has ``n_entries``. ``machine``: processor, cores and system. ``python``: implementation and
    version. ``commit``: twelve hex digits, with ``-dirty`` if there were changes; empty if unknown. ``notes``: one
    sentence for each name that several entries share.
    """

    name: str
    benchmarks: tuple[Benchmark, ...]
    n_entries: int
    machine: str
    python: str
    commit: str
    commit_info: Mapping[str, Any]
    datetime: str | None
    notes: tuple[str, ...]


def read_any(path: str | Path) -> Run:
    """Read a run of jacobench (folder or ``run.json``), or a file or folder of pytest-benchmark.

    Each file of pytest-benchmark is a pass, but only files from one commit are passes of one run. So of a folder with
    several commits, the newest one is read. ``facts["read_as"]`` says how the files are read, such as "10 files from 10
    commits" or "8 entries from one process", and ``facts["read_notes"]`` names the files that were skipped. Raises
    BadInput if the path is neither, or if its files are from several machines.
    """
    path = Path(path)
    if path.is_dir():
        is_run = any((path / name).exists() for name in ("run.json", "journal.jsonl")) or any(path.glob("*/run.json"))
        is_plain = bool(_json_files(path)) and not is_run
    else:
        is_plain = path.is_file() and _is_plain(parse(path, f"a run.json of jacobench, or {EXPECTED}"))
    return _run(path, *read_each(benchmark_paths(path), read_benchmark_file)) if is_plain else read(path)


def benchmark_paths(path: Path) -> list[Path]:
    """Return a file, the files of a folder, or those of a folder ``.benchmarks`` with a folder per machine, by name.

    Raises BadInput if there is no file.
    """
    if path.is_dir():
        if files := _json_files(path):
            return files
        raise BadInput(f"no JSON file in {str(path)!r}: expected a folder that 'pytest --benchmark-autosave' wrote")
    if not path.exists():
        raise BadInput(f"{str(path)!r} does not exist: expected {EXPECTED}, or a folder of them")
    return [path]


def read_each(paths: Sequence[Path], read_one: Callable[[Path], T]) -> tuple[list[T], list[str]]:
    """Read each path; return what was read, and one sentence for each path that cannot be read.

    Raises BadInput if none can be read.
    """
    found, problems = [], []
    for path in paths:
        try:
            found.append(read_one(path))
        except BadInput as error:
            problems.append(str(error))
    if not found:
        more = f"; {len(problems) - 1} more cannot be read either" if len(problems) > 1 else ""
        raise BadInput(f"{problems[0]}{more}")
    return found, [f"skipped: {problem}" for problem in problems]


def _json_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])


def _is_plain(content: Mapping[str, Any]) -> bool:
    """Return whether a file is pytest-benchmark's but not a run: a run has a cell of jacobench in every entry."""
    entries = content.get("benchmarks")
    if not isinstance(entries, list) or "jacobench" in content:
        return False
    if not entries:
        return "machine_info" in content
    names = [entry.get("fullname") if isinstance(entry, dict) else None for entry in entries]
    return any(names) and not all(isinstance(entry, dict) and _own_key(_extra(entry)) for entry in entries)


def _extra(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    extra = entry.get("extra_info")
    return extra if isinstance(extra, dict) else {}


def _own_key(extra: Mapping[str, Any]) -> Key | None:
    """Return case, strategy and phase if they are those of jacobench; users have keys of these names, too."""
    case, strategy, phase = (extra.get(name) for name in CELL_KEYS)
    is_ours = isinstance(case, str) and isinstance(strategy, str) and phase in PHASES
    return (str(case), str(strategy), str(phase)) if is_ours else None


def read_benchmark_file(path: Path) -> BenchmarkFile:
    """Read one file; raises BadInput, which names it, if it is not pytest-benchmark's."""
    content = parse(path, EXPECTED)
    if "jacobench" in content:
        raise BadInput(
            f"{str(path)!r} is a run of jacobench, not a plain file of pytest-benchmark; to add it to a history: "
            f"jacobench history add {quote(str(path))}"
        )
    entries, info, commit = (content.get(name) for name in ("benchmarks", "machine_info", "commit_info"))
    if not isinstance(entries, list) or not (entries or "machine_info" in content):
        raise BadInput(f"{str(path)!r} is not pytest-benchmark's JSON: expected 'benchmarks' and 'machine_info'")
    if not entries:
        raise BadInput(f"{str(path)!r} has no benchmarks: expected at least one")
    benchmarks, notes = _fastest(path, [_named(path, entry) for entry in entries])
    commit = commit if isinstance(commit, dict) else {}
    where = (_machine(info), _python(info), _commit(commit), commit, content.get("datetime"))
    return BenchmarkFile(f"{path.resolve().parent.name}/{path.stem}", benchmarks, len(entries), *where, notes)


def read_minima(path: Path) -> dict[str, float]:
    """Read the minimum of each full name in one file, in seconds, over its rounds and entries.

    Entries without a valid minimum are left out, and so is everything in a file that is not pytest-benchmark's.
    """
    found: dict[str, float] = {}
    with suppress(BadInput):
        entries = parse(path, EXPECTED).get("benchmarks")
        for entry in entries if isinstance(entries, list) else []:
            with suppress(BadInput):
                name, seconds, _ = _named(path, entry)
                found[name] = min(seconds, found.get(name, seconds))
    return found


def _named(path: Path, entry: Any) -> tuple[str, float, Mapping[str, Any]]:
    """Return the full name of an entry, its minimum, and its ``extra_info``."""
    try:
        full_name, seconds, extra = entry["fullname"], entry["stats"]["min"], _extra(entry)
        why = "" if isinstance(full_name, str) and full_name else "'fullname' is no name"
    except (AttributeError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        raise BadInput(
            f"{str(path)!r} is not pytest-benchmark's JSON: expected a benchmark with 'fullname' and 'stats', "
            f"got {str(entry)[:80]!r} ({why})"
        )
    if not _number(seconds) >= 0:
        raise BadInput(
            f"{str(path)!r}: the minimum of {full_name!r} is {seconds!r}: expected finite seconds, 0 or more"
        )
    return full_name, float(seconds), extra


def _fastest(
    path: Path, entries: Iterable[tuple[str, float, Mapping[str, Any]]]
) -> tuple[tuple[Benchmark, ...], tuple[str, ...]]:
    """Return the fastest entry of each key, and a sentence about each name that several entries share.

    Entries of one process are not independent, so they are one measurement. If tests with different names share a cell,
    their ``extra_info`` is the user's own.
    """
    entries = list(entries)
    owners = defaultdict(set)
    for full_name, _, extra in entries:
        owners[_own_key(extra)].add(full_name)
    fastest: dict[Key, Benchmark] = {}
    for full_name, seconds, extra in entries:
        cell = _own_key(extra)
        own = extra if cell and len(owners[cell]) == 1 else {}
        key = cell if cell and own else (full_name, STRATEGY, PHASE)
        status = own.get("status") if own.get("status") in STATUSES else "ok"
        if key not in fastest or seconds < fastest[key].seconds:
            fastest[key] = Benchmark(key, str(status), seconds, own)
    counts = Counter(full_name for full_name, _, _ in entries)
    repeated = {name: count for name, count in counts.items() if count > 1}
    notes = (f"{str(path)!r}: {name!r} has {count} entries; the fastest counts" for name, count in repeated.items())
    return tuple(fastest.values()), tuple(notes)


def _machine(info: Any) -> str:
    """Return processor, cores and system; if a hook of pytest-benchmark replaced them, what it returned."""
    if not isinstance(info, dict):
        return "" if info is None else str(info)
    if not info.keys() & {"cpu", "processor", "machine", "system"}:
        return ", ".join(f"{name} {value}" for name, value in sorted(info.items()))
    cpu = info["cpu"] if isinstance(info.get("cpu"), dict) else {}
    brand = cpu.get("brand_raw") or cpu.get("brand") or info.get("processor") or info.get("machine")
    system = " ".join(str(info[name]) for name in ("system", "machine") if info.get(name))
    return ", ".join(str(part) for part in (brand, f"{cpu.get('count') or '?'} cores", system) if part)


def _python(info: Any) -> str:
    known = info if isinstance(info, dict) else {}
    version = ".".join(str(known.get("python_version", "")).split(".")[:2])
    return f"{known.get('python_implementation', '')} {version}".strip()


def _commit(info: Mapping[str, Any]) -> str:
    known = info.get("id")
    return (
        ""
        if not isinstance(known, str) or known in {"", "unversioned", "unknown"}
        else known[:12] + ("-dirty" if info.get("dirty") else "")
    )


def in_utc(text: Any, owner: str) -> str:
    """Return a time as ISO 8601 in UTC, to the second; a time without a zone is in UTC, as pytest-benchmark writes it.

    Raises BadInput, which names the `owner`, for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError):  # in the first or last hours that a date can have
        raise BadInput(f"{owner} has the time {text!r}: expected a date and time in ISO 8601") from None


def committed_at(info: Any) -> str:
    """Return the time of pytest-benchmark's ``commit_info`` as `in_utc`; empty if it is unknown."""
    try:
        return in_utc(info["time"], "the commit")
    except (BadInput, KeyError, TypeError):
        return ""


def _run(path: Path, files: Sequence[BenchmarkFile], skipped: Sequence[str]) -> Run:
    own = _of_newest_commit(files)
    settings = {"machine": _the_machine(path, own), "commit": own[0].commit or None}
    lines = [
        (*one.key, number, 0, "", one.seconds, one.status, *(_count(one.extra.get(column)) for column in COUNTS))
        for number, file in enumerate(own)
        for one in file.benchmarks
    ]
    every = pd.DataFrame(lines, columns=[*PASS_COLUMNS, "status", *COUNTS])
    rows = []
    for key, group in every.groupby(list(CELL_KEYS), sort=False):
        failed = [status for status in group["status"] if status != "ok"]
        times = {"seconds_min": group["seconds"].min(), "seconds_median": group["seconds"].median()}
        counts = {column: group[column].median() for column in COUNTS}
        summary = {"status": failed[0] if failed else "ok", "passes": len(group)}
        rows.append(dict(zip(CELL_KEYS, key, strict=True)) | summary | settings | times | counts)
    passes = every.loc[every["status"] == "ok", list(PASS_COLUMNS)].reset_index(drop=True)
    notes = [*skipped, *(note for file in own for note in file.notes)]
    return Run(tidy(rows), passes, name=path.name, facts={"read_as": _read_as(files, own), "read_notes": notes})


def _number(value: Any) -> float:
    """Return a finite number; NaN for anything else."""
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else nan
    except OverflowError:  # a whole number that no float can hold
        return nan
    return number if isfinite(number) else nan


def _count(value: Any) -> float:
    return number if (number := _number(value)) >= 0 else nan


def _of_newest_commit(files: Sequence[BenchmarkFile]) -> list[BenchmarkFile]:
    """Return the files of the newest commit; if no times are known, of the last in the order of the names."""

    def age(numbered: tuple[int, BenchmarkFile]) -> tuple[str, str, int]:
        number, file = numbered
        measured = committed_at({"time": file.datetime})
        return committed_at(file.commit_info) or measured, measured, number

    _, newest = max(enumerate(files), key=age)
    return [file for file in files if _revision(file) == _revision(newest)]


def _revision(file: BenchmarkFile) -> tuple[str, bool]:
    """Return the whole identifier of a file's commit, empty if unknown, and whether there were changes."""
    return (str(file.commit_info.get("id")), bool(file.commit_info.get("dirty"))) if file.commit else ("", False)


def _the_machine(path: Path, files: Sequence[BenchmarkFile]) -> str | None:
    """Return the machine of all files; BadInput if they have several, or several versions of Python."""
    found = sorted({(file.machine, file.python) for file in files})
    if len(found) > 1:
        shown = " and ".join(", ".join(filter(None, one)) for one in found)
        raise BadInput(
            f"{str(path)!r} has files from {len(found)} machines or versions of Python, {shown}: "
            "expected one; give the folder of one of them"
        )
    return found[0][0] or None


def _read_as(files: Sequence[BenchmarkFile], own: Sequence[BenchmarkFile]) -> str:
    if len(files) == 1:
        return f"{counted(files[0].n_entries, 'entry', 'entries')} from one process"
    n = len({_revision(file) for file in files if file.commit})
    text = counted(len(files), "file", "files") + (f" from {counted(n, 'commit', 'commits')}" if n else "")
    if len(own) == len(files):
        return text
    commit = f"the newest, {own[0].commit}," if own[0].commit else "the newest, without a known commit,"
    return f"{text}, of which {commit} is compared ({counted(len(own), 'file', 'files')})"
