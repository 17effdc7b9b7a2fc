"""What the client of a cluster does with blocks and rows, on invented hosts: each block ends when it is submitted."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from math import inf
from threading import Event
from types import SimpleNamespace

import msgspec
import pytest

from jacobench.bench.cluster import cluster_passes, host_schedule
from jacobench.bench.cluster.block_task import BlockJob, BlockResult, Unwanted
from jacobench.bench.cluster.cluster_passes import ClusterPasses
from jacobench.bench.cluster.host_survey import HostFacts, SurveyJob
from jacobench.bench.cluster.hosts import Found, Host, HostFinder
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.code_versions import CodeVersions
from jacobench.bench.run.run_folder import create
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import plan
from jacobench.bench.run.runner import carry_on, start
from jacobench.graphs.errors import BadInput, UnsuitableEnvironment

SUITE = """\
[[sweep]]
graph = "mlp"
width = [2, 3]
depth = 1
batch = [1, 2]
strategies = ["dense", "vjp"]
"""


class EndedFuture:
    """A task of Dask that has ended, with a result or an error."""

    def __init__(self, key, end):
        self.key = key
        try:
            self.status, self.found = "finished", end()
        except Exception as error:  # noqa: BLE001
            self.status, self.found = "error", error

    def result(self, **_):
        if self.status == "error":
            raise self.found
        return self.found

    def exception(self):
        return self.found

    def add_done_callback(self, function):
        function(self)

    def cancel(self, **_):
        pass


class UnsentFuture(EndedFuture):
    """A task that has ended, whose dask worker is lost before it has sent the result."""

    def __init__(self, key, _end):
        self.key, self.status = key, "finished"

    def result(self, **_):
        self.status = "lost"
        raise TimeoutError


class LostFuture(EndedFuture):
    """A task of a lost dask worker: it ends when it is cancelled, perhaps after a late measurement has arrived."""

    def __init__(self, key, receive):
        self.key, self.receive = key, receive

    def add_done_callback(self, function):
        self.note = function

    def cancel(self, **_):
        self.status = "cancelled"
        if self.receive:
            self.receive((0.0, {"key": self.key, "execution": "", "line": b"{}"}))
        self.note(self)


class InventedCluster:
    """Client of a cluster of dask workers, named as their hosts. `faults` has what the blocks of some of them raise."""

    status, scheduler = "running", SimpleNamespace(ncores=None, ncores_running=None)
    ended = EndedFuture

    def __init__(self, workers, faults):
        self.alive, self.faults, self.blocks = set(workers), faults, []
        self.is_late = False

    def subscribe_topic(self, _topic, receive):
        self.receive = receive

    def sync(self, *_, **__):
        return dict.fromkeys(self.alive, 1)

    def submit(self, _task, content, *, key, workers, **_):
        job = msgspec.json.decode(content, type=BlockJob)
        self.blocks.append((job.host, job.case.name, job.pass_number))
        if workers[0] not in self.alive:
            return LostFuture(key, self.receive if self.is_late else None)
        return self.ended(key, lambda: self.measured(job, workers[0]))

    def measured(self, job, worker):
        if fault := self.faults.get(worker):
            raise fault
        found = [
            Measurement(
                *(job.case.name, strategy, phase, strategy, job.pass_number),
                seconds=(1.0,), host=job.host, machine=job.machine,
            )
            for strategy, phase in job.case.cells
        ]  # fmt: skip
        return msgspec.json.encode(BlockResult(1.0, found))

    def __getattr__(self, _name):
        return lambda *_arguments, **_options: None


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Return the settings of a run of four cases in two passes."""
    options = RunOptions(SUITE, passes=2, cluster="tcp://127.0.0.1:1")
    with closing(start(options, tmp_path_factory.mktemp("settings") / "run")) as folder:
        return folder.settings


@pytest.fixture
def run(settings, tmp_path):
    """Return a run with functions that measure and read it."""
    with closing(create(tmp_path / "run", settings)) as folder:
        yield InventedRun(folder, plan(settings))


class InventedRun:
    """A run on invented hosts."""

    def __init__(self, folder, planned):
        self.folder, self.plan, self.said, self.progress = folder, planned, [], []

    def passes(self, machines, faults=None, code=None, deadline=None):
        """Return what measures the run on hosts, given with their machines."""
        code = code or self.folder.settings.code
        hosts = [
            Host((name, ""), HostFacts(name, machine, {}, 2**30, {}, code), [name])
            for name, machine in machines.items()
        ]
        self.client = InventedCluster(machines, faults or {})
        return ClusterPasses(
            HostFinder(self.client, SurveyJob(RunOptions("smoke")), code), hosts, self.said.append, self.folder, self.plan,
            self.progress.append, deadline,
        )  # fmt: skip

    def lines(self):
        return [json.loads(line) for line in (self.folder.path / "journal.jsonl").read_text().splitlines()]


ENDED_AT_START = (
    "a measuring process measured nothing: the process exited with status 1: OSError: no space left on device"
)


@pytest.mark.cluster
@pytest.mark.parametrize(
    "fault", [HarnessFailure(ENDED_AT_START), UnsuitableEnvironment("no folder"), OSError(28, "no space left")]
)
def test_the_cases_of_a_host_that_fails_are_measured_on_others(run, fault):
    run.passes({"bad": "m", "good": "m"}, {"bad": fault}).measure()
    assert Counter(host for host, _, _ in run.client.blocks) == {"bad": 1, "good": 8}
    assert {line["status"] for line in run.lines()} == {"ok"}
    assert len(run.lines()) == 2 * len(run.plan.cells)
    (line,) = run.said
    assert line.startswith("host bad is no longer used: ")
    assert str(fault) in line


@pytest.mark.cluster
def test_without_a_host_that_works_the_run_is_not_completed(run):
    faults = dict.fromkeys(("one", "two"), HarnessFailure(ENDED_AT_START))
    with pytest.raises(HarnessFailure, match=r"host two: .* no space left on device; no other host is left"):
        run.passes({"one": "m", "two": "m"}, faults).measure()
    assert run.lines() == []
    assert len(run.said) == 1
    run.passes({"one": "m"}).measure()
    assert {line["status"] for line in run.lines()} == {"ok"}


@pytest.mark.cluster
@pytest.mark.parametrize("ended", [EndedFuture, UnsentFuture])
def test_a_block_without_a_result_from_a_closing_dask_worker_is_an_attempt(run, ended):
    passes = run.passes({"one": "m"}, {"one": Unwanted()})
    run.client.ended = ended
    passes.measure()
    assert {line["reason"] for line in run.lines()} == {
        "its dask worker was lost in 3 attempts: the dask worker has gone"
    }
    assert Counter(run.client.blocks) == {("one", case.name, 0): 3 for case in run.plan.suite.cases}


@pytest.mark.parametrize("is_late", [False, True])
def test_measurements_of_a_lost_attempt_that_arrive_late_are_reported(run, is_late, monkeypatch):
    monkeypatch.setattr(cluster_passes, "POLL_SECONDS", 0.0)
    passes = run.passes({"gone": "m", "good": "m"})
    run.client.alive, run.client.is_late = {"good"}, is_late
    passes.measure()
    assert {line["host"] for line in run.lines()} == {"good"}
    assert len(run.lines()) == 2 * len(run.plan.cells)
    case = run.plan.suite.cases[0].name
    late = [f"discarded late measurements of {case}, pass 1"] if is_late else []
    lost = f"lost {case}, pass 1, on gone: the dask worker has gone; it is measured again"
    assert sorted(run.said) == sorted([lost, "host gone is lost", *late])
    assert {one.blocks for one in run.progress} == {8}
    assert run.progress[-1].blocks_done == 8


def test_a_run_without_hosts_waits_for_one_and_says_so(run, monkeypatch):
    monkeypatch.setattr(cluster_passes, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(cluster_passes, "RETURN_SECONDS", 0.01)
    passes = run.passes({"gone": "m"})
    run.client.alive = set()
    with pytest.raises(HarnessFailure, match=r"^4 cases cannot be measured: no host is left$"):
        passes.measure()
    assert run.said[-1] == "waiting 0 s for a host, to measure 4 cases"


@pytest.fixture
def joining(run, monkeypatch):
    """Return a run whose only host has been lost, and a dask worker whose host joins with the second answer."""
    monkeypatch.setattr(cluster_passes, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(cluster_passes, "RETURN_SECONDS", 0.0)
    passes = run.passes({"gone": "m"})
    run.client.alive = {"new"}
    answers = SimpleNamespace(passes=passes, empty=[], may=Event())

    def find(*_):
        if answers.empty:
            return answers.empty.pop()
        answers.may.wait(3)
        return Found([Host(("new", ""), HostFacts("new", "m", {}, 2**30, {}, run.folder.settings.code), ["new"])])

    passes.finder.find = find
    yield answers
    answers.may.set()


def test_a_run_does_not_end_while_a_host_that_has_joined_is_described(run, joining):
    joining.passes.say = lambda line: joining.may.set() if line.startswith("waiting") else None
    joining.passes.measure()
    assert {line["host"] for line in run.lines()} == {"new"}


def test_a_worker_that_is_asked_again_because_it_is_silent_does_not_keep_a_run_alive(joining):
    joining.empty.append(Found())
    with pytest.raises(HarnessFailure, match="no host is left"):
        joining.passes.measure()


@pytest.mark.parametrize(
    ("of_blocks", "n_left", "n_hosts", "seconds"),
    [((), 4, 2, None), ((2.0, 4.0), 4, 2, 6.0), ((2.0, 4.0), 5, 2, 9.0), ((3.0,), 0, 2, 0.0), ((3.0,), 4, 0, None)],
)
def test_the_remaining_time_is_that_of_complete_blocks_divided_among_hosts(of_blocks, n_left, n_hosts, seconds):
    assert cluster_passes.seconds_left(of_blocks, n_left, n_hosts) == seconds


@pytest.mark.cluster
def test_a_run_whose_machine_has_no_host_left_says_what_it_needs(run, monkeypatch):
    monkeypatch.setattr(cluster_passes, "RETURN_SECONDS", 0.0)
    key = "EPYC, 2 cores, a b (1a2b3c4d)"
    run.folder.note_machines({key: {"label": "a b"}})
    first = run.passes({"left": key})
    measured = run.client.measured

    def measure_once(job, worker):
        found = measured(job, worker)
        run.client.faults[worker] = HarnessFailure("power cut")
        return found

    run.client.measured = measure_once
    with pytest.raises(HarnessFailure, match="power cut"):
        first.measure()
    with pytest.raises(HarnessFailure) as raised:
        run.passes({"right": "x"}).measure()
    assert str(raised.value) == (
        f"1 case cannot be measured: no host with the machine key {key!r} is left. Start a dask worker on a host with the "
        "same processor, cores, memory and system, and JACOBENCH_MACHINE_LABEL='a b'. "
        f"Or measure it in a new run with --case {run.plan.suite.cases[0].name}"
    )


@pytest.mark.parametrize(
    ("cases", "labels", "ends"),
    [
        (("a", "b"), [""], "memory and system. Or measure them in a new run with --case a --case b"),
        ("abcd", ["y", "x", "y"], "LABEL=x or JACOBENCH_MACHINE_LABEL=y. Or measure them in a new run with --case"),
    ],
)
def test_of_many_cases_without_a_host_none_is_named(cases, labels, ends):
    assert cluster_passes.ways_on(cases, labels).endswith(ends)


@pytest.mark.parametrize(("limit", "n_undecided"), [(None, None), (-1.0, None), (1000.0, 4)])
def test_while_further_passes_may_begin_the_time_left_is_until_their_limit(run, monkeypatch, limit, n_undecided):
    monkeypatch.setattr(host_schedule, "further_passes", lambda *_: iter(()))
    run.passes({"one": "m"}, deadline=None if limit is None else time.monotonic() + limit).measure()
    assert {each.n_undecided for each in run.progress[:-1]} == {None}
    assert run.progress[-1].n_undecided == n_undecided
    least = 0.0 if n_undecided is None else limit / 2
    assert all(least <= each.seconds_left <= least + 1000 for each in run.progress)


def test_a_run_with_all_first_passes_waits_for_no_lost_host(run, monkeypatch):
    """Its first passes are complete; undecided cases of the machine of a lost host are not measured further."""
    monkeypatch.setattr(cluster_passes, "RETURN_SECONDS", 0.0)
    monkeypatch.setattr(host_schedule, "further_passes", lambda *_: iter(()))
    run.passes({"left": "x", "right": "m"}).measure()
    n_measured = len(run.lines())
    for deadline in (None, 0.0, inf):
        assert run.said == []
        run.passes({"right": "m"}, deadline=deadline).measure()
        assert len(run.lines()) == n_measured
    assert run.said == ["not measured further: 2 undecided cases; no host is left with the machine key 'x'"]


def test_what_a_killed_client_has_left_is_removed_when_the_run_is_finished(run):
    """After its last block, a resumed run has nothing to measure."""
    run.passes({"one": "m"}).measure()
    incomplete = run.folder.path / "incomplete"
    incomplete.mkdir()
    (incomplete / "key-execution.jsonl").touch()
    _, is_written = carry_on(run.folder, lambda _progress: None, passes=lambda *_: run.passes({"one": "m"}))
    assert is_written
    assert run.client.blocks == []
    assert not incomplete.exists()


def test_other_code_than_that_of_the_run_is_refused(run):
    """A resumed run has settings of its start, and the cluster the files of this command."""
    run.folder.settings = replace(run.folder.settings, code=CodeVersions({"mine.py": "old"}))
    with pytest.raises(BadInput, match=r"mine\.py has changed; restore it, or start a new run: "):
        run.passes({"one": "m"}, code=CodeVersions({"mine.py": "new"})).measure()
    assert run.lines() == []


def test_a_larger_case_that_is_being_measured_is_not_skipped(make_measurement):
    """Its block would have the same cell again."""
    row = make_measurement(status="timeout", machine="m", host="one")
    larger = [make_measurement(case=case, status="not_tried") for case in ("running", "waiting", "elsewhere")]
    journal = []
    client = SimpleNamespace(
        ledger=SimpleNamespace(skipped_by=lambda _row: iter(larger), note=lambda _row: None),
        schedule=SimpleNamespace(is_for=lambda case, _: case != "elsewhere", note=lambda _case, _rows: None),
        folder=SimpleNamespace(append=journal.append),
        _blocks=SimpleNamespace(running={"key": SimpleNamespace(block=SimpleNamespace(case="running"))}),
    )
    ClusterPasses._skip_larger(client, row)
    assert [(one.case, one.machine, one.host) for one in journal] == [("waiting", "m", "one")]
