"""A block on its host: one case with all its strategies in one pass, measured as in a local run.

It runs as a task in a worker of Dask. The measuring process is another one, which ends with that worker.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Never
from uuid import uuid4

import msgspec

from jacobench.bench.cluster.block_files import on_client, on_host, root_of
from jacobench.bench.cluster.host_survey import options_on_host
from jacobench.bench.machine.machine_record import label
from jacobench.bench.row.measurement import Measurement, Repetition  # noqa: TC001  (msgspec reads annotations)
from jacobench.bench.run.code_versions import CodeVersions, code_versions, restricted
from jacobench.bench.run.pass_schedule import PlannedPass
from jacobench.bench.run.passes import Passes
from jacobench.bench.run.run_folder import Settings  # noqa: TC001  (msgspec reads annotations)
from jacobench.bench.run.run_plan import Plan
from jacobench.bench.suites.case import Case, Cell, Suite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from distributed import Worker

POLL_SECONDS = 0.5


class BlockCase(msgspec.Struct, frozen=True):
    """A case, as far as its host must know it. The user's code that makes it runs in the measuring process alone."""

    name: str
    graph: str  # generator, or "file.py:function"
    task: str
    files: tuple[str, ...]  # that it is read from
    cells: tuple[tuple[str, str], ...]  # strategy and phase


class BlockJob(msgspec.Struct, frozen=True):
    """A block, and what its host must know of the run."""

    key: str  # of the task
    topic: str  # of the events
    case: BlockCase
    pass_number: int
    turn: int
    repeats: Repetition | None
    settings: Settings  # with the environment, the code and the memory budget of the host
    path: str  # of the run's folder, for messages
    earlier: tuple[Measurement, ...]  # of this case
    names: dict[str, str]  # spec → name of a strategy
    host: str
    machine: str
    archive: str = ""
    files: tuple[str, ...] = ()


class BlockResult(msgspec.Struct, frozen=True):
    """A complete block."""

    measured_seconds: float
    measurements: list[Measurement]


class Unwanted(Exception):  # noqa: N818  (nothing failed)
    """The client no longer waits for the block, or the dask worker ends."""


RUNNING: set[str] = set()
"""Keys of the blocks that are being measured in this process."""


def running_blocks() -> list[str]:
    """Return the keys of the blocks that are being measured in this process."""
    return sorted(RUNNING)


class SentMeasurements:
    """The journal of a block: it sends each measurement to the client."""

    def __init__(self, job: BlockJob, root: str, worker: Worker) -> None:
        self.job, self.root, self.worker = job, root, worker
        self.path = Path(job.path)
        self.execution = uuid4().hex
        self.settings = options_on_host(job.settings, root, job.files)
        self.measurements = [self._on_host(each) for each in job.earlier]
        self.n_earlier = len(job.earlier)
        self.stopped = Event()

    def append(self, measurement: Measurement) -> None:
        """Keep a measurement and send it to the client."""
        if self.stopped.is_set():
            raise Unwanted
        self.measurements.append(measurement)
        line = msgspec.json.encode(self.on_client(measurement))
        self.worker.log_event(self.job.topic, {"key": self.job.key, "execution": self.execution, "line": line})

    def say(self, text: str) -> None:
        """Let the client print a sentence whose subject is this host."""
        self.worker.log_event(self.job.topic, {"key": self.job.key, "said": text})

    def _on_host(self, found: Measurement) -> Measurement:
        return msgspec.structs.replace(found, spec=on_host(found.spec, self.root, self.job.files))

    def on_client(self, found: Measurement) -> Measurement:
        """Return a measurement with the paths of the client, and with its host."""
        texts = {
            name: on_client(getattr(found, name), self.root, self.job.files)
            for name in ("spec", "strategy", "reason", "traceback", "output")
        }
        return msgspec.structs.replace(found, host=self.job.host, machine=self.job.machine, **texts)

    def result(self, measured_seconds: float) -> BlockResult:
        """Return the complete block."""
        own = self.measurements[self.n_earlier :]
        return BlockResult(measured_seconds, [self.on_client(each) for each in own])


def block_case(case: Case, cells: Iterable[Cell]) -> BlockCase:
    """Return what a host must know of a case and its cells."""
    graph = str(case.knobs.get("graph"))
    return BlockCase(case.name, graph, case.task, case.files, tuple((cell.strategy, cell.phase) for cell in cells))


def _block_plan(job: BlockJob, settings: Settings, root: str) -> Plan:
    """Return the plan of a block, with the paths of this host."""
    case, files = job.case, tuple(on_host(file, root, job.files) for file in job.case.files)
    cells = [Cell(case.name, on_host(spec, root, job.files), phase) for spec, phase in case.cells]
    strategies = tuple(dict.fromkeys(cell.strategy for cell in cells))
    own = Case(case.name, {"graph": case.graph}, strategies, _not_made_here, task=case.task, files=files)
    return Plan(Suite(settings.suite, (own,)), cells, settings.budget_bytes)


def _not_made_here() -> Never:
    raise AssertionError("only the measuring process makes graphs: a dask worker must not import the user's files")


def _known_code(job: BlockJob, root: str, planned: Plan) -> CodeVersions:
    """Return the code of the block as the host has reported it before the run."""
    reported = job.settings.code
    files = {on_host(file, root, job.files): digest for file, digest in reported.files.items()}
    suite = on_host(job.settings.suite, root, job.files)
    return restricted(replace(reported, files=files), code_versions(planned, suite))


def run_block(content: bytes) -> bytes:
    """Measure a block: a task of Dask, with a `BlockJob` and a `BlockResult` as JSON."""
    from distributed import get_worker  # noqa: PLC0415  (an extra)

    job = msgspec.json.decode(content, type=BlockJob)
    RUNNING.add(job.key)
    try:
        return _measured(job, get_worker())
    finally:
        RUNNING.discard(job.key)


def _measured(job: BlockJob, worker: Worker) -> bytes:
    root = root_of(job.archive, worker.local_directory)
    journal = SentMeasurements(job, root, worker)
    planned = _block_plan(job, journal.settings, root)
    journal.settings = replace(journal.settings, code=_known_code(job, root, planned))
    passes = Passes(journal, planned, lambda _progress: None)
    passes.ledger.names.update({on_host(spec, root, job.files): name for spec, name in job.names.items()})
    with _watched(journal, passes), _alone(journal):
        passes.make_pass(PlannedPass(job.pass_number, job.turn, frozenset({job.case.name}), job.repeats))
    return msgspec.json.encode(journal.result(passes.measured_seconds))


@contextmanager
def _watched(journal: SentMeasurements, passes: Passes) -> Iterator[None]:
    """End the measuring process when the client no longer waits for the block, or the dask worker ends."""
    ended = Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            if not _wanted(journal.worker, journal.job.key):
                journal.stopped.set()
                passes.end_process()

    if not _wanted(journal.worker, journal.job.key):
        raise Unwanted
    Thread(target=watch, daemon=True).start()
    try:
        yield
    except Exception:
        if journal.stopped.is_set():
            raise Unwanted from None  # its process was ended from here, whatever that looked like
        raise
    finally:
        ended.set()


@contextmanager
def _alone(journal: SentMeasurements, folder: str | None = None) -> Iterator[None]:
    """Wait until no other block runs on this host, of another run or another cluster; POSIX only."""
    if sys.platform == "win32":
        yield
        return
    digest = sha256(label().encode()).hexdigest()[:8]
    path = Path(folder or gettempdir()) / f"jacobench-block-{os.getuid()}-{digest}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)  # no link: others may write to the folder
    try:
        is_first = True
        while not _is_locked(lock):
            if journal.stopped.is_set():
                raise Unwanted
            if is_first:
                journal.say("waits for another run that measures there")
            is_first = False
            time.sleep(POLL_SECONDS / 5)
        yield
    finally:
        os.close(lock)


def _is_locked(lock: int) -> bool:
    """Lock a file, and return whether that was possible."""
    import fcntl  # noqa: PLC0415  (POSIX only)

    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _wanted(worker: Any, key: str) -> bool:
    """Return whether the scheduler still wants a task that this worker executes."""
    task = worker.state.tasks.get(key)
    return worker.status.name in {"running", "paused"} and task is not None and task.state == "executing"
