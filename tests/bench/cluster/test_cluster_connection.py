"""Connections to a cluster, and questions to its dask workers, have a limit."""

from __future__ import annotations

import socket

import pytest

from jacobench.bench.cluster import cluster_connection
from jacobench.graphs.errors import BadInput

pytestmark = pytest.mark.cluster


def test_an_address_that_accepts_connections_but_never_answers_is_refused(monkeypatch):
    monkeypatch.setattr(cluster_connection, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(cluster_connection, "GRACE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BadInput, match="no scheduler answers"), cluster_connection.connected(spec):
            pass
