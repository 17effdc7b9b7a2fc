"""Correctness only: a strategy on every op and on a suite's cases, through the trial that comes before any timing.

``python -m jacobench.bench.correctness STRATEGY SUITE`` checks one strategy, in a process that it may bring down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec

from jacobench.bench.case import Case
from jacobench.bench.quantity import parse_bytes
from jacobench.bench.suite import load_suite
from jacobench.bench.trial import attempt, point_of
from jacobench.graphs.builder import DTYPES, GraphBuilder
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry

if TYPE_CHECKING:
    from jacobench.graphs.graph import Graph
    from jacobench.graphs.op import Op

BUDGET = parse_bytes("2GiB")


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


def op_graph(op: Op, dtype: str) -> Graph:
    """Return a graph of one op, to be differentiated by every leaf."""
    builder = GraphBuilder(dtype)
    output = op.example(builder)
    graph = builder.build(output)
    return builder.build(output, wrt=graph.leaves)


def op_cases() -> list[Case]:
    """Return each op in each dtype, as a case with three seeds."""
    return [
        Case(f"{op.name}-{dtype}", {"n_seeds": 3}, (), lambda op=op, dtype=dtype: op_graph(op, dtype))  # type: ignore[misc]
        for op in OPS.values()
        for dtype in DTYPES
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
        One for each graph; where the process was lost, those that it had done and one that says how it ended.
    """
    command = [sys.executable, "-P", "-m", "jacobench.bench.correctness", registry.absolute(spec), suite]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    checks = [msgspec.json.decode(line, type=Check) for line in done.stdout.splitlines()]
    if done.returncode:
        code = done.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        checks.append(Check("the next graph", "crashed", f"the process {how}"))
    return checks


def _check(spec: str, case: Case) -> Check:
    trial = attempt(spec, point_of(case), BUDGET)
    status, reason = trial.failed.get("gradient", ("ok", ""))
    return Check(case.name, status, reason)


def _main(spec: str, suite: str) -> None:
    """Print each check as a line of JSON; what the strategy prints goes elsewhere."""
    lines = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for case in (*op_cases(), *load_suite(suite).cases):
        lines.write(msgspec.json.encode(_check(spec, case)) + b"\n")
        lines.flush()


if __name__ == "__main__":
    _main(*sys.argv[1:])
