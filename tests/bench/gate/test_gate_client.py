"""Time limits of a process, as its parent sets them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jacobench.bench.gate import gate_client
from jacobench.bench.gate.gate_client import STARTING_SECONDS, CellStatus, run_process
from jacobench.bench.gate.installation.side_environments import Side
from jacobench.bench.gate.trees.revisions import Tree


class Reporting:
    """Process that reports some events, then nothing; it notes how long it might have taken for each."""

    def __init__(self, events):
        self.events, self.limits = list(events), []

    def __call__(self, *_):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def next_event(self, deadline):
        self.limits.append(deadline - time.monotonic())
        return {"event": self.events.pop(0), "name": "it"} if self.events else None

    def how_it_ended(self, limit, _step):
        return "timeout", f"not finished after {limit:g} s"

    def last_words(self):
        return ""


@pytest.mark.parametrize(
    ("events", "limits", "seconds"),
    [
        ([], [1060], "1060"),
        (["calibration", "step"], [1060, 1060, 1060], "1060"),
        (["calibration", "collected", "calibration", "start"], [1060, 1060, 1000, 1000, 1000], "1000"),
    ],
)
def test_a_process_may_take_longer_until_its_first_report(monkeypatch, tmp_path, events, limits, seconds):
    process = Reporting(events)
    monkeypatch.setattr(gate_client, "WorkerProcess", process)
    side = Side("head", Tree("1a2b3c", tmp_path, tmp_path), Path("python"), tmp_path)
    ended = run_process(side, "script.py", {}, {}, 1000.0)
    assert STARTING_SECONDS == 60
    assert process.limits == pytest.approx(limits, abs=20)
    assert ended.lost == CellStatus("timeout", f"not finished after {seconds} s; timeout_seconds sets this limit")
