"""Records of a history: one run with its cells, from our runs and from plain pytest-benchmark files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.row.columns import STATUSES
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.reports.data.run_data import Run

KEYS = ("case", "strategy", "phase")
COUNTS = ("passes", "peak_bytes", "n_nonzeros")
NUMBERS = (
    "passes",
    "seconds_min",
    "seconds_median",
    "seconds_low",
    "seconds_high",
    "ratio_to_vjp",
    "peak_bytes",
    "n_nonzeros",
)


@dataclass(frozen=True)
class Record:
    """A run in the history.

    Attributes
    ----------
    run_id, machine, controls, suite, commit : str
        See `bench.row.columns.COLUMNS`; empty if unknown. A suite file is named without its folder.
    threads : int
        0 if unknown.
    measured_at, committed_at : str
        ISO 8601 in UTC, to the second; ``committed_at`` is empty if unknown.
    control_seconds : float or None
        Median time of the calibration kernel.
    cells : tuple of tuples
        ``case, strategy, phase, status`` and ``NUMBERS``; None if missing.
    """

    run_id: str
    machine: str
    controls: str
    suite: str
    commit: str
    threads: int
    measured_at: str
    committed_at: str
    control_seconds: float | None
    cells: tuple[tuple[Any, ...], ...]

    @property
    def digest(self) -> str:
        """Hash of everything that was measured, which identifies the run: a copy of its folder has the same hash."""
        own = (
            self.run_id,
            self.machine,
            self.controls,
            self.suite,
            self.commit,
            self.threads,
            sorted(self.cells, key=str),
        )
        return sha256(msgspec.json.encode(own)).hexdigest()


def from_run(run: Run) -> Record:
    """Return the record of a run.

    Raises
    ------
    BadInput
        If it has no rows or no date.
    """
    if run.table.empty:
        raise BadInput(f"the run {run.name!r} has no rows: expected at least one measured cell")
    known = run.table.astype(object).where(run.table.notna(), None)
    rows = [{str(name): value for name, value in row.items()} for row in known.to_dict("records")]
    first, controls = rows[0], run.facts.get("calibration_seconds") or []
    return Record(
        run_id=run.name,
        machine=first["machine"] or "",
        controls=first["controls"] or "",
        suite=(first["suite"] or "").replace("\\", "/").rpartition("/")[2],
        commit=first["commit"] or "",
        threads=int(run.facts.get("threads") or 0),
        measured_at=_moment(run.facts.get("datetime"), f"the run {run.name!r}"),
        committed_at=_committed_at(run.facts.get("commit_info")),
        control_seconds=median(controls) if controls else None,
        cells=tuple(_cell(row) for row in rows),
    )


def from_benchmarks(document: Mapping[str, Any], name: str) -> Record:
    """Keep what the history needs of pytest-benchmark's JSON.

    Parameters
    ----------
    document : mapping
        What its file says.
    name : str
        The run's, for instance ``Linux-CPython-3.11-64bit/0001_first``.

    Returns
    -------
    Record
        A benchmark's name is its case (its full name where two share a name), strategy and phase are empty; ``case``,
        ``strategy`` and ``phase`` in its ``extra_info`` have precedence. One process is one pass, and its number the minimum
        over the rounds, as with our own runs. Controls are ``asis``.

    Raises
    ------
    BadInput
        If it is not such a document.
    """
    try:
        entries = document["benchmarks"]
        names = [entry["name"] for entry in entries]
        cells = tuple(_plain_cell(entry, names) for entry in entries)
        info, commit = document["machine_info"], document.get("commit_info") or {}
        machine = _plain_machine(info)
        when = document["datetime"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{name!r} is not pytest-benchmark's JSON: {type(error).__name__}: {error}") from None
    if not cells:
        raise BadInput(f"{name!r} has no benchmarks: expected at least one")
    return Record(
        run_id=name,
        machine=machine,
        controls="asis",
        suite="",
        commit=_plain_commit(commit),
        threads=0,
        measured_at=_moment(when, repr(name)),
        committed_at=_committed_at(commit),
        control_seconds=None,
        cells=cells,
    )


def _cell(row: Mapping[str, Any]) -> tuple[Any, ...]:
    numbers = [row.get(name) for name in NUMBERS]
    return (
        *(row[key] for key in KEYS),
        row["status"],
        *(_kept(name, number) for name, number in zip(NUMBERS, numbers, strict=True)),
    )


def _kept(name: str, number: float | None) -> float | int | None:
    if number is None or not isfinite(number):
        return None
    return int(number) if name in COUNTS else float(number)


def _plain_cell(entry: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    own = entry.get("extra_info") or {}
    plain = entry["name"] if names.count(entry["name"]) == 1 else entry["fullname"]
    keys = {
        "case": str(own.get("case", plain)),
        "strategy": str(own.get("strategy", "")),
        "phase": str(own.get("phase", "")),
    }
    seconds = float(entry["stats"]["min"])
    status = own.get("status", "ok")
    measured = {
        "status": status if status in STATUSES else "ok",
        "passes": 1,
        "seconds_min": seconds,
        "seconds_median": seconds,
    }
    known = {name: own[name] for name in NUMBERS if isinstance(own.get(name), int | float)}
    return _cell({**measured, **known, **keys})


def _plain_machine(info: Mapping[str, Any]) -> str:
    processor = info.get("cpu", {})
    brand = processor.get("brand_raw") or info.get("processor") or info["machine"]
    python = f"{info['python_implementation']} {'.'.join(info['python_version'].split('.')[:2])}"
    return f"{brand}, {processor.get('count', '?')} cores, {info['system']} {info['machine']}, {python}"


def _plain_commit(info: Mapping[str, Any]) -> str:
    known = str(info.get("id") or "")
    return "" if known in {"", "unversioned", "unknown"} else known[:12] + ("-dirty" if info.get("dirty") else "")


def _committed_at(info: Any) -> str:
    moment = info.get("time") if isinstance(info, dict) else None
    return _moment(moment, "the commit") if moment else ""


def _moment(text: Any, owner: str) -> str:
    """Return a time as ISO 8601 in UTC; a time without a zone is in UTC, as written by pytest-benchmark."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise BadInput(f"{owner} has the time {text!r}: expected a date and time in ISO 8601") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds")
