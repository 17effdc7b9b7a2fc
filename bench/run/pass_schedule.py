"""Schedule of a run: what its measurements so far require next. Nothing is measured here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from jacobench.bench.cell.phase_costs import TASKS
from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.row.measurement import Repetition
from jacobench.bench.row.stopping import MOST_REPETITIONS, pass_disturbed, undecided

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from jacobench.bench.row.measurement import Measurement


@dataclass(frozen=True)
class PlannedPass:
    """A pass to measure or to complete."""

    number: int
    turn: int  # number of the pass without the repetitions before it; every other turn reverses the strategies
    cases: frozenset[str]
    repeats: Repetition | None = None


def _by_host(measurements: Iterable[Measurement]) -> list[list[Measurement]]:
    """Split measurements by host: each numbers its passes itself."""
    found: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        found[measurement.host].append(measurement)
    return list(found.values())


def roots(measurements: Iterable[Measurement]) -> dict[int, int]:
    """Return, for measurements of one host, for each pass the pass that it repeats, directly or through other repetitions; else the pass itself."""
    found: dict[int, int] = {}
    for measurement in sorted(measurements, key=lambda measurement: measurement.pass_number):
        number, repeats = measurement.pass_number, measurement.repeats
        found[number] = found.get(repeats.pass_number, repeats.pass_number) if repeats else number
    return found


def counted(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Return the measurements that count: where a pass was repeated, its latest measurement of each cell.

    A repetition takes the number of the pass that it repeats.
    """
    return [m for of_host in _by_host(measurements) for m in _counted(of_host)]


def _counted(measurements: Sequence[Measurement]) -> list[Measurement]:
    root = roots(measurements)
    latest: dict[tuple[int, str, str, str], int] = {}
    for m in measurements:
        key = root[m.pass_number], m.case, m.spec, m.phase
        latest[key] = max(latest.get(key, 0), m.pass_number)
    return [
        msgspec.structs.replace(m, pass_number=root[m.pass_number])
        for m in measurements
        if latest[root[m.pass_number], m.case, m.spec, m.phase] == m.pass_number
    ]


def further_passes(
    found: Sequence[Measurement], of_cases: Sequence[Measurement] | None = None
) -> Iterator[PlannedPass]:
    """Yield the passes of a host that may follow the first ones: the last one, a repetition, and new ones.

    `found` are its measurements; `of_cases` are those of its cases, also of other hosts, if there are any.
    """
    last = max(m.pass_number for m in found)
    repeats = next((m.repeats for m in found if m.pass_number == last), None)
    if repeats:
        yield PlannedPass(last, turn(last, found), cases_of(repeats.pass_number, found), repeats)
    if repetition := disturbed_pass(found):
        number = repetition.pass_number
        yield PlannedPass(last + 1, turn(number, found), cases_of(number, found), repetition)
    cases = frozenset(undecided_cases(found if of_cases is None else of_cases))
    if not repeats:
        yield PlannedPass(last, turn(last, found), cases)
    yield PlannedPass(last + 1, turn(last + 1, found), cases)
    if of_cases:  # another host, which is lost, may have been further with its cases
        number = 1 + max((m.pass_number for m in of_cases if m.case in cases), default=last)
        yield PlannedPass(number, turn(number, found), cases)


def turn(number: int, measurements: Iterable[Measurement]) -> int:
    """Return the number of a pass, or of the pass that it repeats, without the repetitions before it."""
    root = roots(measurements)
    own = root.get(number, number)
    return sum(repeated == earlier < own for earlier, repeated in root.items())


def undecided_cases(measurements: Sequence[Measurement]) -> list[str]:
    """Return the cases in which no strategy is clearly the fastest, or equal to it, in the phase gradient or jacobian."""
    seconds: dict[str, dict[str, dict[Hashable, float]]] = defaultdict(lambda: defaultdict(dict))
    failed = {(m.case, m.spec) for m in measurements if m.phase in TASKS and m.status != "ok"}
    for m in counted(measurements):
        if m.phase in TASKS and (m.case, m.spec) not in failed and m.seconds:
            seconds[m.case][m.spec][m.pass_number, m.worker] = min(m.seconds)
    return [case for case, own in seconds.items() if undecided(own)]


def disturbed_pass(measurements: Sequence[Measurement]) -> Repetition | None:
    """Return the first pass to repeat, with the cause; None if no pass was disturbed, or it was repeated often enough."""
    root = roots(measurements)
    cells: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    calibration: dict[int, list[float]] = defaultdict(list)
    for m in counted(measurements):
        if m.spec == CONTROL:
            calibration[m.pass_number].append(min(m.seconds))
        elif m.seconds:
            cells[m.case, m.spec, m.phase].setdefault(m.pass_number, min(m.seconds))
    for number in sorted({number for own in cells.values() for number in own}):
        cause = pass_disturbed(number, cells.values(), calibration)
        if cause and sum(own == number for own in root.values()) <= MOST_REPETITIONS:
            return Repetition(number, cause)
    return None


def repetitions(measurements: Iterable[Measurement]) -> list[Repetition]:
    """Return each repetition with the number of the pass that it replaces, directly or through other repetitions."""
    repeated = []
    for of_host in _by_host(measurements):
        root = roots(of_host)
        found = {m.pass_number: m.repeats for m in of_host if m.repeats}
        repeated += [Repetition(root[number], found[number].cause) for number in sorted(found)]
    return repeated


def repeated_passes(measurements: Iterable[Measurement]) -> dict[tuple[str, str, str], set[int]]:
    """Return for each cell of a repeated pass the passes that were repeated."""
    found: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for of_host in _by_host(measurements):
        root = roots(of_host)
        for m in of_host:
            if m.repeats and m.spec != CONTROL:
                found[m.case, m.spec, m.phase].add(root[m.pass_number])
    return found


def cases_of(number: int, measurements: Iterable[Measurement]) -> frozenset[str]:
    """Return the cases that a pass measured."""
    return frozenset(m.case for m in measurements if m.pass_number == number and m.spec != CONTROL)
