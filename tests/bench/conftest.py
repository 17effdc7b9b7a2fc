"""A suite of two tiny cases, and the things that measuring is made of, with what a test does not care about filled in."""

from __future__ import annotations

import sys
from dataclasses import replace
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.run_options import RunOptions
from jacobench.bench.run.runner import carry_on, start
from jacobench.bench.run.session import Session, SessionLimits
from jacobench.bench.suites.case import Case, Suite
from jacobench.graphs.generators.mlp import mlp_graph

if TYPE_CHECKING:
    from pathlib import Path

    from jacobench.bench.run.run_folder import RunFolder, Settings

TINY = """
[[sweep]]
graph = "mlp"
width = 4
depth = 1
batch = [1, 2]
strategies = ["dense", "vjp"]
"""


@pytest.fixture(autouse=True)
def _no_limit_left():
    """Take back the data limit that trying a strategy sets: this process goes on with other tests."""
    if sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """Return a suite file of two cases under two strategies: 2 × (1 + 2 × 4) cells."""
    path = tmp_path_factory.mktemp("suites") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory) -> Path:
    """Return the folder of a finished run of the tiny suite, two passes."""
    folder = start(RunOptions(str(tiny), passes=2), tmp_path_factory.mktemp("runs") / "run")
    try:
        carry_on(folder, lambda _progress: None)
    finally:
        folder.close()
    return folder.path


@pytest.fixture(scope="session")
def settings(finished) -> Settings:
    """Return the settings of a real run."""
    return opened(finished).settings


def opened(path: Path) -> RunFolder:
    from jacobench.bench.run.run_folder import resume

    folder = resume(path)
    folder.close()
    return folder


@pytest.fixture
def make_case():
    """Return a function that makes a case of a small perceptron."""

    def make(name: str = "small", strategies: tuple[str, ...] = ("dense", "vjp"), **knobs: Any) -> Case:
        kept = {"graph": "mlp", "width": 3, "depth": 2, "batch": 2, "n_seeds": 1} | knobs
        return Case(name, kept, strategies, lambda: mlp_graph([3, 4, 2], batch=2))

    return make


@pytest.fixture
def make_session(make_case):
    """Return a function that makes a session over one case, which times nothing for long."""

    def make(*cases: Case, **limits: Any) -> Session:
        usual = SessionLimits(
            budget_bytes=2**31, min_seconds=1e-6, max_seconds=1e-6, min_rounds=2, measure_memory=False
        )
        return Session(Suite("mine", cases or (make_case(),)), replace(usual, **limits))

    return make


@pytest.fixture
def make_measurement():
    """Return a function that makes a measurement of one cell."""

    def make(strategy: str = "dense", seconds: tuple[float, ...] = (1.0,), **more: Any) -> Measurement:
        usual = {"case": "small", "strategy": strategy, "phase": "gradient", "spec": strategy, "seconds": seconds}
        return Measurement(**(usual | more))

    return make


@pytest.fixture
def plugin_file(tmp_path):
    """Return a function from the body of a file to the file, which has a right strategy `Mine` to inherit from."""

    def write(body: str, name: str = "plugin.py") -> Path:
        path = tmp_path / name
        path.write_text(RIGHT + dedent(body))
        return path

    return write


RIGHT = '''
import numpy as np
from jacobench.strategies.vjp import vjp


class Right:
    """Answers as vjp does, through objects of its own."""

    name = "right"

    def __init__(self):
        self._vjp = vjp()

    def prepare(self, graph):
        return self.Prepared(self._vjp.prepare(graph), self)

    class Prepared:
        def __init__(self, prepared, strategy):
            self.prepared, self.strategy = prepared, strategy

        def linearize(self, leaves):
            return self.strategy.Linearized(self.prepared.linearize(leaves), self.strategy)

    class Linearized:
        def __init__(self, linearized, strategy):
            self.linearized, self.strategy = linearized, strategy
            self.output = linearized.output

        def pullback(self, seeds):
            return self.linearized.pullback(seeds)

'''
