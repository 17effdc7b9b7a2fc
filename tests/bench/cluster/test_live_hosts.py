"""Hosts that join a run."""

from __future__ import annotations

import time
from threading import Event
from types import SimpleNamespace

import pytest

from jacobench.bench.cluster.hosts import Found
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
