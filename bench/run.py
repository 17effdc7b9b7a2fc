"""A run: a suite's cells measured in passes of fresh processes, each measurement journaled as it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from jacobench.bench import folder as folders
from jacobench.bench import machine
from jacobench.bench.case import larger, select_cases
from jacobench.bench.cells import BY_STRATEGY, NEEDS, Cell, cells_of, ordered
from jacobench.bench.control import CONTROL
from jacobench.bench.controls import CONTROLS, environment, settings
from jacobench.bench.document import document
from jacobench.bench.folder import RunFolder, Settings
from jacobench.bench.measurement import Measurement
from jacobench.bench.process import HarnessFailure, WorkerProcess
from jacobench.bench.quantity import parse_bytes
from jacobench.bench.rows import Header, rows_of
from jacobench.bench.session import Limits
from jacobench.bench.suite import load_suite
from jacobench.bench.worker import Job
from jacobench.graphs.errors import BadInput, unknown
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jacobench.bench.case import Suite

MIN_SECONDS, MAX_SECONDS, MIN_ROUNDS = 1e-3, 0.05, 5
"""A round is long enough for the clock; all rounds of a cell together take about 50 ms, or five rounds."""


ENDS_A_SWEEP = ("timeout", "out_of_memory")
"""Statuses after which a strategy's larger cases are not tried."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, total : int
        Measurements that have ended; all of them.
    cell : Cell or None
        What is being measured.
    pass_number : int
        Counted from 0.
    """

    done: int
    total: int
    cell: Cell | None
    pass_number: int


@dataclass(frozen=True)
class Request:
    """What is asked of a run.

    Attributes
    ----------
    suite : str
        Name or path.
    strategies, cases : tuple of str
        Strategies instead of the suite's, globs of cases; empty: all.
    passes, threads : int
        1 or more.
    memory_budget : str
        Such as ``"2GiB"``.
    timeout_seconds : float
        Of one measurement, all its rounds.
    controls : {"tuned", "asis"}
        Whether the process's surroundings are set; see `controls`.
    """

    suite: str = "standard"
    strategies: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    passes: int = 3
    threads: int = 1
    memory_budget: str = "2GiB"
    timeout_seconds: float = 60.0
    controls: str = "tuned"


@dataclass(frozen=True)
class Plan:
    """A request that was checked: what will be measured."""

    suite: Suite
    cells: list[Cell]
    budget_bytes: int


def plan(request: Request) -> Plan:
    """Check a request and lay out its cells; nothing is measured or written.

    Raises
    ------
    BadInput
        For an unknown suite, strategy or case, or a number out of bounds.
    """
    if request.passes < 1:
        raise BadInput(f"passes is {request.passes}: expected 1 or more")
    if request.threads < 1:
        raise BadInput(f"threads is {request.threads}: expected 1 or more")
    if not request.timeout_seconds > 0:
        raise BadInput(f"timeout is {request.timeout_seconds}: expected seconds above 0")
    if request.controls not in CONTROLS:
        raise unknown("controls", request.controls, CONTROLS)
    suite = select_cases(load_suite(request.suite), request.cases)
    return Plan(suite, cells_of(suite, request.strategies), parse_bytes(request.memory_budget))


def start(request: Request, out: Path | None = None) -> RunFolder:
    """Make the folder of a new run.

    Parameters
    ----------
    request : Request
        What is asked.
    out : Path, optional
        The folder; default: ``runs/<when>-<id>`` here.

    Returns
    -------
    RunFolder
        Open; to be handed to `carry_on`.

    Raises
    ------
    BadInput
        As for `plan`, or if the folder is there already or cannot be written.
    """
    planned = plan(request)
    chosen = settings(request.controls, request.threads)
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = out or Path("runs") / f"{when}-{uuid4().hex[:6]}"
    folders.check_free(path)
    machine_info, commit_info = machine.pytest_benchmark_info()
    return folders.create(
        path,
        Settings(
            run_id=path.name,
            commit=machine.commit(),
            machine=machine.machine_key(),
            controls=request.controls,
            suite=_lasting(request.suite),
            suite_digest=_digest(planned),
            strategies=request.strategies,
            cases=request.cases,
            passes=request.passes,
            threads=request.threads,
            budget_bytes=planned.budget_bytes,
            timeout_seconds=request.timeout_seconds,
            min_seconds=MIN_SECONDS,
            max_seconds=MAX_SECONDS,
            min_rounds=MIN_ROUNDS,
            environment=chosen,
            machine_record=machine.record(chosen),
            machine_info=machine_info,
            commit_info=commit_info,
        ),
    )


def _lasting(suite: str) -> str:
    """Return a suite's name, or its path made absolute."""
    return str(Path(suite).absolute()) if suite.endswith(".toml") else suite


def _digest(planned: Plan) -> str:
    told = [
        (case.name, sorted((key, repr(value)) for key, value in case.knobs.items())) for case in planned.suite.cases
    ]
    return sha256(repr((told, planned.cells)).encode()).hexdigest()


def carry_on(folder: RunFolder, report: Callable[[Progress], None]) -> Path:
    """Measure whatever a run has not measured yet, and write its run.json.

    Parameters
    ----------
    folder : RunFolder
        New, or resumed.
    report : callable
        Called with the progress whenever it changes.

    Returns
    -------
    Path
        The run.json.

    Raises
    ------
    BadInput
        If the suite is no longer what it was.
    HarnessFailure
        If a worker fails for no reason of a strategy's.
    """
    settings_ = folder.settings
    suite = select_cases(load_suite(settings_.suite), settings_.cases)
    planned = Plan(suite, cells_of(suite, settings_.strategies), settings_.budget_bytes)
    if _digest(planned) != settings_.suite_digest:
        raise BadInput(f"suite {settings_.suite!r} has changed since {str(folder.path)!r} was started: start a new run")
    began = time.monotonic()
    run = _Run(folder, planned, report)
    if run.finished() and (folder.path / folders.DOCUMENT).exists():
        return folder.path / folders.DOCUMENT
    for pass_number in range(settings_.passes):
        run.make_pass(pass_number)
    return _conclude(folder, planned, time.monotonic() - began, run.measured_seconds)


def _conclude(folder: RunFolder, planned: Plan, wall_seconds: float, measured_seconds: float) -> Path:
    settings_ = folder.settings
    header = Header(settings_.run_id, settings_.commit, settings_.machine, settings_.controls, planned.suite.name)
    rows = rows_of(header, planned.suite.cases, planned.cells, folder.measurements)
    facts: dict[str, Any] = {
        "wall_seconds": round(wall_seconds, 3),
        "measured_seconds": round(measured_seconds, 3),
        "machine": settings_.machine_record,
        "load_after": machine.load(),
        "control_seconds": [min(m.seconds) for m in folder.measurements if m.spec == CONTROL],
    }
    return folder.write_document(document(settings_, planned.cells, rows, folder.measurements, facts))


@dataclass
class _Run:
    """A run under way."""

    folder: RunFolder
    plan: Plan
    report: Callable[[Progress], None]
    measured_seconds: float = 0.0
    _done: set[tuple[int, Cell]] = field(default_factory=set)
    _failed: set[Cell] = field(default_factory=set)
    _iterations: dict[Cell, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for measurement in self.folder.measurements:
            self._note(measurement)

    def _note(self, measurement: Measurement) -> None:
        if measurement.spec == CONTROL:
            return
        cell = Cell(measurement.case, measurement.spec, measurement.phase)
        self._done.add((measurement.pass_number, cell))
        if measurement.status == "ok":
            self._iterations.setdefault(cell, measurement.iterations)
        else:
            self._failed.add(cell)

    def _left(self, pass_number: int) -> list[Cell]:
        """List what is still to be measured in a pass; what failed in any is not tried again."""
        cells = ordered(self.plan.cells, pass_number)
        return [cell for cell in cells if (pass_number, cell) not in self._done and cell not in self._failed]

    def finished(self) -> bool:
        """Return whether nothing is left to measure."""
        return not any(self._left(pass_number) for pass_number in range(self.folder.settings.passes))

    def _progress(self, pass_number: int, cell: Cell | None) -> Progress:
        left = sum(len(self._left(k)) for k in range(pass_number, self.folder.settings.passes))
        return Progress(len(self._done), len(self._done) + left, cell, pass_number)

    def make_pass(self, pass_number: int) -> None:
        """Measure what is left of a pass, in one worker, or in as many as are lost on the way."""
        used = {m.worker for m in self.folder.measurements if m.pass_number == pass_number}
        worker = max(used, default=-1) + 1
        while left := self._left(pass_number):
            self._work(pass_number, worker, left)
            worker += 1

    def _work(self, pass_number: int, worker: int, left: list[Cell]) -> None:
        chosen = self.folder.settings
        job = Job(
            chosen.suite,
            chosen.strategies,
            tuple((cell.case, cell.strategy, cell.phase) for cell in [*self._partners(pass_number, left), *left]),
            Limits(
                chosen.budget_bytes,
                chosen.min_seconds,
                chosen.max_seconds,
                chosen.min_rounds,
                measure_memory=pass_number == 0,
                limit_data=True,
                pass_number=pass_number,
                worker=worker,
            ),
            tuple((*_key(cell), count) for cell, count in self._iterations.items()),
        )
        with WorkerProcess(job, environment(chosen.environment, pass_number)) as process:
            self._follow(process, pass_number, worker)

    def _partners(self, pass_number: int, left: Sequence[Cell]) -> list[Cell]:
        """List the reference's cells that a worker must time again, because it takes over in the middle of a case."""
        case = left[0].case
        begun = any(number == pass_number and cell.case == case for number, cell in self._done)
        phases = [cell.phase for cell in left if cell.case == case]
        found = [Cell(case, REFERENCE, phase) for phase in BY_STRATEGY if phase in phases] if begun else []
        return [cell for cell in found if (pass_number, cell) in self._done and cell not in self._failed]

    def _follow(self, process: WorkerProcess, pass_number: int, worker: int) -> None:
        """Take in what a worker reports until it has ended or must be ended."""
        cell: Cell | None = None
        timing = False
        deadline: float | None = None
        while True:
            event = process.next_event(deadline)
            match event:
                case {"event": "start", "cell": [case, strategy, phase]}:
                    cell, timing = Cell(case, strategy, phase), False
                    deadline = time.monotonic() + self.folder.settings.timeout_seconds
                    self.report(self._progress(pass_number, cell))
                case {"event": "timing"}:
                    timing = True
                case {"event": "measured", "measurement": content}:
                    self._take_in(content)
                    cell = deadline = None
                case None:
                    break
        if cell is not None:
            status, reason = process.how_it_ended(self.folder.settings.timeout_seconds)
            self._lost(cell, status, reason, timing=timing, pass_number=pass_number, worker=worker)
        elif process.failed():
            raise HarnessFailure(f"a worker failed before it measured anything: {process.last_words()}")

    def _take_in(self, content: dict[str, Any]) -> None:
        measurement = msgspec.convert(content, Measurement)
        self.folder.append(measurement)
        self.measured_seconds += sum(measurement.seconds) * measurement.iterations
        self._note(measurement)
        self._spare_larger(measurement)

    def _spare_larger(self, measurement: Measurement) -> None:
        """Give up on the larger cases of a strategy that ran out of time or memory at this one."""
        if measurement.status not in ENDS_A_SWEEP:
            return
        for case in larger(self.plan.suite.cases, measurement.case):
            cell = Cell(case.name, measurement.spec, measurement.phase)
            if cell in self._failed or cell not in self.plan.cells:
                continue
            status = measurement.status.replace("_", " ")
            spared = Measurement(
                cell.case,
                measurement.strategy,
                cell.phase,
                cell.strategy,
                measurement.pass_number,
                measurement.worker,
                status="not_tried",
                reason=f"{status} at the smaller {measurement.case}",
            )
            self.folder.append(spared)
            self._note(spared)

    def _lost(self, cell: Cell, status: str, reason: str, *, timing: bool, pass_number: int, worker: int) -> None:
        """Record that a worker was lost at a cell: for it, and for whatever cannot be had without it."""
        phases = NEEDS[cell.phase] if timing or cell.phase == "forward" else BY_STRATEGY
        name = next((m.strategy for m in self.folder.measurements if m.spec == cell.strategy), cell.strategy)
        for phase in phases:
            needing = replace(cell, phase=phase)
            if (pass_number, needing) in self._done and needing != cell:
                continue
            measurement = Measurement(
                cell.case, name, phase, cell.strategy, pass_number, worker, status=status, reason=reason
            )
            self.folder.append(measurement)
            self._note(measurement)
            self._spare_larger(measurement)


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.case, cell.strategy, cell.phase
