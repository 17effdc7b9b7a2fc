"""The gauge: both sides' cells proved and weighed once, then timed in pairs of fresh processes, one after the other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.gate_client import HARNESS, CellStatus, Injection, listen
from jacobench.bench.gate.gate_job import Job, Task
from jacobench.bench.gate.gate_schedule import Schedule, row_seconds, schedule
from jacobench.bench.gate.gate_worker import PHASES
from jacobench.bench.gate.side_environments import python_path
from jacobench.bench.machine import environment
from jacobench.bench.machine.calibration import CONTROL
from jacobench.bench.suites.cells import NEEDS
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jacobench.bench.gate.gate_client import CellStatuses, Heard
    from jacobench.bench.gate.revisions import Project
    from jacobench.bench.gate.side_environments import Side
    from jacobench.bench.suites.case import Case

PATIENCE = 0.5
"""Seconds after which a visit's rounds of one phase are broken off."""

GIVEN_UP = 6
"""A cell that failed in so many processes of its side is not tried again; against none of the other side that is 1/64 by
chance, which is what `reports.verdicts.fates` asks for."""

BY_CHANCE = ("timeout", "crashed", "out_of_memory")
"""How a cell may also end because of the machine: weighed again until it is well, or has failed so often."""

COUNTED = ("peak_bytes", "retained_bytes", "n_nonzeros", "predicted_flops")

Pair = tuple[str, str]
"""A case, and a strategy as it was asked for."""


@dataclass
class PairedRunner:
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
    doses : mapping of (str, str) to Injection
        Case and strategy → what is added to the head; nothing but in a self-test.
    weights : dict of str to CellStatuses
        Side → what `weigh` has found.
    """

    project: Project
    sides: tuple[Side, Side]
    cases: Sequence[Case]
    files: Mapping[str, Path]
    strategies: Sequence[str]
    budget_bytes: int
    timeout_seconds: float
    settings: Mapping[str, str]
    doses: Mapping[Pair, Injection] = field(default_factory=dict)
    weights: dict[str, CellStatuses] = field(default_factory=dict)
    _names: dict[str, dict[str, str]] = field(default_factory=dict)
    _lost: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def weigh(self) -> None:
        """Prove and weigh every pair on both sides, each in a process of its own, or in several where one is lost.

        What fails on one side only is tried once more there: a process may be killed for no fault of its own.

        Raises
        ------
        BadInput
            For a strategy that neither side has.
        HarnessFailure
            If a side's jacobench cannot be used at all.
        """
        why: dict[Pair, str] = {}
        every = [(case.name, strategy) for case in self.cases for strategy in self.strategies]
        for side in self.sides:
            self.weights[side.name], self._names[side.name] = {}, {}
            why |= self._weigh(side, every)
        for strategy in self.strategies:
            if not any(strategy == key for found in self.weights.values() for _, key, _ in found):
                reasons = [reason for (_, key), reason in why.items() if key == strategy]
                raise BadInput(f"neither side has strategy {strategy!r}: {reasons[0]}")
        for side, other in (self.sides, self.sides[::-1]):
            self._weigh(side, [pair for pair in every if self._is_worse(side, other, pair)])
            for _ in range(GIVEN_UP - 2):
                again = [pair for pair in every if self._is_worse(side, other, pair, BY_CHANCE)]
                if not again:
                    break
                self._weigh(side, again)

    def _is_worse(self, side: Side, other: Side, pair: Pair, ended: Sequence[str] = ()) -> bool:
        """Say whether a phase is ok on the other side and not on this; of so many ends alone, where some are given."""
        here, there = ([self.weights[each.name].get((*pair, phase)) for phase in PHASES] for each in (side, other))
        return any(
            a and b and a.status != "ok" == b.status and (not ended or a.status in ended)
            for a, b in zip(here, there, strict=True)
        )

    def _weigh(self, side: Side, pairs: Sequence[Pair]) -> dict[Pair, str]:
        """Weigh pairs on one side; return why it lacks some of them."""
        why: dict[Pair, str] = {}
        while pairs:
            done, lacking = self._weigh_from(side, pairs)
            why |= lacking
            pairs = pairs[done:]
        return why

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
                    known[case, key, phase] = CellStatus(status, reason, event.get("seconds"), counts)
        if lost is None:
            return len(left), lacking
        (case, key, phase), failed = lost
        for needing in NEEDS[phase]:
            known[case, key, needing] = failed
        return left.index((case, key)) + 1, lacking

    def _task(self, side: Side, pair: Pair, planned: Schedule | None = None, phases: Iterable[str] = ()) -> Task:
        case, strategy = pair
        dose = self.doses.get(pair, Injection()) if side.name == "head" else Injection()
        task = Task(case, str(self.files[case]), side.spec(strategy, self.project), strategy, larger=dose.larger)
        if planned is None:
            return task
        return replace(
            task,
            visits=planned.visits,
            schedule={phase: planned.phases[phase] for phase in phases},
            slower=dose.slower,
        )

    def _run(self, side: Side, doing: str, tasks: tuple[Task, ...], number: int) -> Heard:
        job = Job(doing, tasks, self.budget_bytes, PATIENCE, HARNESS)
        variables = environment.environment(self.settings, number) | {"PYTHONPATH": python_path(self.project)}
        return listen(side, job, variables, self.timeout_seconds)

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
        known = dict(self.weights[side.name])
        while tasks := self._tasks(side, known, chosen, pair):
            events, lost = self._run(side, "time", tasks, pair)
            failed = {
                (event["case"], event["key"], event["phase"]): CellStatus(event["status"], event["reason"])
                for event in events
                if event["event"] == "failed"
            } | (dict([lost]) if lost else {})
            for (case, key, phase), why in failed.items():
                for cell in [(case, key, needing) for needing in NEEDS[phase] if (case, key, needing) in known]:
                    known[cell] = why
                    self._lost[side.name, *cell] += 1
                    if self._lost[side.name, *cell] == GIVEN_UP:
                        self.weights[side.name][cell] = why
            if lost is None:
                return self._rows(known, chosen, events)
        return self._rows(known, chosen, [])

    def _tasks(self, side: Side, known: CellStatuses, chosen: Sequence[Pair], pair: int) -> tuple[Task, ...]:
        """Lay out a process: what both sides can be timed at, in two of four pairs all in the reverse order."""
        (other,) = (each.name for each in self.sides if each is not side)
        each = row_seconds(len(PHASES) * len(chosen))
        tasks = []
        for cell in chosen if pair % 4 < 2 else chosen[::-1]:
            rows = [(known.get((*cell, phase)), self.weights[other].get((*cell, phase))) for phase in PHASES]
            phases = [
                phase for phase, (a, b) in zip(PHASES, rows, strict=True) if a and b and a.status == b.status == "ok"
            ]
            seconds = {phase: self._seconds(cell, phase) for phase in phases}
            if phases:
                tasks.append(self._task(side, cell, schedule(seconds, each), phases))
        return tuple(tasks)

    def _rows(
        self, known: CellStatuses, chosen: Sequence[Pair], events: Iterable[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
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
        control = CONTROL, CONTROL, CONTROL
        rows = [_row(control, CellStatus("ok"), best[control])] if control in best else []
        for pair in chosen:
            for phase in PHASES:
                weight = known.get((*pair, phase))
                if weight is not None:
                    cell = pair[0], self.label(pair[1]), phase
                    rows.append(dict(knobs[pair[0]]) | _row(cell, weight, best.get((*pair, phase))))
        return rows


def _row(cell: tuple[str, str, str], weight: CellStatus, seconds: float | None) -> dict[str, Any]:
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
