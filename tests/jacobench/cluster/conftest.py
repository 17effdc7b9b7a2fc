"""Clusters of real schedulers and dask workers as separate processes, started as users start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

import jacobench as jb
from jacobench.bench.cell.timing import CONTROL

SUITE = """
[[sweep]]
graph = "mlp"
width = [4, 8]
depth = 1
batch = [1, 2]
strategies = ["dense", "vjp"]
"""

SLOW = """
import time
from jacobench.strategies.vjp import vjp
from pace import SECONDS, wrapped


class Slow:
    name = "slow"

    def prepare(self, graph):
        return wrapped(vjp().prepare(graph), lambda: time.sleep(SECONDS))
"""

CRASHES = """
import os
from jacobench.strategies.vjp import vjp
from pace import wrapped


class Crashes:
    name = "crashes"

    def prepare(self, graph):
        return wrapped(vjp().prepare(graph), lambda: os._exit(7))
"""

PACE = """
from types import SimpleNamespace

SECONDS = 0.02


def wrapped(prepared, action):
    def linearize(leaves):
        linearized = prepared.linearize(leaves)

        def pullback(seeds):
            action()
            return linearized.pullback(seeds)

        return SimpleNamespace(output=linearized.output, pullback=pullback)

    return SimpleNamespace(linearize=linearize)
"""


def wait_for(condition, seconds=120):
    """Wait until a condition has a value that is true, and return the value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


@pytest.fixture(name="wait_for", scope="session")
def _wait_for():
    return wait_for


@pytest.fixture(scope="session")
def measuring():
    """Return a function from a process to the measuring processes below it."""

    def found(process):
        try:
            children = psutil.Process(process.pid).children(recursive=True)
            return [child for child in children if "jacobench.bench.run.worker" in child.cmdline()]
        except psutil.NoSuchProcess:
            return []

    return found


class Cluster:
    """A scheduler and dask workers, each a process of its own."""

    def __init__(self, folder):
        self.folder, self.processes, self.n = folder, [], 0
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        (folder / "tmp").mkdir()  # with a lock of its own: blocks do not wait for other tests on this machine
        self.environment["TMPDIR"] = str(folder / "tmp")

    def start_scheduler(self, *options):
        self.n += 1
        self.file = self.folder / f"scheduler-{self.n}.json"
        self.scheduler = self._start(
            "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", self.file, *options
        )
        wait_for(lambda: self.file.exists() and self.file.read_text())
        return json.loads(self.file.read_text())["address"]

    def start_worker(self, *options, **variables):
        self.n += 1
        folder = self.folder / f"worker-{self.n}"
        return self._start(
            "distributed.cli.dask_worker", "--scheduler-file", self.file, "--nthreads", "2", "--no-dashboard",
            "--local-directory", folder, *options, **variables,
        )  # fmt: skip

    def wait_for_workers(self, count):
        """Wait until the scheduler knows so many dask workers."""
        code = "import sys, distributed; distributed.Client(sys.argv[1]).wait_for_workers(int(sys.argv[2]), timeout=60)"
        command = [sys.executable, "-P", "-c", code, self.address, str(count)]
        subprocess.run(command, cwd=self.folder, env=self.environment, check=True)

    def _start(self, module, *arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *map(str, arguments)], cwd=self.folder,
            env=self.environment | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def end(self):
        for process in self.processes:
            try:
                own = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for each in own:
                each.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    """Return a cluster with a scheduler."""
    found = Cluster(tmp_path)
    found.address = found.start_scheduler()
    yield found
    found.end()


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a suite and strategies that import a module from it."""
    (tmp_path / "user").mkdir()
    for name, text in {"suite.toml": SUITE, "slow.py": SLOW, "crashes.py": CRASHES, "pace.py": PACE}.items():
        (tmp_path / "user" / name).write_text(text)
    return tmp_path / "user"


class Runs:
    """Commands ``jacobench run`` in the user's folder."""

    def __init__(self, folder, jacobench, popen):
        self.folder, self.jacobench, self.popen = folder, jacobench, popen

    def start(self, *strategies, cluster, passes=1, out="run", more=(), **of_process):
        """Start a run on a cluster."""
        options = self._options(strategies, cluster, passes, out, more)
        return self.popen(*options, cwd=self.folder, **{"stderr": subprocess.PIPE} | of_process)

    def complete(self, *strategies, cluster, passes=1, out="run", more=()):
        """Make a run on a cluster; return what it has printed to standard error."""
        return self._complete(*self._options(strategies, cluster, passes, out, more))

    def resume(self, *more, out="run"):
        """Continue a run, and return what it has printed to standard error."""
        return self._complete("run", "--resume", out, *more)

    def _options(self, strategies, cluster, passes, out, more):
        specs = [word for spec in strategies for word in ("--strategy", spec)]
        suite = ("--suite", "suite.toml")
        first = () if passes is None else ("--passes", passes)
        return ("run", *suite, *specs, *first, "--cluster", cluster, "--out", out, *more)

    def _complete(self, *options):
        done = self.jacobench(*options, cwd=self.folder, timeout=180)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def rows(self, out):
        """Return case, strategy and phase of each row of a run."""
        return set(jb.load(self.folder / out)[["case", "strategy", "phase"]].itertuples(index=False, name=None))

    def journal(self, out="run"):
        """Check that a run's journal has each measurement once; return its lines without the calibration kernel's."""
        lines = [json.loads(line) for line in (self.folder / out / "journal.jsonl").read_text().splitlines()]
        lines = [line for line in lines if line["strategy"] != CONTROL]
        partners = {"vjp", "forward"}  # measured again if a worker was replaced, which the field `worker` tells
        keys = Counter(
            (*(line[name] for name in ("case", "strategy", "phase", "pass")),
             line.get("worker", 0) if line["strategy"] in partners else 0) for line in lines
        )  # fmt: skip
        assert set(keys.values()) == {1}
        assert not (self.folder / out / "incomplete").exists()
        return lines


@pytest.fixture
def runs(folder, jacobench, popen):
    """Return the commands."""
    return Runs(folder, jacobench, popen)
