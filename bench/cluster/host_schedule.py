"""Which block a host measures next. Nothing is submitted or written here.

Each case belongs to one machine key, and as long as its host is alive to that host. Further passes are planned for the
cases of a host alone, as in a local run.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.run.pass_schedule import PlannedPass, further_passes, undecided_cases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jacobench.bench.row.measurement import Measurement
    from jacobench.bench.run.ledger import Ledger


@dataclass(frozen=True)
class Block:
    """One case with all its strategies in one pass. `planned` has only this case."""

    case: str
    planned: PlannedPass


@dataclass
class Lane:
    """A host's blocks: its cases by pass, those of a further pass, and what its cases have measured."""

    machine: str
    queues: dict[int, deque[str]] = field(default_factory=lambda: defaultdict(deque))
    cases: set[str] = field(default_factory=set)
    measurements: list[Measurement] = field(default_factory=list)
    further: PlannedPass | None = None
    further_cases: deque[str] = field(default_factory=deque)
    has_changed: bool = True  # since a look for a further pass found none


class HostSchedule:
    """The blocks of a run. `ledger` knows what is done; complete blocks are noted here, too."""

    def __init__(self, ledger: Ledger, n_first_passes: int, measurements: Iterable[Measurement]) -> None:
        self.ledger, self.n_first_passes = ledger, n_first_passes
        self.machine_of: dict[str, str] = {}  # case → key
        self.lanes: dict[str, Lane] = {}  # by name of the host
        self._measured: dict[str, list[Measurement]] = defaultdict(list)  # by case
        self._changed: set[str] = set()  # cases with measurements since `_undecided` was found
        self._undecided: set[str] = set()
        self._calibration: dict[str, list[Measurement]] = defaultdict(list)  # of the kernel, by host
        for measurement in measurements:
            self._keep(measurement)
        self._free: dict[str, deque[str]] = defaultdict(deque)  # machine key, empty if any → cases without a host
        self._n_left: dict[str, int] = {}  # blocks of the first passes that remain, by case
        for case in ledger.cases:
            self._n_left[case] = len(self._passes_left(case))
            if self._n_left[case] or case in self._measured:
                self._free[self.machine_of.get(case, "")].append(case)
        self.n_left = sum(self._n_left.values())  # blocks of the first passes that remain

    def _keep(self, measurement: Measurement) -> None:
        if measurement.spec == CONTROL:  # it names no case
            self._calibration[measurement.host].append(measurement)
            return
        self._measured[measurement.case].append(measurement)
        self._changed.add(measurement.case)
        if measurement.machine and measurement.status != "not_tried":
            self.machine_of.setdefault(measurement.case, measurement.machine)

    def _passes_left(self, case: str) -> list[int]:
        """List the first passes in which cells of a case remain."""
        return [number for number in range(self.n_first_passes) if self._left(case, number)]

    def _left(self, case: str, number: int) -> bool:
        return bool(self.ledger.left_of(case, PlannedPass(number, number, frozenset({case}))))

    def add_host(self, name: str, machine: str) -> None:
        """Add a host, or one that has returned."""
        self.lanes.setdefault(name, Lane(machine))

    def remove_host(self, name: str) -> None:
        """Remove a lost host: its cases are free for others of its machine, or for any if nothing of them is complete."""
        lane = self.lanes.pop(name)
        for case in sorted(lane.cases):
            self._free[self.machine_of.get(case, "")].append(case)

    def earlier(self, case: str) -> list[Measurement]:
        """Return what is known of a case."""
        return self._measured.get(case, [])

    def note(self, case: str, measurements: Iterable[Measurement]) -> None:
        """Note the measurements of a complete block, or its failed rows."""
        found = list(measurements)
        for measurement in found:
            self._keep(measurement)
        left = len(self._passes_left(case))
        self.n_left += left - self._n_left[case]
        self._n_left[case] = left
        for lane in self.lanes.values():
            if case in lane.cases:
                lane.measurements += [measurement for measurement in found if measurement.spec != CONTROL]
                lane.has_changed = True

    def next_block(self, name: str, *, in_time: bool) -> Block | None:
        """Return the next block of a host; `in_time`: whether a further pass may still begin.

        First each case is measured once, then the hosts measure their cases again.
        """
        lane = self.lanes[name]
        while True:
            for number in range(self.n_first_passes):
                while lane.queues[number] or (number == 0 and self._bind_new(lane)):
                    case = lane.queues[number].popleft()
                    if self._left(case, number):
                        return Block(case, PlannedPass(number, number, frozenset({case})))
            if not self._free[lane.machine]:
                return self._further(name) if in_time else None
            self._bind_again(self._free[lane.machine].popleft(), lane)

    def _bind_new(self, lane: Lane) -> bool:
        """Give a host the next case of no machine with a first pass to measure; return whether there is one."""
        while self._free[""] and not lane.queues[0]:
            self._bind(self._free[""].popleft(), lane)
        return bool(lane.queues[0])

    def again(self, name: str, block: Block) -> None:
        """Put a block back that was lost on a host which is still there."""
        lane = self.lanes[name]
        if block.planned.number < self.n_first_passes:
            lane.queues[block.planned.number].appendleft(block.case)
        else:
            lane.further_cases.appendleft(block.case)

    def _bind_again(self, case: str, lane: Lane) -> None:
        """Give a case to a host of its machine. Those that may need only further passes are distributed evenly."""
        if not self._passes_left(case):
            lane = min(
                (own for own in self.lanes.values() if own.machine == lane.machine), key=lambda own: len(own.cases)
            )
        self._bind(case, lane)

    def _bind(self, case: str, lane: Lane) -> None:
        lane.cases.add(case)
        lane.measurements += self.earlier(case)
        lane.has_changed = True
        for number in self._passes_left(case):
            lane.queues[number].append(case)

    def _further(self, name: str) -> Block | None:
        """Return the next block of a repetition or of a pass of undecided cases."""
        lane = self.lanes[name]
        if not lane.further_cases:
            lane.further = self._further_pass(lane, name) if lane.has_changed else None
            lane.has_changed = False
            if lane.further is None:
                return None
            self.ledger.begin(lane.further)
            lane.further_cases.extend(dict.fromkeys(cell.case for cell in self.ledger.left(lane.further)))
        case, whole = lane.further_cases.popleft(), lane.further
        assert whole is not None
        return Block(case, PlannedPass(whole.number, whole.turn, frozenset({case}), whole.repeats))

    def _further_pass(self, lane: Lane, name: str) -> PlannedPass | None:
        """Return the next repetition, or the next pass of undecided cases."""
        own = _of_host(lane.measurements, name)
        if not own:
            return None
        passes = {measurement.pass_number for measurement in own}
        kernel = [each for each in self._calibration[own[0].host] if each.pass_number in passes]
        found = further_passes([*own, *kernel], lane.measurements)
        return next((planned for planned in found if self.ledger.first_left(planned)), None)

    def is_for(self, case: str, machine: str) -> bool:
        """Return whether only hosts of this machine may measure a case."""
        known = self.machine_of.get(case)
        return known == machine if known else all(lane.machine == machine for lane in self.lanes.values())

    def waiting(self) -> dict[str, list[str]]:
        """Return the cases that lack first passes and a host, by the machine key that they need; empty for any."""
        found = {key: [case for case in cases if self._passes_left(case)] for key, cases in self._free.items()}
        return {key: cases for key, cases in found.items() if cases}

    def n_undecided(self) -> int:
        """Return the number of undecided cases."""
        self._undecided -= self._changed
        self._undecided.update(case for case in self._changed if undecided_cases(self._measured[case]))
        self._changed.clear()
        return len(self._undecided)

    def undecided_without_host(self) -> dict[str, int]:
        """Return the number of undecided cases without a host, by machine key."""
        found = {
            key: len(undecided_cases([each for case in cases for each in self.earlier(case)]))
            for key, cases in self._free.items()
        }
        return {key: count for key, count in found.items() if count}


def _of_host(measurements: Iterable[Measurement], name: str) -> list[Measurement]:
    """Return what a host has measured; of a resumed run, what the host with the most passes has measured."""
    found: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        found[measurement.host].append(measurement)
    if name in found or not found:
        return found.get(name, [])
    return max(found.values(), key=lambda own: max(m.pass_number for m in own))
