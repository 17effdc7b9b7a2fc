"""Rows of cases before they are measured: bytes, flops and seconds predicted from the shapes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.cell.prepared_cell import FORWARD, input_bytes, phase_bytes, predict
from jacobench.bench.row.columns import COLUMNS
from jacobench.bench.suites.case import BY_STRATEGY
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.errors import BadInput
from jacobench.graphs.structures.sparsity import Pattern
from jacobench.strategies import registry
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jacobench.bench.suites.case import Case
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prediction


def phases_of(spec: str, graph: Graph, n_seeds: int) -> Mapping[str, Prediction]:
    """Return the predicted cost of each phase; empty if the strategy has no model or cannot be loaded."""
    if spec == FORWARD:
        return predict_forward(graph).phases
    try:
        found = predict(registry.load(spec), graph, n_seeds)
    except Exception:  # noqa: BLE001  (a run reports in its rows why a plug-in fails)
        return {}
    return found.phases if found else {}


def n_seeds_of(case: Case) -> int:
    """Return the number of seeds of a case."""
    return int(case.knobs.get("n_seeds") or 1)


def one_case(knobs: Mapping[str, Any]) -> Case:
    """Return the one case of a ``[[sweep]]`` with these knobs.

    Without ``graph`` it is ``"architecture"`` if there is a ``name``, else ``"mlp"``. Raises BadInput as `expand`, or
    if there are several cases.
    """
    graph = {"graph": "architecture" if "name" in knobs else "mlp"}
    try:
        cases = expand(graph | dict(knobs), Path())
    except BadInput as error:
        raise BadInput(str(error).removeprefix(": ").removeprefix(".")) from error.__cause__
    if len(cases) > 1:
        raise BadInput(f"the knobs describe {len(cases)} cases: expected one value for each knob, not a list")
    return cases[0]


def predicted_rows(case: Case, specs: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return the rows of a case before it is measured, one per strategy and phase, with status "not_tried".

    `specs` replace the case's strategies; "forward" is the forward pass. The rows have predicted bytes and flops where
    the strategy has a model. `time_model.predict_seconds` adds seconds.
    """
    graph = case.make()
    knobs = {name: value for name, value in case.knobs.items() if name in COLUMNS}
    shared = {"dtype": graph.dtype.name, **knobs, "case": case.name, "n_parameters": graph.n_parameters}
    rows = []
    for spec in specs or case.strategies:
        phases = phases_of(spec, graph, n_seeds_of(case))
        for phase in (FORWARD,) if spec == FORWARD else BY_STRATEGY:
            expected = phases.get(phase)
            rows.append(
                shared
                | {"strategy": spec, "phase": phase, "status": "not_tried", "reason": "predicted only"}
                | {"predicted_bytes": expected and expected.peak_bytes, "predicted_flops": expected and expected.flops}
            )
    return rows


def held_bytes(graph: Graph, n_seeds: int) -> int:
    """Return the bytes held during every call: leaves (inputs and targets included), seeds, constants of the graph."""
    values = [value for node in graph.nodes for value in node.attrs.values()]
    constants = {
        id(value): value.nbytes for value in values if isinstance(value, np.ndarray | Pattern)
    }  # ops may share
    return input_bytes(graph, n_seeds) + sum(constants.values())


def needed_bytes(case: Case, specs: Iterable[str], phase: str | None = None) -> dict[str, int]:
    """Return the predicted memory of each strategy in a phase, or in its largest; none for a strategy without a model.

    This is `held_bytes`, what earlier phases keep, such as patterns, and the peak.
    """
    graph = case.make()
    held = held_bytes(graph, n_seeds_of(case))
    found = {}
    for spec in specs:
        phases = phases_of(spec, graph, n_seeds_of(case))
        if phases:
            found[spec] = held + max(phase_bytes(phases, name) for name in ((phase,) if phase else phases))
    return found
