"""The plan of a block on its host."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from jacobench.bench.cluster.block_files import on_client, on_host, pack, root_of
from jacobench.bench.cluster.block_task import BlockJob, Unwanted, _alone, _block_plan, _watched, block_case
from jacobench.bench.run.code_versions import code_versions
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.run_plan import plan
from jacobench.bench.run.runner import start
from jacobench.strategies import plugin_files

GRAPH = """
import jacobench as jb
from block_sizes import N


def make(width):
    return jb.mlp([width, N, 2], batch=2)
"""

STRATEGY = """
from jacobench.strategies.vjp import vjp


class Mine:
    name = "mine"
    prepare = staticmethod(vjp().prepare)
"""


@pytest.fixture
def user(tmp_path):
    """Return a folder with a suite, a graph that imports a module, and a strategy."""
    folder = tmp_path / "user"
    folder.mkdir()
    suite = '[[sweep]]\ngraph = "block_graph.py:make"\nwidth = [3, 4]\n'
    texts = {"suite.toml": suite, "block_graph.py": GRAPH, "block_sizes.py": "N = 4", "block_mine.py": STRATEGY}
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def test_a_host_plans_a_block_without_the_users_code(user, tmp_path, monkeypatch):
    """A dask worker lives longer than a run, and can import only one version of a file."""
    options = RunOptions(str(user / "suite.toml"), ("vjp", str(user / "block_mine.py:Mine")), cluster="local:1")
    planned = plan(options)
    code = code_versions(planned, options.suite).files
    files = (*code, options.suite)
    archive = pack(files, tmp_path)
    root = root_of(archive.name, str(tmp_path))
    case = planned.suite.cases[1]
    own = [cell for cell in planned.cells if cell.case == case.name]
    with closing(start(options, tmp_path / "run")) as folder:
        settings = folder.settings
    job = BlockJob("", "", block_case(case, own), 0, 0, None, settings, "", (), {}, "", "", archive.name, files)
    monkeypatch.setattr(plugin_files, "_IMPORTED", [])  # as in a dask worker
    monkeypatch.setattr(plugin_files, "_FOLDERS", {})
    for name in ("block_graph", "block_sizes", "block_mine"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = _block_plan(job, settings, root)
    assert [(cell.case, on_client(cell.strategy, root, files), cell.phase) for cell in found.cells] == [
        (cell.case, cell.strategy, cell.phase) for cell in own
    ]
    there = code_versions(found, on_host(options.suite, root, files)).files
    assert {on_client(file, root, files): digest for file, digest in there.items()} == code
    assert {Path(file).name for file in there} == {"block_graph.py", "block_sizes.py", "block_mine.py"}
    assert found.suite.cases[0].phases == case.phases
    assert not plugin_files._IMPORTED


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock")


@pytest.fixture
def journal():
    """Return what stands for the journal of a block, with what the client prints."""
    said = []
    return SimpleNamespace(stopped=Event(), said=said, say=said.append)


@POSIX
def test_a_block_waits_for_another_one_on_its_host_and_says_so_once(journal, tmp_path):
    other = SimpleNamespace(stopped=Event(), say=pytest.fail)
    order = []

    def wait():
        with _alone(journal, str(tmp_path)):
            order.append("second")

    with _alone(other, str(tmp_path)):
        waiting = Thread(target=wait)
        waiting.start()
        while not journal.said:
            waiting.join(0.01)
        waiting.join(0.3)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert journal.said == ["waits for another run that measures there"]


@POSIX
def test_a_block_that_is_not_wanted_any_more_does_not_measure_beside_another_one(journal, tmp_path):
    other = SimpleNamespace(stopped=Event(), say=pytest.fail)
    journal.stopped.set()
    with _alone(other, str(tmp_path)), pytest.raises(Unwanted), _alone(journal, str(tmp_path)):
        pytest.fail("it measured")


@POSIX
def test_the_lock_of_a_host_follows_no_link(journal, tmp_path):
    folder, target = tmp_path / "shared", tmp_path / "precious"
    folder.mkdir()
    target.write_text("kept")
    with _alone(journal, str(folder)):
        (lock,) = folder.iterdir()
    assert lock.stat().st_mode & 0o777 == 0o600
    lock.unlink()
    lock.symlink_to(target)
    with pytest.raises(OSError, match="symbolic link"), _alone(journal, str(folder)):
        pytest.fail("it followed the link")
    assert target.read_text() == "kept"


@POSIX
def test_labels_that_name_the_same_machine_have_one_lock(journal, tmp_path, monkeypatch):
    for label in ("a b", " a  b\n", "c"):
        monkeypatch.setenv("JACOBENCH_MACHINE_LABEL", label)
        with _alone(journal, str(tmp_path)):
            pass
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("task", [None, SimpleNamespace(state="cancelled")])
def test_a_block_that_was_cancelled_before_it_began_is_not_measured(task):
    worker = SimpleNamespace(
        state=SimpleNamespace(tasks={"key": task} if task else {}), status=SimpleNamespace(name="running")
    )
    journal = SimpleNamespace(worker=worker, job=SimpleNamespace(key="key"), stopped=Event())
    with pytest.raises(Unwanted), _watched(journal, SimpleNamespace()):
        pytest.fail("it measured")
