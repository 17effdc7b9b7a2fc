"""The passes of a run where a worker does not do what it should before it has measured anything."""

from __future__ import annotations

import sys
from contextlib import closing

import pytest

from jacobench.bench.machine.worker_process import HarnessFailure, WorkerProcess
from jacobench.bench.run import passes
from jacobench.bench.run.ledger import Ledger
from jacobench.bench.run.passes import Passes
from jacobench.bench.run.run_folder import resume
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import plan
from jacobench.bench.run.runner import carry_on, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the interpreter is replaced by a shell script")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exec sleep 1000", "it did not begin within 0.4 s"),
        ("echo no such thing >&2; exit 1", "the process exited with status 1: no such thing"),
        ("kill -9 $$", "the process was ended by SIGKILL"),
        ("exit 0", "the process exited with status 0"),
    ],
)
def test_a_worker_that_never_begins_is_a_failure_of_the_harness(script, message, tiny, tmp_path, monkeypatch):
    folder = start(RunOptions(str(tiny), passes=1, timeout=0.1), tmp_path / "run")
    (tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(passes, "STARTING_SECONDS", 0.3)
    with pytest.raises(HarnessFailure, match=rf"^a measuring process measured nothing: {message}$"):
        carry_on(folder, lambda _progress: None)
    folder.close()
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == b""
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.long
def test_central_differences_are_computed_once_per_case_and_run(tiny, tmp_path, monkeypatch):
    jobs = []

    class Recorded(WorkerProcess):
        def __init__(self, job, *arguments):
            jobs.append(job)
            super().__init__(job, *arguments)

    monkeypatch.setattr(passes, "WorkerProcess", Recorded)
    with closing(start(RunOptions(str(tiny), passes=2), tmp_path / "run")) as folder:
        carry_on(folder, lambda _progress: None)
    cases = {"mlp-w4-d1-b1", "mlp-w4-d1-b2"}
    assert [set(job.checked) for job in jobs] == [set(), cases]
    with closing(resume(tmp_path / "run")) as folder:
        assert Passes(folder, plan(RunOptions(str(tiny), passes=2)), lambda _progress: None).ledger.checked == cases


def test_a_reference_is_checked_where_any_strategy_was_measured(tiny, make_measurement):
    planned = plan(RunOptions(str(tiny)))
    found = [
        make_measurement("vjp", status="not_tried", case="a"),
        make_measurement("vjp", status="timeout", case="b"),
        make_measurement("dense", case="c"),
    ]
    assert Ledger(planned, 3, found).checked == {"c"}
