"""SQLite file of a history: one transaction per run."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.machine.atomic_write import DISK_FULL
from jacobench.bench.row.columns import CELL_KEYS
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.former_names import current_cases, current_machines, is_former
from jacobench.reports.data.pytest_benchmark_json import PHASE, STRATEGY
from jacobench.reports.history.history_records import GROWING, NUMBERS, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

VERSION = 2
APPLICATION_ID = 0x4A414342  # in the file's header: "JACB"
LOCK_SECONDS = 60.0  # longest time to wait for other writers
RUN = (
    "run_id", "machine", "controls", "suite", "commit", "threads", "measured_at", "committed_at", "control_seconds", "branch",
)  # fmt: skip

SCHEMA = """
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL, machine TEXT NOT NULL, controls TEXT NOT NULL, suite TEXT NOT NULL, "commit" TEXT NOT NULL,
    threads INTEGER NOT NULL, measured_at TEXT NOT NULL, committed_at TEXT NOT NULL, control_seconds REAL,
    branch TEXT NOT NULL DEFAULT ''
);
CREATE TABLE names (
    name INTEGER PRIMARY KEY, "case" TEXT NOT NULL, strategy TEXT NOT NULL, phase TEXT NOT NULL,
    UNIQUE ("case", strategy, phase)
);
CREATE TABLE cells (
    run INTEGER NOT NULL REFERENCES runs, name INTEGER NOT NULL REFERENCES names, status TEXT NOT NULL,
    passes INTEGER, seconds_min REAL, seconds_median REAL, seconds_low REAL, seconds_high REAL, ratio_to_vjp REAL,
    peak_bytes INTEGER, n_nonzeros INTEGER, value REAL,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE VIEW history AS SELECT * FROM cells JOIN runs USING (run) JOIN names USING (name)
"""

UPGRADES = {
    1: """
ALTER TABLE runs ADD COLUMN branch TEXT NOT NULL DEFAULT '';
ALTER TABLE cells ADD COLUMN value REAL;
UPDATE cells SET peak_bytes = NULL
WHERE peak_bytes < 8192 AND run IN (SELECT run FROM runs WHERE suite <> '')
"""
}
"""Version → statements that turn a file of this version into one of the next.

Version 1 had no branches and no other quantities, and its runs could have peaks below the resolution of the tools.
"""

NO_LOCKS = "its file system has no locks, as some network file systems: move the file to a local disk (--file)"
FIXES = {
    sqlite3.SQLITE_BUSY: f"wait until other processes have written it, or {NO_LOCKS}",
    **dict.fromkeys((sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL), f"perhaps {NO_LOCKS}"),
}
"""Primary result code of SQLite → cause and fix."""

# Columns in the order of the tables above.
ADD_RUN = "INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_NAME = "INSERT OR IGNORE INTO names VALUES (NULL, ?, ?, ?)"
ADD_CELL = """
INSERT OR REPLACE INTO cells SELECT ?, name, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM names WHERE "case" = ? AND strategy = ? AND phase = ?
"""
FIND_IMPORTED = """
SELECT DISTINCT run_id, machine, strategy FROM history
WHERE run_id IN (?, ?) AND measured_at = ? AND strategy IN ('', ?)
"""
FIND_NAME = 'SELECT name FROM names WHERE "case" = ? AND strategy = ? AND phase = ?'
FIND_BOTH = """
SELECT run_id, measured_at FROM runs JOIN cells AS former USING (run) JOIN cells AS other USING (run)
WHERE former.name = ? AND other.name = ? LIMIT 1
"""
SET_ASIDE = 'UPDATE names SET "case" = char(0) || name WHERE name = ?'  # a name that no case has
EVERY_RUN = """
SELECT run, digest, run_id, machine, controls, suite, "commit", threads, measured_at, committed_at, control_seconds, branch
FROM runs ORDER BY run
"""
EVERY_NAME = 'SELECT name, "case", strategy, phase FROM names'
MACHINES_OF_NAMES = "SELECT DISTINCT name, machine FROM cells JOIN runs USING (run)"
EVERY_CELL = """
SELECT run, "case", strategy, phase, status, passes, seconds_min, seconds_median, seconds_low, seconds_high, ratio_to_vjp,
    peak_bytes, n_nonzeros, value
FROM history
"""
CELLS_OF_RUN = f"{EVERY_CELL} WHERE run = ?"
FIND_CELLS = f"""{EVERY_CELL}
WHERE run_id = ? AND machine = ? AND controls = ? AND suite = ? AND "commit" = ? AND threads = ?
"""
FIND_DIGEST = "SELECT run FROM runs WHERE digest = ?"
FIND_RUN = """
SELECT run FROM runs
WHERE run_id = ? AND machine = ? AND controls = ? AND suite = ? AND "commit" = ? AND threads = ? ORDER BY run LIMIT 1
"""
READ_RUNS = "SELECT * FROM runs ORDER BY coalesce(nullif(committed_at, ''), measured_at), measured_at, run"


@dataclass(frozen=True)
class History:
    """Contents of a history's file.

    runs: one line per run with the fields of `Record` except the cells, ordered by the commit's time, or the run's if
    unknown, then by the run's time; the index counts from 0. cells: one line per cell, ordered by ``run`` (row number
    of ``runs``), with ``case``, ``strategy``, ``phase``, ``status`` and ``NUMBERS``, NaN if missing.
    """

    runs: pd.DataFrame
    cells: pd.DataFrame


def add(path: Path, record: Record) -> bool:
    """Add a run as `add_all` does. Return False if the file has it already."""
    return not add_all(path, [record])["known"]


def add_all(path: Path, records: Iterable[Record]) -> Counter[str]:
    """Add runs, each completely or not at all; create the file if it does not exist.

    Return the number of runs that were ``added``, ``extended`` by results that their file did not have earlier, or
    ``known``. Raises `BadInput` if the file is not a history, has another version, is damaged, or cannot be written.
    """
    with _writing(path) as file:
        return Counter(_add(file, record) for record in records)


def _add(file: sqlite3.Connection, record: Record) -> str:
    with file:  # commits, or rolls back after an error
        file.execute("BEGIN IMMEDIATE")
        return _insert(file, record)


def rename(path: Path, new_names: Callable[[list[str]], Mapping[str, str]]) -> dict[str, str]:
    """Rename cases; return old name → new name. A case that continues another one becomes part of its series.

    ``new_names`` returns this table for the names that `load` returns. Raises `BadInput` as `load` and `add_all`, and if
    a run has both cases, or two that get one name: then they are different ones. Nothing is renamed then.
    """
    if not path.is_file():
        raise _no_history(path)
    with _writing(path) as file, file:
        file.execute("BEGIN IMMEDIATE")
        names = _names(file)
        table = new_names(sorted(names["case"].unique()))
        table = {case: new for case, new in table.items() if new != case}
        stored = file.execute(EVERY_NAME).fetchall()
        renamed = [(case, *key) for key in stored if (case := names.loc[key[0], "case"]) in table]
        file.executemany(SET_ASIDE, [(number,) for _, number, *_ in renamed])
        for case, number, _, *cell in renamed:
            _rename(file, number, (table[case], *cell), case)
    return table


def _rename(file: sqlite3.Connection, number: int, key: tuple[str, ...], former: str) -> None:
    """Give the cells of a name another name, which other cells may have already."""
    file.execute(ADD_NAME, key)
    (target,) = file.execute(FIND_NAME, key).fetchone()
    for run_id, measured_at in file.execute(FIND_BOTH, (number, target)):
        raise BadInput(
            f"the run {run_id!r} of {measured_at} would have two cases {key[0]!r} ({' · '.join(key[1:])}), one of them "
            f"{former!r}: a renamed case continues under its new name, so no run has both; nothing was renamed"
        )
    file.execute("UPDATE cells SET name = ? WHERE name = ?", (target, number))
    file.execute("DELETE FROM names WHERE name = ?", (number,))


def load(path: Path) -> History:
    """Read a history; `BadInput` if the file is missing, no history, of another version, damaged, or not readable."""
    with _reading(path) as file:
        runs = pd.read_sql(READ_RUNS, file)
        names = _names(file).astype("category")
        cells = pd.read_sql("SELECT * FROM cells", file)
    cells["run"] = cells["run"].map(pd.Series(runs.index, index=runs["run"]))
    cells = cells.sort_values("run", kind="stable", ignore_index=True)
    cells = cells.join(names, on="name").astype(dict.fromkeys(NUMBERS, "float64"))
    machines = current_machines(runs["machine"])
    runs = runs[list(RUN)].assign(machine=runs["machine"].map(lambda key: machines.get(key, key)))
    return History(runs, cells[["run", "case", "strategy", "phase", "status", *NUMBERS]])


def records(path: Path) -> list[Record]:
    """Read the runs of a history as they were added; raises as `load`."""
    with _reading(path) as file:
        runs = file.execute(EVERY_RUN).fetchall()
        cells: dict[int, list[tuple[Any, ...]]] = {run: [] for run, *_ in runs}
        for run, *cell in file.execute(EVERY_CELL):
            cells[run].append(tuple(cell))
    return [
        Record(**dict(zip(RUN, values, strict=True)), cells=tuple(cells[run]), stored_digest=digest)
        for run, digest, *values in runs
    ]


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a history to write; create it if it does not exist, and raise an older version to the current one."""
    with _errors_as_bad_input(path), _without_empty_file(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_open(path, "rwc")) as file:
            _prepare(file, path)
            yield file


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a history to read. An older version is raised to the current one in memory; its file does not change."""
    if not path.is_file():
        raise _no_history(path)
    with _errors_as_bad_input(path), closing(_open_to_read(path)) as file:
        version = 0 if _is_empty(file) else _check(file, path)
        if not version or not file.execute("SELECT count(*) FROM runs").fetchone()[0]:
            raise BadInput(
                f"{str(path)!r} is empty; start a history with: jacobench history add RUN --file {quote(str(path))}"
            )
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
            if version < VERSION:
                file.backup(copy)
                _upgrade(copy)
            current = copy if version < VERSION else file
            current.execute("BEGIN")  # all queries see the same state
            yield current


def _no_history(path: Path) -> BadInput:
    return BadInput(
        f"no history at {str(path)!r}; create one with: jacobench history add RUN --file {quote(str(path))}"
    )


def _names(file: sqlite3.Connection) -> pd.DataFrame:
    """Return the names, with those that earlier versions wrote mapped to those of today; see `former_names`."""
    names = _with_full_names(pd.read_sql(EVERY_NAME, file, index_col="name"))
    machines = pd.read_sql("SELECT DISTINCT machine FROM runs", file)["machine"]
    if not any(map(is_former, machines)):
        return names
    used = pd.read_sql(MACHINES_OF_NAMES, file)
    is_old, own = used["machine"].map(is_former).to_numpy(dtype=bool), used["name"].map(names["case"])
    cases = current_cases(own[is_old].unique(), own[~is_old].unique())
    return names.assign(case=names["case"].map(lambda case: cases.get(case, case)))


def _with_full_names(names: pd.DataFrame) -> pd.DataFrame:
    """Map the keys of benchmarks that earlier versions imported to those of today.

    They were (short name, "", ""); today they are (full name, "benchmark", "call"). A short name becomes the only full
    name in the file that ends with it. If there is none, or several, it keeps its own series, so nothing is mixed.
    """
    short = (names["strategy"] == "") & (names["phase"] == "")
    full = names.loc[(names["strategy"] == STRATEGY) & (names["phase"] == PHASE), "case"]
    found = {
        case: [name for name in full if name == case or name.endswith(f"::{case}")] for case in names["case"][short]
    }
    mapped = names.copy()
    mapped.loc[short, "case"] = [found[case][0] if len(found[case]) == 1 else case for case in names["case"][short]]
    mapped.loc[short, ["strategy", "phase"]] = [STRATEGY, PHASE]
    return mapped


def _open(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None)


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open for reading: as a writer, which leaves no extra files, or immutably if the file cannot be written."""
    return _open(path, "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro&immutable=1")


def _prepare(file: sqlite3.Connection, path: Path) -> None:
    """Check the file; initialize it if it is empty, or raise its version. If several processes try, one does."""
    if _is_empty(file):
        _write_ahead(file)
        with file:
            file.execute("BEGIN IMMEDIATE")
            if _is_empty(file):
                _execute(file, SCHEMA)
                file.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                file.execute(f"PRAGMA user_version = {VERSION}")
    if _check(file, path) < VERSION:
        with file:
            file.execute("BEGIN IMMEDIATE")
            _upgrade(file)


def _upgrade(file: sqlite3.Connection) -> None:
    """Raise the version step by step to the current one."""
    while (version := _pragma(file, "user_version")) < VERSION:
        _execute(file, UPGRADES[version])
        file.execute(f"PRAGMA user_version = {version + 1}")


def _execute(file: sqlite3.Connection, statements: str) -> None:
    """Execute statements within the current transaction, which ``executescript`` would commit."""
    for statement in statements.split(";"):
        file.execute(statement)


def _pragma(file: sqlite3.Connection, name: str) -> int:
    return int(file.execute(f"PRAGMA {name}").fetchone()[0])


def _write_ahead(file: sqlite3.Connection) -> None:
    """Allow reading during writing. SQLite does not wait for locks when it changes this mode, so this function does."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            file.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _is_empty(file: sqlite3.Connection) -> bool:
    return not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _check(file: sqlite3.Connection, path: Path) -> int:
    """Return the version of a history that can be read; `BadInput` if it cannot, or if the file is damaged."""
    owner, version = _pragma(file, "application_id"), _pragma(file, "user_version")
    if owner != APPLICATION_ID:
        raise BadInput(
            f"{str(path)!r} is an SQLite file but not a jacobench history: expected a file created by 'history add'"
        )
    if version not in {*UPGRADES, VERSION}:
        age = "a newer" if version > VERSION else "an older"
        raise BadInput(
            f"{str(path)!r} has version {version}, written by {age} jacobench: expected version 1 to {VERSION}"
        )
    found = file.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _damaged(path, found)
    return version


def _insert(file: sqlite3.Connection, record: Record) -> str:
    digest = record.digest
    if digest.startswith(GROWING) and (known := file.execute(FIND_RUN, record.names).fetchone()):
        fresh = _fresh_cells(file, known[0], record)
        _put_cells(file, known[0], fresh)
        return "extended" if fresh else "known"
    if file.execute(FIND_DIGEST, (digest,)).fetchone():
        return "known"
    is_benchmark = any(cell[1] == STRATEGY for cell in record.cells)
    if (is_benchmark and _is_imported(file, record)) or _has_cells_of(file, record):
        return "known"
    added = file.execute(ADD_RUN, [digest, *(getattr(record, name) for name in RUN)])
    _put_cells(file, added.lastrowid, record.cells)
    return "added"


def _put_cells(file: sqlite3.Connection, run: int | None, cells: Sequence[tuple[Any, ...]]) -> None:
    file.executemany(ADD_NAME, [cell[:3] for cell in cells])
    file.executemany(ADD_CELL, [(run, *cell[3:], *cell[:3]) for cell in cells])


def _fresh_cells(file: sqlite3.Connection, run: int, record: Record) -> list[tuple[Any, ...]]:
    """Return the new and the changed cells of a growing file. A cell that was renamed is not new under its former name."""
    known = {row[1:4]: row[4:] for row in file.execute(CELLS_OF_RUN, (run,))}
    own = {cell[:3]: cell[3:] for cell in record.cells}
    renamed = [known[key] for key in known.keys() - own.keys()]
    fresh = []
    for key, values in own.items():
        if key not in known and values in renamed:
            renamed.remove(values)
        elif known.get(key) != values:
            fresh.append((*key, *values))
    return fresh


def _has_cells_of(file: sqlite3.Connection, record: Record) -> bool:
    """Return whether a run of the file has these cells. It may have more: an export may be a part of it."""
    found: dict[int, set[tuple[Any, ...]]] = {}
    for run, *cell in file.execute(FIND_CELLS, record.names):
        found.setdefault(run, set()).add(_identity(tuple(cell)))
    return any({_identity(cell) for cell in record.cells} <= known for known in found.values())


def _identity(cell: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the key, status and time of a cell; if it has no time, its value or peak.

    The peak does not count next to a time, because earlier versions stored peaks that are too small.
    """
    key, numbers = cell[: len(CELL_KEYS) + 1], dict(zip(NUMBERS, cell[len(CELL_KEYS) + 1 :], strict=True))
    measured = (numbers[name] for name in ("seconds_median", "value", "peak_bytes"))
    return (*key, next((number for number in measured if number is not None), None))


def _is_imported(file: sqlite3.Connection, record: Record) -> bool:
    """Return whether an earlier version imported this file.

    It wrote short names, the architecture instead of the processor, or no folder for a file in the current one.
    """
    without_folder = f"/{record.run_id.rpartition('/')[2]}"
    found = file.execute(FIND_IMPORTED, (record.run_id, without_folder, record.measured_at, STRATEGY)).fetchall()
    return any(
        machine in current_machines([machine, record.machine])
        or (machine == record.machine and (not strategy or run_id != record.run_id))
        for run_id, machine, strategy in found
    )


@contextmanager
def _without_empty_file(path: Path) -> Iterator[None]:
    """After an error, remove the file if it was created here and nobody has written it."""
    is_new = not path.exists()
    try:
        yield
    except (sqlite3.Error, OSError):
        with suppress(OSError):
            journals = any(path.with_name(f"{path.name}-{each}").exists() for each in ("journal", "wal"))
            if is_new and not journals and not path.stat().st_size:
                path.unlink()
        raise


@contextmanager
def _errors_as_bad_input(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # cannot be opened, is read-only, locked for too long, the disk is full
        if (code := error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        fix = FIXES.get(code, "its earlier contents are unchanged")
        raise BadInput(f"cannot use {str(path)!r}: {error}; {fix}") from None
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from None
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise BadInput(f"cannot use {str(path)!r}: {error.strerror or error}") from None


def _damaged(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{str(path)!r} is damaged or not a history: {' '.join(why.split())}; it was not changed. "
        f"Restore a backup, or recover its readable part with: sqlite3 {quote(str(path))} .recover"
    )
