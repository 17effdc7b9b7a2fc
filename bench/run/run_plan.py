"""Plan of a run: the cells of the chosen cases and strategies, and the memory budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from jacobench.bench.cell.timing import ROUND_SECONDS
from jacobench.bench.machine.byte_sizes import parse_bytes
from jacobench.bench.machine.memory_limits import memory_limit
from jacobench.bench.suites.case import Cell, cells_of, select_cases
from jacobench.bench.suites.suite_files import load_suite
from jacobench.strategies import registry

if TYPE_CHECKING:
    from jacobench.bench.run.run_options import RunOptions
    from jacobench.bench.suites.case import Suite

MIN_SECONDS, MAX_SECONDS, MIN_ROUNDS = ROUND_SECONDS, 0.05, 5
"""A round is long enough for the clock. All rounds of a cell take about 50 ms, or five rounds if these take longer."""


@dataclass(frozen=True)
class Plan:
    """Cells to measure, in the order of the suite, and the memory budget: at most the memory of the machine."""

    suite: Suite
    cells: list[Cell]
    budget_bytes: int


def plan(options: RunOptions) -> Plan:
    """Plan a run; nothing is measured or written. Raises BadInput for an unknown suite, strategy or case."""
    suite = select_cases(load_suite(options.suite), options.cases)
    budget = min(parse_bytes(options.memory_budget), memory_limit())
    cells = cells_of(suite, options.strategies)
    registry.check_together(cell.strategy for cell in cells)
    return Plan(suite, cells, budget)


def absolute(options: RunOptions) -> RunOptions:
    """Return options with absolute paths: a run may be resumed in another folder."""
    return replace(
        options,
        suite=str(Path(options.suite).absolute()) if options.suite.endswith(".toml") else options.suite,
        strategies=tuple(registry.absolute(spec) for spec in options.strategies),
        cluster=options.cluster and _absolute_cluster(options.cluster),
    )


def _absolute_cluster(spec: str) -> str:
    """Return the specification of a cluster with an absolute path if it is a scheduler file, or a function in a file."""
    if spec.startswith("local:") or "://" in spec:
        return spec
    found = registry.absolute(spec)
    return str(Path(spec).absolute()) if found == spec else found


def digest(planned: Plan) -> str:
    """Return the SHA-256 digest of the cases and cells; `--resume` requires that it has not changed."""
    cases = [
        (case.name, sorted((key, repr(value)) for key, value in case.knobs.items())) for case in planned.suite.cases
    ]
    return sha256(repr((cases, planned.cells)).encode()).hexdigest()
