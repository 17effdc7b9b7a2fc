"""Paired measurement of two sides: cells are prechecked once, then timed in pairs of fresh processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell.phase_costs import TASKS, needing_phases
from jacobench.bench.cell.timing import CONTROL, ROUND_SECONDS
from jacobench.bench.gate.gate_client import CellStatus, Injection, run_job
from jacobench.bench.gate.gate_worker import GateJob, GateTask
from jacobench.bench.gate.installation.side_code import MeasuredCode
from jacobench.bench.gate.installation.side_environments import side_variables
from jacobench.bench.machine import environment
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from jacobench.bench.gate.gate_client import CellKey, CellStatuses, Reports
    from jacobench.bench.gate.installation.side_environments import Side
    from jacobench.bench.gate.trees.revisions import Project
    from jacobench.bench.suites.case import Case

PROCESS_SECONDS = 2.0  # time of all timed calls of one process
MOST_SECONDS = 0.03  # largest time per row and process, so that processes with few rows are short

BLOCKS, LEAST_BLOCKS, LEAST_ROUNDS = 6, 2, 2

TIME_LIMIT = 0.5  # seconds after which the rounds of one phase end in a block

MOST_FAILURES = 6
"""A cell that failed in this many processes of its side is not measured again. Against no failure of the other side,
that is 1/64 by chance, the probability that `reports.regression.untimed.status_changes` requires."""

BY_CHANCE = ("timeout", "crashed", "out_of_memory")
"""Statuses that the machine may cause. Such a cell is prechecked up to `MOST_FAILURES` times."""

COUNTED = ("peak_bytes", "retained_bytes", "memory_tool", "n_nonzeros", "predicted_flops")

Target = tuple[str, str]  # a case, and a strategy as the user named it


@dataclass(frozen=True)
class BlockSchedule:
    """Calls of one case under one strategy in a process."""

    blocks: int  # how often the process returns to it, so that a disturbance affects only some blocks
    phases: Mapping[str, tuple[int, int]]  # phase → calls per round, rounds per block


@dataclass
class PairedRunner:
    """Two sides, base and head, and the status of their cells."""

    project: Project
    sides: tuple[Side, Side]
    cases: Sequence[Case]
    files: Mapping[str, Path]  # case → a suite file with this case only
    strategies: Sequence[str]
    budget_bytes: int
    timeout_seconds: float
    settings: Mapping[str, str]  # environment variables of every process
    code: MeasuredCode = field(default_factory=MeasuredCode)  # that the sides run
    injections: Mapping[Target, Injection] = field(default_factory=dict)  # added to the head, in a self-test
    statuses: dict[str, CellStatuses] = field(default_factory=dict)  # side → results of `precheck`
    _names: dict[str, dict[str, str]] = field(default_factory=dict)
    _isolated: set[str] = field(default_factory=set)  # strategies that change a process for good
    _failures: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)

    def _all(self) -> list[Target]:
        return [(case.name, strategy) for case in self.cases for strategy in self.strategies]

    def precheck(self) -> None:
        """Verify every case and strategy on both sides and measure its memory; a lost process is replaced.

        What fails on one side only is prechecked there once more, as a process may be killed by something else. A case
        that neither side has fails on both. Raises BadInput for a strategy that neither side has, and HarnessFailure if
        a side's jacobench cannot be used.
        """
        missing: dict[str, dict[Target, str]] = {}
        for side in self.sides:
            self.statuses[side.name], self._names[side.name] = {}, {}
            missing[side.name] = self._precheck(side, self._all())
        in_base, in_head = missing.values()
        for strategy in self.strategies:
            if not any(strategy == spec for found in self.statuses.values() for _, spec, _ in found):
                reasons = [reason for (_, spec), reason in in_head.items() if spec == strategy]
                raise BadInput(f"neither side has strategy {strategy!r}: {reasons[0]}")
        for target in in_base.keys() & in_head.keys():
            for side in self.sides:
                failed = CellStatus("error", missing[side.name][target])
                self.statuses[side.name] |= {(*target, phase): failed for phase in self._phases(target[0])}
        for side, other in (self.sides, self.sides[::-1]):
            for attempt in range(MOST_FAILURES - 1):
                statuses = BY_CHANCE if attempt else ()
                self._precheck(
                    side, [target for target in self._all() if self._is_worse(side, other, target, statuses)]
                )

    def _is_worse(self, side: Side, other: Side, target: Target, statuses: Sequence[str]) -> bool:
        """Return whether a phase fails here with one of the statuses ((): any), and is ok on the other side or new."""
        phases = self._phases(target[0])
        here, there = ([self.statuses[each.name].get((*target, phase)) for phase in phases] for each in (side, other))
        return any(
            a
            and a.status != "ok"
            and (b.status == "ok" if b else side.name == "head")
            and (not statuses or a.status in statuses)
            for a, b in zip(here, there, strict=True)
        )

    def _precheck(self, side: Side, targets: Sequence[Target]) -> dict[Target, str]:
        """Precheck targets on one side, in as many processes as needed; return why it does not have some of them."""
        missing: dict[Target, str] = {}
        known = self.statuses[side.name]
        while targets:
            left: Sequence[Target] = []
            tasks = tuple(self._task(side, target, BlockSchedule(0, {})) for target in self._together(targets))
            events, lost = self._run(side, "precheck", tasks, 0)
            for event in events:
                match event:
                    case {"event": "loaded", "strategy_spec": spec, "name": name}:
                        self._names[side.name][spec] = name
                    case {"event": "start", "cell": [case, spec, _]}:
                        left = targets[targets.index((case, spec)) + 1 :]
                    case {"event": "isolate", "strategy_spec": spec}:
                        self._isolated.add(spec)
                    case {"event": "missing", "case": case, "strategy_spec": spec, "reason": reason}:
                        missing[case, spec] = reason
                    case {"event": "prechecked", "status": status, "reason": reason}:
                        seconds, calls = event.get("seconds"), event.get("calls", 1)
                        known[_key(event)] = CellStatus(status, reason, seconds, calls, _counts(event))
            if lost:
                (case, spec, phase), failed = lost
                known |= {(case, spec, needing): failed for needing in self._needing(case, phase)}
            targets = left
        return missing

    def _phases(self, case: str) -> tuple[str, ...]:
        """Return the phases of a case."""
        return TASKS[self._case_tasks[case]]

    def _needing(self, case: str, phase: str) -> tuple[str, ...]:
        """Return the phases of a case that fail when a phase fails."""
        return needing_phases(self._case_tasks[case], phase)

    @cached_property
    def _case_tasks(self) -> dict[str, str]:
        return {case.name: case.task for case in self.cases}

    def _together(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Return the first targets that one process can precheck: an isolated strategy is alone."""
        return list(takewhile(lambda target: target[1] not in self._isolated, targets)) or targets[:1]

    def _task(self, side: Side, target: Target, planned: BlockSchedule) -> GateTask:
        case, strategy = target
        added = self.injections.get(target, Injection()) if side.name == "head" else Injection()
        file, load_spec = str(self.files[case]), side.spec(strategy, self.project)
        return GateTask(
            case,
            file,
            strategy,
            load_spec,
            self._phases(case),
            planned.blocks,
            planned.phases,
            added.slower,
            added.larger,
        )

    def _run(self, side: Side, action: str, tasks: tuple[GateTask, ...], number: int) -> Reports:
        job = GateJob(action, tasks, self.budget_bytes, TIME_LIMIT, side.rules)
        (other,) = (each for each in self.sides if each is not side)
        variables = environment.environment(self.settings, number) | side_variables(self.project, side, other)
        return run_job(side, job, variables, self.timeout_seconds)

    def can_time(self) -> bool:
        """Return whether any cell is ok on both sides, so that pairs of processes can time it."""
        base, head = (self.statuses[side.name] for side in self.sides)
        return any(status.status == "ok" == head[cell].status for cell, status in base.items() if cell in head)

    def _calls(self, target: Target, phase: str) -> tuple[float, int]:
        """Return the seconds of a call and the calls per round, equal for both sides."""
        found = (self.statuses[side.name].get((*target, phase)) for side in self.sides)
        return next(((status.seconds, status.calls) for status in found if status and status.seconds), (0.0, 1))

    def label(self, strategy: str) -> str:
        """Return a strategy's name in the rows: its own, or as the user named it where two share a name."""
        names = {spec: name for side in self.sides for spec, name in self._names.get(side.name, {}).items()}
        name = names.get(strategy, strategy.rpartition(":")[2])
        return name if list(names.values()).count(name) <= 1 else strategy

    def measure(self, targets: Sequence[Target] | None, pairs: range, stage: int) -> list[dict[str, Any]]:
        """Time pairs of processes: base first for even numbers, head first for odd ones.

        `targets` are cases and strategies, by label; None: all. `stage` is copied into the result, which has one dict
        for each phase of each target, and one for the calibration kernel, of each process.
        """
        return list(self._measured("time", targets, pairs, stage))

    def measure_memory(self, targets: Sequence[Target], pairs: range) -> list[dict[str, Any]]:
        """Measure the memory of targets in pairs of fresh processes, which time nothing; see `measure`."""
        return list(self._measured("memory", targets, pairs, 0))

    def prechecked(self) -> list[dict[str, Any]]:
        """Return the results of `precheck` as `measure` gives them, without times."""
        return [
            {"stage": 0, "pair": 0, "side": side.name, "position": position} | row
            for position, side in enumerate(self.sides)
            for row in self._rows(self.statuses[side.name], self._all(), [])
        ]

    def _measured(
        self, action: str, targets: Sequence[Target] | None, pairs: range, stage: int
    ) -> Iterator[dict[str, Any]]:
        by_label = {self.label(strategy): strategy for strategy in self.strategies}
        chosen = self._all() if targets is None else [(case, by_label[label]) for case, label in targets]
        for pair in pairs:
            order = self.sides if pair % 2 == 0 else self.sides[::-1]
            for position, side in enumerate(order):
                head = {"stage": stage, "pair": pair, "side": side.name, "position": position}
                yield from (head | row for row in self._rows_of_process(action, side, chosen, pair))

    def _rows_of_process(self, action: str, side: Side, chosen: Sequence[Target], pair: int) -> list[dict[str, Any]]:
        """Measure targets on one side in a fresh process; if it is lost at a cell, in another one without that cell."""
        known = dict(self.statuses[side.name])
        events: list[dict[str, Any]] = []
        while tasks := self._tasks(side, known, chosen, pair):
            events, lost = self._run_apart(side, action, tasks, pair)
            failed = {
                _key(event): CellStatus(event["status"], event["reason"])
                for event in events
                if event["event"] == "failed"
            }
            if lost:
                (case, spec, phase), status = lost
                failed |= dict.fromkeys([(case, spec, needing) for needing in self._needing(case, phase)], status)
            for cell in failed.keys() & known.keys():
                known[cell] = failed[cell]
                self._failures[side.name, *cell] += 1
                if self._failures[side.name, *cell] == MOST_FAILURES:
                    self.statuses[side.name][cell] = failed[cell]
            if lost is None:
                break
        if action == "memory":
            counts = {_key(event): _counts(event) for event in events if event["event"] == "measured"}
            known = {cell: replace(status, counts=counts.get(cell, {})) for cell, status in known.items()}
        return self._rows(known, chosen, events)

    def _run_apart(self, side: Side, action: str, tasks: tuple[GateTask, ...], pair: int) -> Reports:
        """Measure tasks in one process, and those of each isolated strategy in another one."""
        groups: dict[str, list[GateTask]] = {}
        for task in tasks:
            groups.setdefault(task.strategy_spec if task.strategy_spec in self._isolated else "", []).append(task)
        events: list[dict[str, Any]] = []
        for group in groups.values():
            found, lost = self._run(side, action, tuple(group), pair)
            events += found
            if lost:
                return events, lost
        return events, None

    def _tasks(self, side: Side, known: CellStatuses, chosen: Sequence[Target], pair: int) -> tuple[GateTask, ...]:
        """Return the tasks of a process: the phases that are ok on both sides, in two of four pairs reversed."""
        (other,) = (each.name for each in self.sides if each is not side)
        seconds = row_seconds(sum(len(self._phases(case)) for case, _ in chosen))
        tasks = []
        for target in chosen if pair % 4 < 2 else chosen[::-1]:
            every = self._phases(target[0])
            rows = [(known.get((*target, phase)), self.statuses[other].get((*target, phase))) for phase in every]
            phases = [
                phase for phase, (a, b) in zip(every, rows, strict=True) if a and b and a.status == b.status == "ok"
            ]
            if phases:
                planned = block_schedule({phase: self._calls(target, phase) for phase in phases}, seconds)
                tasks.append(self._task(side, target, planned))
        return tuple(tasks)

    def _rows(
        self, known: CellStatuses, chosen: Sequence[Target], events: Iterable[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        kernel = CONTROL, CONTROL, CONTROL
        best: dict[CellKey, float] = {}
        for event in events:
            if event["event"] in {"timed", "calibration"}:
                cell = _key(event) if event["event"] == "timed" else kernel
                best[cell] = min(event["seconds"], best.get(cell, event["seconds"]))
        knobs = {case.name: case.knobs for case in self.cases}
        rows = [_row(kernel, CellStatus("ok"), best[kernel])] if kernel in best else []
        for target in chosen:
            for phase in self._phases(target[0]):
                status = known.get((*target, phase))
                if status is not None:
                    cell = target[0], self.label(target[1]), phase
                    rows.append(dict(knobs[target[0]]) | _row(cell, status, best.get((*target, phase))))
        return rows


def _key(event: Mapping[str, Any]) -> CellKey:
    return event["case"], event["strategy_spec"], event["phase"]


def _counts(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in COUNTED if name in event}


def _row(cell: CellKey, status: CellStatus, seconds: float | None) -> dict[str, Any]:
    case, strategy, phase = cell
    return {
        "case": case,
        "strategy": strategy,
        "phase": phase,
        "status": status.status,
        "reason": status.reason,
        "seconds": seconds if status.status == "ok" else None,
        **status.counts,
    }


def block_schedule(calls: Mapping[str, tuple[float, int]], row_seconds: float) -> BlockSchedule:
    """Choose blocks and rounds for one case under one strategy. Each block begins with one untimed call of each phase.

    calls: phase → seconds of a call, calls per round; see `timing.calls_per_round`.
    row_seconds: time of one phase in a process. Slow calls take longer: there are at least two blocks of two rounds.
    """
    once = sum((1 + LEAST_ROUNDS) * max(seconds, ROUND_SECONDS) for seconds, _ in calls.values())
    affordable = int(row_seconds * len(calls) / once) if once else BLOCKS
    blocks = min(BLOCKS, max(LEAST_BLOCKS, affordable))
    return BlockSchedule(
        blocks,
        {
            phase: (n_calls, max(LEAST_ROUNDS, round(row_seconds / blocks / (n_calls * seconds))))
            for phase, (seconds, n_calls) in calls.items()
        },
    )


def row_seconds(n_rows: int) -> float:
    """Return the time of one row in a process with `n_rows` rows, in seconds."""
    return min(MOST_SECONDS, PROCESS_SECONDS / max(1, n_rows))
