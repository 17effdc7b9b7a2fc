"""Runs on a cluster: lost workers, clients and schedulers, and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

import jacobench as jb

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

SLOW = ("vjp", "slow.py:Slow")


def test_a_block_of_a_killed_worker_is_measured_again(folder, cluster, runs, wait_for, measuring):
    workers = [cluster.start_worker("--no-nanny"), cluster.start_worker("--no-nanny")]
    process = runs.start(*SLOW, cluster=cluster.address, passes=2)
    lines = folder / "run" / "journal.jsonl"
    wait_for(lambda: lines.exists() and lines.read_text())  # a block is complete
    victim, (measurer,) = wait_for(lambda: next(((w, found) for w in workers if (found := measuring(w))), None))
    victim.kill()
    assert not (folder / "run" / "run.json").exists(), "it was not complete"
    victim.wait()
    wait_for(lambda: not psutil.pid_exists(measurer.pid) or measurer.status() == psutil.STATUS_ZOMBIE, 10)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "it is measured again" in said
    found = jb.load(folder / "run")
    assert set(found["status"]) == {"ok"}
    assert set(found["passes"]) == {2}
    assert set(found.loc[found["phase"] == "gradient", "strategy"]) == {"vjp", "slow"}
    runs.journal()


def test_a_killed_client_and_a_lost_scheduler_leave_a_run_that_can_be_resumed(
    folder, cluster, runs, popen, wait_for, measuring
):
    worker = cluster.start_worker("--no-nanny")
    process = runs.start(*SLOW, cluster=cluster.file, stderr=subprocess.DEVNULL)
    journal = folder / "run" / "journal.jsonl"
    wait_for(lambda: journal.exists() and journal.read_text() and measuring(worker))
    process.kill()
    process.wait()
    wait_for(lambda: not measuring(worker), 20)
    before = journal.read_text()
    process = popen("run", "--resume", "run", cwd=folder, stderr=subprocess.PIPE)
    wait_for(lambda: len(journal.read_text()) > len(before) and measuring(worker))
    cluster.scheduler.kill()
    _, said = process.communicate(timeout=90)
    assert process.returncode == 4, said
    (line,) = [line for line in said.splitlines() if line.startswith("jacobench: ")]
    assert "the connection to the scheduler of the cluster was lost" in line
    assert "jacobench run --resume run" in line
    assert "may still measure" not in said
    assert "Traceback" not in said
    cluster.start_scheduler()
    cluster.start_worker("--nanny")
    runs.resume("--cluster", cluster.file)
    found = jb.load(folder / "run")
    assert set(found["status"]) == {"ok"}
    assert found["case"].nunique() == 4
    runs.journal()


def test_an_interrupt_leaves_no_measuring_process_and_the_run_can_be_resumed(cluster, runs, wait_for, measuring):
    worker = cluster.start_worker("--no-nanny")
    process = runs.start(*SLOW, cluster=cluster.address)
    wait_for(lambda: measuring(worker))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert measuring(worker) == []
    assert "jacobench run --resume run" in said
    assert "Traceback" not in said
    runs.resume()
    runs.journal()


def test_an_interrupt_in_a_terminal_ends_all_processes_in_order(runs, wait_for, measuring):
    """A terminal sends the signal to the whole process group, which contains local dask workers."""
    process = runs.start(*SLOW, cluster="local:2", start_new_session=True)
    wait_for(lambda: measuring(process))
    below = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].endswith("To continue: jacobench run --resume run")
    assert psutil.wait_procs(below, timeout=10)[1] == []
    runs.resume("--cluster", "local:1")
    assert set(jb.load(runs.folder / "run")["status"]) == {"ok"}
    runs.journal()


KILLER = """
import os, signal
from jacobench.strategies.vjp import vjp
from pace import wrapped


class Killer:
    name = "killer"

    def prepare(self, graph):
        return wrapped(vjp().prepare(graph), lambda: os.kill(os.getppid(), signal.SIGKILL))
"""


def test_a_block_whose_worker_is_lost_three_times_has_crashed_rows(folder, cluster, runs):
    (folder / "killer.py").write_text(KILLER)
    workers = [cluster.start_worker("--no-nanny") for _ in range(4)]
    only = ("--case", "mlp-w4-d1-b1")
    runs.complete("vjp", "killer.py:Killer", cluster=cluster.address, passes=2, more=only)
    found = jb.load(folder / "run")
    assert set(found["status"]) == {"crashed"}
    assert all("its dask worker was lost in 3 attempts" in reason for reason in found["reason"])
    assert sum(worker.poll() is not None for worker in workers) == 3
    runs.journal()
