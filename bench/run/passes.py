"""The passes of a run: each worker measures the remaining cells; a lost worker is replaced."""

from __future__ import annotations

import sys
import time
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.cell.prepared_cell import FORWARD, MEMORY_STEP, TIMING_STEP, needing_phases, one_line
from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.machine.environment import environment
from jacobench.bench.machine.worker_process import HarnessFailure, WorkerProcess
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.code_versions import code_versions, difference
from jacobench.bench.run.pass_schedule import PlannedPass, cases_of, disturbed_pass, roots, turn, undecided_cases
from jacobench.bench.run.session import SessionLimits
from jacobench.bench.run.worker import WorkerJob
from jacobench.bench.suites.case import Cell, larger, ordered
from jacobench.graphs.errors import BadInput
from jacobench.strategies.registry import REFERENCE, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jacobench.bench.run.run_folder import RunFolder
    from jacobench.bench.run.run_plan import Plan
    from jacobench.bench.suites.case import Case

STARTING_SECONDS = 60.0  # time for the first cell to begin, and between cells, in addition to the timeout
ENDS_A_SWEEP = ("timeout", "out_of_memory")  # statuses after which a strategy's larger cases are skipped


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
    """A run under way. The journal of its folder receives the measurements, and has those of an earlier start."""

    folder: RunFolder
    plan: Plan
    report: Callable[[Progress], None]
    deadline: float | None = None  # no further pass begins after it (`time.monotonic`); None: there are none
    measured_seconds: float = 0.0
    _n_undecided: int | None = None
    _done: set[tuple[int, Cell]] = field(default_factory=set)
    _failed: set[Cell] = field(default_factory=set)
    _iterations: dict[Cell, int] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    _checked: set[str] = field(default_factory=set)
    _loaded: set[str] = field(default_factory=set)  # strategies that the present worker has loaded
    _isolated: set[str] = field(default_factory=set)  # strategies that change a process for good

    def __post_init__(self) -> None:
        for measurement in self.folder.measurements:
            self._note(measurement)

    def _note(self, measurement: Measurement) -> None:
        if measurement.spec == CONTROL:
            return
        cell = Cell(measurement.case, measurement.spec, measurement.phase)
        self._names.setdefault(measurement.spec, measurement.strategy)
        self._done.add((measurement.pass_number, cell))
        # The reference is compared with central differences before any strategy is verified.
        if cell.strategy != FORWARD and measurement.status == "ok":
            self._checked.add(cell.case)
        if measurement.status == "ok":
            self._iterations.setdefault(cell, measurement.iterations)
        else:
            self._failed.add(cell)

    def _case(self, name: str) -> Case:
        return next(case for case in self.plan.suite.cases if case.name == name)

    def _left(self, planned: PlannedPass) -> list[Cell]:
        """List the remaining cells of a pass; a cell that failed in any pass is not measured again."""
        cells = ordered((cell for cell in self.plan.cells if cell.case in planned.cases), planned.turn)
        return [cell for cell in cells if (planned.number, cell) not in self._done and cell not in self._failed]

    def next_pass(self) -> PlannedPass | None:
        """Return the pass to measure or to complete; None if the run is finished, or its time is over.

        First all cases are measured in a few passes. Then disturbed passes are repeated, and further passes measure the
        undecided cases.
        """
        first = next(filter(self._left, self._first_passes()), None)
        if first is not None or self.deadline is None or time.monotonic() >= self.deadline:
            return first
        return next(filter(self._left, self._further_passes()), None)

    def _first_passes(self) -> Iterator[PlannedPass]:
        cases = frozenset(cell.case for cell in self.plan.cells)
        return (PlannedPass(number, number, cases) for number in range(self.folder.settings.first_passes))

    def _further_passes(self) -> Iterator[PlannedPass]:
        """Yield the passes that may follow: the last one, a repetition, and a new one."""
        found = self.folder.measurements
        last = max(m.pass_number for m in found)
        repeats = next((m.repeats for m in found if m.pass_number == last), None)
        if repeats:
            yield PlannedPass(last, turn(last, found), cases_of(repeats.pass_number, found), repeats)
        if repetition := disturbed_pass(found):
            number = repetition.pass_number
            yield PlannedPass(last + 1, turn(number, found), cases_of(number, found), repetition)
        cases = frozenset(undecided_cases(found))
        if not repeats:
            yield PlannedPass(last, turn(last, found), cases)
        yield PlannedPass(last + 1, turn(last + 1, found), cases)

    def _progress(self, planned: PlannedPass, cell: Cell) -> Progress:
        passes = {one.number: one for one in (*self._first_passes(), planned)}
        left = sum(len(self._left(one)) for one in passes.values())
        time_left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        return Progress(len(self._done), len(self._done) + left, cell, planned, self._n_undecided, time_left)

    def _may_begin(self, planned: PlannedPass, cell: Cell) -> bool:
        """Return whether a case may begin: in further passes only while there is time."""
        is_first = planned.number < self.folder.settings.first_passes
        begun = any(number == planned.number and done.case == cell.case for number, done in self._done)
        return is_first or begun or self.deadline is None or time.monotonic() < self.deadline

    def make_pass(self, planned: PlannedPass) -> None:
        """Measure the remaining cells of a pass; each lost worker is replaced by a new one."""
        is_first = planned.number < self.folder.settings.first_passes
        self._n_undecided = None if is_first else len(undecided_cases(self.folder.measurements))
        root = roots(self.folder.measurements)
        own = planned.repeats.pass_number if planned.repeats else planned.number
        used = {m.worker for m in self.folder.measurements if root[m.pass_number] == own}
        worker = max(used, default=-1) + 1
        while (left := self._left(planned)) and self._may_begin(planned, left[0]):
            self._work(planned, worker, self._together(left))
            worker += 1

    def _together(self, left: Sequence[Cell]) -> list[Cell]:
        """Return the cells of the next worker: those of an isolated strategy at one case only if no others are left."""
        shared = [cell for cell in left if cell.strategy not in self._isolated]
        first = left[0]
        return shared or [cell for cell in left if (cell.case, cell.strategy) == (first.case, first.strategy)]

    def _work(self, planned: PlannedPass, worker: int, left: list[Cell]) -> None:
        chosen, pass_number = self.folder.settings, planned.number
        job = WorkerJob(
            chosen.suite,
            chosen.strategies,
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
            tuple((*astuple(cell), count) for cell, count in self._iterations.items()),
            tuple(self._checked),
        )
        command = [sys.executable, "-P", "-m", "jacobench.bench.run.worker"]
        self._loaded.clear()
        self._check_code()
        with WorkerProcess(job, environment(chosen.environment, pass_number, chosen.controls), command) as process:
            self._follow(process, planned, worker)

    def _check_code(self) -> None:
        """Check that the code is that of all earlier measurements; raise BadInput if not."""
        settings = self.folder.settings
        if found := difference(settings.code, code_versions(self.plan, settings.suite)):
            raise BadInput(
                f"{found}, or start a new run: {str(self.folder.path)!r} was started with other code, and keeps its "
                "measurements"
            )

    def _partners(self, pass_number: int, left: Sequence[Cell]) -> list[Cell]:
        """List the reference's cells that a worker must time again because it starts in the middle of a case."""
        case = left[0].case
        begun = any(number == pass_number and cell.case == case for number, cell in self._done)
        phases = [cell.phase for cell in left if cell.case == case]
        own = self._case(case).phases
        found = [Cell(case, REFERENCE, phase) for phase in own if phase in phases] if begun else []
        return [cell for cell in found if (pass_number, cell) in self._done and cell not in self._failed]

    def _follow(self, process: WorkerProcess, planned: PlannedPass, worker: int) -> None:
        """Record the reports of a worker until it has ended or must be ended."""
        cell: Cell | None = None
        step = ""
        done_before = len(self._done)
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
            status, reason = process.how_it_ended(timeout, step)
            measuring = step in {MEMORY_STEP, TIMING_STEP}
            self._lost(cell, status, reason, measuring=measuring, pass_number=planned.number, worker=worker)
        elif len(self._done) == done_before:
            # If it ended later, as some libraries do at exit, a new worker continues with the remaining cells.
            raise HarnessFailure(f"a worker ended before it measured anything: {process.last_words()}")

    def _note_strategy(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"event": "loaded", "spec": spec, "name": name}:
                self._names[spec] = name
                if not is_ours(spec) and spec not in self._loaded:
                    self._check_code()  # it may have changed since the worker started
                self._loaded.add(spec)
            case {"event": "isolate", "spec": spec}:
                self._isolated.add(spec)

    def _add(self, content: dict[str, Any]) -> None:
        measurement = msgspec.convert(content, Measurement)
        self.folder.append(measurement)
        self.measured_seconds += sum(measurement.seconds) * measurement.iterations
        self._note(measurement)
        self._skip_larger(measurement)

    def _skip_larger(self, measurement: Measurement) -> None:
        """Skip the larger cases of a strategy that ran out of time or memory at this one."""
        if measurement.status not in ENDS_A_SWEEP:
            return
        for case in larger(self.plan.suite.cases, measurement.case):
            cell = Cell(case.name, measurement.spec, measurement.phase)
            measured = any(found == cell for _, found in self._done)
            if measured or cell not in self.plan.cells:
                continue
            reason = f"{measurement.status.replace('_', ' ')} at the smaller {measurement.case}"
            self._fail(cell, measurement.strategy, "not_tried", reason, measurement.pass_number, measurement.worker)

    def _lost(self, cell: Cell, status: str, reason: str, *, measuring: bool, pass_number: int, worker: int) -> None:
        """Record that a worker was lost at a cell, for this cell and for the phases that need it."""
        case = self._case(cell.case)
        phases = needing_phases(case.task, cell.phase) if measuring or cell.phase == FORWARD else case.phases
        name = self._names.get(cell.strategy, cell.strategy.rpartition(":")[2])
        for phase in phases:
            needing = replace(cell, phase=phase)
            if (pass_number, needing) not in self._done or needing == cell:
                self._skip_larger(self._fail(needing, name, status, one_line(reason), pass_number, worker))

    def _fail(self, cell: Cell, name: str, status: str, reason: str, pass_number: int, worker: int) -> Measurement:
        measurement = Measurement(
            cell.case, name, cell.phase, cell.strategy, pass_number, worker, status=status, reason=reason
        )
        self.folder.append(measurement)
        self._note(measurement)
        return measurement
