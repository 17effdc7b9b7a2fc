"""Correctness only: a strategy on every op and on cases, through the same trial that comes before any timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.bench.case import Case
from jacobench.bench.quantity import parse_bytes
from jacobench.bench.trial import attempt, point_of
from jacobench.graphs.builder import DTYPES, GraphBuilder
from jacobench.graphs.ops import OPS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jacobench.graphs.graph import Graph
    from jacobench.graphs.op import Op

BUDGET = parse_bytes("2GiB")


@dataclass(frozen=True)
class Check:
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


def check_all(spec: str, cases: Iterable[Case]) -> list[Check]:
    """Try a strategy on every op and on cases.

    Parameters
    ----------
    spec : str
        What `registry.load` takes.
    cases : iterable of Case
        Beside the ops.

    Returns
    -------
    list of Check
        One for each graph.
    """
    return [_check(spec, case) for case in (*op_cases(), *cases)]


def _check(spec: str, case: Case) -> Check:
    trial = attempt(spec, point_of(case), BUDGET)
    status, reason = trial.failed.get("gradient", ("ok", ""))
    return Check(case.name, status, reason)
