"""A worker: a fresh process that measures cells through pytest and pytest-benchmark and reports each as it ends.

It reads a job (one JSON object) from standard input and writes one JSON object a line to standard output: a start of
each cell, a note when its timing begins, its measurement. What anything in it prints goes to standard error.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from jacobench.bench.machine import calibration
from jacobench.bench.machine.lifeline import die_with_parent
from jacobench.bench.row.measurement import Measurement, to_builtins
from jacobench.bench.run import pytest_plugin
from jacobench.bench.run.session import Limits, Session
from jacobench.bench.suites.cells import Cell


class Job(msgspec.Struct, frozen=True):
    """What a worker is to do.

    Attributes
    ----------
    suite : str
        Name or path.
    strategies : tuple of str
        Instead of the suite's, if any.
    cells : tuple of (str, str, str)
        Case, strategy and phase of each cell, in the order to measure them in.
    limits : Limits
        What the session goes by.
    iterations : tuple of (str, str, str, int)
        Calls in a round that an earlier pass has settled for a cell.
    """

    suite: str
    strategies: tuple[str, ...]
    cells: tuple[tuple[str, str, str], ...]
    limits: Limits
    iterations: tuple[tuple[str, str, str, int], ...] = ()


class Reporter:
    """The pytest plugin that puts the items in the job's order and reports them."""

    def __init__(self, job: Job, events: IO[str]) -> None:
        self.job, self.events = job, events

    def emit(self, event: str, **content: Any) -> None:
        """Write one line."""
        self.events.write(msgspec.json.encode({"event": event, **content}).decode() + "\n")
        self.events.flush()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the job's cells, in its order, and tell the session what it goes by."""
        session: Session = config.stash[pytest_plugin.SESSION]
        settled = {Cell(*cell): count for *cell, count in self.job.iterations}
        config.stash[pytest_plugin.SESSION] = Session(
            session.suite, self.job.limits, settled, loaded=self.loaded, timing_begins=self.timing_begins
        )
        config.stash[pytest_plugin.REPORT] = self.measured
        by_cell = {item.callspec.params["cell"]: item for item in items}  # type: ignore[attr-defined]
        items[:] = [by_cell[Cell(*cell)] for cell in self.job.cells]

    def pytest_collection_finish(self) -> None:
        """Time the control kernel before the first cell; spare the collector what is there already and will stay.

        Each measurement of memory collects garbage first. With all modules in its way that took half of the time.
        """
        gc.collect()
        gc.freeze()
        self._time_control()

    def pytest_sessionfinish(self) -> None:
        """Time it again after the last."""
        self._time_control()

    def _time_control(self) -> None:
        limits, name = self.job.limits, calibration.CONTROL
        self.measured(
            Measurement("", name, name, name, limits.pass_number, limits.worker, seconds=calibration.seconds())
        )

    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Say which cell is about to begin."""
        cell: Cell = item.callspec.params["cell"]  # type: ignore[attr-defined]
        self.emit("start", cell=[cell.case, cell.strategy, cell.phase])

    def loaded(self, spec: str, name: str) -> None:
        """Say what a strategy calls itself: its rows have that name even if it is not heard of again."""
        self.emit("loaded", spec=spec, name=name)

    def timing_begins(self) -> None:
        """Say that the strategy was set up and proved, and its measuring begins."""
        self.emit("timing")

    def measured(self, measurement: Measurement) -> None:
        """Report a measurement."""
        self.emit("measured", measurement=to_builtins(measurement))


def arguments(job: Job) -> list[str]:
    """Return the command line of a worker's pytest."""
    here = Path(__file__).parent
    options = {
        "--suite": job.suite,
        "--benchmark-storage": f"file://{here}",  # nothing is stored; its own choice is made in the reader's folder
        "--benchmark-min-time": str(job.limits.min_seconds),
        "--benchmark-max-time": str(job.limits.max_seconds),
        "--benchmark-min-rounds": str(job.limits.min_rounds),
    }
    return [
        str(here / "test_cells.py"),
        *(f"{name}={value}" for name, value in options.items()),
        *(f"--strategy={strategy}" for strategy in job.strategies),
        *("-c", str(here / "worker.ini"), "--rootdir", str(here), "--noconftest", "--import-mode=importlib"),
        *("-p", "pytest_benchmark.plugin", "-p", "jacobench.bench.run.pytest_plugin", "-p", "no:cacheprovider"),
        *("--benchmark-disable-gc", "--benchmark-quiet", "-q", "--no-header", "--no-summary", "--tb=short"),
    ]


def main() -> int:
    """Do the job on standard input; return pytest's exit code."""
    die_with_parent()
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    code = int(pytest.main(arguments(job), plugins=[Reporter(job, events)]))
    # Failed and skipped items have been reported as such: to the parent they are no failure of the worker.
    return 0 if code == pytest.ExitCode.TESTS_FAILED else code


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not sys.exit: that waits for threads which a strategy has left, and runs what its library has registered for the end.
    os._exit(status)
