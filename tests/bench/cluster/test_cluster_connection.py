"""Connections to a cluster: they have a limit, and change nothing for the caller."""

from __future__ import annotations

import logging
import socket
from types import SimpleNamespace

import pytest
from rich.console import Console

import jacobench as jb
from jacobench.bench.cluster import cluster_connection, cluster_run
from jacobench.commands import app
from jacobench.graphs.errors import BadInput

pytestmark = pytest.mark.cluster


def test_an_address_that_accepts_connections_but_never_answers_is_refused(monkeypatch):
    monkeypatch.setattr(cluster_connection, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(cluster_connection, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(cluster_connection, "PATIENCE_SECONDS", 0.1)
    announced = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with (
            pytest.raises(BadInput, match="no scheduler answers"),
            cluster_connection.connected(spec, announced.append),
        ):
            pass
    assert announced == [f"connecting to {spec} (up to 0.5 s)"]


def test_the_loggers_of_the_caller_are_as_before():
    names = ("distributed", "distributed.client", "tornado", "asyncio")
    before = [logging.getLogger(name).level for name in names]
    with cluster_connection.connected(SimpleNamespace()):
        assert {logging.getLogger(name).level for name in names} == {logging.CRITICAL + 1}
    assert [logging.getLogger(name).level for name in names] == before
    assert before != [logging.CRITICAL + 1] * 4


@pytest.mark.parametrize(
    ("options", "is_terminal", "said"), [([], True, "asking\n"), (["--quiet"], True, ""), ([], False, "")]
)
def test_what_is_waited_for_is_announced_on_a_terminal(options, is_terminal, said, monkeypatch, capsys):
    def ready(_cluster, _options, _say, _machine, announce):
        announce("asking")
        raise BadInput("no host")

    terminal = Console(stderr=True, force_terminal=is_terminal)
    monkeypatch.setattr("jacobench.commands.console.stderr", lambda: terminal)
    monkeypatch.setattr("jacobench.api.ready", ready)
    monkeypatch.setattr("jacobench.commands.cmd_run._silence_dask", lambda: None)  # for all tests of this process
    with pytest.raises(BadInput, match="no host"):
        app(["run", "--cluster", "local:1", *options], standalone_mode=False)
    assert capsys.readouterr().err == said


WAYS = {
    "command": lambda out: app(["run", "--cluster", "tcp://127.0.0.1:9", "--out", out], standalone_mode=False),
    "function": lambda out: jb.run("smoke", cluster="tcp://127.0.0.1:9", out=out),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_exists_is_refused_before_connecting(way, tmp_path, monkeypatch):
    (tmp_path / "mine").touch()
    connected = []
    monkeypatch.setattr(cluster_run, "connected", connected.append)
    with pytest.raises(BadInput, match="already exists; choose another folder"):
        WAYS[way](str(tmp_path))
    assert connected == []
