"""A run's folder: settings.json, journal.jsonl and run.json. Only this module writes and reads them during a run.

The journal is append-only: each measurement is one line, flushed to the disk when the measurement ends.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec

from jacobench.bench.machine.atomic_write import DISK_FULL, flush_to_disk, write_whole
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.code_versions import CodeVersions
from jacobench.bench.run.run_options import RunOptions, resume_command
from jacobench.graphs.errors import BadInput

SETTINGS, JOURNAL, DOCUMENT = "settings.json", "journal.jsonl", "run.json"
INCOMPLETE = "incomplete"  # folder with the measurements of blocks of a cluster that are not complete


@dataclass(frozen=True, kw_only=True)
class Settings(RunOptions):
    """Content of settings.json: the options of a run and what identifies it. Paths are absolute."""

    run_id: str
    commit: str
    machine: str
    suite_digest: str
    min_seconds: float  # the shortest round
    max_seconds: float  # the time of all rounds of a cell
    min_rounds: int
    environment: dict[str, str]
    machine_record: dict[str, Any]
    machine_info: dict[str, Any]  # pytest-benchmark's description of the machine
    commit_info: dict[str, Any]  # pytest-benchmark's description of the commit
    code: CodeVersions = field(default_factory=CodeVersions)
    machines: dict[str, dict[str, Any]] = field(default_factory=dict)  # key → record, of the hosts of a cluster

    @property
    def budget_bytes(self) -> int:
        """The memory budget in bytes."""
        return parse_bytes(self.memory_budget)


@dataclass
class RunFolder:
    """A run's folder, open in one process at a time. The notes describe damage found when the journal was read."""

    path: Path
    settings: Settings
    measurements: list[Measurement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _journal: int = -1

    def append(self, *measurements: Measurement) -> None:
        """Append measurements to the journal and flush it to the disk. An OSError leaves none of them."""
        line = b"".join(msgspec.json.encode(measurement) + b"\n" for measurement in measurements)
        self._check_journal()
        end = os.lseek(self._journal, 0, os.SEEK_END)
        try:
            while line:  # a full disk accepts the first part of a line and fails only at the next write
                line = line[os.write(self._journal, line) :]
            flush_to_disk(self._journal)
        except OSError:
            with suppress(OSError):  # resuming drops an incomplete line
                os.ftruncate(self._journal, end)
            raise
        self.measurements.extend(measurements)

    def _check_journal(self) -> None:
        """Check that the journal has not been moved or removed: writes to a removed file succeed and are lost."""
        path = self.path / JOURNAL
        if not os.path.samestat(path.stat(), os.fstat(self._journal)):
            raise FileNotFoundError(2, "another file has replaced it", str(path))

    @property
    def is_finished(self) -> bool:
        """Whether run.json exists."""
        return (self.path / DOCUMENT).exists()

    def remove_document(self) -> None:
        """Remove run.json, if it exists: the run continues."""
        (self.path / DOCUMENT).unlink(missing_ok=True)

    def write_document(self, document: dict[str, Any]) -> Path:
        """Write run.json atomically. What a killed client of a cluster has left of incomplete blocks is removed."""
        rmtree(self.path / INCOMPLETE, ignore_errors=True)
        return write_whole(self.path / DOCUMENT, msgspec.json.encode(document))

    def note_machines(self, records: dict[str, dict[str, Any]]) -> None:
        """Add records of machines to settings.json."""
        new = {key: record for key, record in records.items() if key not in self.settings.machines}
        if new:
            self._change(machines={**self.settings.machines, **new})

    def note_cluster(self, cluster: str) -> None:
        """Write the cluster that continues the run to settings.json, so that it can be continued there again."""
        self._change(cluster=cluster)

    def _change(self, **settings: Any) -> None:
        self.settings = replace(self.settings, **settings)
        write_whole(self.path / SETTINGS, _encode_settings(self.settings))

    def close(self) -> None:
        """Close the journal and release the lock of the folder; may be called again."""
        if self._journal >= 0:
            os.close(self._journal)
        self._journal = -1


def check_free(path: Path) -> None:
    """Check that a run's folder can be created; raises BadInput if the path exists or cannot be written."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        hint = f", or continue this run: {resume_command(path)}" if (path / JOURNAL).exists() else ""
        raise BadInput(f"{str(path)!r} already exists; choose another folder{hint}")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir():
        raise BadInput(f"cannot create {str(path)!r}: {str(above)!r} is not a folder")
    if not os.access(above, os.W_OK):
        raise BadInput(f"cannot create {str(path)!r}: {str(above)!r} is not writable")


def create(path: Path, settings: Settings) -> RunFolder:
    """Create a run's folder with its settings and an empty journal, or nothing at all; raises as `check_free`."""
    check_free(path)
    content = _encode_settings(settings)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        try:
            write_whole(partial / SETTINGS, content)
            (partial / JOURNAL).touch()
            partial.replace(path)
        except OSError:
            rmtree(partial, ignore_errors=True)
            raise
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise BadInput(f"cannot create {str(path)!r}: {error.strerror}") from None
    return _open(path, settings)


def hide_from_git(folder: Path) -> None:
    """Write a .gitignore into a folder ``runs`` that has none. Runs are no part of a commit, nor of a gate's head."""
    if folder.absolute().name == "runs":
        with suppress(OSError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write(
                "# Written by jacobench run. It keeps an existing file, so an empty one lets git see the runs.\n*\n"
            )


def resume(path: Path) -> RunFolder:
    """Open a run's folder; raises BadInput if it is none, is damaged, or is open in another process."""
    try:
        folder = _open(path, _decode_settings((path / SETTINGS).read_bytes()))
    except OSError as error:
        name = Path(error.filename).name
        raise BadInput(f"cannot resume {str(path)!r}: not a run's folder ({name}: {error.strerror})") from None
    except msgspec.DecodeError as error:
        raise BadInput(f"{str(path / SETTINGS)!r} is damaged: {error}") from None
    _read_journal(folder, path / JOURNAL)
    return folder


def _open(path: Path, settings: Settings) -> RunFolder:
    journal = os.open(path / JOURNAL, os.O_RDWR | os.O_APPEND)
    try:
        problem = _lock(journal)
    except BlockingIOError:
        os.close(journal)
        raise BadInput(f"{str(path)!r} is in use by another jacobench run; wait until it ends") from None
    notes = [f"{path}: cannot be locked ({problem}); start no other run in this folder meanwhile"] if problem else []
    return RunFolder(path, settings, notes=notes, _journal=journal)


def _encode_settings(settings: Settings) -> bytes:
    return msgspec.json.format(msgspec.json.encode(settings), indent=1)


def _decode_settings(content: bytes) -> Settings:
    """Decode settings.json. Versions before the class `RunOptions` used two other names."""
    values = msgspec.json.decode(content)
    if isinstance(values, dict) and "budget_bytes" in values:
        values["memory_budget"] = f"{values.pop('budget_bytes')}B"
        values["timeout"] = values.pop("timeout_seconds", 60.0)
    return msgspec.convert(values, Settings)


def _lock(journal: int) -> str:
    """Lock the journal until it is closed; raises BlockingIOError if another process has locked it.

    Returns the cause if the file system has no locks, as some Lustre, NFS and CIFS. Windows has no such lock.
    """
    if sys.platform == "win32":
        return ""
    import fcntl  # noqa: PLC0415  (POSIX only)

    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _read_journal(folder: RunFolder, path: Path) -> None:
    content = path.read_bytes()
    whole, _, torn = content.rpartition(b"\n")
    if torn:
        folder.notes.append(f"{path}: dropped an incomplete last line; its cell is measured again")
        os.ftruncate(folder._journal, len(content) - len(torn))  # noqa: SLF001
    for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            folder.measurements.append(msgspec.json.decode(line, type=Measurement))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            folder.notes.append(f"{path}: skipped line {number}, which is damaged: {error}")
