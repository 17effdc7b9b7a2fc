"""What a run is to measure: a request as it is asked, and the plan it becomes when it has been checked."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING

from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.bench.machine.environment import CONTROLS
from jacobench.bench.machine.machine_record import memory_limit
from jacobench.bench.suites.case import select_cases
from jacobench.bench.suites.cells import Cell, cells_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.errors import BadInput, unknown

if TYPE_CHECKING:
    from jacobench.bench.suites.case import Suite

MIN_SECONDS, MAX_SECONDS, MIN_ROUNDS = 1e-3, 0.05, 5
"""A round is long enough for the clock; all rounds of a cell together take about 50 ms, or five rounds."""


@dataclass(frozen=True)
class Request:
    """What is asked of a run.

    Attributes
    ----------
    suite : str
        Name or path.
    strategies, cases : tuple of str
        Strategies instead of the suite's, globs of cases; empty: all.
    passes, threads : int
        1 or more.
    memory_budget : str
        Such as ``"2GiB"``; less if the machine or its control group has less.
    timeout_seconds : float
        Of one measurement, all its rounds.
    controls : {"tuned", "asis"}
        Whether the process's process_state are set; see `controls`.
    """

    suite: str = "standard"
    strategies: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    passes: int = 3
    threads: int = 1
    memory_budget: str = DEFAULT_BUDGET
    timeout_seconds: float = 60.0
    controls: str = "tuned"


@dataclass(frozen=True)
class Plan:
    """A request that was checked: what will be measured, and the budget in bytes, no more than the machine has."""

    suite: Suite
    cells: list[Cell]
    budget_bytes: int


def plan(request: Request) -> Plan:
    """Check a request and lay out its cells; nothing is measured or written.

    Raises
    ------
    BadInput
        For an unknown suite, strategy or case, or a number out of bounds.
    """
    if request.passes < 1:
        raise BadInput(f"passes is {request.passes}: expected 1 or more")
    if request.threads < 1:
        raise BadInput(f"threads is {request.threads}: expected 1 or more")
    if not 0 < request.timeout_seconds < inf:
        raise BadInput(f"timeout is {request.timeout_seconds}: expected seconds above 0")
    if request.controls not in CONTROLS:
        raise unknown("controls", request.controls, CONTROLS)
    suite = select_cases(load_suite(request.suite), request.cases)
    budget = min(parse_bytes(request.memory_budget), memory_limit())
    return Plan(suite, cells_of(suite, request.strategies), budget)


def digest(planned: Plan) -> str:
    """Return what tells a plan from others: a run is not resumed with another."""
    told = [
        (case.name, sorted((key, repr(value)) for key, value in case.knobs.items())) for case in planned.suite.cases
    ]
    return sha256(repr((told, planned.cells)).encode()).hexdigest()
