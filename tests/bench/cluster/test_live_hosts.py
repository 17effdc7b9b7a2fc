"""Hosts that join a run."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

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
