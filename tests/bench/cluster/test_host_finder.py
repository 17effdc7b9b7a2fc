"""Dask workers that are asked for what they are: some do not answer, some cannot be used, some join later."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from threading import Event
from types import SimpleNamespace

import msgspec
import pytest

from jacobench.bench.cluster import cluster_calls, cluster_run
from jacobench.bench.cluster.block_files import pack
from jacobench.bench.cluster.cluster_calls import ask_workers, uploaded
from jacobench.bench.cluster.cluster_connection import connected
from jacobench.bench.cluster.host_survey import HostFacts, Survey, SurveyJob
from jacobench.bench.cluster.hosts import Found, Host, HostFinder
from jacobench.bench.cluster.live_hosts import LiveHosts
from jacobench.bench.cluster.submitted_blocks import SubmittedBlocks
from jacobench.bench.machine.worker_process import HarnessFailure
from jacobench.bench.run.code_versions import CodeVersions
from jacobench.bench.run.run_options import RunOptions

OWN = version("jacobench")


class StubClient:
    """Client of dask workers, whose answers are given by address and function; without one, they do not answer."""

    def __init__(self, answers):
        self.answers, self.asked, self.status = answers, [], "running"
        self.alive = set()
        self.scheduler = SimpleNamespace(ncores=self._ncores)

    async def _ncores(self):
        return dict.fromkeys(self.alive, 1)

    def sync(self, function, callback_timeout=None, **_):
        return asyncio.run(asyncio.wait_for(function(), callback_timeout))

    def unsubscribe_topic(self, *_, **__):
        pass

    cancel = unsubscribe_topic

    async def _run(self, function, *_arguments, workers, **_):
        (address,) = workers
        self.asked.append((address, function.__name__))
        answer = self.answers.get(address, {}).get(function.__name__)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception) and not isinstance(answer, PackageNotFoundError):
            raise answer
        return {address: answer}


def worker(machine="m", label="", has=OWN):
    """Return the answers of a dask worker."""
    facts = HostFacts("node", machine, {}, 2**30, {}, CodeVersions())
    return {"getenv": label, "version": has, "survey": msgspec.json.encode(Survey(facts))}


@pytest.fixture
def finder(monkeypatch):
    """Return a function that makes a finder of hosts from the answers of dask workers by address."""
    monkeypatch.setattr("jacobench.bench.cluster.hosts.ask_workers", impatient)
    return lambda answers: HostFinder(StubClient(answers), SurveyJob(RunOptions("smoke")), CodeVersions())


def impatient(*arguments, workers, **_):
    return ask_workers(*arguments, workers=workers, seconds=0.1)


def test_workers_are_asked_at_the_same_time_and_those_that_do_not_answer_do_not_delay_others():
    n_asked = []
    all_asked = asyncio.Event()

    async def ask(_function, *, workers, **_):
        n_asked.append(workers)
        if len(n_asked) == 4:
            all_asked.set()
        await (all_asked if workers[0] in "ab" else asyncio.Event()).wait()
        return {workers[0]: len(workers)}

    client = SimpleNamespace(status="running", _run=ask, sync=lambda function: asyncio.run(function()))
    answers = ask_workers(client, os.getpid, workers="abcd", seconds=0.5)
    assert (answers["a"], answers["b"]) == (1, 1)
    for silent in "cd":
        assert isinstance(answers[silent], TimeoutError)
        assert "did not answer within 0.5 s" in str(answers[silent])


@pytest.mark.cluster
def test_a_host_with_a_frozen_worker_is_used_by_its_other_worker(finder):
    found = finder({"tcp://10.0.0.1:1": {}, "tcp://10.0.0.1:2": worker()})
    result = found.find(["tcp://10.0.0.1:1", "tcp://10.0.0.1:2"])
    assert [host.workers for host in result.hosts] == [["tcp://10.0.0.1:2"]]
    assert result.lines == ["dask worker tcp://10.0.0.1:1 is not used: it did not answer within 0.1 s"]
    found.client.answers["tcp://10.0.0.1:1"] = worker()
    result = found.find(["tcp://10.0.0.1:1"], known=[("10.0.0.1", "")])
    assert result.more == {("10.0.0.1", ""): ["tcp://10.0.0.1:1"]}, "it can be used when it answers"
    assert found.unusable == set()


@pytest.mark.cluster
@pytest.mark.parametrize("question", ["version", "survey"])
def test_a_worker_that_ends_or_freezes_while_it_is_asked_can_be_asked_again(finder, question):
    one, other = "tcp://10.0.0.1:1", "tcp://10.0.0.2:1"
    found = finder({one: worker() | {question: OSError("closed")}, other: worker() | {question: None}})
    result = found.find([one, other])
    assert result.hosts == []
    assert [line.partition(" is not used")[0] for line in result.lines] == [f"dask worker {other}"]
    assert found.find([other]).lines == [], "each cause is stated once"
    assert found.unusable == set()
    found.client.answers = {one: worker(), other: worker()}
    assert len(found.find([one, other]).hosts) == 2


@pytest.mark.cluster
def test_a_later_worker_of_a_known_host_needs_the_same_version_and_no_description(finder):
    good, bad, none = (f"tcp://10.0.0.1:{port}" for port in (1, 2, 3))
    found = finder({good: worker(), bad: worker(has="0.0.1"), none: worker(has=PackageNotFoundError("jacobench"))})
    result = found.find([good, bad, none], known=[("10.0.0.1", "")])
    assert (result.hosts, result.more) == ([], {("10.0.0.1", ""): [good]})
    assert found.unusable == {bad, none}
    assert [line.partition(".  ")[0].partition(". To install")[0] for line in result.lines] == [
        f"dask worker {bad} of host 10.0.0.1 is not used: it has jacobench 0.0.1",
        f"dask worker {none} of host 10.0.0.1 is not used: jacobench is not installed",
    ]
    assert "survey" not in {question for _, question in found.client.asked}


@pytest.mark.cluster
def test_a_worker_that_cannot_describe_its_host_is_not_asked_again(finder):
    """It has other code of the same version, for example."""
    one = "tcp://10.0.0.1:1"
    found = finder({one: worker() | {"survey": AttributeError("no survey\nhere")}})
    assert found.find([one]) == Found([], {}, [f"dask worker {one} is not used: AttributeError: no survey here"])
    assert found.unusable == {one}


def test_a_scheduler_that_is_lost_while_workers_are_asked_is_one_error():
    client = StubClient({"a": {"getpid": OSError("closed")}})
    client.status = "connecting"
    with pytest.raises(HarnessFailure, match="connection to the scheduler of the cluster was lost"):
        ask_workers(client, os.getpid, workers="a")


@pytest.mark.cluster
def test_a_given_up_host_and_one_of_another_machine_are_not_found_again(finder):
    one, other = "tcp://10.0.0.1:1", "tcp://10.0.0.2:1"
    found = finder({one: worker("a"), other: worker("b")})
    said = []
    hosts = found.of_machine(found.find([one, other]).hosts, "a", said.append)
    assert [host.machine for host in hosts] == ["a"]
    assert len(said) == 1
    assert found.unusable == {other}
    found.give_up(hosts[0])
    assert found.find([one]).hosts == []
    assert found.unusable == {one, other}


class SlowFinder:
    """Finds nothing until it may."""

    def __init__(self, found):
        self.found, self.unusable, self.may, self.asked = found, set(), Event(), []

    def find(self, workers, known):
        self.asked.append((set(workers), list(known)))
        assert self.may.wait(20)
        return self.found


def host(address, name="node"):
    return Host(
        (address, ""), HostFacts(name, "m", {}, 1, {}, CodeVersions()), [f"tcp://{address}:1", f"tcp://{address}:2"]
    )


def test_blocks_continue_while_new_workers_are_asked():
    here, there = host("10.0.0.1"), host("10.0.0.2")
    finder = SlowFinder(Found([there], {here.place: ["tcp://10.0.0.1:3"]}, ["a line"]))
    said = []
    hosts = LiveHosts(finder, said.append, SimpleNamespace(note_machines=lambda _records: None))
    hosts.add([here])
    alive = {*here.workers, "tcp://10.0.0.1:3", *there.workers}
    assert hosts.update(alive, alive) == ([], [])
    assert hosts.update(alive, alive) == ([], []), "they are asked once"
    assert finder.asked == [({"tcp://10.0.0.1:3", *there.workers}, [here.place])]
    finder.may.set()
    while not (joined := hosts.update(alive, alive)[0]):
        pass
    assert [each.name for each in joined] == ["node at 10.0.0.2"]
    assert here.workers == ["tcp://10.0.0.1:1", "tcp://10.0.0.1:2", "tcp://10.0.0.1:3"]
    assert said == ["a line"]
    assert hosts.update(here.workers, here.workers) == ([], ["node at 10.0.0.2"])
    assert len(finder.asked) == 1


def test_the_next_block_of_a_host_is_for_a_worker_that_is_not_paused():
    here, said = host("10.0.0.1"), []
    hosts = LiveHosts(SlowFinder(Found()), said.append, SimpleNamespace(note_machines=lambda _records: None))
    hosts.add([here])
    one, other = alive = list(here.workers)
    for running, first, n_said in (
        ([other], other, 0),
        ([], other, 1),
        ([], other, 1),
        (alive, other, 1),
        ([one], one, 1),
    ):
        hosts.update(alive, running)
        assert here.workers[0] == first
        assert len(said) == n_said
    assert said == ["host node waits: its dask workers are paused, because they use too much memory"]


def test_a_scheduler_that_is_lost_before_the_first_worker_is_one_error(monkeypatch):
    monkeypatch.setattr(cluster_run, "WAIT_SECONDS", 0.01)
    client = SimpleNamespace(status="running", scheduler=SimpleNamespace(ncores=None), sync=lambda *_, **__: {})
    said = []

    def say(line):
        said.append(line)
        client.status = "closed"

    with pytest.raises(HarnessFailure, match="connection to the scheduler of the cluster was lost"):
        cluster_run._first_workers(client, say)
    assert said == ["waiting for the first worker of the cluster; Ctrl-C ends the run"]


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("patience", "addresses", "announced"),
    [
        (0.0, ["tcp://10.0.0.1:1"], ["asking 1 dask worker about its host"]),
        (0.0, ["tcp://10.0.0.1:1", "tcp://10.0.0.2:1"], ["asking 2 dask workers about their hosts"]),
        (60.0, ["tcp://10.0.0.1:1"], []),
    ],
)
def test_that_hosts_are_asked_is_announced_if_it_takes_long(patience, addresses, announced, finder, monkeypatch):
    monkeypatch.setattr(cluster_run, "PATIENCE_SECONDS", patience)
    silent, lines = finder({}), []
    silent.client.alive = addresses
    cluster_run._find_first(silent, lines.append, lines.append, time.monotonic())
    assert lines == announced


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "its workers have ended"),
        (["host a is not used: x.", "host b is not used: y"], "host a is not used: x; host b is not used: y"),
        (["one", "two", "three", "four", "five"], "one; two; three; and 2 more"),
    ],
)
def test_the_causes_for_which_no_host_is_used_are_one_line(lines, said):
    assert cluster_run._causes(lines) == said


def test_an_interrupt_does_not_wait_without_limit_for_a_frozen_worker(monkeypatch):
    monkeypatch.setattr("jacobench.bench.cluster.submitted_blocks.STOP_SECONDS", 0.3)
    client = StubClient({"ends": {"running_blocks": ["block-0"]}, "gone": {"running_blocks": OSError("closed")}})
    blocks = running_on(client, "ends", "frozen", "gone")
    client.alive = {"ends", "frozen", "gone"}
    assert blocks.stop() == ["ends", "frozen"]
    assert {address for address, _ in client.asked} == {"ends", "frozen", "gone"}


def test_an_interrupt_does_not_wait_for_a_worker_that_has_ended():
    """A connection to it would be tried until the limit."""
    client = StubClient({})
    assert running_on(client, "ended").stop() == []
    assert client.asked == []


def test_blocks_whose_scheduler_does_not_answer_may_still_run(monkeypatch):
    monkeypatch.setattr("jacobench.bench.cluster.submitted_blocks.STOP_SECONDS", 0.2)
    client = StubClient({})
    client.scheduler.ncores = lambda: asyncio.Event().wait()
    assert running_on(client, "one", "two").stop() == ["one", "two"]
    with pytest.raises(HarnessFailure, match=r"^the scheduler of the cluster did not answer within 0\.1 s$"):
        cluster_calls.alive_workers(client, 0.1)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_no_block_runs_whose_scheduler_is_lost(when):
    """Dask workers end with their scheduler."""
    client = StubClient({})
    client.alive = {"one"}

    async def lose():
        raise OSError  # before the client notices it

    client.scheduler.ncores = lose
    client.status = "connecting" if when == "before" else "running"
    assert running_on(client, "one").stop() == []


def test_an_error_of_the_code_that_ends_blocks_is_not_hidden(monkeypatch):
    client = StubClient({})
    monkeypatch.setattr(client, "cancel", None, raising=False)
    with pytest.raises(TypeError):
        running_on(client, "one").stop()


def running_on(client, *workers):
    """Return blocks that run on dask workers."""
    blocks = SubmittedBlocks(client)
    for number, worker in enumerate(workers):
        key = f"block-{number}"
        blocks.running[key] = SimpleNamespace(key=key, worker=worker, future=None)
    return blocks


@pytest.fixture
def local_cluster():
    """Return a client of a cluster with two dask workers, and the process of each by address."""
    with connected("local:2") as client:
        client.wait_for_workers(2, timeout=60)
        yield client, ask_workers(client, os.getpid, workers=cluster_calls.alive_workers(client))


@pytest.mark.cluster
def test_a_frozen_process_does_not_prevent_a_run_on_others(local_cluster, monkeypatch, tmp_path):
    """The files of a run are uploaded, too."""
    client, processes = local_cluster
    (tmp_path / "suite.toml").write_text('[[sweep]]\ngraph = "mlp"\nwidth = 2\ndepth = 1\n')
    monkeypatch.setattr(cluster_calls, "ANSWER_SECONDS", 3.0)
    monkeypatch.setattr(cluster_calls, "CLOSE_SECONDS", 0.5)
    monkeypatch.setattr(ask_workers, "__kwdefaults__", {"seconds": 3.0})
    address, process = next(iter(processes.items()))
    said = []
    os.kill(process, signal.SIGSTOP)
    try:
        with cluster_run.ready_cluster(client, RunOptions(str(tmp_path / "suite.toml")), said.append) as ready:
            assert [host.workers for host in ready.hosts] == [[each for each in processes if each != address]]
            assert said == [f"dask worker {address} is not used: it did not answer within 3 s"]
    finally:
        os.kill(process, signal.SIGCONT)
    (plugins,) = ask_workers(client, plugins_of, workers=processes.keys() - {address}, seconds=20).values()
    assert not any("jacobench" in name for name in plugins)


def plugins_of(dask_worker):
    return list(dask_worker.plugins)


GRAPH = """
import jacobench as jb
from sizes import N

print("printed by the user's file")


def make(width):
    return jb.mlp([width, N, 2], batch=2)
"""


@pytest.mark.cluster
def test_a_dask_worker_describes_each_version_of_an_edited_file(local_cluster, tmp_path):
    """It lives longer than a run, and it does not import the file."""
    client, processes = local_cluster
    suite = tmp_path / "suite.toml"
    suite.write_text('[[sweep]]\ngraph = "mygraph.py:make"\nwidth = [3]\n')
    (tmp_path / "mygraph.py").write_text(GRAPH)
    files = tuple(str(tmp_path / name) for name in ("mygraph.py", "sizes.py", "suite.toml"))
    digests = set()
    for text in ("N = 4", "raise ValueError(__file__)"):
        (tmp_path / "sizes.py").write_text(text)
        archive = pack(files, tmp_path)
        with uploaded(client, archive):
            finder = HostFinder(client, SurveyJob(RunOptions(str(suite)), archive.name, files), CodeVersions())
            found = finder.find(processes)
        digests |= {host.facts.code.files[files[1]] for host in found.hosts}
    assert len(digests) == 1
    assert len(found.lines) == 1
    assert found.lines[0].endswith(f"ValueError: {files[1]}"), found.lines
    modules = ask_workers(client, modules_of, workers=processes).values()
    assert not any({"mygraph", "sizes"} & set(names) for names in modules)


def modules_of():
    return sorted(sys.modules)
