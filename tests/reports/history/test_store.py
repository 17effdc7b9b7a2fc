"""The history's file: nothing twice, nothing half, nothing lost; many writers, crashes, and files that are not ours."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from jacobench.graphs.errors import BadInput
from jacobench.reports.history import store
from jacobench.reports.history.history_records import NUMBERS

WRITER = """
import sys
from pathlib import Path
from jacobench.reports.history import store
from jacobench.reports.history.history_records import Record

first, n = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + n):
    cells = tuple((f"case-{k}", "vjp", "gradient", "ok", 1, 1.0, 1.0, None, None, 1.0, 8, 0, None) for k in range(50))
    moment = f"2026-01-01T00:{number:02}:00+00:00"
    store.add(Path(sys.argv[1]), Record(f"run-{number}", "m", "tuned", "s", "", 1, moment, "", None, cells))
"""

VERSION_1 = f"""
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
CREATE VIEW history AS SELECT * FROM cells JOIN runs USING (run) JOIN names USING (name);
PRAGMA application_id = {store.APPLICATION_ID};
PRAGMA user_version = 1;
INSERT INTO runs VALUES (1, 'a-hash', 'old', 'm', 'tuned', 'standard', 'c0', 1, '2025-12-31T00:00:00+00:00', '', 6e-5);
INSERT INTO names VALUES (1, 'mlp', 'vjp', 'gradient'), (2, 'mlp', 'dense', 'gradient');
INSERT INTO cells VALUES (1, 1, 'ok', 3, 1.0, 1.1, 1.0, 1.2, 1.0, 20480, 12), (1, 2, 'ok', 3, 2.0, 2.1, NULL, NULL, 2.0, 120, 9);
"""  # as jacobench wrote it until schema 2

CRASH = """
import os, signal
insert = store._insert

def killed(file, record):
    insert(file, record)
    os.kill(os.getpid(), signal.SIGKILL)

store._insert = killed
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "history.sqlite"


def write(code, path, *arguments):
    return subprocess.Popen([sys.executable, "-P", "-c", code, str(path), *map(str, arguments)])


def test_a_run_that_an_earlier_version_added_with_tiny_peaks_is_not_added_again(path, record):
    def cell(peak, seconds=1.1):
        return ("mlp", "vjp", "gradient", "ok", 3, 1.0, seconds, 1.0, 1.2, 1.0, peak, 12, None)

    assert store.add(path, record(cells=(cell(120),)))
    assert not store.add(path, record(cells=(cell(None),)))
    assert store.add(path, record(cells=(cell(None, 1.3),)))


def test_what_is_added_is_read(path, record):
    cell = ("mlp", "vjp", "gradient", "ok", 3, 1.0, 1.1, 1.0, 1.2, 1.0, 20480, 12, 3.5)
    failed = ("mlp", "dense", "gradient", "timeout", 0, None, None, None, None, None, None, None, None)
    one = record(cells=(cell, failed))
    assert store.add(path, one)
    history = store.load(path)
    assert {name: history.runs.loc[0, name] for name in store.RUN} == {name: getattr(one, name) for name in store.RUN}
    lines = history.cells.to_dict("records")
    assert tuple(lines[0][name] for name in ("case", "strategy", "phase", "status", *NUMBERS)) == cell
    assert lines[1]["status"] == "timeout"
    assert all(lines[1][name] != lines[1][name] for name in NUMBERS[1:])


def version_of(path):
    with closing(sqlite3.connect(path)) as file:
        return file.execute("PRAGMA user_version").fetchone()[0]


@pytest.fixture
def old(tmp_path):
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as file:
        file.executescript(VERSION_1)
    return tmp_path / "old.sqlite"


def test_version_1_is_read_and_its_file_stays_as_it_is(old):
    before = old.read_bytes()
    history = store.load(old)
    assert old.read_bytes() == before
    assert history.runs.to_dict("records") == [
        {"run_id": "old", "machine": "m", "controls": "tuned", "suite": "standard", "commit": "c0", "threads": 1,
         "measured_at": "2025-12-31T00:00:00+00:00", "committed_at": "", "control_seconds": 6e-5, "branch": ""}
    ]  # fmt: skip
    assert history.cells["seconds_median"].tolist() == [1.1, 2.1]
    assert history.cells["peak_bytes"].fillna(0).tolist() == [20480, 0], "120 bytes are below the tool's resolution"
    assert history.cells["value"].isna().all()
    assert [one.stored_digest for one in store.records(old)] == ["a-hash"]


def test_version_1_becomes_the_current_one_when_a_run_is_added(old, record):
    assert store.add(old, record(1, branch="main"))
    assert version_of(old) == store.VERSION
    history = store.load(old)
    assert history.runs[["run_id", "branch"]].to_numpy().tolist() == [["old", ""], ["run-1", "main"]]
    assert history.cells["peak_bytes"].fillna(0).tolist() == [20480, 0, 1024], "other runs keep what they state"


def test_a_failed_upgrade_leaves_version_1(old, record, monkeypatch):
    monkeypatch.setitem(store.UPGRADES, 1, f"{store.UPGRADES[1]}; UPDATE nowhere SET x = 1")
    before = old.read_bytes()
    with pytest.raises(BadInput, match="no such table: nowhere"):
        store.add(old, record(1))
    assert (version_of(old), old.read_bytes() == before) == (1, True)


def test_the_same_run_twice_changes_nothing(path, record):
    assert store.add(path, record(1))
    before = path.read_bytes()
    assert not store.add(path, record(1, measured_at="2027-01-01T00:00:00+00:00"))  # run.json written anew
    assert path.read_bytes() == before
    assert store.add(path, record(1, seconds=2e-3))  # another run of that name


def test_runs_are_in_the_order_of_their_commits(path, record):
    for number in (3, 1, 2):
        store.add(path, record(number, measured_at=f"2027-01-0{4 - number}T00:00:00+00:00"))
    store.add(path, record(9, committed_at="", measured_at="2026-01-02T12:00:00+00:00"))
    history = store.load(path)
    assert history.runs["run_id"].tolist() == ["run-1", "run-9", "run-2", "run-3"]
    assert history.cells["run"].tolist() == [0, 1, 2, 3]


def test_no_other_file_is_left(path, record):
    store.add(path, record())
    store.load(path)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.long
def test_many_writers_at_once(path):
    """Of which each adds runs that the next adds, too."""
    writers = [write(WRITER, path, first, 6) for first in (0, 4, 8, 12)]
    assert [writer.wait() for writer in writers] == [0] * 4
    history = store.load(path)
    assert history.runs["run_id"].tolist() == [f"run-{number}" for number in range(18)]
    assert history.cells.groupby("run").size().tolist() == [50] * 18


@pytest.mark.long
def test_a_writer_that_is_killed_leaves_the_file_whole(path):
    assert write(WRITER, path, 0, 1).wait() == 0
    code = WRITER.replace("first, n =", CRASH + "first, n =")
    assert write(code, path, 1, 1).wait() == -signal.SIGKILL
    assert store.load(path).runs["run_id"].tolist() == ["run-0"]
    assert write(WRITER, path, 1, 1).wait() == 0
    assert store.load(path).cells.groupby("run").size().tolist() == [50, 50]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("PRAGMA user_version = 3", "has version 3, written by a newer jacobench: expected version 1 to 2"),
        ("PRAGMA user_version = 0", "has version 0, written by an older jacobench: expected version 1 to 2"),
        ("PRAGMA application_id = 7", "not a jacobench history"),
    ],
)
def test_a_file_that_is_another_versions_or_anothers(statement, expected, path, record):
    store.add(path, record())
    with sqlite3.connect(path) as file:
        file.execute(statement)
    file.close()
    before = path.read_bytes()
    for use in (lambda: store.add(path, record(1)), lambda: store.load(path)):
        with pytest.raises(BadInput, match=expected):
            use()
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["header", "middle", "torn", "text"])
def test_a_damaged_file_is_reported_and_not_changed(damage, path, record):
    cells = tuple((f"case-{k}", "vjp", "gradient", "ok", 1, 1.0, 1.0, None, None, 1.0, 8, 0, None) for k in range(900))
    store.add(path, record(cells=cells))
    whole = path.read_bytes()
    assert len(whole) > 20 * 4096
    damaged = {
        "header": b"x" * 100 + whole[100:],
        "middle": whole[: 6 * 4096] + b"\xff" * 8 * 4096 + whole[14 * 4096 :],
        "torn": whole[: len(whole) // 2],
        "text": b"no database at all, but long enough to be taken for one by its size alone" * 99,
    }[damage]
    path.write_bytes(damaged)
    for use in (lambda: store.add(path, record(1)), lambda: store.load(path)):
        with pytest.raises(BadInput, match="is damaged or not a history") as told:
            use()
        assert "\n" not in str(told.value)
    assert path.read_bytes() == damaged
    assert list(path.parent.iterdir()) == [path]


def test_no_file_says_how_to_begin(path):
    with pytest.raises(BadInput, match=r"no history at .*history add RUN"):
        store.load(path)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(BadInput, match="is empty"):
        store.load(path)
    with closing(store._open(path, "rw")) as file:
        store._prepare(file, path)  # as a process that stops before it adds its run
    with pytest.raises(BadInput, match="is empty"):
        store.load(path)


def test_a_place_that_cannot_be_written(tmp_path, record):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file" / "history.sqlite", tmp_path):
        with pytest.raises(BadInput, match="cannot use"):
            store.add(path, record())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _fails(monkeypatch, text, code):
    """Let SQLite fail with an error as on another file system or a full disk."""

    def prepare(_file, _path):
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(store, "_prepare", prepare)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("disk I/O error", sqlite3.SQLITE_IOERR_LOCK),
        ("locking protocol", sqlite3.SQLITE_PROTOCOL),
        ("access permission denied", sqlite3.SQLITE_PERM),
        ("database is locked", sqlite3.SQLITE_BUSY),
    ],
)
def test_a_file_system_without_locks_is_the_cause_and_a_local_disk_the_fix(text, code, path, record, monkeypatch):
    _fails(monkeypatch, text, code)
    with pytest.raises(BadInput, match=f"{text}; .*no locks.*: move the file to a local disk"):
        store.add(path, record())
    assert not path.exists(), "no empty file is left"


def test_a_full_disk_is_not_bad_input(path, record, monkeypatch):
    _fails(monkeypatch, "database or disk is full", sqlite3.SQLITE_FULL)
    with pytest.raises(OSError, match="No space left on device") as raised:
        store.add(path, record())
    assert raised.value.filename == str(path)


def test_a_command_in_a_message_works_in_a_folder_with_a_space(tmp_path):
    file = tmp_path / "my runs" / "history.sqlite"
    with pytest.raises(BadInput) as raised:
        store.load(file)
    assert str(raised.value).endswith(f"jacobench history add RUN --file '{file}'")
