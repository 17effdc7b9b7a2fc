"""Correctness only: a strategy on every op and on a suite's cases, through the trial that comes before any timing.

``python -m jacobench.bench.run.strategy_checks STRATEGY SUITE`` checks one strategy, in a process that it may bring down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from threading import Thread, Timer

import msgspec

from jacobench.bench.cell.prepared_cell import prepare_cell, problem_of
from jacobench.bench.machine.byte_sizes import DEFAULT_BUDGET, parse_bytes
from jacobench.bench.machine.worker_process import signal_name
from jacobench.bench.suites.case import Case
from jacobench.bench.suites.suite_files import load_suite
from jacobench.graphs.builder import DTYPES
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry

GRAPH_SECONDS = 60.0
"""What one graph may take before its process is ended."""

BUDGET = parse_bytes(DEFAULT_BUDGET)


class Check(msgspec.Struct, frozen=True):
    """How a strategy fared on one graph.

    Attributes
    ----------
    graph : str
        The op's or the case's name.
    status, reason : str
        ``ok``, or what went wrong, and why.
    """

    graph: str
    status: str
    reason: str


def op_cases() -> list[Case]:
    """Return each op in each dtype, as a case with three seeds."""
    return [
        Case(f"{name}-{dtype}", {"n_seeds": 3}, (), partial(op_graph, name, dtype)) for name in OPS for dtype in DTYPES
    ]


def check_all(spec: str, suite: str) -> list[Check]:
    """Try a strategy on every op and on a suite's cases, in a fresh process.

    Parameters
    ----------
    spec : str
        What `registry.load` takes.
    suite : str
        Name or path.

    Returns
    -------
    list of Check
        One for each graph; where a process was lost, the graph's says how, and a new one goes on with the next.
    """
    names = [case.name for case in (*op_cases(), *load_suite(suite).cases)]
    checks: list[Check] = []
    while len(checks) < len(names):
        found, how = _try_from(len(checks), spec, suite)
        checks += found
        if len(checks) < len(names):
            checks.append(Check(names[len(checks)], "crashed", how))
    return checks


def _try_from(start: int, spec: str, suite: str) -> tuple[list[Check], str]:
    """Let a fresh process check the graphs from one on; return what it had done, and how it ended."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "jacobench.bench.run.strategy_checks",
        registry.absolute(spec),
        suite,
        str(start),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that a strategy's own children are ended with it
    ) as process:
        assert process.stdout is not None
        alarm = Alarm(process)
        Thread(target=_end_what_it_left, args=(process,), daemon=True).start()
        found = []
        try:
            for line in process.stdout:
                found.append(msgspec.json.decode(line, type=Check))
                alarm.again()
        finally:  # Ctrl-C does not reach it in its own session
            alarm.off()
            _end(process)
        code = process.wait()
    if alarm.rung:
        return found, f"not done after {GRAPH_SECONDS:g} s"
    return found, f"the process was ended by {signal_name(-code)}" if code < 0 else f"the process exited with {code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it started and left in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_what_it_left(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process; then end its children, which would keep the pipe open and us listening."""
    process.wait()
    _end(process)


class Alarm:
    """End a process that has said nothing for too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.rung = False
        self._process = process
        self.again()

    def again(self) -> None:
        """Count from now on."""
        self.off()
        self._timer = Timer(GRAPH_SECONDS, self._ring)
        self._timer.daemon = True
        self._timer.start()

    def off(self) -> None:
        """Count no longer."""
        if hasattr(self, "_timer"):
            self._timer.cancel()

    def _ring(self) -> None:
        self.rung = True
        _end(self._process)


def _check(spec: str, case: Case) -> Check:
    trial = prepare_cell(spec, problem_of(case), BUDGET)
    status, reason = trial.failed.get("gradient", ("ok", ""))
    return Check(case.name, status, reason)


def _main(spec: str, suite: str, start: str) -> None:
    """Print each check from one on as a line of JSON; what the strategy prints goes elsewhere."""
    lines = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for case in (*op_cases(), *load_suite(suite).cases)[int(start) :]:
        lines.write(msgspec.json.encode(_check(spec, case)) + b"\n")
        lines.flush()
    os._exit(0)  # not waiting for threads that the strategy has left


if __name__ == "__main__":
    _main(*sys.argv[1:])
