"""What a run has measured so far, and what remains. Nothing is measured or written here."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from jacobench.bench.cell.phase_costs import FORWARD, needing_phases
from jacobench.bench.cell.prepared_cell import one_line
from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.suites.case import Cell, larger, ordered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jacobench.bench.run.pass_schedule import PlannedPass
    from jacobench.bench.run.run_plan import Plan
    from jacobench.bench.suites.case import Case

ENDS_A_SWEEP = ("timeout", "out_of_memory")  # statuses after which a strategy's larger cases are skipped


class Ledger:
    """Cells that are done, failed and left. A cell that failed in any pass is not measured again."""

    def __init__(self, plan: Plan, n_first_passes: int, measurements: Iterable[Measurement] = ()) -> None:
        self.plan = plan
        self.cases: dict[str, Case] = {case.name: case for case in plan.suite.cases}
        self.iterations: dict[Cell, int] = {}  # calls per round that an earlier pass has settled
        self.checked: set[str] = set()  # cases whose reference was compared with central differences
        self.names: dict[str, str] = {}  # spec → name of a strategy
        self._cells: dict[str, list[Cell]] = defaultdict(list)
        for cell in plan.cells:
            self._cells[cell.case].append(cell)
        self._done: dict[Cell, set[int]] = {cell: set() for cell in plan.cells}  # passes
        self._begun: set[tuple[int, str]] = set()  # passes and cases
        self._failed: set[Cell] = set()
        self._open: dict[int, set[Cell]] = {number: set(plan.cells) for number in range(n_first_passes)}
        self.n_done = 0
        for measurement in measurements:
            self.note(measurement)

    @property
    def n_left(self) -> int:
        """Number of cells that remain in the first passes and in those that were begun."""
        return sum(map(len, self._open.values()))

    def begin(self, planned: PlannedPass) -> None:
        """Count the cells of a further pass among those that are left."""
        self._open.setdefault(planned.number, set()).update(self.left(planned))

    def left(self, planned: PlannedPass) -> list[Cell]:
        """List the remaining cells of a pass in the order of measuring."""
        return [cell for case in self._cells if case in planned.cases for cell in self.left_of(case, planned)]

    def first_left(self, planned: PlannedPass) -> Cell | None:
        """Return the first remaining cell of a pass."""
        cases = (case for case in self._cells if case in planned.cases)
        return next((left[0] for case in cases if (left := self.left_of(case, planned))), None)

    def left_of(self, case: str, planned: PlannedPass) -> list[Cell]:
        """List the remaining cells of one case in a pass."""
        cells = ordered(self._cells[case], planned.turn)
        return [cell for cell in cells if planned.number not in self._done[cell] and cell not in self._failed]

    def cells_of(self, case: str) -> list[Cell]:
        """List the cells of one case."""
        return list(self._cells[case])

    def is_done(self, number: int, cell: Cell) -> bool:
        """Return whether a cell has a measurement, or a failure, in a pass."""
        return number in self._done.get(cell, ())

    def is_begun(self, number: int, case: str) -> bool:
        """Return whether any cell of a case is done in a pass."""
        return (number, case) in self._begun

    def has_failed(self, cell: Cell) -> bool:
        """Return whether a cell has failed in any pass."""
        return cell in self._failed

    def note(self, measurement: Measurement) -> None:
        """Note a measurement, or a failure."""
        if measurement.spec == CONTROL:
            return
        cell, number = Cell(measurement.case, measurement.spec, measurement.phase), measurement.pass_number
        self.names.setdefault(measurement.spec, measurement.strategy)
        self._begun.add((number, cell.case))
        passes = self._done.setdefault(cell, set())
        self.n_done += number not in passes
        passes.add(number)
        # The reference is compared with central differences before any strategy is verified.
        if cell.strategy != FORWARD and measurement.status == "ok":
            self.checked.add(cell.case)
        if measurement.status == "ok":
            self.iterations.setdefault(cell, measurement.iterations)
            self._open.get(number, set()).discard(cell)
        else:
            self._failed.add(cell)
            for left in self._open.values():
                left.discard(cell)

    def skipped_by(self, measurement: Measurement) -> Iterator[Measurement]:
        """Yield rows for the larger cases of a strategy that ran out of time or memory at this one."""
        if measurement.status not in ENDS_A_SWEEP:
            return
        for case in larger(self.plan.suite.cases, measurement.case):
            cell = Cell(case.name, measurement.spec, measurement.phase)
            if self._done.get(cell) == set():
                reason = f"{measurement.status.replace('_', ' ')} at the smaller {measurement.case}"
                yield self.failure(cell, "not_tried", reason, measurement.pass_number, measurement.worker)

    def lost(
        self, cell: Cell, status: str, reason: str, *, measuring: bool, pass_number: int, worker: int
    ) -> Iterator[Measurement]:
        """Yield rows of a cell at which a worker was lost, and of the phases that need it."""
        case = self.cases[cell.case]
        phases = needing_phases(case.task, cell.phase) if measuring or cell.phase == FORWARD else case.phases
        for phase in phases:
            needing = Cell(cell.case, cell.strategy, phase)
            if needing == cell or not self.is_done(pass_number, needing):
                yield self.failure(needing, status, one_line(reason), pass_number, worker)

    def failure(self, cell: Cell, status: str, reason: str, pass_number: int, worker: int) -> Measurement:
        """Return the row of a cell that has no measurement."""
        name = self.names.get(cell.strategy, cell.strategy.rpartition(":")[2])
        return Measurement(
            cell.case, name, cell.phase, cell.strategy, pass_number, worker, status=status, reason=reason
        )
