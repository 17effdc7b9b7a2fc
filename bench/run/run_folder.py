"""A run's folder: its settings, its journal, its run.json. Every way of a run to the disk is here.

The journal is append-only: one line, flushed to the disk, as each measurement ends; no earlier line is ever rewritten.
"""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import msgspec

from jacobench.bench.machine.atomic_write import write_whole
from jacobench.bench.row.measurement import Measurement, from_json
from jacobench.graphs.errors import BadInput

SETTINGS, JOURNAL, DOCUMENT = "settings.json", "journal.jsonl", "run.json"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to go on with a run.

    Attributes
    ----------
    run_id, commit, machine, controls : str
        See `columns.COLUMNS`.
    suite : str
        Name, or absolute path.
    suite_digest : str
        Of the suite's cases: a run is not resumed with others.
    strategies, cases : tuple of str
        Strategies instead of the suite's, and globs of cases, if any.
    passes, threads : int
        How many.
    budget_bytes : int
        Strategies predicted to need more are not tried.
    timeout_seconds, min_seconds, max_seconds : float
        Limits of one measurement, of one round, of all rounds.
    min_rounds : int
        The fewest rounds.
    environment : dict of str to str
        What the workers' environment is given.
    machine_record : dict
        See `machine.record`.
    machine_info, commit_info : dict
        As pytest-benchmark describes them.
    """

    run_id: str
    commit: str
    machine: str
    controls: str
    suite: str
    suite_digest: str
    strategies: tuple[str, ...]
    cases: tuple[str, ...]
    passes: int
    threads: int
    budget_bytes: int
    timeout_seconds: float
    min_seconds: float
    max_seconds: float
    min_rounds: int
    environment: dict[str, str]
    machine_record: dict[str, Any]
    machine_info: dict[str, Any]
    commit_info: dict[str, Any]


@dataclass
class RunFolder:
    """A run's folder, open for one process at a time.

    Attributes
    ----------
    path : Path
        The folder.
    settings : Settings
        As the run was started.
    measurements : list of Measurement
        As journaled, in order.
    notes : list of str
        What was wrong with the journal when it was read.
    """

    path: Path
    settings: Settings
    measurements: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _journal: int = -1

    def append(self, measurement: Measurement) -> None:
        """Journal a measurement: when this returns, it is on the disk.

        Raises
        ------
        OSError
            If it cannot be written; the line is then taken back as far as the system allows.
        """
        line = msgspec.json.encode(measurement) + b"\n"
        self._check_place()
        end = os.lseek(self._journal, 0, os.SEEK_END)
        try:
            _write_all(self._journal, line)
            os.fsync(self._journal)
        except OSError:
            os.ftruncate(self._journal, end)
            raise
        self.measurements.append(measurement)

    def _check_place(self) -> None:
        """Check that the journal is still where it was: a file that was removed takes writes and loses them."""
        here, open_ = (self.path / JOURNAL).stat(), os.fstat(self._journal)
        if not os.path.samestat(here, open_):
            raise FileNotFoundError(2, "another file stands in its place", str(self.path / JOURNAL))

    def write_document(self, document: dict[str, Any]) -> Path:
        """Write run.json beside its place and rename it into it."""
        return write_whole(self.path / DOCUMENT, msgspec.json.encode(document))

    def close(self) -> None:
        """Let other processes have the folder."""
        os.close(self._journal)


def _write_all(descriptor: int, content: bytes) -> None:
    """Write all of it: a full disk takes the first part of a line and says so only at the next."""
    while content:
        content = content[os.write(descriptor, content) :]


def check_free(path: Path) -> None:
    """Check that a run can be put at `path`, before anything costly is done.

    Raises
    ------
    BadInput
        If something is there already, or it cannot be written.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        hint = f"; 'jacobench run --resume {path}' goes on with it" if (path / JOURNAL).exists() else ""
        raise BadInput(f"{str(path)!r} is there already: expected a new folder{hint}")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise BadInput(f"{str(path)!r} cannot be made: {above} is no folder that may be written")


def create(path: Path, settings: Settings) -> RunFolder:
    """Make a run's folder; it appears with its settings and an empty journal in it, or not at all.

    Raises
    ------
    BadInput
        If something is there already, or it cannot be written.
    """
    check_free(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        try:
            write_whole(beside / SETTINGS, msgspec.json.format(msgspec.json.encode(settings), indent=1))
            (beside / JOURNAL).touch()
            beside.chmod(0o755)
            beside.replace(path)
        except OSError:
            rmtree(beside, ignore_errors=True)
            raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise BadInput(f"{str(path)!r} cannot be made: {error.strerror}") from None
    return resume(path)


def resume(path: Path) -> RunFolder:
    """Open a run's folder to go on with it.

    Raises
    ------
    BadInput
        If it is none, or another process has it open.
    """
    try:
        settings = msgspec.json.decode((path / SETTINGS).read_bytes(), type=Settings)
        journal = os.open(path / JOURNAL, os.O_RDWR | os.O_APPEND)
    except OSError as error:
        raise BadInput(
            f"{str(path)!r} is no run to go on with: {Path(error.filename).name}: {error.strerror}"
        ) from None
    except msgspec.DecodeError as error:
        raise BadInput(f"{str(path / SETTINGS)!r} is damaged: {error}") from None
    if not _lock(journal):
        os.close(journal)
        raise BadInput(f"{str(path)!r} is in use by another jacobench run: expected one run a folder")
    folder = RunFolder(path, settings, _journal=journal)
    _read_journal(folder, path / JOURNAL)
    return folder


def _lock(journal: int) -> bool:
    """Keep others out for as long as the file is open. Off POSIX there is no such lock, and none is held."""
    if sys.platform == "win32":
        return True
    import fcntl  # noqa: PLC0415  (POSIX only)

    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_journal(folder: RunFolder, path: Path) -> None:
    content = path.read_bytes()
    whole, _, torn = content.rpartition(b"\n")
    if torn:
        folder.notes.append(f"{path}: the last line was torn and is dropped; its cell is measured again")
        os.ftruncate(folder._journal, len(content) - len(torn))  # noqa: SLF001
    for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            folder.measurements.append(from_json(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            folder.notes.append(f"{path}: line {number} is damaged and left out: {error}")
