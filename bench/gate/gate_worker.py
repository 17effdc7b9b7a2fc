"""Worker of the gate: a fresh process of one side that prechecks its cells or times them.

The side's interpreter runs this file by its path, so that the same harness measures both sides, even where the project
under test is jacobench. From the side's own jacobench it takes only `load_suite`, the strategy registry and the
contract. It loads `bench/cell` from the folder next to its own. It reads a job (one JSON object) from standard input
and writes one JSON object per line to standard output. All other output goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CELL_MODULES = ("heap_memory", "prepared_cell", "problem", "process_limits", "shared_setting", "shared_state", "timing")

SUITE_MODULES = ("jacobench.bench.suites.suite_files", "jacobench.bench.suite")

OF_SUITE: set[str] = set()
"""Modules that the suites imported, as a graph in a file does. Both sides use the working tree's."""

TURNS = 20_000  # turns of the idle loop that are timed to measure one


@dataclass(frozen=True)
class GateTask:
    """One case under one strategy."""

    case: str
    suite: str  # a suite file with this case only
    strategy_spec: str  # as the user named it
    load_spec: str  # what this side loads for it
    phases: tuple[str, ...]  # of the case's task
    blocks: int = 0  # how often the process returns to the task
    schedule: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # phase → calls per round, rounds per block
    slower: float = 0.0  # work that a self-test adds, relative to the call
    larger: float = 0.0  # memory that a self-test adds, relative to the call


@dataclass(frozen=True)
class GateJob:
    """Job of one process."""

    action: str  # "precheck" (verify each task, measure its memory), "time" or "memory" (its phases once more)
    tasks: tuple[GateTask, ...]
    budget_bytes: int  # limits predicted bytes and the process's data
    time_limit: float  # seconds after which the rounds of one phase end in a block
    rules: str = ""  # file with the rules of the side's imports; "": no rules


def load_finder() -> Any:
    """Load `side_finder` by path."""
    spec = spec_from_file_location("_jacobench_gate_finder", Path(__file__).parent / "installation" / "side_finder.py")
    assert spec is not None
    assert spec.loader is not None
    finder = module_from_spec(spec)
    spec.loader.exec_module(finder)
    return finder


def load_cell() -> SimpleNamespace:
    """Load the modules of `bench/cell` by path, under another name than this side's own."""
    package, path = "_jacobench_gate_cell", Path(__file__).parents[1] / "cell"
    spec = spec_from_file_location(package, path / "__init__.py", submodule_search_locations=[str(path)])
    assert spec is not None
    sys.modules[package] = module_from_spec(spec)
    return SimpleNamespace(**{name: import_module(f"{package}.{name}") for name in CELL_MODULES})


@cache
def load_suite() -> Any:
    """Return this side's `load_suite`. Revisions up to ae95b49 have it in another module."""
    for name in SUITE_MODULES:
        try:
            return import_module(name).load_suite
        except ModuleNotFoundError as error:
            if not name.startswith(str(error.name)):  # something that the module imports is missing
                raise
    raise ModuleNotFoundError(f"none of {', '.join(SUITE_MODULES)}")


@contextmanager
def noted_imports() -> Iterator[None]:
    """Note in `OF_SUITE` what is imported."""
    known = set(sys.modules)
    try:
        yield
    finally:
        OF_SUITE.update(sys.modules.keys() - known)


def load_case(suite: str) -> Any:
    """Return the case of a suite file."""
    with noted_imports():
        (case,) = load_suite()(suite).cases
    return case


load_strategy = cache(registry.load)


def missing(task: GateTask) -> str:
    """Return why this side does not have the case or strategy; empty if it has both, even if they are broken.

    Raises NameClash if a file of the user would get a module of another one's folder.
    """
    try:
        load_case(task.suite)
        registry.check(task.load_spec)
        if ":" in task.load_spec:
            load_strategy(task.load_spec)
    except Exception as error:
        if is_clash(error):
            raise
        if type(error).__name__ == "BadInput" or _lacks_package(error, task.load_spec):
            return str(error)
    return ""


def is_ours(spec: str) -> bool:
    """Return whether a strategy is one of jacobench's; the libraries of some change the environment when imported."""
    point = registry.registered().get(spec)
    return point is not None and point.value.startswith("jacobench.")


def _lacks_package(error: Exception, load_spec: str) -> bool:
    """Return whether an import failed because the module that a spec names is missing, and not one that it imports."""
    place, _, _ = load_spec.rpartition(":")
    return isinstance(error, ModuleNotFoundError) and f"{place}.".startswith(f"{error.name}.")


def is_clash(error: BaseException) -> bool:
    """Return whether an error is a NameClash of this side's jacobench, or was caused by one."""
    return "NameClash" in {type(error).__name__, type(error.__cause__).__name__}


class GateWorker:
    """A job in progress. `cell` has the modules of `bench/cell`; `emit` reports an event and its content."""

    def __init__(self, job: GateJob, cell: Any, emit: Callable[..., None]) -> None:
        self.job, self.cell, self.emit = job, cell, emit
        self.check_origin = load_finder().OriginCheck(
            job.rules, lambda module, file: emit("foreign", module=module, file=file), OF_SUITE
        )
        self.problem = lru_cache(maxsize=1 if job.action == "precheck" else None)(self._problem)
        self._shared: dict[tuple[str, str], int] = {}  # calls per round in a case and phase
        self._plain: dict[tuple[str, str, str], float] = {}  # seconds per call without the work that a self-test adds
        self._state: dict[str, Any] = {}  # of this process, before the first strategy
        self._changes: Any = cell.shared_setting.Changes()  # those that the strategy of the present task has made

    def run(self) -> None:
        """Do the job."""
        gc.collect()
        gc.freeze()  # scanning the existing objects in each collection took half of the time
        gc.disable()
        {"precheck": self.precheck_all, "time": self.time_all, "memory": self.measure_all}[self.job.action]()
        self.check_origin.check_all()

    def _read_state(self) -> None:
        """Read the state of this process, to which it is restored after each strategy."""
        load_suite()
        self.cell.heap_memory.import_tool()
        self._state = self.cell.shared_state.read_state()

    def _undo_changes(self) -> None:
        self._changes += self.cell.shared_state.undo_changes(self._state)

    def _step(self, name: str) -> None:
        self.emit("step", name=name)

    def _problem(self, suite: str, *, with_reference: bool) -> Any:
        """Build the case of a suite file; leaves and seeds are the same on both sides."""
        self._step("building the case")
        case = load_case(suite)
        with noted_imports():
            made = case.make()
        self.check_origin()
        n_seeds, budget = int(case.knobs.get("n_seeds") or 1), self.job.budget_bytes
        task = getattr(case, "task", "gradient")  # an older base has no other
        graph, given = made if isinstance(made, tuple) else (made, None)
        problem = self.cell.problem.make_problem(graph, task, n_seeds, case.rng_seed, budget, given)
        if not with_reference:
            return problem
        self._step(self.cell.prepared_cell.REFERENCE_STEP)
        return self.cell.problem.solve(problem, load_strategy(registry.REFERENCE), budget)

    def _strategy(self, spec: str) -> Any:
        """Load a strategy; its libraries do not count against the data limit, which holds from then on."""
        with self.cell.process_limits.unlimited_then(self.job.budget_bytes):
            strategy = load_strategy(spec)
        self._undo_changes()
        self.check_origin()
        return strategy

    def _start(self, task: GateTask, phase: str) -> None:
        self.emit("start", cell=[task.case, task.strategy_spec, phase])

    def precheck_all(self) -> None:
        """Verify each task and measure it once; end after a strategy whose changes of this process cannot be undone."""
        self._read_state()
        for task in self.job.tasks:
            self._start(task, task.phases[0])
            self._changes = self.cell.shared_setting.Changes()
            reason = missing(task)
            self._undo_changes()
            if reason:
                self.emit("missing", case=task.case, strategy_spec=task.strategy_spec, reason=reason)
            else:
                self._precheck(task)
            gc.collect()
            if self._changes.lasting:
                self.emit("isolate", strategy_spec=task.strategy_spec)
                return

    def _precheck(self, task: GateTask) -> None:
        report = partial(self.emit, "prechecked", case=task.case, strategy_spec=task.strategy_spec)
        try:
            problem = self.problem(task.suite, with_reference=True)
        except Exception as error:  # noqa: BLE001  (it becomes the status of the case's cells)
            status, reason = self.cell.prepared_cell.status_of(error, "the case cannot be built")
            for phase in task.phases:
                report(phase=phase, status=status, reason=reason)
            return
        before = problem.fingerprint()
        is_reference = task.load_spec == registry.REFERENCE

        def load(spec: str) -> Any:
            strategy = self._strategy(spec)
            self.emit("loaded", strategy_spec=task.strategy_spec, name=str(strategy.name))
            return strategy

        budget = self.job.budget_bytes
        cell = self.cell.prepared_cell.prepare_cell(
            task.load_spec, problem, budget, load, is_reference=is_reference, step=self._step
        )
        for phase in task.phases:
            found: dict[str, Any] = {}
            if phase not in cell.failed:
                self._start(task, phase)
                with cell.failures(phase):
                    found = self._measured(task, cell, phase)
            self._undo_changes()
            changes = "" if is_ours(task.load_spec) else self._changes.note()
            notes = "; ".join(filter(None, (cell.note, changes)))
            status, reason = cell.failed.get(phase, ("ok", notes))
            report(phase=phase, status=status, reason=reason, **found)
        if problem.fingerprint() != before:  # a strategy that writes its inputs must not affect the next one
            self.problem.cache_clear()

    def _measured(self, task: GateTask, cell: Any, phase: str) -> dict[str, Any]:
        """Return the predictions, the time and the memory of a call."""
        self._step(self.cell.prepared_cell.MEMORY_STEP)
        call = cell.call(phase)
        call()
        n_calls, seconds = self.cell.timing.calls_per_round(call, shared=self._shared.get((task.case, phase)))
        self._shared.setdefault((task.case, phase), n_calls)
        found = {"seconds": seconds / n_calls, "calls": n_calls, **self._memory(task, call)}
        if cell.predictions is None:
            return found
        flops = cell.predictions.phases[phase].flops
        return found | {"n_nonzeros": cell.predictions.n_nonzeros, "predicted_flops": flops}

    def _memory(self, task: GateTask, call: Callable[[], Any]) -> dict[str, Any]:
        """Return the memory of a call, with what a self-test adds."""
        memory = self.cell.heap_memory.measure(call)
        if task.larger:
            extra = int(task.larger * memory.peak_bytes)
            memory = self.cell.heap_memory.measure(lambda: (np.empty(extra, np.uint8), call()))
        columns: dict[str, Any] = memory.columns
        return columns

    def measure_all(self) -> None:
        """Measure the memory of each task, without verifying it."""
        self._read_state()
        for task in self.job.tasks:
            self._once_more(task, self.cell.prepared_cell.MEMORY_STEP, self._measure_phase)
            self._undo_changes()
            gc.collect()

    def _measure_phase(self, task: GateTask, call: Callable[[], Any], phase: str) -> None:
        call()
        columns = self._memory(task, call)
        self.emit("measured", case=task.case, strategy_spec=task.strategy_spec, phase=phase, **columns)

    def time_all(self) -> None:
        """Time the tasks in blocks, so that a disturbance of the machine affects only some blocks of a task."""
        self._read_state()
        most = max((task.blocks for task in self.job.tasks), default=0)
        for block in range(most):
            self._time_kernel()
            for task in self.job.tasks:
                if (block + 1) * task.blocks // most > block * task.blocks // most:
                    self._time_block(task)
                    self._undo_changes()
                    gc.collect()
        self._time_kernel()

    def _time_kernel(self) -> None:
        self.emit("calibration", seconds=min(self.cell.timing.kernel_seconds()))

    def _time_block(self, task: GateTask) -> None:
        self._once_more(task, self.cell.prepared_cell.TIMING_STEP, self._time_phase)

    def _once_more(
        self, task: GateTask, step: str, measure: Callable[[GateTask, Callable[[], Any], str], None]
    ) -> None:
        """Prepare a task that is known to be right, and measure the call of each phase."""
        self._start(task, task.phases[0])
        cell = self.cell.prepared_cell.PreparedCell(task.strategy_spec, self.problem(task.suite, with_reference=False))
        self._step("preparing")
        with cell.failures(task.phases[0]):
            cell.strategy = self._strategy(task.load_spec)
            cell.prepared = cell.strategy.prepare(cell.problem.graph)
        for phase in task.schedule:
            if phase not in cell.failed:
                self._start(task, phase)
                self._step(step)
                with cell.failures(phase):
                    measure(task, cell.call(phase), phase)
        for phase, (status, reason) in cell.failed.items():
            self.emit(
                "failed", case=task.case, strategy_spec=task.strategy_spec, phase=phase, status=status, reason=reason
            )
        if cell.failed:
            self.problem.cache_clear()  # the strategy may have written its inputs

    def _time_phase(self, task: GateTask, call: Callable[[], Any], phase: str) -> None:
        call()  # not timed: other strategies have changed the caches
        n_calls, rounds = task.schedule[phase]
        schedule = self.cell.timing.Schedule(rounds, n_calls)
        seconds: float = self.cell.timing.fastest_round(call, schedule, self.job.time_limit)
        if task.slower:
            seconds = self._slowed(task, call, phase, schedule, seconds)
        self.emit("timed", case=task.case, strategy_spec=task.strategy_spec, phase=phase, seconds=seconds)

    def _slowed(self, task: GateTask, call: Callable[[], Any], phase: str, schedule: Any, plain: float) -> float:
        """Time rounds with the work that a self-test adds: a share of the shortest round so far."""
        key = task.case, task.strategy_spec, phase
        self._plain[key] = min(plain, self._plain.get(key, plain))
        turn = self.cell.timing.fastest_round(lambda: spin(TURNS), self.cell.timing.Schedule(5, 1)) / TURNS
        turns = round(task.slower * self._plain[key] * schedule.calls / turn)

        def longer() -> None:
            for _ in repeat(None, schedule.calls):
                call()
            spin(turns)

        once = self.cell.timing.Schedule(schedule.rounds, 1)
        seconds: float = self.cell.timing.fastest_round(longer, once, self.job.time_limit)
        n_calls: int = schedule.calls
        return seconds / n_calls


def spin(turns: int) -> None:
    """Loop without doing anything."""
    for _ in repeat(None, turns):
        pass


def main() -> None:
    """Do the job on standard input."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    cell = load_cell()
    cell.process_limits.die_with_parent()
    given = json.loads(sys.stdin.buffer.read())
    job = GateJob(**{**given, "tasks": tuple(GateTask(**task) for task in given["tasks"])})

    def emit(event: str, **content: Any) -> None:
        events.write(json.dumps({"event": event, **content}) + "\n")
        events.flush()

    try:
        GateWorker(job, cell, emit).run()
    except Exception as error:
        if not is_clash(error):
            raise
        emit("refused", reason=str(error))
    emit("done")


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # does not wait for threads that a strategy has left
