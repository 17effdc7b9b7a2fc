"""Runs that are continued on a cluster, and hosts that fail."""

from __future__ import annotations

import json
import os
import sys

import pytest

import jacobench as jb
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.runner import start

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]


def test_a_resumed_run_keeps_its_code_and_its_latest_cluster(folder, cluster, runs, jacobench, monkeypatch):
    cluster.start_worker("--no-nanny")
    monkeypatch.chdir(folder)
    options = RunOptions(
        "suite.toml", ("vjp", "slow.py:Slow"), ("mlp-w4-d1-b1",), passes=1, cluster=os.path.relpath(cluster.file)
    )
    start(options, folder / "run").close()  # as if the client had been killed
    pace = (folder / "pace.py").read_text()
    (folder / "pace.py").write_text(pace.replace("0.02", "0.001"))
    resume = ("run", "--resume", folder / "run", "--quiet")
    done = jacobench(*resume, cwd=folder.parent)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "pace.py has changed; restore it, or start a new run" in line
    assert (folder / "run" / "journal.jsonl").read_text() == ""
    (folder / "pace.py").write_text(pace)
    done = jacobench(*resume, "--cluster", cluster.address, cwd=folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(jb.load(folder / "run")["status"]) == {"ok"}
    assert json.loads((folder / "run" / "settings.json").read_text())["cluster"] == cluster.address


FULL = """
import os, sys

if "jacobench.bench.run.worker" in sys.orig_argv:
    sys.stderr.write("OSError: no space left on device\\n")
    os._exit(1)
"""


def test_a_host_whose_measuring_processes_do_not_start_is_given_up(folder, cluster, runs):
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(FULL)
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="bad", PYTHONPATH=str(site))
    cluster.wait_for_workers(1)
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="good")
    cluster.wait_for_workers(2)
    said = runs.complete(cluster=cluster.address, more=("--case", "mlp-w4-*"))
    cause = "the process exited with status 1: OSError: no space left on device"
    assert f"(bad) is no longer used: a measuring process measured nothing: {cause}" in said
    assert set(jb.load(folder / "run")["status"]) == {"ok"}
    assert {line["host"].partition(" ")[2] for line in runs.journal()} == {"(good)"}
