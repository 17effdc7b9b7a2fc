"""A worker's state: the case at hand and the strategy tried on it, kept while its phases are measured one after another."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from math import ceil, isnan
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell import data_limit, heap_memory, side_effects
from jacobench.bench.cell.prepared_cell import PreparedCell, prepare_cell, problem_of
from jacobench.bench.floor.floors import Floors
from jacobench.bench.row.measurement import Measurement
from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.bench.cell.prepared_cell import Problem
    from jacobench.bench.suites.case import Suite
    from jacobench.bench.suites.cells import Cell
    from jacobench.strategies.contract import Predictions, Strategy


@dataclass(frozen=True)
class Schedule:
    """How a call is timed.

    Attributes
    ----------
    rounds : int
        How many rounds, each of which gives one number.
    iterations : int
        Calls in a round.
    """

    rounds: int
    iterations: int


@dataclass(frozen=True)
class Limits:
    """What a session goes by.

    Attributes
    ----------
    budget_bytes : int
        Strategies predicted to need more are not tried.
    min_seconds, max_seconds : float
        The least a round takes; about what all rounds together take.
    min_rounds : int
        The fewest rounds.
    measure_memory : bool
        Whether the heap is measured, too.
    limit_data : bool
        Whether the process's data are limited to the budget and some slack above its footprint; see `datalimit`.
    pass_number, worker : int
        Which pass, and which process of it, this is, counted from 0.
    """

    budget_bytes: int
    min_seconds: float
    max_seconds: float
    min_rounds: int
    measure_memory: bool = True
    limit_data: bool = False
    pass_number: int = 0
    worker: int = 0


LONGEST = 5
"""A round may be this many times the shortest one, for the sake of a number of iterations shared with other strategies."""


def schedule(
    call: Callable[[], Any], limits: Limits, settled: int | None = None, shared: int | None = None
) -> Schedule:
    """Decide how often a call is made, from how long it takes.

    Parameters
    ----------
    call : callable
        Made a few times; it should be warm.
    limits : Limits
        The shortest round, the time for all rounds, the fewest rounds.
    settled : int, optional
        Calls in a round, if an earlier pass has settled them.
    shared : int, optional
        Calls in a round of another strategy in the same case and phase: taken over if the speeds allow, that is, if a
        round then takes one to five times the shortest.

    Returns
    -------
    Schedule
        With rounds of at least ``limits.min_seconds``, unless an earlier pass has settled them.
    """
    if shared and not settled and _elapsed(call, 1) > LONGEST * limits.min_seconds:
        shared = None  # found out with one call: as many as another strategy makes took 20 s where this one compiles
    iterations = settled or shared or 1
    elapsed = _elapsed(call, iterations)
    if not settled:
        if elapsed > LONGEST * limits.min_seconds and iterations > 1:
            iterations = 1
            elapsed = _elapsed(call, iterations)
        while elapsed < limits.min_seconds:
            needed = ceil(1.2 * iterations * limits.min_seconds / max(elapsed, 1e-7))
            iterations = min(10 * iterations, needed)
            elapsed = _elapsed(call, iterations)
    rounds = max(limits.min_rounds, int(limits.max_seconds / max(elapsed, 1e-9)))
    return Schedule(rounds, iterations)


def _elapsed(call: Callable[[], Any], iterations: int) -> float:
    start = time.perf_counter()
    for _ in range(iterations):
        call()
    return time.perf_counter() - start


@dataclass
class Session:
    """Measure cells, keeping what neighbouring cells share.

    Attributes
    ----------
    suite : Suite
        Where the cells' cases are found.
    limits : Limits
        What it goes by.
    iterations : mapping of Cell to int
        Calls in a round that an earlier pass has settled.
    loaded : callable
        Called with a strategy's spec and name when it has been loaded.
    timing_begins : callable
        Called when a cell's strategy has been set up and proved, before anything is measured.
    printed : callable
        Returns what has been printed since it was last called.
    """

    suite: Suite
    limits: Limits
    iterations: Mapping[Cell, int] = field(default_factory=dict)
    loaded: Callable[[str, str], None] = lambda _spec, _name: None
    timing_begins: Callable[[], None] = lambda: None
    printed: Callable[[], str] = lambda: ""
    _case: str = ""
    _point: Problem | None = None
    _floors: Floors | None = None
    _fingerprint: int = 0
    _spec: str = ""
    _trial: PreparedCell | None = None
    _names: dict[str, str] = field(default_factory=dict)
    _shared: dict[tuple[str, str], int] = field(default_factory=dict)
    _before: side_effects.ProcessState = field(default_factory=side_effects.process_state)
    _leaked: int | None = None

    def trial(self, cell: Cell) -> PreparedCell:
        """Return the trial that a cell belongs to, making it at the first of its cells."""
        if self._trial is not None and (self._case, self._spec) == (cell.case, cell.strategy):
            return self._trial
        self._trial = None  # its arrays are to be gone before the next one's are made
        if self._point is None or self._case != cell.case or self._point.fingerprint() != self._fingerprint:
            self._point = self._floors = None
            case = next(case for case in self.suite.cases if case.name == cell.case)
            self._case, self._point = cell.case, problem_of(case)
            self._floors = Floors(self._point)
            self._fingerprint = self._point.fingerprint()  # a strategy that writes it is to spoil no other's
        self._before, self._leaked = side_effects.process_state(), None
        budget = self.limits.budget_bytes
        self._trial, self._spec = prepare_cell(cell.strategy, self._point, budget, self._load), cell.strategy
        return self._trial

    def _load(self, spec: str) -> Strategy:
        """Load a strategy, its libraries not counted against the limit of data that holds from then on."""
        if self.limits.limit_data:
            data_limit.lift()
        strategy = registry.load(spec)
        self.loaded(spec, self._name(spec, str(strategy.name)))
        if self.limits.limit_data:
            data_limit.limit_data(self.limits.budget_bytes)
        return strategy

    def measure(self, cell: Cell, timed: Callable[[Callable[[], Any], Schedule], list[float]]) -> Measurement:
        """Measure a cell.

        Parameters
        ----------
        cell : Cell
            One of the suite's.
        timed : callable
            (call, schedule) → seconds per call of each round. It is what times.

        Returns
        -------
        Measurement
            Always; a strategy's failure is its status.
        """
        try:
            trial = self.trial(cell)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (a graph of the reader's own may raise anything)
            self._point = None
            reason = f"the case cannot be built: {type(error).__name__}: {error}"
            return self._unbuilt(cell, "error", reason, traceback.format_exc())
        if cell.phase not in trial.failed:
            try:
                return self._measured(cell, trial, timed)
            except MemoryError as error:
                trial.fail(cell.phase, "out_of_memory", f"{cell.phase}: {str(error) or 'MemoryError'}")
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  (as in `prepare_cell`)
                trial.fail(cell.phase, "error", f"{cell.phase}: {type(error).__name__}: {error}")
                trial.traceback = traceback.format_exc()
        status, reason = trial.failed[cell.phase]
        return self._record(cell, trial, status=status, reason=reason, traceback=trial.traceback)

    def _unbuilt(self, cell: Cell, status: str, reason: str, trace: str) -> Measurement:
        name = cell.strategy.rpartition(":")[2]
        return Measurement(
            cell.case,
            name,
            cell.phase,
            cell.strategy,
            self.limits.pass_number,
            self.limits.worker,
            status=status,
            reason=reason,
            traceback=trace,
        )

    def _measured(
        self, cell: Cell, trial: PreparedCell, timed: Callable[[Callable[[], Any], Schedule], list[float]]
    ) -> Measurement:
        self.timing_begins()
        call = trial.call(cell.phase)
        heap: dict[str, Any] = {}
        if self.limits.measure_memory:
            call()
            taken = heap_memory.measure(call)
            heap = {
                "peak_bytes": taken.peak_bytes,
                "retained_bytes": taken.retained_bytes,
                "memory_tool": taken.tool,
            }
            if cell.phase == "gradient":
                self._leaked = heap_memory.leaked_bytes(call)
        plan = schedule(call, self.limits, self.iterations.get(cell), self._shared.get((cell.case, cell.phase)))
        self._shared.setdefault((cell.case, cell.phase), plan.iterations)
        seconds = timed(call, plan)
        printed = self.printed()
        return self._record(
            cell,
            trial,
            reason=side_effects.notes(self._before, side_effects.process_state(), printed, self._leaked),
            output=printed[-side_effects.OUTPUT_KEPT :],
            seconds=tuple(seconds),
            iterations=plan.iterations,
            floor_seconds=self._floors.of(trial.strategy, cell.phase) if self._floors else None,
            **heap,
        )

    def _record(self, cell: Cell, trial: PreparedCell, **found: Any) -> Measurement:
        error = trial.max_relative_error
        return Measurement(
            cell.case,
            self._name(cell.strategy, trial.name),
            cell.phase,
            cell.strategy,
            self.limits.pass_number,
            self.limits.worker,
            max_relative_error=None if isnan(error) else error,
            n_parameters=trial.point.graph.n_parameters,
            **_predicted(trial.predictions, cell.phase),
            **found,
        )

    def _name(self, spec: str, name: str) -> str:
        """Return a strategy's name, or its spec where another one of this session has that name already."""
        return name if self._names.setdefault(name, spec) == spec else spec


def _predicted(predictions: Predictions | None, phase: str) -> dict[str, Any]:
    if predictions is None:
        return {}
    expected = predictions.phases[phase]
    return {
        "predicted_bytes": expected.peak_bytes,
        "predicted_flops": expected.flops,
        "n_nonzeros": predictions.n_nonzeros,
    }
