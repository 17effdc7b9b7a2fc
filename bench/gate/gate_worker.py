"""The probe: a fresh process of one side, which proves and weighs its cells, or times them.

It is run by its path with the side's interpreter, so that one harness measures both sides, even where the project under
test is jacobench. Of the side's own jacobench it takes what is meant to last: a suite file's cases, strategies by name or
file, and the contract that a graph and a strategy fulfil. Whatever else it needs it loads from the files that the job
names, which are the same for both sides.

It reads a job (one JSON object) from standard input and writes one JSON object a line to standard output. What anything
in it prints goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import module_from_spec, spec_from_file_location
from math import prod
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from jacobench.bench.suites.suite_files import load_suite
from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jacobench.bench.gate.gate_job import Job, Task

PHASES = ("prepare", "linearize", "pullback", "gradient")

DIFFERENCE_TOLERANCE = {"float64": 1e-5, "float32": 1e-2}
"""For the reference against central differences."""

LONGEST_REASON = 300
"""Characters."""

ONCE_ROUNDS = 3
"""How often a call is made to find out about how long it takes."""


class Failed(Exception):  # noqa: N818  (it is an outcome, not an error of ours)
    """A cell has a status other than ok."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, " ".join(reason.split())[:LONGEST_REASON]


@contextmanager
def failing(step: str) -> Iterator[None]:
    """Turn whatever a strategy or a graph raises into a status and a reason."""
    try:
        yield
    except (Failed, KeyboardInterrupt):
        raise
    except MemoryError as error:
        raise Failed("out_of_memory", f"{step}: {str(error) or 'MemoryError'}") from None
    except BaseException as error:  # noqa: BLE001  (a plug-in may raise anything; it costs its own rows only)
        if type(error).__name__ == "Unsupported":
            raise Failed("unsupported", str(error)) from None
        raise Failed("error", f"{step}: {type(error).__name__}: {error}") from None


@dataclass(frozen=True)
class Problem:
    """A case's graph, leaves and seeds, and what the reference pulls these back to."""

    graph: Any
    leaves: Mapping[str, Any]
    seeds: Any

    def reference(self) -> Any:
        """Return the cotangents of this side's reference."""
        prepared = registry.load(registry.REFERENCE).prepare(self.graph)
        return prepared.linearize(self.leaves).pullback(self.seeds)


@cache
def problem_of(suite: str) -> Problem:
    """Build the case that a file has, with the same leaves and seeds on both sides."""
    (case,) = load_suite(suite).cases
    graph = case.make()
    rng = np.random.default_rng([case.rng_seed, crc32(b"the seeds")])
    n_out = prod(graph.output_shape)
    if case.seeds == "identity":
        seeds = np.eye(n_out, dtype=graph.dtype).reshape(n_out, *graph.output_shape)
    else:
        n_seeds = int(case.knobs.get("n_seeds") or 1)
        seeds = (2 * rng.random((n_seeds, *graph.output_shape)) - 1).astype(graph.dtype)
    return Problem(graph, graph.sample(case.rng_seed), seeds)


loaded = cache(registry.load)


def missing(task: Task) -> str:
    """Say why this side has no such case or strategy; empty if it has both, however broken they are."""
    try:
        load_suite(task.suite)
        registry.check(task.strategy)
        if ":" in task.strategy:
            loaded(task.strategy)
    except Exception as error:  # noqa: BLE001  (what a strategy raises when it is loaded is told when it is weighed)
        if type(error).__name__ == "BadInput":
            return str(error)
    return ""


def call_of(strategy: Any, prepared: Any, point: Problem, phase: str) -> Callable[[], Any]:
    """Return what is measured in a phase; for ``pullback`` this linearizes first."""
    if phase == "prepare":
        return partial(strategy.prepare, point.graph)
    place = getattr(prepared, "place", None)
    leaves, seeds = point.leaves if place is None else place(point.leaves), point.seeds
    if phase == "linearize":
        return partial(prepared.linearize, leaves)
    if phase == "pullback":
        return partial(prepared.linearize(leaves).pullback, seeds)
    return lambda: prepared.linearize(leaves).pullback(seeds)


class Probe:
    """A job under way.

    Parameters
    ----------
    job : Job
        What to do.
    tell : callable
        Takes an event and its content, and reports it.
    """

    def __init__(self, job: Job, tell: Callable[..., None]) -> None:
        self.job, self.tell = job, tell
        self.harness = {name: _module(name, path) for name, path in job.harness.items()}
        self._plain: dict[tuple[str, str, str], float] = {}  # seconds of a round without the work that a self-test adds

    def run(self) -> None:
        """Do the job."""
        gc.collect()
        gc.freeze()  # what is there already will stay: to look through it each time took half of the time
        gc.disable()
        {"weigh": self.weigh_all, "time": self.time_all}[self.job.doing]()

    def _strategy(self, task: Task) -> Any:
        """Load a strategy, its libraries not counted against the limit of data that holds from then on."""
        limit = self.harness["datalimit"]
        limit.lift()
        strategy = loaded(task.strategy)
        limit.limit_data(self.job.budget_bytes)
        return strategy

    def weigh_all(self) -> None:
        """Prove and weigh each task."""
        for task in self.job.tasks:
            self.tell("start", cell=[task.case, task.key, PHASES[0]])
            why = missing(task)
            if why:
                self.tell("missing", case=task.case, key=task.key, reason=why)
            else:
                self._weigh(task)
            gc.collect()

    def _weigh(self, task: Task) -> None:
        at = PHASES[0]
        try:
            with failing(at):
                point = problem_of(task.suite)
                strategy = self._strategy(task)
                self.tell("loaded", key=task.key, name=str(strategy.name))
                predicted = self._predict(strategy, point)
                prepared = strategy.prepare(point.graph)
            for at in PHASES:
                self.tell("start", cell=[task.case, task.key, at])
                with failing(at):
                    if at == PHASES[1]:  # to be weighed, prepare need not be right
                        self._prove(task, prepared, point)
                    found = self._weighed(task, call_of(strategy, prepared, point, at))
                self.tell("weighed", case=task.case, key=task.key, phase=at, **predicted[at], **found)
        except Failed as failed:
            problem_of.cache_clear()  # it may have written its inputs, which is to spoil no other's
            first = PHASES[0] if failed.status == "wrong" else at  # what is wrong is not timed at all
            for phase in PHASES[PHASES.index(first) :]:
                told = {"status": failed.status, "reason": failed.reason}
                self.tell("weighed", case=task.case, key=task.key, phase=phase, **told)

    def _predict(self, strategy: Any, point: Problem) -> dict[str, dict[str, int]]:
        """Return the non-zeros and flops of each phase, if the strategy has a model; refuse what is too large."""
        model = getattr(strategy, "predict", None)
        if model is None:
            return {phase: {} for phase in PHASES}
        expected = model(point.graph, len(point.seeds))
        peak, phase = max((expected.phases[phase].peak_bytes, phase) for phase in PHASES)
        if peak > self.job.budget_bytes:
            budget = self.job.budget_bytes
            raise Failed("over_budget", f"{phase} is predicted to need {peak:,} bytes, the budget is {budget:,}")
        return {
            phase: {"n_nonzeros": expected.n_nonzeros, "predicted_flops": expected.phases[phase].flops}
            for phase in PHASES
        }

    def _prove(self, task: Task, prepared: Any, point: Problem) -> None:
        """Hold the strategy against the reference, and the reference itself against central differences."""
        verify = self.harness["verify"]
        is_reference = task.strategy == registry.REFERENCE
        reference = point.reference()
        found = verify.verify(point.graph, prepared, point.leaves, point.seeds, None if is_reference else reference)
        if found.breach:
            raise Failed("wrong", found.breach)
        if is_reference and point.graph.wrt:
            error = verify.central_difference_error(point.graph, point.leaves, point.seeds, reference)
            tolerance = DIFFERENCE_TOLERANCE[point.graph.dtype.name]
            if not error <= tolerance:
                told = f"cotangents are off by {error:.1e} from central differences: expected at most {tolerance:.0e}"
                raise Failed("wrong", f"{told}, relative")

    def _weighed(self, task: Task, call: Callable[[], Any]) -> dict[str, Any]:
        """Return about how long a call takes, and what it takes from the heap."""
        call()
        seconds = min(self.harness["stopwatch"].elapsed(call) for _ in range(ONCE_ROUNDS))
        memory = self.harness["memory"].measure(call)
        if task.larger:
            extra = int(task.larger * memory.peak_bytes)
            memory = self.harness["memory"].measure(lambda: (np.empty(extra, np.uint8), call()))
        told = {"peak_bytes": memory.peak_bytes, "retained_bytes": memory.retained_bytes, "tool": memory.tool}
        return {"status": "ok", "reason": "", "seconds": seconds, **told}

    def time_all(self) -> None:
        """Time each task, coming back to it again and again: what disturbs the machine for a while hits a visit of many."""
        most = max((task.visits for task in self.job.tasks), default=0)
        for visit in range(most):
            self.tell("control", seconds=min(self.harness["control"].seconds()))
            for task in self.job.tasks:
                if (visit + 1) * task.visits // most > visit * task.visits // most:
                    self._visit(task)
                    gc.collect()
        self.tell("control", seconds=min(self.harness["control"].seconds()))

    def _visit(self, task: Task) -> None:
        at = PHASES[0]
        self.tell("start", cell=[task.case, task.key, at])
        try:
            with failing(at):
                point, strategy = problem_of(task.suite), self._strategy(task)
                prepared = strategy.prepare(point.graph)
            for at, (calls, rounds) in task.schedule.items():
                self.tell("start", cell=[task.case, task.key, at])
                with failing(at):
                    call = call_of(strategy, prepared, point, at)
                    call()  # not timed: it finds the caches as others have left them
                    seconds = self._best(partial(self.harness["stopwatch"].calls, call, calls), rounds)
                    if task.slower:
                        seconds = self._slowed(task, at, seconds, call)
                self.tell("timed", case=task.case, key=task.key, phase=at, seconds=seconds / calls)
        except Failed as failed:
            self.tell("failed", case=task.case, key=task.key, phase=at, status=failed.status, reason=failed.reason)

    def _best(self, batch: Callable[[], None], rounds: int) -> float:
        """Return the seconds of a round, the least of so many."""
        elapsed = self.harness["stopwatch"].elapsed
        ends = time.perf_counter() + self.job.patience
        best: float = elapsed(batch)
        for _ in range(rounds - 1):
            best = min(best, elapsed(batch))
            if time.perf_counter() > ends:
                break
        return best

    def _slowed(self, task: Task, phase: str, plain: float, call: Callable[[], Any]) -> float:
        """Time rounds to which work is added, as much as the shortest round so far asks for."""
        watch = self.harness["stopwatch"]
        key = task.case, task.key, phase
        self._plain[key] = min(plain, self._plain.get(key, plain))
        calls, rounds = task.schedule[phase]
        turns = round(task.slower * self._plain[key] / watch.turn_seconds())
        return self._best(partial(watch.slowed, call, calls, turns), rounds)


def _module(name: str, path: str) -> Any:
    """Load a file of the harness, beside whatever this side has under its name."""
    spec = spec_from_file_location(f"_harness_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Do the job on standard input."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    given = json.load(sys.stdin)
    told = _module("job", given["harness"]["job"])
    job = told.Job(**{**given, "tasks": tuple(told.Task(**task) for task in given["tasks"])})

    def tell(event: str, **content: Any) -> None:
        events.write(json.dumps({"event": event, **content}) + "\n")
        events.flush()

    probe = Probe(job, tell)
    probe.harness["lifeline"].die_with_parent()
    probe.run()
    tell("done")


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # not waiting for threads that a strategy has left
