"""Records of a history: one run with its cells, from our runs and from plain pytest-benchmark files."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.row.columns import CELL_KEYS
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.machine_parts import by_machine
from jacobench.reports.data.pytest_benchmark_json import committed_at, in_utc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.data.pytest_benchmark_json import Benchmark, BenchmarkFile
    from jacobench.reports.data.run_data import Run

COUNTS = ("passes", "peak_bytes", "n_nonzeros", "threads")
TIMES = ("seconds_min", "seconds_median", "seconds_low", "seconds_high")
LARGEST = 2.0**63  # SQLite cannot store larger integers
GROWING = "growing file "  # beginning of a digest
NUMBERS = ("passes", *TIMES, "ratio_to_vjp", "peak_bytes", "n_nonzeros", "value")


@dataclass(frozen=True)
class Record:
    """A run in the history. Unknown texts are empty, unknown threads 0.

    suite: a file is named without its folder. measured_at, committed_at: ISO 8601 in UTC, to the second.
    control_seconds: median of the calibration kernel. cells: ``case, strategy, phase, status`` and ``NUMBERS``, None if
    missing; ``value`` is a quantity without a column of its own, of which less is better. branch: of git; empty if
    unknown. stored_digest: that of a run from another history, where its cases may have been renamed since. is_growing:
    whether its tool adds results to the file later.
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
    branch: str = ""
    stored_digest: str = ""
    is_growing: bool = False

    @property
    def names(self) -> tuple[Any, ...]:
        """Name, machine, controls, suite, commit and threads. Several runs may have the same."""
        return (self.run_id, self.machine, self.controls, self.suite, self.commit, self.threads)

    @property
    def digest(self) -> str:
        """Hash of everything that was measured, which identifies the run: a copy of its folder has the same hash.

        That of a growing file is a hash of its names, and begins with ``GROWING``.
        """
        if self.stored_digest:
            return self.stored_digest
        if self.is_growing:
            return GROWING + sha256(msgspec.json.encode(self.names)).hexdigest()
        # Version 1 had no ``value``: without it, a run keeps its hash.
        cells = sorted((cell if cell[-1] is not None else cell[:-1] for cell in self.cells), key=str)
        return sha256(msgspec.json.encode((*self.names, cells))).hexdigest()


def from_run(run: Run) -> list[Record]:
    """Return the record of each machine of a run; `BadInput` if it has no rows or no date."""
    if run.table.empty:
        raise BadInput(f"the run {run.name!r} has no rows: expected at least one measured cell")
    parts = by_machine(run)
    return [_from_part(part, key) for key, part in parts.items() if key or len(parts) == 1]


def _from_part(run: Run, machine: str) -> Record:
    known = run.table.astype(object).where(run.table.notna(), None)
    rows = [{str(name): value for name, value in row.items()} for row in known.to_dict("records")]
    first, controls = rows[0], run.facts.get("calibration_seconds") or []
    return Record(
        run_id=run.name,
        machine=machine,
        controls=first["controls"] or "",
        suite=(first["suite"] or "").replace("\\", "/").rpartition("/")[2],
        commit=first["commit"] or "",
        threads=int(run.facts.get("threads") or 0),
        measured_at=in_utc(run.facts.get("datetime"), f"the run {run.name!r}"),
        committed_at=committed_at(run.facts.get("commit_info")),
        control_seconds=median(controls) if controls else None,
        cells=tuple(history_cell(row) for row in rows),
        branch=branch_of(run.facts.get("commit_info")),
    )


def from_benchmark_file(file: BenchmarkFile) -> Record:
    """Return the record of a pytest-benchmark file; `BadInput` if it has no date. One process is one pass."""
    return Record(
        run_id=file.name,
        machine=f"{file.machine}, {file.python}" if file.python else file.machine,
        controls="asis",
        suite="",
        commit=file.commit,
        threads=0,
        measured_at=in_utc(file.datetime, repr(file.name)),
        committed_at=committed_at(file.commit_info),
        control_seconds=None,
        cells=tuple(_benchmark_cell(one) for one in file.benchmarks),
        branch=branch_of(file.commit_info),
    )


def branch_of(commit_info: Any) -> str:
    """Return the branch in pytest-benchmark's ``commit_info``; empty if it is unknown, such as "(detached head)"."""
    branch = commit_info.get("branch") if isinstance(commit_info, dict) else None
    return branch if isinstance(branch, str) and not branch.startswith("(") else ""


def history_cell(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a cell of a `Record` from the fields of a row; numbers that cannot be stored are missing."""
    return (*(row[key] for key in (*CELL_KEYS, "status")), *(stored_number(name, row.get(name)) for name in NUMBERS))


def stored_number(name: str, number: float | None) -> float | int | None:
    """Return a number of a run or cell as a history stores it; None if it is missing or cannot be stored."""
    if number is None or not isfinite(number) or not 0 <= number < LARGEST:
        return None
    return int(number) if name in COUNTS else float(number)


def _benchmark_cell(one: Benchmark) -> tuple[Any, ...]:
    known = {name: one.extra[name] for name in NUMBERS if type(one.extra.get(name)) in {int, float}}
    times = {"passes": 1, "seconds_min": one.seconds, "seconds_median": one.seconds}
    return history_cell({**times, **known, "status": one.status, **dict(zip(CELL_KEYS, one.key, strict=True))})
