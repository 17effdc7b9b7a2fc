"""Which block a host measures next, on invented hosts."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.cluster import host_schedule
from jacobench.bench.cluster.host_schedule import HostSchedule
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.ledger import Ledger
from jacobench.bench.suites.case import Cell

CASES = ("a", "b", "c", "d", "e", "f")
FIRST = 3


class Run:
    """A run whose blocks are measured at once: each strategy takes the same time, so no case is decided."""

    def __init__(self, measurements=()):
        cases = tuple(SimpleNamespace(name=name, task="gradient", phases=("gradient",), knobs={}) for name in CASES)
        cells = [Cell(name, strategy, "gradient") for name in CASES for strategy in ("vjp", "dense")]
        plan = SimpleNamespace(suite=SimpleNamespace(cases=cases), cells=cells)
        self.measurements = list(measurements)
        self.ledger = Ledger(plan, FIRST, self.measurements)
        self.schedule = HostSchedule(self.ledger, FIRST, self.measurements)
        self.machine = {}
        self.kernel = {}  # pass → seconds
        self.decided = set()  # cases in which dense takes twice the time

    def add(self, host, machine):
        self.machine[host] = machine
        self.schedule.add_host(host, machine)

    def skip(self, *cases):
        """Note that strategies at cases are not tried."""
        for case in cases:
            for strategy in ("vjp", "dense"):
                row = self.ledger.failure(Cell(case, strategy, "gradient"), "not_tried", "timeout", 0, 0)
                self.ledger.note(row)
                self.schedule.note(case, [row])

    def measure(self, host, *, in_time=False):
        """Measure the next block of a host; return its case and pass, None if there is none."""
        block = self.schedule.next_block(host, in_time=in_time)
        if block is None:
            return None
        cells = self.ledger.left_of(block.case, block.planned)
        found = [
            Measurement(
                cell.case, cell.strategy, cell.phase, cell.strategy, block.planned.number,
                repeats=block.planned.repeats, host=host,
                seconds=(2.0 if cell.strategy == "dense" and cell.case in self.decided else 1.0,), machine=self.machine[host],
            )
            for cell in cells
        ]  # fmt: skip
        if seconds := self.kernel.get(block.planned.number):
            kernel = {"case": "", "strategy": CONTROL, "phase": CONTROL, "spec": CONTROL, "seconds": (seconds,)}
            found.append(msgspec.structs.replace(found[0], **kernel))
        for one in found:
            self.ledger.note(one)
        self.schedule.note(block.case, found)
        self.measurements += found
        return block.case, block.planned.number


@pytest.fixture
def run():
    return Run()


def everything(run, *hosts):
    """Let hosts measure in turn until none has a block; return host, case and pass of each block."""
    found = []
    while True:
        turn = [(host, *block) for host in hosts if (block := run.measure(host))]
        if not turn:
            return found
        found += turn


def test_each_block_is_measured_once_and_first_each_case_once(run):
    run.add("one", "m")
    run.add("two", "m")
    found = everything(run, "one", "two")
    assert sorted(block[1:] for block in found) == [(case, number) for case in CASES for number in range(FIRST)]
    assert [number for _, _, number in found[: len(CASES)]] == [0] * len(CASES)
    assert all(len({host for host, own, _ in found if own == case}) == 1 for case in CASES)
    assert Counter(host for host, _, _ in found) == {"one": 9, "two": 9}


def test_the_cases_of_a_lost_host_go_to_hosts_of_its_machine_only(run):
    for host, machine in {"one": "m", "two": "m", "other": "x"}.items():
        run.add(host, machine)
    began = [(host, *run.measure(host)) for host in ("one", "two", "other")]
    assert [case for _, case, _ in began] == ["a", "b", "c"]
    run.schedule.remove_host("one")
    found = everything(run, "two", "other")
    assert {host for host, case, _ in found if case == "a"} == {"two"}
    machines = {case: {m.machine for m in run.measurements if m.case == case} for case in CASES}
    assert all(len(own) == 1 for own in machines.values())
    assert machines["c"] == {"x"}
    assert run.schedule.waiting() == {}


def test_a_case_without_a_host_of_its_machine_waits(run):
    run.add("one", "m")
    run.add("other", "x")
    run.measure("one")
    lost = run.schedule.next_block("one", in_time=False)
    run.schedule.remove_host("one")
    found = everything(run, "other")
    assert lost.case in {case for _, case, _ in found}, "nothing of it was complete"
    assert "a" not in {case for _, case, _ in found}
    assert run.schedule.waiting() == {"m": ["a"]}
    run.add("new", "m")
    assert everything(run, "new", "other") == [("new", "a", 1), ("new", "a", 2)]


def test_only_cases_that_lack_first_passes_wait_for_a_host(run):
    run.add("left", "x")
    run.add("right", "m")
    everything(run, "left", "right")
    run.schedule.remove_host("left")
    assert run.schedule.waiting() == {}
    assert run.schedule.undecided_without_host() == {"x": 3}
    resumed = Run(run.measurements)
    resumed.add("right", "m")
    assert resumed.measure("right") is None
    assert resumed.schedule.waiting() == {}
    assert resumed.schedule.undecided_without_host() == {"x": 3}


def test_undecided_cases_are_counted_as_they_are_measured(run):
    run.decided = {"b", "d"}
    run.add("one", "m")
    assert run.schedule.n_undecided() == 0
    counts = []
    while run.measure("one") is not None:
        counts.append(run.schedule.n_undecided())
    assert counts[-1] == len(host_schedule.undecided_cases(run.measurements)) == 4
    assert max(counts) == 6, "after their first pass none is decided"
    assert Run(run.measurements).schedule.n_undecided() == 4


def test_skipped_cases_delay_no_first_pass(run):
    """They are skipped before and after a host has them."""
    run.add("one", "m")
    run.skip("b", "c")
    assert [run.measure("one") for _ in range(2)] == [("a", 0), ("d", 0)]
    block = run.schedule.next_block("one", in_time=False)
    run.skip(block.case)
    run.schedule.again("one", block)
    assert [run.measure("one") for _ in range(2)] == [("f", 0), ("a", 1)]


def test_a_lost_block_is_the_next_one_of_its_host(run):
    run.add("one", "m")
    block = run.schedule.next_block("one", in_time=False)
    run.schedule.again("one", block)
    assert run.schedule.next_block("one", in_time=False) == block


def test_a_resumed_run_measures_what_remains_where_it_began(run):
    run.add("one", "m")
    run.add("other", "x")
    for _ in range(4):
        run.measure("one")
        run.measure("other")
    resumed = Run(run.measurements)
    resumed.add("new", "m")
    resumed.add("far", "x")
    found = everything(resumed, "new", "far")
    done = {(m.case, m.pass_number) for m in run.measurements}
    assert {block[1:] for block in found} == {(case, number) for case in CASES for number in range(FIRST)} - done
    machines = {case: {m.machine for m in resumed.measurements if m.case == case} for case in CASES}
    assert all(len(own) == 1 for own in machines.values())


def test_further_passes_are_those_of_each_hosts_undecided_cases(run):
    run.add("one", "m")
    run.add("two", "m")
    everything(run, "one", "two")
    own = {case for m in run.measurements if m.host == "one" for case in [m.case]}
    assert {run.measure("one", in_time=True) for _ in own} == {(case, FIRST) for case in own}
    assert run.measure("one") is None


def test_undecided_cases_of_a_lost_host_are_measured_further_by_one_that_has_measured_fewer_passes(run):
    run.add("one", "m")
    run.add("two", "m")
    run.decided = {"b", "d", "f"}
    everything(run, "one", "two")
    assert {run.measure("one", in_time=True) for _ in "ace"} == {(case, FIRST) for case in "ace"}
    assert run.measure("two", in_time=True) is None
    run.schedule.remove_host("one")
    assert {run.measure("two", in_time=True) for _ in "ace"} == {(case, FIRST + 1) for case in "ace"}


def test_a_case_without_measurements_is_for_one_machine_only_if_there_is_one(run):
    run.add("one", "m")
    assert run.schedule.is_for("b", "m")
    run.add("other", "x")
    assert not run.schedule.is_for("b", "m")
    assert run.measure("one") == ("a", 0)
    assert (run.schedule.is_for("a", "m"), run.schedule.is_for("a", "x")) == (True, False)


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("returned", ["one", "new"])
def test_a_pass_in_which_the_calibration_kernel_changed_is_repeated(run, is_resumed, returned):
    """Rows of the kernel name no case, only their host."""
    run.kernel = {0: 1.0, 1: 1.2, 2: 1.0}
    run.add("one", "m")
    everything(run, "one")
    if is_resumed:
        run = Run(run.measurements)
    else:
        run.schedule.remove_host("one")
    run.add(returned, "m")
    block = run.schedule.next_block(returned, in_time=True)
    assert block.planned.number == FIRST
    assert block.planned.repeats.pass_number == 1
    assert "calibration kernel" in block.planned.repeats.cause


def test_a_host_without_a_further_pass_looks_for_one_only_after_a_change(run, monkeypatch):
    looks = []
    monkeypatch.setattr(host_schedule, "further_passes", lambda *_: iter(looks.append(1) or ()))
    run.add("one", "m")
    everything(run, "one")
    assert [run.measure("one", in_time=True) for _ in range(3)] == [None] * 3
    assert len(looks) == 1
    run.schedule.note("a", [])
    assert run.measure("one", in_time=True) is None
    assert len(looks) == 2


def test_finished_cases_of_a_resumed_run_are_distributed_evenly(run):
    run.add("one", "m")
    everything(run, "one")
    resumed = Run(run.measurements)
    resumed.add("two", "m")
    resumed.add("three", "m")
    assert resumed.schedule.next_block("two", in_time=False) is None
    assert Counter(len(lane.cases) for lane in resumed.schedule.lanes.values()) == {3: 2}


def test_cells_that_were_given_up_leave_nothing_to_measure(run):
    run.add("one", "m")
    for case in CASES:
        for strategy in ("vjp", "dense"):
            failed = run.ledger.failure(Cell(case, strategy, "gradient"), "crashed", "lost", 0, 0)
            run.ledger.note(msgspec.structs.replace(failed, host="one", machine="m"))
    assert run.measure("one", in_time=True) is None


def test_the_blocks_that_remain_are_counted_also_if_cells_are_skipped_or_have_failed(run):
    run.add("one", "m")
    assert run.schedule.n_left == len(CASES) * FIRST
    run.measure("one")
    assert run.schedule.n_left == len(CASES) * FIRST - 1
    for strategy in ("vjp", "dense"):
        failed = run.ledger.failure(Cell("b", strategy, "gradient"), "crashed", "", 0, 0)
        run.ledger.note(failed)
        run.schedule.note("b", [failed])
        run.measurements.append(failed)
    assert run.schedule.n_left == (len(CASES) - 1) * FIRST - 1
    everything(run, "one")
    assert run.schedule.n_left == 0
    assert Run(run.measurements).schedule.n_left == 0
