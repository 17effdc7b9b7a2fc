"""``jacobench list``: suites, cases, strategies, ops and architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jacobench.commands import console
from jacobench.graphs.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Rows = tuple[tuple[str, ...], "Iterator[Sequence[Any]]"]


def list_(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="What to list: suites, cases, strategies, ops or architectures.")
    ],
    suite: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="With cases: list the cases of this suite.")
    ] = "standard",
) -> None:
    """List suites, cases, strategies, ops or architectures.

    Example: jacobench list cases --suite scaling
    """
    if what not in LISTS:
        raise unknown("list", what, LISTS)
    headings, rows = LISTS[what](suite)
    console.stdout().print(console.columns(headings, rows))


def _suites(_suite: str) -> Rows:
    from jacobench.bench.suites.suite_files import load_suite, suite_names

    loaded = (load_suite(name) for name in suite_names())
    return ("suite", "cases", "from", "to"), (
        (suite.name, len(suite.cases), suite.cases[0].name, suite.cases[-1].name) for suite in loaded
    )


def _cases(suite: str) -> Rows:
    from jacobench.bench.suites.case import graph_of
    from jacobench.bench.suites.suite_files import load_suite

    return ("case", "graph", "n_parameters", "strategies"), (
        (case.name, case.knobs["graph"], f"{graph_of(case).n_parameters:,}", " ".join(case.strategies))
        for case in load_suite(suite).cases
    )


def _strategies(_suite: str) -> Rows:
    from jacobench.strategies.registry import registered

    return ("strategy", "package", "loaded from"), (
        (name, point.dist.name if point.dist else "", point.value) for name, point in registered().items()
    )


def _ops(_suite: str) -> Rows:
    from jacobench.graphs.ops import OPS

    return ("op", "structure of the Jacobian of each argument", "definition and source"), (
        (op.name, ", ".join(arg.jacobian.structure.name if arg else "none" for arg in op.arguments), op.source)
        for op in OPS.values()
    )


def _architectures(_suite: str) -> Rows:
    from jacobench.graphs.architectures import ARCHITECTURES, architecture_graph

    return ("architecture", "parameters", "description", "source", "simplified"), (
        (name, f"{architecture_graph(name).n_parameters:,}", entry.title, entry.source, entry.simplified)
        for name, entry in ARCHITECTURES.items()
    )


LISTS: dict[str, Callable[[str], Rows]] = {
    "suites": _suites,
    "cases": _cases,
    "strategies": _strategies,
    "ops": _ops,
    "architectures": _architectures,
}
