"""Hosts that join a run."""

from __future__ import annotations

import time
from threading import Event
from types import SimpleNamespace

import pytest

from jacobench.bench.cluster.hosts import Found, Host
from jacobench.bench.cluster.live_hosts import LiveHosts
from jacobench.bench.machine.worker_process import HarnessFailure


@pytest.mark.parametrize(
    ("error", "unusable", "lines"),
    [
        (HarnessFailure("lost"), set(), []),
        (ValueError("no description"), {"b", "c"}, ["dask workers b and c are not used: ValueError: no description"]),
    ],
)
def test_new_workers_whose_question_fails_are_named_once_unless_the_scheduler_is_lost(error, unusable, lines):
    def find(*_):
        raise error

    said = []
    finder = SimpleNamespace(find=find, unusable=set())
    hosts = LiveHosts(finder, said.append, SimpleNamespace(note_machines=lambda _records: None))
    hosts.update({"b", "c"}, {"b", "c"})
    deadline = time.monotonic() + 10
    while hosts._asked and time.monotonic() < deadline:
        hosts._joined()
    assert not hosts._asked
    assert (finder.unusable, said) == (unusable, lines)


def test_a_host_may_join_until_its_first_answer_and_again_when_it_has_returned():
    may = Event()
    finder = SimpleNamespace(find=lambda *_: (may.wait(10), Found())[1], unusable=set())
    hosts = LiveHosts(finder, print, SimpleNamespace(note_machines=lambda _records: None))
    assert not hosts.may_join
    hosts.update({"b"}, {"b"})
    assert hosts.may_join
    may.set()
    while hosts._asked:
        hosts._joined()
    may.clear()
    hosts.update({"b"}, {"b"})
    assert hosts._asked
    assert not hosts.may_join, "it was silent"
    hosts.update((), ())
    hosts.update({"b"}, {"b"})
    assert hosts.may_join
    may.set()


def test_the_first_host_of_a_new_kind_of_machine_that_joins_is_announced():
    def host(name, machine):
        return Host((name, ""), SimpleNamespace(name=name, machine=machine, record={}), [name])

    said = []
    hosts = LiveHosts(None, said.append, SimpleNamespace(note_machines=lambda _records: None))
    hosts.add([host("one", "x, a")])
    for joined, kinds in (
        (("two", "x, a"), None),
        (("three", "x, b"), "there are 2 kinds of machine (x: 2 hosts with 'a' and 1 host with 'b'): "),
        (("four", "x, b"), None),
    ):
        said.clear()
        hosts._answers.put((set(), Found([host(*joined)])))
        assert [each.name for each in hosts._joined()] == [joined[0]]
        assert len(said) == (kinds is not None)
        assert all(line.startswith(f"a host of another kind has joined: {kinds}") for line in said)
    del hosts.by_name["one"], hosts.by_name["two"]
    hosts._answers.put((set(), Found([host("five", "x, c")])))
    hosts._joined()
    assert "(x: 0 hosts with 'a', 2 hosts with 'b' and 1 host with 'c')" in said[-1]
