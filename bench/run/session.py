"""State of a worker: the current case and strategy, kept while the phases are measured one after another."""

from __future__ import annotations

import traceback
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any

import msgspec

from jacobench.bench.cell import heap_memory, process_limits, shared_state, side_effects, timing
from jacobench.bench.cell.phase_costs import FORWARD, TASKS, input_bytes, over_budget, step_bytes
from jacobench.bench.cell.prepared_cell import (
    MEMORY_STEP,
    TIMING_STEP,
    PreparedCell,
    encodable,
    prepare_cell,
    status_of,
)
from jacobench.bench.cell.shared_setting import Changes
from jacobench.bench.cell.whole_jacobian import arrays_of
from jacobench.bench.floor.floors import Floors
from jacobench.bench.row.measurement import Measurement, Repetition
from jacobench.bench.suites.case import Cell, columns_of, problem_of
from jacobench.strategies import registry
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.bench.cell.problem import Problem
    from jacobench.bench.suites.case import Suite
    from jacobench.strategies.contract import Strategy

    Timer = Callable[[Callable[[], Any], timing.Schedule], list[float]]


@dataclass(frozen=True)
class SessionLimits:
    """Limits of a session."""

    budget_bytes: int  # strategies predicted to need more are not computed
    min_seconds: float  # minimum length of a round
    max_seconds: float  # approximate length of all rounds together
    min_rounds: int
    measure_memory: bool = True
    limit_data: bool = False  # whether the process's data are limited; see `process_limits.limit_data`
    pass_number: int = 0
    worker: int = 0  # number of the process in the pass
    repeats: Repetition | None = None  # the pass that this one repeats


def schedule(
    call: Callable[[], Any], limits: SessionLimits, settled: int | None = None, shared: int | None = None
) -> timing.Schedule:
    """Choose rounds and calls per round from the time of a call; parameters as for `timing.calls_per_round`."""
    n_calls, seconds = timing.calls_per_round(call, limits.min_seconds, settled, shared)
    return timing.Schedule(max(limits.min_rounds, int(limits.max_seconds / max(seconds, 1e-9))), n_calls)


def _result_bytes(result: Any) -> int:
    """Return the bytes of cotangents, or of a whole Jacobian."""
    return sum(array.nbytes for array in arrays_of(result).values())


@dataclass
class Session:
    """Measure cells; neighbouring cells share the problem and the preparation."""

    suite: Suite
    limits: SessionLimits
    iterations: Mapping[Cell, int] = field(default_factory=dict)  # calls per round that an earlier pass has settled
    checked: set[str] = field(default_factory=set)  # cases whose reference was compared with differences
    loaded: Callable[[str, str], None] = lambda _spec, _name: None  # called with spec and name of a loaded strategy
    isolate: Callable[[str], None] = lambda _spec: None  # called with a strategy whose changes cannot be undone
    step: Callable[[str], None] = lambda _name: None  # called with the name of each step of a cell that begins
    printed: Callable[[], str] = lambda: ""  # returns the output since its last call
    _case: str = ""
    _problem: Problem | None = None
    _floors: Floors | None = None
    _fingerprint: int = 0
    _spec: str = ""
    _prepared: PreparedCell | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _shared: dict[tuple[str, str], int] = field(default_factory=dict)
    _before: side_effects.ProcessState = field(default_factory=side_effects.process_state)
    _leaked: int | None = None
    _first: dict[Cell, float] = field(default_factory=dict)  # seconds of the first call in this process
    _state: shared_state.SharedState = field(default_factory=dict)  # read before the first cell
    _changes: Changes = field(default_factory=Changes)  # of the prepared cell

    def prepared(self, cell: Cell) -> PreparedCell:
        """Return the prepared cell of a case and strategy; it is made for the first of its phases."""
        if self._prepared is not None and (self._case, self._spec) == (cell.case, cell.strategy):
            return self._prepared
        self._prepared = None  # free its arrays before the next ones are made
        problem = self._problem_of(cell.case)
        self._before, self._leaked = side_effects.process_state(), None
        self._changes = Changes()
        if cell.strategy == FORWARD:
            prepared = self._forward(problem)
        else:
            is_reference = cell.strategy == registry.REFERENCE
            budget = self.limits.budget_bytes
            prepared = prepare_cell(
                cell.strategy, problem, budget, self._load, is_reference=is_reference, step=self.step
            )
        self._note_first(cell.case, cell.strategy, prepared.first_seconds)
        self._prepared, self._spec = prepared, cell.strategy
        return prepared

    def _note_first(self, case: str, strategy: str, seconds: Mapping[str, float]) -> None:
        """Keep the first of the first calls: the reference may have been called before its cell, or a case made again."""
        for phase, value in seconds.items():
            self._first.setdefault(Cell(case, FORWARD if phase == FORWARD else strategy, phase), value)

    def _forward(self, problem: Problem) -> PreparedCell:
        predicted = predict_forward(problem.graph)
        found = PreparedCell(FORWARD, problem, predictions=predicted)
        n_bytes = input_bytes(problem.graph, len(problem.seeds))
        needs = step_bytes(problem.graph, len(problem.seeds), predicted.phases)
        if over := over_budget(needs, n_bytes, self.limits.budget_bytes):
            found.fail(FORWARD, "over_budget", over)
        return found

    def _problem_of(self, case_name: str) -> Problem:
        """Return a case's problem; a strategy that has written its arrays must not affect the next one."""
        if self._problem is None or self._case != case_name or self._problem.fingerprint() != self._fingerprint:
            self._problem = self._floors = None
            case = next(case for case in self.suite.cases if case.name == case_name)
            differences = case_name not in self.checked
            self._case = case_name
            self._problem = problem_of(case, self.limits.budget_bytes, self.step, differences=differences)
            if not self._problem.fault:
                self.checked.add(case_name)
            self._note_first(case_name, registry.REFERENCE, self._problem.first_seconds)
            self._floors = Floors(self._problem)
            self._fingerprint = self._problem.fingerprint()
        return self._problem

    def _load(self, spec: str) -> Strategy:
        """Load a strategy; its libraries do not count against the data limit, which holds from then on."""
        budget = self.limits.budget_bytes
        with process_limits.unlimited_then(budget) if self.limits.limit_data else nullcontext():
            strategy = registry.load(spec)
        self._undo_changes(spec)
        self.loaded(spec, self._name(spec, str(strategy.name)))
        return strategy

    def _undo_changes(self, spec: str) -> None:
        """Restore what a strategy has changed in this process."""
        found = shared_state.undo_changes(self._state)
        self._changes += found
        if found.lasting:
            self.isolate(spec)

    def measure(self, cell: Cell, timed: Timer) -> Measurement:
        """Measure a cell; `timed` returns the seconds per call of each round. A failure becomes the status.

        Changes of the process that the strategy has made are undone, and noted in its rows.
        """
        if not self._state:
            if self.limits.measure_memory:
                heap_memory.import_tool()
            self._state = shared_state.read_state()
        found = self._measure(cell, timed)
        self._undo_changes(cell.strategy)
        note = "" if registry.is_ours(cell.strategy) else self._changes.note()
        if found.status != "ok" or not note:
            return found
        return msgspec.structs.replace(found, reason="; ".join(filter(None, (found.reason, note))))

    def _measure(self, cell: Cell, timed: Timer) -> Measurement:
        try:
            prepared = self.prepared(cell)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (a user's graph may raise anything)
            self._problem = None
            status, reason = status_of(error, "the case cannot be built")
            name = cell.strategy.rpartition(":")[2]
            return self._measurement(
                cell, name, status=status, reason=reason, traceback=encodable(traceback.format_exc())
            )
        if cell.phase not in prepared.failed:
            with prepared.failures(cell.phase):
                return self._measured(cell, prepared, timed)
        status, reason = prepared.failed[cell.phase]
        return self._record(cell, prepared, status=status, reason=reason, traceback=prepared.traceback)

    def _measured(self, cell: Cell, prepared: PreparedCell, timed: Timer) -> Measurement:
        self.step(MEMORY_STEP if self.limits.measure_memory else TIMING_STEP)
        call = prepared.call(cell.phase)
        heap: dict[str, Any] = {}
        if self.limits.measure_memory:
            own_bytes = _result_bytes(call()) if cell.phase in TASKS else 0
            memory = heap_memory.measure(call)
            heap = memory.columns
            # The result is freed with its arrays, so a leak is at most the rest. To measure it takes 60 to 100 ms.
            if cell.phase in TASKS and memory.retained_bytes - own_bytes > side_effects.LEAK_BYTES // 2:
                self._leaked = heap_memory.leaked_bytes(call)
            self.step(TIMING_STEP)
        plan = schedule(call, self.limits, self.iterations.get(cell), self._shared.get((cell.case, cell.phase)))
        self._shared.setdefault((cell.case, cell.phase), plan.calls)
        seconds = timed(call, plan)
        del call  # its arrays, before those of the floor are made
        assert self._floors is not None
        floor_seconds, no_floor = self._floors.of(prepared.strategy, cell.phase)
        printed = self.printed()
        effects = side_effects.notes(self._before, side_effects.process_state(), printed, self._leaked)
        return self._record(
            cell,
            prepared,
            reason="; ".join(note for note in (prepared.note, effects, no_floor) if note),
            output=printed[-side_effects.OUTPUT_KEPT :],
            seconds=tuple(seconds),
            iterations=plan.calls,
            floor_seconds=floor_seconds,
            seconds_first=self._first.get(cell),
            **heap,
        )

    def _record(self, cell: Cell, prepared: PreparedCell, **found: Any) -> Measurement:
        error, predictions = prepared.max_relative_error, prepared.predictions
        if predictions is not None:
            expected = predictions.phases[cell.phase]
            found |= {"predicted_bytes": expected.peak_bytes, "predicted_flops": expected.flops}
            found["n_nonzeros"] = predictions.n_nonzeros
        return self._measurement(
            cell,
            self._name(cell.strategy, prepared.name),
            max_relative_error=None if isnan(error) else error,
            **columns_of(prepared.problem.graph),
            **found,
        )

    def _measurement(self, cell: Cell, name: str, **found: Any) -> Measurement:
        limits = self.limits
        return Measurement(
            cell.case, name, cell.phase, cell.strategy, limits.pass_number, limits.worker, limits.repeats, **found
        )

    def _name(self, spec: str, name: str) -> str:
        """Return a strategy's name, or its spec where another one of this session already has that name."""
        return name if self._names.setdefault(name, spec) == spec else spec
