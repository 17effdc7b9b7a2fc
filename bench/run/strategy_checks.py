"""Verification without timing: a strategy on every op and on a suite's cases.

``python -m jacobench.bench.run.strategy_checks`` checks one strategy in a process that the strategy may crash. It reads
the job (one JSON object) from standard input and writes one JSON object per step and graph to standard output.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from jacobench.bench.cell.prepared_cell import prepare_cell, status_of
from jacobench.bench.cell.process_limits import unlimited_then
from jacobench.bench.cell.shared_setting import Changes
from jacobench.bench.cell.shared_state import read_state, undo_changes
from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.bench.machine.environment import environment
from jacobench.bench.machine.worker_process import WorkerProcess
from jacobench.bench.suites.case import Case, problem_of
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.builder import DTYPES
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.bench.cell.shared_state import SharedState
    from jacobench.strategies.contract import Strategy

GRAPH_SECONDS = 60.0  # time limit of one graph

BUDGET = parse_bytes(DEFAULT_BUDGET)

COMMAND = ("-P", "-m", "jacobench.bench.run.strategy_checks")


class Check(msgspec.Struct, frozen=True):
    """Result of checking a strategy on one graph (an op or a case): ``ok`` with notes, or what went wrong and why."""

    graph: str
    status: str
    reason: str


class CheckJob(msgspec.Struct, frozen=True):
    """Strategy and suite to check, the number of graphs that are already done, and whether every op is one of them."""

    spec: str
    suite: str
    start: int
    with_ops: bool


def op_cases() -> list[Case]:
    """Return each op in each dtype, as a case with three seeds, and the whole Jacobians of a small perceptron."""
    ops = [
        Case(f"{name}-{dtype}", {"n_seeds": 3}, (), partial(op_graph, name, dtype)) for name in OPS for dtype in DTYPES
    ]
    make = partial(mlp_graph, [3, 4, 2], batch=2, loss=None, wrt="all")
    return ops + [Case(f"jacobian-{dtype}", {}, (), partial(make, dtype=dtype), task="jacobian") for dtype in DTYPES]


def cases_to_check(suite: str, *, with_ops: bool) -> list[Case]:
    """Return each op, if wanted, and the cases of a suite."""
    return [*(op_cases() if with_ops else ()), *load_suite(suite).cases]


def check_all(spec: str, suite: str, *, with_ops: bool = True) -> list[Check]:
    """Check a strategy on every op and a suite's cases in a fresh process, which is replaced if it is lost."""
    names = [case.name for case in cases_to_check(suite, with_ops=with_ops)]
    checks: list[Check] = []
    while len(checks) < len(names):
        found, status, reason = _check_from(CheckJob(registry.absolute(spec), suite, len(checks), with_ops))
        checks += found
        if len(checks) < len(names):
            checks.append(Check(names[len(checks)], status, reason))
    return checks


def _check_from(job: CheckJob) -> tuple[list[Check], str, str]:
    """Check the remaining graphs in a fresh process; return the checks, and how the process ended."""
    found: list[Check] = []
    step = ""
    with WorkerProcess(job, environment({}, 0), [sys.executable, *COMMAND]) as process:
        deadline = time.monotonic() + GRAPH_SECONDS
        while (event := process.next_event(deadline)) is not None:
            if "step" in event:
                step = event["step"]
                continue
            found.append(msgspec.convert(event, Check))
            deadline = time.monotonic() + GRAPH_SECONDS
        return found, *process.how_it_ended(GRAPH_SECONDS, step)


def _check(spec: str, case: Case, step: Callable[[str], None], state: SharedState) -> Check:
    """Check a strategy on one graph; `state` is that of this process, to which it is restored."""
    try:
        problem = problem_of(case, BUDGET, step)
    except Exception as error:  # noqa: BLE001  (it becomes the graph's status)
        return Check(case.name, *status_of(error, "the case cannot be built"))
    is_reference = spec == registry.REFERENCE
    changes = Changes()

    def load(spec: str) -> Strategy:
        """Load a strategy; as in a run, the process's data are limited from then on."""
        nonlocal changes
        with unlimited_then(BUDGET):
            strategy = registry.load(spec)
        changes += undo_changes(state)
        return strategy

    cell = prepare_cell(spec, problem, BUDGET, load, is_reference=is_reference, step=step)
    changes += undo_changes(state)
    note = "" if registry.is_ours(spec) else changes.note()
    return Check(case.name, *cell.failed.get(case.task, ("ok", note)))


def main() -> None:
    """Do the job on standard input. The strategy's own output goes to standard error."""
    lines = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=CheckJob)

    def emit(event: Check | dict[str, str]) -> None:
        lines.write(msgspec.json.encode(event) + b"\n")
        lines.flush()

    cases = cases_to_check(job.suite, with_ops=job.with_ops)
    state = read_state()
    for case in cases[job.start :]:
        emit(_check(job.spec, case, lambda name: emit({"step": name}), state))
    sys.stderr.flush()
    os._exit(0)  # does not wait for threads that the strategy has left


if __name__ == "__main__":
    main()
