"""The pytest plugin: its options, and a suite's cells as items of ``test_cells.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jacobench.bench.machine import machine_record
from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.bench.run.row_summary import Header, as_scalars, rows_of
from jacobench.bench.run.run_document import SCHEMA
from jacobench.bench.run.session import Session, SessionLimits
from jacobench.bench.suites.case import Cell, cells_of, select_cases
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.bench.cell.timing import Schedule
    from jacobench.bench.row.measurement import Measurement

DEFAULT_SUITE = "standard"

CELLS = pytest.StashKey[list[Cell]]()
SESSION = pytest.StashKey[Session]()
BAD_INPUT = pytest.StashKey[BadInput]()
MEASURED = pytest.StashKey["list[tuple[str, Cell, Measurement]]"]()
"""Name of the item, cell and measurement of each finished item."""

REPORT = pytest.StashKey["Callable[[Measurement], None]"]()  # called with each measurement


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose what ``pytest bench`` measures."""
    group = parser.getgroup("jacobench", "benchmark Jacobians against vector-Jacobian products (pytest bench)")
    group.addoption("--suite", default=DEFAULT_SUITE, metavar="NAME|FILE.toml", help="suite to measure (%(default)s)")
    group.addoption(
        "--strategy", action="append", default=[], metavar="S", help="replaces the suite's strategies; repeatable"
    )
    group.addoption("--case", action="append", default=[], metavar="GLOB", help="measure only these cases; repeatable")
    group.addoption(
        "--memory-budget",
        default=DEFAULT_BUDGET,
        metavar="SIZE",
        help="cells predicted to need more are skipped (%(default)s)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one item per cell."""
    if "cell" not in metafunc.fixturenames:
        return
    try:
        cells = _cells(metafunc.config)
    except BadInput as error:
        # Raised here, pytest would report an error of the collected module, with a traceback.
        metafunc.config.stash[BAD_INPUT] = error
        cells = []
    metafunc.parametrize("cell", cells, ids=[cell.id for cell in cells])


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Turn bad input into pytest's usage error: one line, exit code 4."""
    if BAD_INPUT in config.stash:
        raise pytest.UsageError(str(config.stash[BAD_INPUT]))


def _cells(config: pytest.Config) -> list[Cell]:
    if CELLS not in config.stash:
        suite = select_cases(load_suite(config.getoption("suite")), config.getoption("case"))
        limits = SessionLimits(
            parse_bytes(config.getoption("memory_budget")),
            float(config.getoption("benchmark_min_time")),
            float(config.getoption("benchmark_max_time")),
            int(config.getoption("benchmark_min_rounds")),
        )
        config.stash[CELLS] = cells_of(suite, config.getoption("strategy"))
        config.stash[SESSION] = Session(suite, limits)
    return config.stash[CELLS]


def _printed(config: pytest.Config) -> Callable[[], str]:
    """Return a function that takes the output from pytest's capture; with ``-s`` there is none."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    return lambda: "".join(capture.read_global_capture()) if capture.is_globally_capturing() else ""


@pytest.fixture
def bench(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[Cell], Measurement]:
    """Measure a cell with pytest-benchmark."""
    config = request.config

    def measured(cell: Cell) -> Measurement:
        benchmark.group = f"{cell.case} · {cell.phase}"

        def timed(call: Callable[[], Any], plan: Schedule) -> list[float]:
            benchmark.pedantic(call, rounds=plan.rounds, iterations=plan.calls)
            return list(benchmark.stats.stats.data) if benchmark.stats else []

        config.stash[SESSION].printed = _printed(config)
        measurement = config.stash[SESSION].measure(cell, timed)
        if measurement.seconds or measurement.status != "ok":  # not so under --benchmark-disable
            config.stash.setdefault(MEASURED, []).append((benchmark.fullname, cell, measurement))
        if REPORT in config.stash:
            config.stash[REPORT](measurement)
        return measurement

    return measured


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Put each cell's row into its ``extra_info``, and rows without a time into ``jacobench``, as in run.json."""
    del benchmarks
    if MEASURED not in config.stash:
        return
    names, cells, measurements = zip(*config.stash[MEASURED], strict=True)
    suite = config.stash[SESSION].suite
    commit, _ = machine_record.commit()
    header = Header("", commit, machine_record.machine_key(), "asis", suite.name)
    found = rows_of(header, suite.cases, cells, measurements)
    rows = {name: as_scalars(row) | {"position": k} for k, (name, row) in enumerate(zip(names, found, strict=True))}
    for entry in output_json["benchmarks"]:
        entry["extra_info"] = rows.pop(entry["fullname"], entry["extra_info"])
    output_json["jacobench"] = {"schema": SCHEMA, "untimed": list(rows.values())}
