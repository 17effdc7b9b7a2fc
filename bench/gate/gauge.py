"""The gauge: both sides' cells proved and weighed once, then timed in pairs of fresh processes, one after the other."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jacobench.bench import control, controls, datalimit, lifeline, memory
from jacobench.bench.cells import NEEDS
from jacobench.bench.control import CONTROL
from jacobench.bench.gate import probe
from jacobench.bench.gate.environments import python_path
from jacobench.bench.gate.probe import PHASES, Job, Task
from jacobench.bench.gate.schedule import Schedule, row_seconds, schedule
from jacobench.bench.process import HarnessFailure, WorkerProcess
from jacobench.graphs.errors import BadInput
from jacobench.strategies import verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jacobench.bench.case import Case
    from jacobench.bench.gate.environments import Side
    from jacobench.bench.gate.revisions import Project

HARNESS = {
    module.__name__.rpartition(".")[2]: str(module.__file__)
    for module in (control, datalimit, lifeline, memory, verify)
}
"""What a probe loads from our files instead of the side's. They import nothing of ours but the contract."""

STARTING_SECONDS = 60.0
"""What a process may take beside the timeout before its first word."""

PATIENCE = 0.5
"""Seconds after which a visit's rounds of one phase are broken off."""

COUNTED = ("peak_bytes", "retained_bytes", "n_nonzeros", "predicted_flops")

Pair = tuple[str, str]
"""A case, and a strategy as it was asked for."""


@dataclass(frozen=True)
class Weight:
    """What is known of one phase of a pair on one side before it is timed.

    Attributes
    ----------
    status, reason : str
        ``ok``, or what went wrong, and why.
    seconds : float or None
        About how long a call takes.
    counts : mapping of str to int
        Of `COUNTED`, what was found.
    """

    status: str
    reason: str = ""
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Dose:
    """What is added to the head's calls, to see what a gate finds; relative to what they take.

    Attributes
    ----------
    slower : float
        Work.
    larger : float
        Memory held.
    """

    slower: float = 0.0
    larger: float = 0.0


@dataclass
class Gauge:
    """Two sides, and what is known of their cells.

    Attributes
    ----------
    project : Project
        Under test.
    sides : tuple of Side
        The base, and the head.
    cases : sequence of Case
        What they are measured at.
    files : mapping of str to Path
        Case → a suite file with it alone.
    strategies : sequence of str
        As they were asked for.
    budget_bytes : int
        A strategy predicted to need more is not tried.
    timeout_seconds : float
        For a phase of a cell to be heard of again.
    settings : mapping of str to str
        Environment variables of every process.
    doses : mapping of pair to Dose
        Nothing but in a self-test.
    """

    project: Project
    sides: tuple[Side, Side]
    cases: Sequence[Case]
    files: Mapping[str, Path]
    strategies: Sequence[str]
    budget_bytes: int
    timeout_seconds: float
    settings: Mapping[str, str]
    doses: Mapping[Pair, Dose] = field(default_factory=dict)
    weights: dict[str, dict[tuple[str, str, str], Weight]] = field(default_factory=dict)
    _names: dict[str, dict[str, str]] = field(default_factory=dict)
    _counted: bool = False

    def weigh(self) -> None:
        """Prove and weigh every pair on both sides, each in a process of its own, or several where it is lost.

        Raises
        ------
        BadInput
            For a strategy that neither side has.
        HarnessFailure
            If a side's jacobench cannot be used at all.
        """
        why: dict[Pair, str] = {}
        for side in self.sides:
            self.weights[side.name], self._names[side.name] = {}, {}
            left = [(case.name, strategy) for case in self.cases for strategy in self.strategies]
            while left:
                done, lacking = self._weigh_from(side, left)
                why |= lacking
                left = left[done:]
        for strategy in self.strategies:
            if not any(strategy == key for found in self.weights.values() for _, key, _ in found):
                raise BadInput(
                    f"neither side has strategy {strategy!r}: {next(iter(why.values()), 'nothing was said')}"
                )
        self._counted = False

    def _weigh_from(self, side: Side, left: Sequence[Pair]) -> tuple[int, dict[Pair, str]]:
        """Let a process weigh what is left; return how many pairs it is through with, and why it lacks some of them."""
        tasks = tuple(self._task(side, pair) for pair in left)
        lacking: dict[Pair, str] = {}
        known = self.weights[side.name]
        events, lost = self._run(side, "weigh", tasks, 0)
        for event in events:
            match event:
                case {"event": "loaded", "key": key, "name": name}:
                    self._names[side.name][key] = name
                case {"event": "missing", "case": case, "key": key, "reason": reason}:
                    lacking[case, key] = reason
                case {"event": "weighed", "case": case, "key": key, "phase": phase, "status": status, "reason": reason}:
                    counts = {name: event[name] for name in COUNTED if name in event}
                    known[case, key, phase] = Weight(status, reason, event.get("seconds"), counts)
        if lost is None:
            return len(left), lacking
        (case, key, phase), failed = lost
        for needing in NEEDS[phase]:
            known[case, key, needing] = failed
        return left.index((case, key)) + 1, lacking

    def _task(self, side: Side, pair: Pair, planned: Schedule | None = None, phases: Iterable[str] = ()) -> Task:
        case, strategy = pair
        dose = self.doses.get(pair, Dose()) if side.name == "head" else Dose()
        task = Task(case, str(self.files[case]), side.spec(strategy, self.project), strategy, larger=dose.larger)
        if planned is None:
            return task
        return replace(
            task,
            visits=planned.visits,
            schedule={phase: planned.phases[phase] for phase in phases},
            slower=dose.slower,
            seconds={phase: self._seconds(pair, phase) for phase in phases},
        )

    def _run(
        self, side: Side, doing: str, tasks: tuple[Task, ...], number: int
    ) -> tuple[list[dict[str, Any]], tuple[tuple[str, str, str], Weight] | None]:
        """Let a fresh process do a job; return what it reported, and the cell at which it was lost, if it was."""
        job = Job(doing, tasks, self.budget_bytes, PATIENCE, HARNESS)
        environment = controls.environment(self.settings, number) | {"PYTHONPATH": python_path(self.project)}
        command = [str(side.python), "-P", str(probe.__file__)]
        events: list[dict[str, Any]] = []
        at: tuple[str, str, str] | None = None
        with WorkerProcess(asdict(job), environment, command, side.tree.folder) as process:
            deadline = time.monotonic() + STARTING_SECONDS + self.timeout_seconds
            while (event := process.next_event(deadline)) is not None:
                deadline = time.monotonic() + self.timeout_seconds
                if event["event"] == "done":
                    return events, None
                if event["event"] == "start":
                    case, key, phase = event["cell"]
                    at = case, key, phase
                events.append(event)
            if at is None:
                said = process.last_words()
                raise HarnessFailure(f"{side.name} ({side.tree.revision}) cannot be measured: {said}")
            return events, (at, Weight(*process.how_it_ended(self.timeout_seconds)))

    def _seconds(self, pair: Pair, phase: str) -> float:
        """Return about how long a call takes, on the first side that tells."""
        found = (self.weights[side.name].get((*pair, phase)) for side in self.sides)
        return next((weight.seconds for weight in found if weight and weight.seconds), 0.0)

    def label(self, strategy: str) -> str:
        """Return what a strategy's rows are called: its own name, or what was asked for where two share a name."""
        names = {key: name for side in self.sides for key, name in self._names.get(side.name, {}).items()}
        name = names.get(strategy, strategy.rpartition(":")[2])
        return name if list(names.values()).count(name) <= 1 else strategy

    def measure(self, cells: Sequence[Pair] | None, pairs: range, stage: int) -> list[dict[str, Any]]:
        """Time pairs of processes: base first where the number is even, head first where it is odd.

        Parameters
        ----------
        cells : sequence of (str, str) or None
            Case and strategy, by its label; None: all.
        pairs : range
            Their numbers.
        stage : int
            Handed through.

        Returns
        -------
        list of dict
            One for each phase of each cell, and one for the control kernel, of each process.
        """
        by_label = {self.label(strategy): strategy for strategy in self.strategies}
        chosen = (
            [(case.name, strategy) for case in self.cases for strategy in self.strategies]
            if cells is None
            else [(case, by_label[label]) for case, label in cells]
        )
        found = []
        for pair in pairs:
            order = self.sides if pair % 2 == 0 else self.sides[::-1]
            for position, side in enumerate(order):
                head = {"stage": stage, "pair": pair, "side": side.name, "position": position}
                found += [head | row for row in self._timed(side, chosen, pair)]
        return found

    def _timed(self, side: Side, chosen: Sequence[Pair], pair: int) -> list[dict[str, Any]]:
        """Time cells on one side in a fresh process; where it is lost at a cell, again in another without that cell."""
        known = self.weights[side.name]
        while True:
            tasks = self._tasks(side, chosen, pair)
            events, lost = self._run(side, "time", tasks, pair)
            failed = {
                (event["case"], event["key"], event["phase"]): Weight(event["status"], event["reason"])
                for event in events
                if event["event"] == "failed"
            } | (dict([lost]) if lost else {})
            for (case, key, phase), why in failed.items():
                for needing in NEEDS[phase]:
                    if (case, key, needing) in known:
                        known[case, key, needing] = why
            if lost is None:
                return self._rows(side, chosen, events)

    def _tasks(self, side: Side, chosen: Sequence[Pair], pair: int) -> tuple[Task, ...]:
        """Lay out a process: the strategies of every other pair in the reverse order."""
        known = self.weights[side.name]
        each = row_seconds(len(PHASES) * len(chosen))
        tasks = []
        for cell in chosen if pair % 4 < 2 else chosen[::-1]:
            phases = [phase for phase in PHASES if (found := known.get((*cell, phase))) and found.status == "ok"]
            seconds = {phase: self._seconds(cell, phase) for phase in phases}
            if phases:
                tasks.append(self._task(side, cell, schedule(seconds, each), phases))
        return tuple(tasks)

    def _rows(self, side: Side, chosen: Sequence[Pair], events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        best: dict[tuple[str, str, str], float] = {}
        for event in events:
            match event:
                case {"event": "timed", "case": case, "key": key, "phase": phase, "seconds": seconds}:
                    cell = case, key, phase
                case {"event": "control", "seconds": seconds}:
                    cell = CONTROL, CONTROL, CONTROL
                case _:
                    continue
            best[cell] = min(seconds, best.get(cell, seconds))
        knobs = {case.name: case.knobs for case in self.cases}
        rows = [_row((CONTROL, CONTROL, CONTROL), Weight("ok"), best.get((CONTROL, CONTROL, CONTROL)))]
        for pair in chosen:
            for phase in PHASES:
                weight = self.weights[side.name].get((*pair, phase))
                if weight is not None:
                    cell = pair[0], self.label(pair[1]), phase
                    rows.append(dict(knobs[pair[0]]) | _row(cell, weight, best.get((*pair, phase))))
        return rows


def _row(cell: tuple[str, str, str], weight: Weight, seconds: float | None) -> dict[str, Any]:
    case, strategy, phase = cell
    return {
        "case": case,
        "strategy": strategy,
        "phase": phase,
        "status": weight.status,
        "reason": weight.reason,
        "seconds": seconds if weight.status == "ok" else None,
        **weight.counts,
    }
