"""Rows of cases before they are measured: bytes, flops and seconds predicted from the shapes."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell.prepared_cell import FORWARD, predict
from jacobench.bench.row.columns import COLUMNS
from jacobench.bench.suites.case import BY_STRATEGY
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.errors import BadInput
from jacobench.strategies import registry
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jacobench.bench.suites.case import Case
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prediction

LARGEST_BATCH = 2**31 - 1  # largest batch of a suite


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


def peak_bytes(case: Case, spec: str, phase: str | None = None) -> int | None:
    """Return the predicted peak of a strategy in a phase, or in its largest phase; None if it has no model."""
    phases = phases_of(spec, case.make(), n_seeds_of(case))
    if not phases:
        return None
    return phases[phase].peak_bytes if phase else max(expected.peak_bytes for expected in phases.values())


def largest_batch(case_of: Callable[[int], Case], spec: str, budget_bytes: float) -> int | None:
    """Return the largest batch whose predicted peak is within a budget in every phase; 0: none, None: no model."""
    if peak_bytes(case_of(1), spec) is None:
        return None

    def cost(batch: int) -> int:
        return peak_bytes(case_of(batch), spec) or 0

    over = 1
    while over <= LARGEST_BATCH and cost(over) <= budget_bytes:
        over *= 2
    return bisect_right(range(1, min(over - 1, LARGEST_BATCH) + 1), budget_bytes, lo=over // 2, key=cost)
