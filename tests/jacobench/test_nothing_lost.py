"""Nothing that was measured is lost: kills at random moments, a full disk, a folder taken away, sizes given up."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise

import psutil
import pytest

import jacobench as jb

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

KILLS = 50

LONG = """
[[sweep]]
graph = "mlp"
width = 4
depth = 1
batch = [1, 2, 3, 4, 5, 6, 7, 8]
"""


def journal(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().split(b"\n") if line.endswith(b"}")]


def test_fifty_kills_lose_nothing_and_measure_nothing_twice(tmp_path, popen, jacobench):
    rng = random.Random(0)
    (tmp_path / "long.toml").write_text(LONG)
    folder = tmp_path / "run"
    arguments = ("run", "--suite", "long.toml", "--passes", 40, "--out", "run", "--quiet")
    lengths = [0]
    for _ in range(KILLS):
        process = popen(*arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        # A moment at random in the second after it has begun to measure, so that each kill hits it at work …
        while _size(folder) <= lengths[-1] and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, "it is to be killed before it is done"
        time.sleep(rng.uniform(0, 0.6))
        victims = [process.pid, *(child.pid for child in psutil.Process(process.pid).children())]
        # … of the worker and its parent, in either order: what is killed first cannot see the other go.
        for victim in rng.sample(victims, len(victims)):
            if psutil.pid_exists(victim):
                os.kill(victim, 9)
        process.wait()
        lengths.append(_size(folder))
        arguments = ("run", "--resume", "run", "--quiet")
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(settings | {"passes": _begun(folder)}))
    before = journal(folder)
    resumed = jacobench("run", "--resume", "run", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    after = journal(folder)
    assert after[: len(before)] == before, "a line that had been written is no longer there"
    counts = Counter((line.get("pass", 0), line["case"], line["spec"], line["phase"]) for line in after if line["case"])
    twice = {spec for (_, _, spec, _), count in counts.items() if count > 1}
    assert twice <= {"vjp"}, "only the reference is timed again, as a partner in a new process"
    table = jb.load(folder)
    assert len(table) == 8 * 13
    crashed = table[table["status"] != "ok"]
    assert set(crashed["status"]) <= {"crashed"}, "a worker that was killed before its parent costs the cell it was at"
    assert (table[table["status"] == "ok"]["passes"] == _begun(folder)).all()
    assert all(a < b for a, b in pairwise(lengths)), "every kill came after something had been measured"


def _size(folder):
    path = folder / "journal.jsonl"
    return path.stat().st_size if path.exists() else 0


def _begun(folder):
    return max(line.get("pass", 0) for line in journal(folder)) + 1


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 64 KiB; where that is not allowed there is nothing to test on."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_reported_in_one_line_and_the_journal_stays_complete(small_disk, tmp_path, jacobench):
    (tmp_path / "long.toml").write_text(LONG)
    done = jacobench("run", "--suite", "long.toml", "--passes", 2, "--out", small_disk / "run", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1), done.stderr
    assert "No space left" in done.stderr
    assert f"jacobench run --resume {small_disk / 'run'}" in done.stderr
    assert (small_disk / "run" / "journal.jsonl").read_bytes().endswith(b"\n")
    assert sorted(path.name for path in (small_disk / "run").iterdir()) == ["journal.jsonl", "settings.json"]
    before = journal(small_disk / "run")
    assert before
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    resumed = jacobench("run", "--resume", small_disk / "run", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert journal(small_disk / "run")[: len(before)] == before
    assert set(jb.load(small_disk / "run")["status"]) == {"ok"}


TWO = '[[sweep]]\ngraph = "mlp"\nwidth = 4\ndepth = 1\nbatch = [1, 2]\nstrategies = ["vjp"]\n'


def test_a_disk_that_fills_while_plots_are_drawn_is_reported_and_resuming_completes_them(
    small_disk, tmp_path, jacobench
):
    """The journal and run.json take some 60 KiB of it, the pictures another 330."""
    subprocess.run(["mount", "-o", "remount,size=160k", str(small_disk)], check=True)
    (tmp_path / "two.toml").write_text(TWO)
    folder = small_disk / "run"
    done = jacobench("run", "--suite", "two.toml", "--passes", 1, "--out", folder, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1), done.stderr
    assert "No space left" in done.stderr
    assert f"jacobench run --resume {folder}" in done.stderr
    assert (folder / "run.json").exists()
    assert not (folder / "measurements.csv").exists()
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")], "half a file was left"
    before = [(folder / name).read_bytes() for name in ("run.json", "journal.jsonl")]
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    resumed = jacobench("run", "--resume", folder, cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert [(folder / name).read_bytes() for name in ("run.json", "journal.jsonl")] == before, (
        "nothing was left to measure"
    )
    assert (folder / "measurements.csv").read_text().count("\n") == 1 + 2 * 5
    drawn = {path.name for path in (folder / "plots").iterdir()}
    assert drawn == {f"{name}.{ending}" for name in jb.plot(jb.read(folder)) for ending in ("png", "svg", "csv")}


def test_a_run_is_resumed_from_another_folder_its_journal_damaged_in_the_middle(tmp_path, plugin_file, jacobench):
    """Suite and strategy were given relatively to where the run was started; the budget was the run's own."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    plugin_file("class Mine(Right):\n    name = 'mine'\n", "here/mine.py")
    (here / "two.toml").write_text(TWO)
    chosen = ("--strategy", "mine.py:Mine", "--strategy", "vjp", "--memory-budget", "1GiB", "--passes", 1)
    done = jacobench("run", "--suite", "two.toml", *chosen, "--out", "run", "--quiet", cwd=here)
    assert done.returncode == 0, done.stderr
    folder = here / "run"
    lines = (folder / "journal.jsonl").read_bytes().splitlines()
    lines[7] = lines[7].replace(b'"case":"mlp', b'"case":"\xff\xfelp')
    (folder / "journal.jsonl").write_bytes(b"\n".join(lines[:12]) + b"\n")
    (folder / "run.json").unlink()
    resumed = jacobench("run", "--resume", "../here/run", cwd=elsewhere)
    assert resumed.returncode == 0, resumed.stderr
    assert "journal.jsonl: skipped line 8, which is damaged" in resumed.stderr
    assert "budget" not in resumed.stderr
    table = jb.load(folder)
    assert (len(table), set(table["status"]), set(table["strategy"])) == (18, {"ok"}, {"forward", "vjp", "mine"})
    assert (folder / "journal.jsonl").read_bytes().splitlines()[:12] == lines[:12]
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_is_moved_is_reported_in_one_line(tmp_path, popen):
    (tmp_path / "long.toml").write_text(LONG)
    process = popen(
        "run", "--suite", "long.toml", "--out", "run", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not _size(tmp_path / "run") and process.poll() is None:
        time.sleep(0.02)
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.count("\n")) == (4, 1), stderr
    assert "run/journal.jsonl: No such file or directory" in stderr
    assert journal(tmp_path / "elsewhere")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_not_changed_by_resuming(finished, jacobench):
    folder, _ = finished
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    done = jacobench("run", "--resume", folder, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert "dense" in done.stdout
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    assert after == before


GREEDY = """
import time
import numpy as np

class Greedy(Right):
    name = "greedy"
    def after_pullback(self, bars):
        np.ones(2**36)
        return bars

class Slow(Right):
    name = "slow"
    def after_pullback(self, bars):
        time.sleep(1000 if bars["W1"].size > 16 else 0)
        return bars
"""


def test_larger_sizes_are_not_tried_after_a_failure(tmp_path, plugin_file, jacobench):
    plugin_file(GREEDY)
    (tmp_path / "sweep.toml").write_text(
        '[[sweep]]\ngraph = "mlp"\nwidth = [4, 8, 16]\ndepth = 1\n'
        'strategies = ["plugin.py:Greedy", "plugin.py:Slow", "vjp"]\n'
        '[[sweep]]\ngraph = "mlp"\nwidth = 8\ndepth = 1\nactivation = "relu"\nstrategies = ["plugin.py:Slow"]\n'
    )
    done = jacobench("run", "--suite", "sweep.toml", "--passes", 1, "--timeout", 2, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = jb.load(tmp_path / "run")
    found = {(row.case, row.strategy): row.status for row in table[table["phase"] == "gradient"].itertuples()}
    assert found == {
        ("mlp-w4-d1-b1", "greedy"): "out_of_memory",
        ("mlp-w8-d1-b1", "greedy"): "not_tried",
        ("mlp-w16-d1-b1", "greedy"): "not_tried",
        ("mlp-w4-d1-b1", "slow"): "ok",
        ("mlp-w8-d1-b1", "slow"): "timeout",
        ("mlp-w16-d1-b1", "slow"): "not_tried",
        ("mlp-w8-d1-b1-relu", "slow"): "timeout",
        **{(f"mlp-w{width}-d1-b1", "vjp"): "ok" for width in (4, 8, 16)},
    }
    spared = table[table["status"] == "not_tried"].set_index("strategy")["reason"]
    assert set(spared["greedy"]) == {"out of memory at the smaller mlp-w4-d1-b1"}
    assert set(spared["slow"]) == {"timeout at the smaller mlp-w8-d1-b1"}
