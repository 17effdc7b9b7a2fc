"""Runs on a cluster: real schedulers and dask workers as separate processes, started as users start them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

import jacobench as jb
from jacobench.bench.cell.timing import CONTROL

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

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


def wait_for(condition, seconds=60):
    """Wait until a condition has a value that is true, and return the value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def measuring(worker):
    """Return the measuring processes of a dask worker."""
    try:
        children = psutil.Process(worker.pid).children(recursive=True)
        return [child for child in children if "jacobench.bench.run.worker" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


class Cluster:
    """A scheduler and dask workers, each a process of its own."""

    def __init__(self, folder):
        self.folder, self.processes, self.n = folder, [], 0
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    def start_scheduler(self):
        self.n += 1
        self.file = self.folder / f"scheduler-{self.n}.json"
        self.scheduler = self._start(
            "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", self.file
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


def rows(run):
    return set(jb.load(run)[["case", "strategy", "phase"]].itertuples(index=False, name=None))


def check_journal(run):
    """Check that the journal has each measurement once; return its lines without those of the calibration kernel."""
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["strategy"] != CONTROL]
    partners = {"vjp", "forward"}  # measured again if a worker was replaced, which the field `worker` tells
    keys = Counter(
        (*(line[name] for name in ("case", "strategy", "phase", "pass")),
         line.get("worker", 0) if line["strategy"] in partners else 0) for line in lines
    )  # fmt: skip
    assert set(keys.values()) == {1}
    assert not (run / "incomplete").exists()
    return lines


def test_a_local_cluster_and_a_scheduler_in_another_process_give_the_rows_of_a_local_run(folder, cluster, jacobench):
    cluster.start_worker("--no-nanny")
    cluster.start_worker("--nanny", "--nworkers", "2")
    common = ("run", "--suite", "smoke", "--passes", 1, "--quiet")
    for name, options in {
        "here": (), "local": ("--cluster", "local:2"), "far": ("--cluster", cluster.address)
    }.items():  # fmt: skip
        done = jacobench(*common, *options, "--out", name, cwd=folder, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    here = jb.load(folder / "here")
    for name in ("local", "far"):
        assert rows(folder / name) == rows(folder / "here")
        found = jb.load(folder / name)
        assert list(found["status"]) == list(here["status"])
        assert list(found["ratio_to_vjp"].notna()) == list(here["ratio_to_vjp"].notna())
        assert set(found["machine"]) == set(here["machine"])
        assert {line["host"] for line in check_journal(folder / name)} == {os.uname().nodename}
        assert {path.name for path in (folder / name).iterdir()} == {path.name for path in (folder / "here").iterdir()}


def test_a_block_of_a_killed_worker_is_measured_again(folder, cluster, popen):
    workers = [cluster.start_worker("--no-nanny"), cluster.start_worker("--no-nanny")]
    arguments = (
        "--suite",
        "suite.toml",
        "--strategy",
        "vjp",
        "--strategy",
        "slow.py:Slow",
        "--passes",
        2,
        "--out",
        "run",
    )
    process = popen("run", *arguments, "--cluster", cluster.address, cwd=folder, stderr=subprocess.PIPE)
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
    check_journal(folder / "run")


def test_a_killed_client_and_a_lost_scheduler_leave_a_run_that_can_be_resumed(folder, cluster, popen, jacobench):
    worker = cluster.start_worker("--no-nanny")
    arguments = (
        "--suite",
        "suite.toml",
        "--strategy",
        "vjp",
        "--strategy",
        "slow.py:Slow",
        "--passes",
        1,
        "--out",
        "run",
    )
    process = popen("run", *arguments, "--cluster", cluster.file, cwd=folder, stderr=subprocess.DEVNULL)
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
    assert "Traceback" not in said
    cluster.start_scheduler()
    cluster.start_worker("--nanny")
    done = jacobench("run", "--resume", "run", "--cluster", cluster.file, cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    found = jb.load(folder / "run")
    assert set(found["status"]) == {"ok"}
    assert found["case"].nunique() == 4
    check_journal(folder / "run")


def test_machines_and_versions_that_differ_are_kept_apart_and_reported(folder, cluster, jacobench):
    info = folder / "other" / "scipy-0.0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0.1\n")
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="fast")
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="slow", PYTHONPATH=str(info.parent))
    options = ("--suite", "suite.toml", "--passes", 2, "--cluster", cluster.address)
    cluster.wait_for_workers(2)
    done = jacobench("run", *options, "--out", "both", cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "scipy 0.0.1 instead of" in line]
    assert "(slow)" in line
    found = jb.load(folder / "both")
    assert set(found["status"]) == {"ok"}
    assert set(found.groupby("case")["machine"].nunique()) == {1}, "a case is measured on one machine"
    assert sorted(key.rpartition(", ")[2].partition(" ")[0] for key in found["machine"].unique()) == ["fast", "slow"]
    hosts = {line["host"] for line in check_journal(folder / "both")}
    assert {host.partition(" ")[2] for host in hosts} == {"(fast)", "(slow)"}
    done = jacobench("run", *options, "--same-machine", "--out", "one", cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    assert jb.load(folder / "one")["machine"].nunique() == 1
    assert "is not used: its machine is" in done.stderr


def test_a_strategy_that_crashes_and_imports_from_its_folder_is_a_row(folder, cluster, jacobench):
    cluster.start_worker("--no-nanny")
    specs = [word for spec in ("vjp", "crashes.py:Crashes", "dense") for word in ("--strategy", spec)]
    done = jacobench(
        "run", "--suite", "suite.toml", *specs, "--passes", 2, "--cluster", cluster.address, "--out", "run",
        cwd=folder, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    status = jb.load(folder / "run").groupby("strategy")["status"].unique().map(set).to_dict()
    assert status == {"forward": {"ok"}, "vjp": {"ok"}, "dense": {"ok"}, "crashes": {"crashed"}}
    table = jb.load(folder / "run")
    assert table.loc[table["strategy"] == "dense", "ratio_to_vjp"].notna().all()
    assert {line["spec"] for line in check_journal(folder / "run")} >= {str(folder / "crashes.py:Crashes")}


def test_an_interrupt_leaves_no_measuring_process_and_the_run_can_be_resumed(folder, cluster, popen, jacobench):
    worker = cluster.start_worker("--no-nanny")
    arguments = (
        "--suite",
        "suite.toml",
        "--strategy",
        "vjp",
        "--strategy",
        "slow.py:Slow",
        "--passes",
        1,
        "--out",
        "run",
    )
    process = popen("run", *arguments, "--cluster", cluster.address, cwd=folder, stderr=subprocess.PIPE)
    wait_for(lambda: measuring(worker))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert measuring(worker) == []
    assert "jacobench run --resume run" in said
    assert "Traceback" not in said
    done = jacobench("run", "--resume", "run", cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    check_journal(folder / "run")


KILLER = """
import os, signal
from jacobench.strategies.vjp import vjp
from pace import wrapped


class Killer:
    name = "killer"

    def prepare(self, graph):
        return wrapped(vjp().prepare(graph), lambda: os.kill(os.getppid(), signal.SIGKILL))
"""


def test_a_block_whose_worker_is_lost_three_times_has_crashed_rows(folder, cluster, jacobench):
    (folder / "killer.py").write_text(KILLER)
    workers = [cluster.start_worker("--no-nanny") for _ in range(4)]
    specs = ("--strategy", "vjp", "--strategy", "killer.py:Killer", "--case", "mlp-w4-d1-b1")
    done = jacobench(
        "run", "--suite", "suite.toml", *specs, "--passes", 2, "--cluster", cluster.address, "--out", "run",
        cwd=folder, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = jb.load(folder / "run")
    assert set(found["status"]) == {"crashed"}
    assert all("its dask worker was lost in 3 attempts" in reason for reason in found["reason"])
    assert sum(worker.poll() is not None for worker in workers) == 3
    check_journal(folder / "run")


MAKES = """
from distributed import LocalCluster


def make_cluster():
    return LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
"""

USES_CLIENT = """
import sys

import jacobench as jb
from distributed import Client

if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        table = jb.run("suite.toml", cluster=client, passes=1, out="client")
    assert set(table["status"]) == {"ok"}, table["status"]
"""


def test_a_function_that_makes_a_cluster_and_a_client_in_python_can_be_used(folder, cluster, jacobench):
    (folder / "mine.py").write_text(MAKES)
    options = ("--suite", "suite.toml", "--passes", 1, "--quiet")
    done = jacobench("run", *options, "--cluster", "mine.py:make_cluster", "--out", "made", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    cluster.start_worker("--no-nanny")
    (folder / "uses_client.py").write_text(USES_CLIENT)
    command = [sys.executable, "uses_client.py", cluster.address]
    done = subprocess.run(command, cwd=folder, env=cluster.environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert rows(folder / "client") == rows(folder / "made")


def test_doctor_checks_each_host(folder, cluster, jacobench):
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="left")
    cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="right")
    cluster.wait_for_workers(2)
    done = jacobench("doctor", "--cluster", cluster.address, "--json", cwd=folder, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(host["host"].partition(" ")[2] for host in found) == ["(left)", "(right)"]
    assert all({"check", "status", "measured", "fix"} == set(one) for host in found for one in host["findings"])
    assert all(host["findings"] and host["workers"] == 1 for host in found)


UNUSABLE = {
    "address": ("tcp://127.0.0.1:9", "no scheduler answers"),
    "no port": ("tcp://127.0.0.1", "expected an address such as tcp://host:8786"),
    "protocol": ("http://127.0.0.1:8786", "expected an address such as tcp://host:8786"),
    "name": ("tcp://no-such-host.invalid:8786", "the host is not found: "),
    "no protocol": ("127.0.0.1:8786", "did you mean 'tcp://127.0.0.1:8786'?"),
    "number": ("local:none", "expected local:N with a number N of workers"),
    "specification": ("no-such-file", "there is no such file; expected local:N, an address"),
    "file": ("no_such.py:make", "there is no Python file"),
    "function": ("pace.py:make", "unknown function of"),
    "result": ("pace.py:wrapped", "raised TypeError"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_cluster_that_cannot_be_used_is_one_line_and_leaves_nothing(name, folder, jacobench):
    spec, said = UNUSABLE[name]
    before = sorted(folder.iterdir())
    done = jacobench("run", "--suite", "suite.toml", "--cluster", spec, cwd=folder, timeout=60)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert said in line
    assert done.stdout == ""
    assert sorted(set(folder.iterdir()) - {folder / "__pycache__"}) == before
