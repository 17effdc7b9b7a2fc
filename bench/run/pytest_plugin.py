"""The pytest plugin: its options, and a suite's cells as the items of ``test_cells.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jacobench.bench.machine import machine_record
from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.bench.run.row_summary import Header, as_scalars, rows_of
from jacobench.bench.run.run_document import SCHEMA
from jacobench.bench.run.session import Limits, Session
from jacobench.bench.suites.case import select_cases
from jacobench.bench.suites.cells import Cell, cells_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.bench.row.measurement import Measurement

DEFAULT_SUITE = "standard"

CELLS = pytest.StashKey[list[Cell]]()
SESSION = pytest.StashKey[Session]()
BAD_INPUT = pytest.StashKey[BadInput]()
MEASURED = pytest.StashKey["list[tuple[str, Cell, Measurement]]"]()
"""The name of the item, its cell, and how it fared, for each that has ended."""

REPORT = pytest.StashKey["Callable[[Measurement], None]"]()
"""Called with each measurement as it ends."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that choose what ``pytest bench`` measures."""
    group = parser.getgroup("jacobench", "Jacobians against vector-Jacobian products (pytest bench)")
    group.addoption("--suite", default=DEFAULT_SUITE, metavar="NAME|FILE.toml", help="what to measure (%(default)s)")
    group.addoption("--strategy", action="append", default=[], metavar="S", help="instead of the suite's; repeatable")
    group.addoption("--case", action="append", default=[], metavar="GLOB", help="only these cases; repeatable")
    group.addoption("--memory-budget", default=DEFAULT_BUDGET, metavar="SIZE", help="predicted over it: not tried")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item of each cell."""
    if "cell" not in metafunc.fixturenames:
        return
    try:
        cells = _cells(metafunc.config)
    except BadInput as error:
        # Raised here it would be an error of the module that is collected, with a traceback.
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
        limits = Limits(
            parse_bytes(config.getoption("memory_budget")),
            float(config.getoption("benchmark_min_time")),
            float(config.getoption("benchmark_max_time")),
            int(config.getoption("benchmark_min_rounds")),
        )
        config.stash[CELLS] = cells_of(suite, config.getoption("strategy"))
        config.stash[SESSION] = Session(suite, limits)
    return config.stash[CELLS]


def _printed(config: pytest.Config) -> Callable[[], str]:
    """Return what takes from pytest's capture whatever has been printed; with ``-s`` there is nothing to take."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")
    return lambda: "".join(capture.read_global_capture()) if capture.is_globally_capturing() else ""


@pytest.fixture
def bench(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[Cell], Measurement]:
    """Measure a cell with pytest-benchmark."""
    config = request.config

    def measured(cell: Cell) -> Measurement:
        benchmark.group = f"{cell.case} · {cell.phase}"

        def timed(call: Callable[[], Any], plan: Any) -> list[float]:
            benchmark.pedantic(call, rounds=plan.rounds, iterations=plan.iterations)
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
    """Put each cell's row into its ``extra_info``, and the rows without a time beside, as a run.json has them."""
    del benchmarks  # what pytest-benchmark made them of
    if MEASURED not in config.stash:
        return
    names, cells, measurements = zip(*config.stash[MEASURED], strict=True)
    suite = config.stash[SESSION].suite
    header = Header("", machine_record.commit(), machine_record.machine_key(), "asis", suite.name)
    found = rows_of(header, suite.cases, cells, measurements)
    rows = {name: as_scalars(row) | {"position": k} for k, (name, row) in enumerate(zip(names, found, strict=True))}
    for entry in output_json["benchmarks"]:
        entry["extra_info"] = rows.pop(entry["fullname"], entry["extra_info"])
    output_json["jacobench"] = {"schema": SCHEMA, "untimed": list(rows.values())}
