"""Graphs of the suites in this package, built again for a run: run.json contains numbers, but no graphs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.bench.suites.case import graph_of
from jacobench.bench.suites.suite_files import load_suite, suite_names

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.bench.suites.case import Case
    from jacobench.graphs.graph import Graph


def rebuilt(table: pd.DataFrame) -> dict[str, tuple[Case, Graph]]:
    """Build the graphs of the cases of a run's tidy table again, without large allocations: case name → case and graph.

    The result contains cases of this package's suites that still have the same knobs and number of parameters, in the
    order of the table. No file that the run names is opened or executed.
    """
    found = {}
    first = table.drop_duplicates("case")
    for suite in [name for name in first["suite"].unique() if name in suite_names()]:
        cases = {case.name: case for case in load_suite(suite).cases}
        for row in first[(first["suite"] == suite) & first["case"].isin(cases)].to_dict("records"):
            case = cases[row["case"]]
            if all(_equal(row[knob], value) for knob, value in case.knobs.items() if knob in row):
                graph = graph_of(case)
                if _equal(row["n_parameters"], graph.n_parameters):
                    found[case.name] = case, graph
    return found


def _equal(cell: Any, value: Any) -> bool:
    missing = isinstance(cell, float) and math.isnan(cell)
    return value is None if missing else bool(cell == value)
