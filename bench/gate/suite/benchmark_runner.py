"""Paired measurement of a pytest-benchmark suite: collected and prechecked once, then timed in pairs of processes."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.gate.gate_client import CellStatus, TimeIsUp
from jacobench.bench.gate.installation.side_code import MeasuredCode
from jacobench.bench.gate.paired_runner import MOST_FAILURES
from jacobench.bench.gate.session.benchmark_source import first_benchmark
from jacobench.bench.gate.suite.collection_errors import matching_ids, mistyped, not_collected, why_none
from jacobench.bench.gate.suite.pytest_selection import CONFTEST, side_selection
from jacobench.bench.gate.suite.suite_collection import CHANGED, SKIPPED, SideSuite, SuiteBenchmark
from jacobench.bench.gate.suite.suite_copy import copy_suite, files_of_tests
from jacobench.bench.gate.suite.suite_folder import fix_of
from jacobench.bench.gate.suite.suite_processes import SuiteProcesses, statuses_of
from jacobench.bench.gate.suite.time_plan import FEWEST_PAIRS, LONGEST, PLANNED_PAIRS, SHORTEST, SuiteTimes, ways
from jacobench.bench.row.columns import HEAP
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from jacobench.bench.gate.installation.side_environments import Side
    from jacobench.bench.gate.trees.revisions import Tree


@dataclass(frozen=True)
class BenchmarkProcess:
    """What one side gave in one pair.

    files: pytest-benchmark's JSON, with ids as full names. timed: ids that were to run. statuses: of all ids that the
    side has. calibration: shortest time of the calibration kernel, in seconds; None: unknown.
    """

    stage: int
    pair: int
    side: str
    position: int
    files: tuple[Path, ...]
    timed: frozenset[str]
    statuses: Mapping[str, CellStatus]
    calibration: float | None


@dataclass
class _Given:
    """What one side gives in one pair, while its processes run."""

    statuses: dict[str, CellStatus]
    files: list[Path] = field(default_factory=list)
    kernel: list[float] = field(default_factory=list)

    def add(self, events: Iterable[Mapping[str, Any]], path: Path) -> None:
        """Add what a process reported, and the file that it wrote."""
        self.files += [path] if path.is_file() else []
        for event in events:
            match event:
                case {"event": "calibration", "seconds": seconds}:
                    self.kernel.append(seconds)
                case {"event": "memory", "id": at}:
                    counts = {"memory_tool": event["tool"]}
                    counts |= {name: event[name] for name in HEAP if event[name] is not None}
                    self.statuses[at] = replace(self.statuses[at], counts=counts)


@dataclass
class BenchmarkRunner:
    """Two sides, base and head, and the benchmarks that they have."""

    processes: SuiteProcesses
    cases: Sequence[str]  # ids or globs; empty: all
    suite_from: str  # "base", "head" or "": each side runs its own files
    code: MeasuredCode = field(default_factory=MeasuredCode)  # that each side runs
    suite_tree: Tree | None = None  # whose benchmark files both sides run; None: see suite_from
    suites: dict[str, SideSuite] = field(default_factory=dict)  # side → results of `collect`
    statuses: dict[str, dict[str, CellStatus]] = field(default_factory=dict)  # side → of `precheck`
    ids: tuple[str, ...] = ()
    without_memory: dict[str, str] = field(default_factory=dict)  # id → why a process did not measure its memory
    _failures: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Base and head."""
        return self.processes.sides

    @property
    def settings(self) -> Mapping[str, str]:
        """Environment variables of every process."""
        return self.processes.settings

    def collect(self, until: float = inf) -> None:
        """Find the benchmarks of both sides. Raises BadInput if there are none, or none that was selected."""
        order = self.sides if self.suite_from != "head" else self.sides[::-1]
        first, second = order
        if self.suite_tree:
            self._use_suite_tree(self.suite_tree)
        self.suites = {first.name: self._collected(first, until)}
        if self.suite_from and not self.suite_tree:
            self._copy_suite(first, second)
        self.suites[second.name] = self._collected(second, until)
        for side, other in (order, order[::-1]):
            if self.suites[side.name].errors and not self.suites[other.name].errors:
                self.suites[side.name] = self._collected(side, until)  # not by chance
        self._add_broken_files()
        self._check_selections()
        shown = [first] if self.suite_from and not self.suite_tree else self.sides[::-1]
        known = dict.fromkeys(each for side in shown for each in self.suites[side.name].benchmarks)
        if not known:
            raise BadInput(next(why_none(self.suites, self.sides, self.processes.selections, self.processes.project)))
        chosen = {found for pattern in self.cases for found in matching_ids(pattern, known)}
        self.ids = tuple(each for each in known if not self.cases or each in chosen)

    def _collected(self, side: Side, until: float) -> SideSuite:
        suite = SideSuite()
        for number in range(len(self.processes.selections)):
            if (selection := self.processes.selection(side, number)) is None:
                continue
            began = time.monotonic()
            ended = self.processes.run(side, "collect", number, (), max(LONGEST.values()), until=until)
            found = [event for event in ended.events if event["event"] == "collected"]
            if ended.lost and not found:
                raise BadInput(not_collected(side, ended.lost))
            suite.starting[number] = time.monotonic() - began
            for event in found:
                suite.add(event, selection, number)
        return suite

    def _add_broken_files(self) -> None:
        """Add a benchmark with the name of its file for each file with benchmarks that no side can collect."""
        for side, other in (self.sides, self.sides[::-1]):
            suite, others = self.suites[side.name], self.suites[other.name]
            for file in suite.errors:
                known = any(each.file == file for each in others.benchmarks.values())
                is_elsewhere = (other.tree.folder / file).exists() and file not in others.errors
                if (
                    Path(file).name != CONFTEST
                    and not (known or is_elsewhere)
                    and first_benchmark(side.tree.folder / file)
                ):
                    suite.benchmarks[file] = SuiteBenchmark(file, "", file, 0)

    def _check_selections(self) -> None:
        """Raise BadInput if a selection names a file, folder or benchmark that no side has."""
        suites = list(self.suites.values())
        for number in range(len(self.processes.selections)):
            found = [suite.missing.get(number) for suite in suites]
            for each in dict.fromkeys(name for names in found if names for name in names):
                if all(names is None or each in names for names in found) and not any(s.lacks(each) for s in suites):
                    raise BadInput(mistyped(each, suites))

    def _copy_suite(self, source: Side, target: Side) -> None:
        found = [self.processes.selection(source, number) for number in range(len(self.processes.selections))]
        places = [place for selection in found if selection for place in selection.places]
        suite = self.suites[source.name]
        files = {each for each in (*suite.skipped, *suite.errors) if each.endswith(".py")}
        files |= {each.file for each in suite.benchmarks.values()}
        copy_suite(source.tree, target.tree, places, files, self.sides)

    def _use_suite_tree(self, tree: Tree) -> None:
        for side in self.sides:
            found = [
                side_selection(words, self.processes.project, tree, side.tree) for words in self.processes.selections
            ]
            places = [place for selection in found if selection for place in selection.places]
            copy_suite(tree, side.tree, places, files_of_tests(tree, places), self.sides)

    def precheck(self, began: float, until: float) -> None:
        """Run every benchmark once with short rounds on each side that has it.

        What fails on one side only, or is new and fails, runs there again, up to `MOST_FAILURES` times, while the planned
        pairs still fit. The gate began and should end at these times (`time.monotonic`). Raises BadInput if not all
        benchmarks have run once by then, or if all fail because the suite needs another working directory.
        """
        start = time.monotonic()
        try:
            self.collect(until)
            for side in self.sides:
                self._begin_statuses(side)
                self._precheck(side, self._planned(side), until)
        except TimeIsUp:
            now = time.monotonic()
            raise BadInput(self._too_slow(now - start, now - began)) from None
        self._repeat_failures(until - PLANNED_PAIRS * self.times().pair)
        self._check_folder()
        for each in self._of_both():
            difference = self._options_differ(each)
            if difference or (not self.suite_from and self._sources_differ(each)):
                for statuses in self.statuses.values():
                    if statuses[each].status == "ok":
                        statuses[each] = replace(statuses[each], status=CHANGED, reason=difference)

    def _repeat_failures(self, until: float) -> None:
        """Run again what fails on one side only, as often as it fits into the time: what hangs takes the whole timeout."""
        with suppress(TimeIsUp):
            for _ in range(MOST_FAILURES - 1):
                for side, other in (self.sides, self.sides[::-1]):
                    self._precheck(side, [each for each in self.ids if self._is_worse(side, other, each)], until)

    def _check_folder(self) -> None:
        """Raise BadInput if all benchmarks fail on both sides, and the fix is known."""
        found = [status for statuses in self.statuses.values() for status in statuses.values()]
        if all(status.status == "error" for status in found):
            for each, status in self.statuses["head"].items():
                if fix := fix_of(status.reason, self.sides[1].tree, self.processes.project):
                    raise BadInput(f"all benchmarks fail on both sides; {each}: {status.reason}; {fix}")

    def _begin_statuses(self, side: Side) -> None:
        """Set the statuses of what cannot run: it was not collected, or only base has it."""
        suite = self.suites[side.name]
        found: dict[str, CellStatus] = {}
        for each in self.ids:
            if each not in suite.benchmarks or each in suite.errors:
                if (status := suite.lacks(each)) is not None:
                    found[each] = status
            elif side.name == "base" and not self._head_knows(each):
                found[each] = CellStatus("ok")
        self.statuses[side.name] = found

    def _head_knows(self, each: str) -> bool:
        head = self.suites["head"]
        return each in head.benchmarks or head.lacks(each) is not None

    def _planned(self, side: Side) -> list[str]:
        """Return the benchmarks that run on a side: it has them, and can collect them, and they are not in base alone."""
        suite = self.suites[side.name]
        own = [each for each in self.ids if each in suite.benchmarks and each not in suite.errors]
        return own if side.name == "head" else [each for each in own if self._head_knows(each)]

    def _of_both(self) -> list[str]:
        base, head = (self.statuses[side.name] for side in self.sides)
        return [each for each in self.ids if each in base and each in head]

    def _sources_differ(self, each: str) -> bool:
        base, head = (self.suites[side.name].benchmarks.get(each) for side in self.sides)
        return bool(base and head and base.source != head.source)

    def _options_differ(self, each: str) -> str:
        """Return which options differ between the sides and change the times of a benchmark; empty if none do."""
        base, head = (
            suite.options.get(suite.benchmarks[each].selection, {}) if each in suite.benchmarks else {}
            for suite in (self.suites[side.name] for side in self.sides)
        )
        differing = [name for name in base if name in head and base[name] != head[name]]
        return ", ".join(f"{name} is {base[name]} in base, {head[name]} in head" for name in differing)

    def _is_worse(self, side: Side, other: Side, each: str) -> bool:
        """Return whether a benchmark fails here, and is ok on the other side or new; a failed collection is certain."""
        here, there = (self.statuses[one.name].get(each) for one in (side, other))
        suite = self.suites[side.name]
        if here is None or here.status in {"ok", SKIPPED} or each not in suite.benchmarks or each in suite.errors:
            return False
        return there.status == "ok" if there else side.name == "head"

    def _precheck(self, side: Side, ids: Sequence[str], until: float) -> None:
        suite, known = self.suites[side.name], self.statuses[side.name]
        for number in range(len(self.processes.selections)):
            left = [each for each in ids if suite.benchmarks[each].selection == number]
            while left:
                began = time.monotonic()
                ended = self.processes.run(side, "time", number, left, SHORTEST, until=until)
                found = statuses_of(ended, left)
                known |= found
                tests = {event["id"]: event["seconds"] for event in ended.events if event["event"] == "ended"}
                suite.seconds |= tests
                if ended.lost is None:
                    own = time.monotonic() - began - sum(tests.values())
                    suite.starting[number] = max(suite.starting[number], own)
                left = [each for each in left if each not in found]

    def _too_slow(self, seconds: float, used: float) -> str:
        """Return the message on a precheck that reached the time limit: its own seconds, and those since the gate began."""
        planned = {side.name: self._planned(side) for side in self.sides} if self.ids else {}
        left = {each for name, ids in planned.items() for each in ids if each not in self.suites[name].seconds}
        n_runs, n_all = sum(map(len, planned.values())), len(set().union(*planned.values()))
        n_done = sum(len(suite.seconds) for suite in self.suites.values())
        needed = used - seconds + (1 + FEWEST_PAIRS) * seconds * n_runs / n_done if n_done else 2 * used
        ran = (
            f"when {n_all - len(left)} of {n_all} benchmarks had run once on each side"
            if n_all
            else "in the collection"
        )
        return f"the time limit of {used:.0f} s was reached {ran}, before any pair of processes; {ways(needed)}"

    def timed_ids(self) -> list[str]:
        """Return the benchmarks that are ok on both sides."""
        base, head = (self.statuses[side.name] for side in self.sides)
        return [each for each in self._of_both() if base[each].status == head[each].status == "ok"]

    def times(self, ids: Collection[str] | None = None) -> SuiteTimes:
        """Return the expected times of a pair of processes with these benchmarks (None: all)."""
        timed = set(self.timed_ids()) & set(self.ids if ids is None else ids)
        pair, n = 0.0, 0
        for suite in self.suites.values():
            own = [suite.benchmarks[each] for each in timed]
            pair += sum(suite.starting[number] for number in {each.selection for each in own})
            pair += sum(suite.seconds.get(each.id, 0.0) for each in own)
            n += len(own)
        return SuiteTimes(pair, n)

    def measure(
        self, ids: Sequence[str] | None, pairs: Iterable[int], stage: int, max_seconds: float
    ) -> Iterator[BenchmarkProcess]:
        """Time pairs of processes: base first for even numbers, head first for odd ones. `ids` None: all benchmarks."""
        chosen = self.ids if ids is None else ids
        for pair in pairs:
            yield from self._pair("time", chosen, pair, stage, max_seconds)

    def measure_memory(self, ids: Sequence[str], pairs: Iterable[int]) -> Iterator[BenchmarkProcess]:
        """Measure peak and retained bytes of one call in pairs of fresh processes, which time nothing; see `measure`."""
        for pair in pairs:
            yield from self._pair("memory", ids, pair, 0, None)

    def precheck_memory(self) -> list[BenchmarkProcess]:
        """Measure the bytes of each benchmark once on each side; `measure` then returns them with the times."""
        found = list(self.measure_memory(self.timed_ids(), range(1)))
        for process in found:
            self.statuses[process.side] |= process.statuses
        return found

    def _pair(
        self, action: str, ids: Collection[str], pair: int, stage: int, max_seconds: float | None
    ) -> Iterator[BenchmarkProcess]:
        order = self.sides if pair % 2 == 0 else self.sides[::-1]
        chosen = set(ids)
        timed = [each for each in self.timed_ids() if each in chosen]
        given = {
            side.name: _Given(
                {
                    each: self.statuses[side.name][each]
                    for each in self.ids
                    if each in chosen and each in self.statuses[side.name]
                }
            )
            for side in self.sides
        }
        for number in range(len(self.processes.selections)):
            for side in order:
                own = [each for each in timed if self.suites[side.name].benchmarks[each].selection == number]
                self._take(action, side, number, own, pair, max_seconds, given[side.name])
        for position, side in enumerate(order):
            found = given[side.name]
            kernel = min(found.kernel, default=None)
            content = tuple(found.files), frozenset(timed if action == "time" else ()), found.statuses, kernel
            yield BenchmarkProcess(stage, pair, side.name, position, *content)

    def _take(
        self,
        action: str,
        side: Side,
        number: int,
        ids: Sequence[str],
        pair: int,
        max_seconds: float | None,
        given: _Given,
    ) -> None:
        """Measure benchmarks in a fresh process; if it is lost at one of them, in another process without this one."""
        left = list(ids)
        while left:
            path = self.processes.json_file()
            ended = self.processes.run(side, action, number, left, max_seconds, pair, path)
            failed = {each: status for each, status in statuses_of(ended, left).items() if status.status != "ok"}
            if action == "time":
                given.statuses |= failed
                self._count_failures(side, failed)
            elif not self.processes.no_memory:
                self.without_memory |= {each: f"{status.reason} in {side.name}" for each, status in failed.items()}
            if ended.lost is None:
                given.add(ended.events, path)
                self.processes.store(path, side, pair)
                return
            left = [each for each in left if each not in failed]

    def _count_failures(self, side: Side, failed: Mapping[str, CellStatus]) -> None:
        for each, status in failed.items():
            self._failures[side.name, each] += 1
            if self._failures[side.name, each] == MOST_FAILURES:
                self.statuses[side.name][each] = status
