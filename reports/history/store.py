"""The history's file: SQLite, one transaction a run. Every way of the history to the disk is here, but for pages and pictures."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.graphs.errors import BadInput
from jacobench.reports.history.history_records import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jacobench.reports.history.history_records import Record

VERSION = 1
OURS = 0x4A414342
"""The application id in the file's header: "JACB"."""

PATIENCE = 60.0
"""Seconds to wait for other writers."""

RUN = ("run_id", "machine", "controls", "suite", "commit", "threads", "measured_at", "committed_at", "control_seconds")

SCHEMA = """
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL, machine TEXT NOT NULL, controls TEXT NOT NULL, suite TEXT NOT NULL, "commit" TEXT NOT NULL,
    threads INTEGER NOT NULL, measured_at TEXT NOT NULL, committed_at TEXT NOT NULL, control_seconds REAL
);
CREATE TABLE names (
    name INTEGER PRIMARY KEY, "case" TEXT NOT NULL, strategy TEXT NOT NULL, phase TEXT NOT NULL,
    UNIQUE ("case", strategy, phase)
);
CREATE TABLE cells (
    run INTEGER NOT NULL REFERENCES runs, name INTEGER NOT NULL REFERENCES names, status TEXT NOT NULL,
    passes INTEGER, seconds_min REAL, seconds_median REAL, seconds_low REAL, seconds_high REAL, ratio_to_vjp REAL,
    peak_bytes INTEGER, n_nonzeros INTEGER,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE VIEW history AS SELECT * FROM cells JOIN runs USING (run) JOIN names USING (name)
"""

# The columns in the order of the tables above: a run after its own number, a cell after its run's and its name's.
ADD_RUN = "INSERT OR IGNORE INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_NAME = "INSERT OR IGNORE INTO names VALUES (NULL, ?, ?, ?)"
ADD_CELL = """
INSERT INTO cells SELECT ?, name, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM names WHERE "case" = ? AND strategy = ? AND phase = ?
"""
READ_RUNS = "SELECT * FROM runs ORDER BY coalesce(nullif(committed_at, ''), measured_at), measured_at, run"


@dataclass(frozen=True)
class History:
    """All that a history's file holds.

    Attributes
    ----------
    runs : DataFrame
        One line a run: the fields of `Record` but its cells; ordered by the commit's time, or its own where that is unknown,
        then by its own; the index counts from 0.
    cells : DataFrame
        One line a cell: ``run`` (a line of ``runs``), ``case``, ``strategy``, ``phase``, ``status`` and ``NUMBERS``, missing
        is NaN; ordered by run.
    """

    runs: pd.DataFrame
    cells: pd.DataFrame


def add(path: Path, record: Record) -> bool:
    """Add a run, whole or not at all; the file is made if it is not there.

    Returns
    -------
    bool
        False if the run is in it already; then nothing is changed.

    Raises
    ------
    BadInput
        If the file is no history, another version's, damaged, or cannot be written.
    """
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_open(path, "rwc")) as file:
            _prepare(file, path)
            file.execute("BEGIN IMMEDIATE")
            try:
                is_new = _insert(file, record)
            except BaseException:
                file.execute("ROLLBACK")
                raise
            file.execute("COMMIT")
            return is_new


def load(path: Path) -> History:
    """Read a history.

    Raises
    ------
    BadInput
        If it is not there, no history, another version's, damaged, or cannot be read.
    """
    if not path.is_file():
        raise BadInput(f"no history at {str(path)!r}: 'jacobench history add RUN --file {path}' begins one")
    with _told(path), closing(_open_to_read(path)) as file:
        if _is_empty(file):
            raise BadInput(f"{str(path)!r} is empty: 'jacobench history add RUN --file {path}' begins a history")
        _check(file, path)
        file.execute("BEGIN")  # what others add meanwhile is in none of the three, or in all
        runs = pd.read_sql(READ_RUNS, file)
        names = pd.read_sql("SELECT * FROM names", file, index_col="name").astype("category")
        cells = pd.read_sql("SELECT * FROM cells", file)
    cells["run"] = cells["run"].map(pd.Series(runs.index, index=runs["run"]))
    cells = cells.sort_values("run", kind="stable", ignore_index=True)
    cells = cells.join(names, on="name").astype(dict.fromkeys(NUMBERS, "float64"))
    return History(runs[list(RUN)], cells[["run", "case", "strategy", "phase", "status", *NUMBERS]])


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=PATIENCE, isolation_level=None)


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open as a writer would, who leaves nothing beside the file when it closes; where that is not allowed, as it lies there."""
    return _open(path, "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro&immutable=1")


def _prepare(file: sqlite3.Connection, path: Path) -> None:
    """Check the file, or make an empty one a history; of many processes that find it empty, one does."""
    if not _is_empty(file):
        _check(file, path)
        return
    _write_ahead(file)
    file.execute("BEGIN IMMEDIATE")
    if _is_empty(file):
        for statement in SCHEMA.split(";"):
            file.execute(statement)
        file.execute(f"PRAGMA application_id = {OURS}")
        file.execute(f"PRAGMA user_version = {VERSION}")
    file.execute("COMMIT")
    _check(file, path)


def _write_ahead(file: sqlite3.Connection) -> None:
    """Let readers read while one writes. SQLite does not wait for others when it changes this, so we do."""
    patient_until = time.monotonic() + PATIENCE
    while True:
        try:
            file.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > patient_until:
                raise
            time.sleep(0.01)
        else:
            return


def _is_empty(file: sqlite3.Connection) -> bool:
    return not file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _check(file: sqlite3.Connection, path: Path) -> None:
    (owner,), (version,) = (file.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))
    if owner != OURS:
        raise BadInput(
            f"{str(path)!r} is an SQLite file but no history of jacobench's: expected one that 'history add' made"
        )
    if version != VERSION:
        age = "newer" if version > VERSION else "older"
        raise BadInput(
            f"{str(path)!r} has version {version}: expected {VERSION}; a jacobench that is {age} than this one wrote it"
        )
    found = file.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _damaged(path, found)


def _insert(file: sqlite3.Connection, record: Record) -> bool:
    added = file.execute(ADD_RUN, [record.digest, *(getattr(record, name) for name in RUN)])
    if not added.rowcount:
        return False
    file.executemany(ADD_NAME, [cell[:3] for cell in record.cells])
    file.executemany(ADD_CELL, [(added.lastrowid, *cell[3:], *cell[:3]) for cell in record.cells])
    return True


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # cannot be opened, is read-only, locked for too long, the disk is full
        raise BadInput(f"cannot use {str(path)!r}: {error}; what was in it before is kept") from None
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from None
    except OSError as error:
        raise BadInput(f"cannot use {str(path)!r}: {error.strerror}") from None


def _damaged(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{str(path)!r} is damaged, or no history: {' '.join(why.split())}; nothing was changed in it: "
        f"take a copy from before, or rescue what is readable with 'sqlite3 {path} .recover'"
    )
