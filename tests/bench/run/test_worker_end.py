"""A measuring process ends with its parent, also while it starts."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends at its next report")

WORKER = [sys.executable, "-P", "-m", "jacobench.bench.run.worker"]

PARENT = """
import os, subprocess, sys
worker = subprocess.Popen([sys.executable, "-P", "-m", "jacobench.bench.run.worker", str(os.getpid())], stdin=subprocess.PIPE)
worker.wait()
"""

SLOW_IMPORT = """
import os, pathlib, time
pathlib.Path({file!r}).write_text(str(os.getpid()))
time.sleep(600)
"""


def test_a_worker_whose_parent_has_ended_imports_nothing(tmp_path):
    (tmp_path / "numpy.py").write_text("raise AssertionError('imported')")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    worker = subprocess.Popen(
        [*WORKER, str(ended.pid)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert worker.wait(60) == 1, "it does not wait for its job"
    assert worker.communicate() == (b"", b"")


def test_a_worker_ends_with_a_parent_that_is_killed_while_it_imports(tmp_path):
    file = tmp_path / "imports"
    (tmp_path / "numpy.py").write_text(SLOW_IMPORT.format(file=str(file)))
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-P", "-c", PARENT], env=environment)
    while not (file.exists() and file.read_text()):
        assert parent.poll() is None
        time.sleep(0.02)
    worker = psutil.Process(int(file.read_text()))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while (
        left := psutil.pid_exists(worker.pid) and worker.status() != psutil.STATUS_ZOMBIE
    ) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left:
        worker.kill()
    assert not left
