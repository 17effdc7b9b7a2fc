"""Runs on a cluster: which host measures what, if clients and hosts come and go."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import defaultdict
from itertools import pairwise
from zipfile import ZipFile

import pytest

import jacobench as jb

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX"),
]

HELD = """
import os, time
from pathlib import Path
from jacobench.strategies.vjp import vjp
from pace import wrapped

FOLDER = Path({folder!r})


def note():
    with (FOLDER / "times").open("a") as file:
        file.write(f"{{os.getpid()}} {{time.monotonic()}}\\n")


def wait():
    note()
    while not (FOLDER / "go").exists():
        time.sleep(0.01)
    note()


class Held:
    name = "held"

    def prepare(self, graph):
        return wrapped(vjp().prepare(graph), wait)
"""


@pytest.fixture
def held(folder):
    """Return a strategy that waits for the file ``go``, and notes when it is measured in which process."""
    (folder / "held.py").write_text(HELD.format(folder=str(folder)))
    return "held.py:Held"


def test_two_clients_never_measure_at_the_same_time_on_a_host(folder, cluster, held, runs, wait_for, measuring):
    workers = [cluster.start_worker("--no-nanny"), cluster.start_worker("--no-nanny")]
    cluster.wait_for_workers(2)
    started = []
    for name, line in (("first", "1 host · 0 of 2 blocks"), ("second", "waits for another run that measures there")):
        only = ("--case", "mlp-w4-*")
        started.append(runs.start("vjp", held, cluster=cluster.address, out=name, more=only))
        assert any(line in said for said in started[-1].stderr)
        wait_for(lambda: any(map(measuring, workers)))
    for _ in range(40):  # the second one has submitted its block, and would begin
        assert sum(len(measuring(worker)) for worker in workers) == 1
        time.sleep(0.1)
    (folder / "go").touch()
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    for name in ("first", "second"):
        assert {line["status"] for line in runs.journal(name)} == {"ok"}
    times = defaultdict(list)
    for line in (folder / "times").read_text().splitlines():
        process, when = line.split()
        times[process].append(float(when))
    spans = sorted((min(own), max(own)) for own in times.values())
    assert len(spans) == 4
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))


def test_a_host_that_joins_later_is_used(folder, cluster, held, runs, wait_for, measuring):
    early = cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="early")
    process = runs.start("vjp", held, cluster=cluster.address)
    wait_for(lambda: measuring(early), 100)
    late = cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL="late")
    wait_for(lambda: measuring(late), 100)
    (folder / "go").touch()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert {line["host"].partition(" ")[2] for line in runs.journal()} == {"(early)", "(late)"}
    assert set(jb.load(folder / "run")["status"]) == {"ok"}


FLIPS = """
import time
from math import prod
from pathlib import Path
from jacobench.strategies.vjp import vjp
from pace import wrapped

FOLDER = Path({folder!r})
SECONDS = {{}}


class Flip:
    name, turn = "flip", 0

    def prepare(self, graph):
        size = sum(prod(leaf.shape) for leaf in graph.leaves.values())
        seconds = self.seconds(FOLDER / f"{{self.name}}-{{size}}")
        return wrapped(vjp().prepare(graph), lambda: time.sleep(seconds))

    def seconds(self, file):
        if file not in SECONDS:
            with file.open("a") as processes:
                processes.write(".")
            SECONDS[file] = 0.001 + 0.002 * ((len(file.read_text()) + self.turn) % 2)
        return SECONDS[file]


class Flop(Flip):
    name, turn = "flop", 1
"""
"""Two strategies of which one is faster in one process and the other in the next, so that no case is decided."""


def test_further_passes_of_a_case_run_on_its_host(folder, cluster, runs, wait_for):
    (folder / "flips.py").write_text(FLIPS.format(folder=str(folder)))
    for label in ("one", "two"):
        cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL=label)
    cluster.wait_for_workers(2)
    more = ("--max-minutes", 3, "--case", "*-b1")
    process = runs.start("flips.py:Flip", "flips.py:Flop", cluster=cluster.address, passes=None, more=more)
    journal = folder / "run" / "journal.jsonl"

    def hosts_of_further_passes():
        lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
        return {line["host"] for line in lines if line["pass"] >= 3}

    wait_for(lambda: len(hosts_of_further_passes()) == 2, 100)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    hosts = defaultdict(set)
    for line in runs.journal():
        hosts[line["case"]].add(line["host"])
    assert len(hosts) == 2
    assert all(len(own) == 1 for own in hosts.values())


PLUGIN = """
from jacobench.strategies.vjp import vjp


class Halved:
    name = "halved"

    def prepare(self, graph):
        return vjp().prepare(graph)
"""


@pytest.fixture
def plugin(folder, write_wheel):
    """Return a function from a version of a plug-in to the folder in which it is installed."""

    def install(number):
        entry = {f"halves-{number}.dist-info/entry_points.txt": "[jacobench.strategies]\nhalved = halves:Halved\n"}
        place = folder / f"halves-{number}"
        write_wheel(place, "halves", number, {"halves.py": PLUGIN} | entry)
        with ZipFile(next(place.glob("*.whl"))) as wheel:
            wheel.extractall(place)
        return str(place)

    return install


def test_a_plugin_that_hosts_lack_or_have_in_another_version_is_one_line(folder, cluster, plugin, runs, monkeypatch):
    places = {"same": plugin("1.0"), "older": plugin("0.9"), "lacks": ""}
    workers = [
        cluster.start_worker("--no-nanny", JACOBENCH_MACHINE_LABEL=label, PYTHONPATH=place)
        for label, place in places.items()
    ]
    cluster.wait_for_workers(3)
    monkeypatch.setenv("PYTHONPATH", places["same"])
    said = runs.complete("vjp", "halved", cluster=cluster.address).splitlines()
    (line,) = [line for line in said if "is not used" in line]
    assert "(lacks) is not used: strategy 'halved' needs halves 1.0, which the client has" in line
    (line,) = [line for line in said if "instead of" in line]
    assert "(older)): halves 0.9 instead of 1.0" in line
    hosts = {line["host"].partition(" ")[2] for line in runs.journal()}
    assert hosts == {"(same)", "(older)"}
    assert set(jb.load(folder / "run")["status"]) == {"ok"}
    for worker in workers[:2]:
        worker.kill()
        worker.wait()
    done = runs.start("vjp", "halved", cluster=cluster.address, out="none")
    _, said = done.communicate(timeout=120)
    assert done.returncode == 2, said
    (line,) = said.splitlines()
    assert "no host of the cluster can be used: " in line
    assert "(lacks) is not used: strategy 'halved' needs halves 1.0" in line
    assert not (folder / "none").exists()
