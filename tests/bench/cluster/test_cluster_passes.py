"""What the client of a cluster does with rows, without a cluster."""

from __future__ import annotations

from types import SimpleNamespace

from jacobench.bench.cluster.cluster_passes import ClusterPasses


def test_a_larger_case_that_is_being_measured_is_not_skipped(make_measurement):
    """Its block would have the same cell again."""
    row = make_measurement(status="timeout", machine="m", host="one")
    larger = [make_measurement(case=case, status="not_tried") for case in ("running", "waiting", "elsewhere")]
    journal = []
    client = SimpleNamespace(
        ledger=SimpleNamespace(skipped_by=lambda _row: iter(larger), note=lambda _row: None),
        schedule=SimpleNamespace(machine_of={"elsewhere": "x"}, note=lambda _case, _rows: None),
        folder=SimpleNamespace(append=journal.append),
        _blocks=SimpleNamespace(running={"key": SimpleNamespace(block=SimpleNamespace(case="running"))}),
    )
    ClusterPasses._skip_larger(client, row)
    assert [(one.case, one.machine, one.host) for one in journal] == [("waiting", "m", "one")]
