"""Worker processes: they end on every system, and their last words need no temporary folder."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from jacobench.bench.cell import process_limits, side_effects
from jacobench.bench.machine.worker_process import WorkerProcess
from jacobench.graphs.errors import BadInput


def start(code, **more):
    return WorkerProcess({}, os.environ, [sys.executable, "-c", code], **more)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_a_worker_is_ended_where_killpg_is_refused(monkeypatch):
    """MacOS answers EPERM if a process of the group is a zombie."""

    def killpg(_group, _number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", killpg)
    with start("import time; print('{}', flush=True); time.sleep(100)") as worker:
        assert worker.next_event(None) == {}
        assert worker.next_event(time.monotonic()) is None
    assert worker.how_it_ended(1.0) == ("timeout", "not finished after 1 s")


def test_the_last_words_are_known_without_a_temporary_folder(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    noise = "import sys; sys.stderr.write('x\\n' * 100_000); "
    with start(noise + "sys.exit('the cause')") as worker:
        assert worker.next_event(None) is None
        assert worker.how_it_ended(1.0) == ("crashed", "the process exited with status 1: the cause")


def test_no_temporary_folder_is_bad_input_with_the_fix(monkeypatch):
    def gettempdir():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", gettempdir)
    with pytest.raises(BadInput, match=r"No usable temporary directory.*set TMPDIR"):
        start("")


def test_a_worker_needs_no_proc(monkeypatch):
    def process():
        raise psutil.NoSuchProcess(1)

    monkeypatch.setattr(process_limits, "STATUS", Path("/nowhere/status"))
    monkeypatch.setattr(psutil, "Process", process)
    assert process_limits.limit_data(2**30) is None
    assert side_effects.process_state() == side_effects.ProcessState(0, 0)
