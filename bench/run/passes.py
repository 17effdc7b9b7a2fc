"""The passes of a run: each worker measures the remaining cells; a lost worker is replaced."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from jacobench.bench.cell.prepared_cell import MEMORY_STEP, TIMING_STEP
from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.machine.environment import environment
from jacobench.bench.machine.worker_process import HarnessFailure, WorkerProcess
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.code_versions import code_versions, difference
from jacobench.bench.run.ledger import Ledger
from jacobench.bench.run.pass_schedule import PlannedPass, further_passes, roots, undecided_cases
from jacobench.bench.run.session import SessionLimits
from jacobench.bench.run.worker_job import WorkerJob
from jacobench.bench.suites.case import Cell
from jacobench.graphs.errors import BadInput
from jacobench.strategies.registry import REFERENCE, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from jacobench.bench.run.code_versions import CodeVersions
    from jacobench.bench.run.run_folder import Settings
    from jacobench.bench.run.run_plan import Plan

STARTING_SECONDS = 60.0  # time for the first cell to begin, and between cells, in addition to the timeout


MOST_CASES = 200
"""Cases that one process measures: pytest needs 0.1 s to prepare the cells of 200 cases, and a large suite begins soon."""


class Journal(Protocol):
    """Where measurements go: a run's folder, or on a host of a cluster what sends them to the client."""

    path: Path
    settings: Settings
    measurements: list[Measurement]

    def append(self, measurement: Measurement) -> None:
        """Store a measurement, and add it to `measurements`."""


def check_code(journal: Journal, now: CodeVersions) -> None:
    """Check that the present code is that of all measurements; raise BadInput if not."""
    if found := difference(journal.settings.code, now):
        raise BadInput(
            f"{found}, or start a new run: {str(journal.path)!r} was started with other code, and keeps its measurements"
        )


@dataclass(frozen=True)
class Progress:
    """Progress of a run: measurements, the cell that is being measured, undecided cases, and the time left."""

    done: int  # finished measurements
    total: int  # these, and those that remain in the first passes and in the present one
    cell: Cell
    planned: PlannedPass
    n_undecided: int | None  # when the present pass began; None in the first passes
    seconds_left: float | None  # until the limit; None without a limit


@dataclass
class Passes:
    """A run under way. Its journal receives the measurements, and has those of an earlier start."""

    folder: Journal
    plan: Plan
    report: Callable[[Progress], None]
    deadline: float | None = None  # no further pass begins after it (`time.monotonic`); None: there are none
    measured_seconds: float = 0.0
    _n_undecided: int | None = None
    _process: WorkerProcess | None = None
    _loaded: set[str] = field(default_factory=set)  # strategies that the present worker has loaded
    _isolated: set[str] = field(default_factory=set)  # strategies that change a process for good

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.plan, self.folder.settings.first_passes, self.folder.measurements)

    def remains(self) -> bool:
        """Return whether a pass remains."""
        return self.next_pass() is not None

    def measure(self) -> None:
        """Measure all passes."""
        while (planned := self.next_pass()) is not None:
            self.make_pass(planned)

    def next_pass(self) -> PlannedPass | None:
        """Return the pass to measure or to complete; None if the run is finished, or its time is over.

        First all cases are measured in a few passes. Then disturbed passes are repeated, and further passes measure the
        undecided cases.
        """
        cases = frozenset(self.ledger.cases)
        passes = (PlannedPass(number, number, cases) for number in range(self.folder.settings.first_passes))
        first = next(filter(self.ledger.first_left, passes), None)
        if first is not None or self.deadline is None or time.monotonic() >= self.deadline:
            return first
        return next(filter(self.ledger.first_left, further_passes(self.folder.measurements)), None)

    def _progress(self, planned: PlannedPass, cell: Cell) -> Progress:
        time_left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        done = self.ledger.n_done
        return Progress(done, done + self.ledger.n_left, cell, planned, self._n_undecided, time_left)

    def _may_begin(self, planned: PlannedPass, cell: Cell) -> bool:
        """Return whether a case may begin: in further passes only while there is time."""
        is_first = planned.number < self.folder.settings.first_passes
        begun = self.ledger.is_begun(planned.number, cell.case)
        return is_first or begun or self.deadline is None or time.monotonic() < self.deadline

    def make_pass(self, planned: PlannedPass) -> None:
        """Measure the remaining cells of a pass; each lost worker is replaced by a new one."""
        is_first = planned.number < self.folder.settings.first_passes
        self._n_undecided = None if is_first else len(undecided_cases(self.folder.measurements))
        self.ledger.begin(planned)
        root = roots(self.folder.measurements)
        own = planned.repeats.pass_number if planned.repeats else planned.number
        used = {m.worker for m in self.folder.measurements if root[m.pass_number] == own}
        worker = max(used, default=-1) + 1
        while (left := self.ledger.left(planned)) and self._may_begin(planned, left[0]):
            self._work(planned, worker, self._together(left))
            worker += 1

    def _together(self, left: Sequence[Cell]) -> list[Cell]:
        """Return the cells of the next worker: those of an isolated strategy at one case only if no others are left."""
        first = left[0]
        cases = set(list(dict.fromkeys(cell.case for cell in left))[:MOST_CASES])
        left = [cell for cell in left if cell.case in cases]
        shared = [cell for cell in left if cell.strategy not in self._isolated]
        return shared or [cell for cell in left if (cell.case, cell.strategy) == (first.case, first.strategy)]

    def _work(self, planned: PlannedPass, worker: int, left: list[Cell]) -> None:
        chosen, pass_number = self.folder.settings, planned.number
        job = WorkerJob(
            chosen.suite,
            tuple(astuple(cell) for cell in [*self._partners(pass_number, left), *left]),
            SessionLimits(
                chosen.budget_bytes,
                chosen.min_seconds,
                chosen.max_seconds,
                chosen.min_rounds,
                measure_memory=pass_number == 0,
                limit_data=True,
                pass_number=pass_number,
                worker=worker,
                repeats=planned.repeats,
            ),
            tuple((*astuple(cell), count) for cell, count in self.ledger.iterations.items()),
            tuple(self.ledger.checked),
        )
        command = [sys.executable, "-P", "-m", "jacobench.bench.run.worker", str(os.getpid())]
        self._loaded.clear()
        self._check_code()
        with WorkerProcess(job, environment(chosen.environment, pass_number, chosen.controls), command) as process:
            self._process = process
            self._follow(process, planned, worker)

    def end_process(self) -> None:
        """End the measuring process from another thread; its cell counts as lost."""
        if self._process is not None:
            self._process.end()

    def _check_code(self) -> None:
        check_code(self.folder, code_versions(self.plan, self.folder.settings.suite))

    def _partners(self, pass_number: int, left: Sequence[Cell]) -> list[Cell]:
        """List the reference's cells that a worker must time again because it starts in the middle of a case."""
        case, ledger = left[0].case, self.ledger
        if not ledger.is_begun(pass_number, case):
            return []
        phases = [cell.phase for cell in left if cell.case == case]
        found = [Cell(case, REFERENCE, phase) for phase in ledger.cases[case].phases if phase in phases]
        return [cell for cell in found if ledger.is_done(pass_number, cell) and not ledger.has_failed(cell)]

    def _follow(self, process: WorkerProcess, planned: PlannedPass, worker: int) -> None:
        """Record the reports of a worker until it has ended or must be ended."""
        cell: Cell | None = None
        step = ""
        done_before = self.ledger.n_done
        timeout = self.folder.settings.timeout
        deadline = time.monotonic() + timeout + STARTING_SECONDS
        while True:
            event = process.next_event(deadline)
            match event:
                case {"event": "start", "cell": [case, strategy, phase]}:
                    cell, step = Cell(case, strategy, phase), ""
                    if not self._may_begin(planned, cell):
                        process.end()
                        return
                    deadline = time.monotonic() + timeout
                    self.report(self._progress(planned, cell))
                case {"event": "step", "name": step}:
                    pass
                case {"event": "measured", "measurement": content}:
                    self._add(content)
                    if content["spec"] != CONTROL:  # also timed at the end, when a cell has ended the session
                        cell, deadline = None, time.monotonic() + timeout + STARTING_SECONDS
                case None:
                    break
                case _:
                    self._note_strategy(event)
        if cell is not None:
            self._lose(cell, *process.how_it_ended(timeout, step), step, planned.number, worker)
        elif self.ledger.n_done == done_before:
            # If it ended later, as some libraries do at exit, a new worker continues with the remaining cells.
            raise HarnessFailure(f"a measuring process measured nothing: {_why_nothing(process, timeout)}")

    def _lose(self, cell: Cell, status: str, reason: str, step: str, pass_number: int, worker: int) -> None:
        """Store rows of the cell at which a worker ended, and of the phases that need it."""
        measuring = step in {MEMORY_STEP, TIMING_STEP}
        for row in self.ledger.lost(cell, status, reason, measuring=measuring, pass_number=pass_number, worker=worker):
            self._append(row)

    def _note_strategy(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"event": "loaded", "spec": spec, "name": name}:
                self.ledger.names[spec] = name
                if not is_ours(spec) and spec not in self._loaded:
                    self._check_code()  # it may have changed since the worker started
                self._loaded.add(spec)
            case {"event": "isolate", "spec": spec}:
                self._isolated.add(spec)

    def _add(self, content: dict[str, Any]) -> None:
        measurement = msgspec.convert(content, Measurement)
        self.measured_seconds += sum(measurement.seconds) * measurement.iterations
        self._append(measurement)

    def _append(self, measurement: Measurement) -> None:
        """Store a measurement, and rows for the larger cases that need not be tried after it."""
        self.folder.append(measurement)
        self.ledger.note(measurement)
        for row in self.ledger.skipped_by(measurement):
            self.folder.append(row)
            self.ledger.note(row)


def _why_nothing(process: WorkerProcess, timeout_seconds: float) -> str:
    """Return why a process has ended, or was ended, before it began a cell."""
    status, reason = process.how_it_ended(timeout_seconds)
    return f"it did not begin within {timeout_seconds + STARTING_SECONDS:g} s" if status == "timeout" else reason
