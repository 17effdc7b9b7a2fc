"""The job of a worker, a fresh process that measures cells with pytest and pytest-benchmark and reports each one.

It reads a job (one JSON object) from standard input and writes one JSON object per line to standard output: the start
of each cell, the start of each of its steps, and its measurement. All other output goes to standard error.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from jacobench.bench.cell import timing
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run import pytest_plugin
from jacobench.bench.run.session import Session, SessionLimits
from jacobench.bench.suites.case import Cell
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput


class WorkerJob(msgspec.Struct, frozen=True):
    """Cells that a worker measures."""

    suite: str
    cells: tuple[tuple[str, str, str], ...]  # case, strategy and phase of each, in the order of measurement
    limits: SessionLimits
    iterations: tuple[tuple[str, str, str, int], ...] = ()  # cell, and calls per round of an earlier pass
    checked: tuple[str, ...] = ()  # cases in which this run has compared the reference with central differences


class Reporter:
    """Pytest plugin that chooses the items of a job and reports them."""

    def __init__(self, job: WorkerJob, events: IO[bytes]) -> None:
        self.job, self.events = job, events
        self.specs: set[str] = set()  # strategies that were loaded
        self.alone = ""  # a strategy whose changes of this process cannot be undone

    def emit(self, event: str, **content: Any) -> None:
        """Write one line."""
        self.events.write(msgspec.json.encode({"event": event, **content}) + b"\n")
        self.events.flush()

    def pytest_configure(self, config: pytest.Config) -> None:
        """Choose the job's cells in its order, and start the session with its limits."""
        try:
            suite = load_suite(self.job.suite)
        except BadInput as error:  # it has changed since the run was planned
            raise pytest.UsageError(str(error)) from None
        cells = [Cell(*cell) for cell in self.job.cells]
        names = {cell.case for cell in cells}
        cases = tuple(case for case in suite.cases if case.name in names)
        config.stash[pytest_plugin.CELLS] = cells
        config.stash[pytest_plugin.SESSION] = Session(
            replace(suite, cases=cases),
            self.job.limits,
            {Cell(*cell): count for *cell, count in self.job.iterations},
            set(self.job.checked),
            loaded=self._loaded,
            isolate=self._isolate,
            step=lambda name: self.emit("step", name=name),
        )
        config.stash[pytest_plugin.REPORT] = self.measured

    def pytest_collection_finish(self) -> None:
        """Time the calibration kernel before the first cell, and exempt existing objects from garbage collection.

        Each measurement of memory collects garbage first. Scanning all modules took half of the time.
        """
        gc.collect()
        gc.freeze()
        self._time_kernel()

    def _loaded(self, spec: str, name: str) -> None:
        """Report a strategy, so that rows of a lost process have its name, and exempt what it has imported."""
        if spec not in self.specs:
            self.specs.add(spec)
            gc.collect()
            gc.freeze()
        self.emit("loaded", spec=spec, name=name)

    def _isolate(self, spec: str) -> None:
        self.alone = spec
        self.emit("isolate", spec=spec)

    def pytest_sessionfinish(self) -> None:
        """Time the kernel again after the last cell, unless a strategy has changed this process for good."""
        if not self.alone:
            self._time_kernel()

    def _time_kernel(self) -> None:
        limits, name = self.job.limits, timing.CONTROL
        seconds = timing.kernel_seconds()
        self.measured(
            Measurement("", name, name, name, limits.pass_number, limits.worker, limits.repeats, seconds=seconds)
        )

    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Report the cell that begins; end the session before another strategy follows one that must be alone."""
        cell: Cell = item.callspec.params["cell"]  # type: ignore[attr-defined]
        if self.alone not in {"", cell.strategy}:
            item.session.shouldstop = f"{self.alone} needs a process of its own"
            return True
        self.emit("start", cell=[cell.case, cell.strategy, cell.phase])
        return None

    def measured(self, measurement: Measurement) -> None:
        """Report a measurement."""
        self.emit("measured", measurement=measurement)


def arguments(job: WorkerJob) -> list[str]:
    """Return the command line of a worker's pytest."""
    here = Path(__file__).parent
    options = {
        "--benchmark-storage": f"file://{here}",  # nothing is stored; the default is made in the user's folder
        "--benchmark-min-time": str(job.limits.min_seconds),
        "--benchmark-max-time": str(job.limits.max_seconds),
        "--benchmark-min-rounds": str(job.limits.min_rounds),
    }
    return [
        str(here / "test_cells.py"),
        *(f"{name}={value}" for name, value in options.items()),
        *("-c", str(here / "worker.ini"), "--rootdir", str(here), "--noconftest", "--import-mode=importlib"),
        *("-p", "pytest_benchmark.plugin", "-p", "jacobench.bench.run.pytest_plugin", "-p", "no:cacheprovider"),
        *("--benchmark-disable-gc", "--benchmark-quiet", "-q", "--no-header", "--no-summary", "--tb=short"),
    ]


def main() -> int:
    """Do the job on standard input; return pytest's exit code."""
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerJob)
    code = int(pytest.main(arguments(job), plugins=[Reporter(job, events)]))
    # Failed and skipped items have been reported; they are not a failure of the worker.
    return 0 if code == pytest.ExitCode.TESTS_FAILED else code
