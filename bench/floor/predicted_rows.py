"""Cases by the model alone: what each strategy is predicted to take, from the shapes; nothing is measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell.prepared_cell import FORWARD, predict
from jacobench.bench.row.columns import COLUMNS
from jacobench.bench.suites.cells import BY_STRATEGY
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.errors import BadInput
from jacobench.strategies import registry
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jacobench.bench.suites.case import Case
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prediction

LARGEST_BATCH = 2**31 - 1
"""The largest that a suite can ask for."""


def phases_of(spec: str, graph: Graph, n_seeds: int) -> Mapping[str, Prediction]:
    """Return what each phase is expected to take; empty if there is no model, or the strategy cannot be asked."""
    if spec == FORWARD:
        return predict_forward(graph).phases
    try:
        found = predict(registry.load(spec), graph, n_seeds)
    except Exception:  # noqa: BLE001  (a run will say in its rows what is wrong with a plug-in)
        return {}
    return found.phases if found else {}


def n_seeds_of(case: Case) -> int:
    """Return how many seeds a case pulls back."""
    return int(case.knobs.get("n_seeds") or 1)


def one_case(knobs: Mapping[str, Any]) -> Case:
    """Return the one case that knobs make.

    Parameters
    ----------
    knobs : mapping of str to value
        Those of a ``[[sweep]]``. Without ``graph`` it is ``"architecture"`` where there is a ``name``, else ``"mlp"``.

    Raises
    ------
    BadInput
        As `sweep.expand`, or if they make several cases.
    """
    graph = {"graph": "architecture" if "name" in knobs else "mlp"}
    try:
        cases = expand(graph | dict(knobs), Path())
    except BadInput as error:
        raise BadInput(str(error).removeprefix(": ").removeprefix(".")) from error.__cause__
    if len(cases) > 1:
        raise BadInput(f"the knobs make {len(cases)} cases: expected one value for each, not a list")
    return cases[0]


def predicted_rows(case: Case, specs: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return a case's rows as they are before anything is measured.

    Parameters
    ----------
    case : Case
        The case.
    specs : iterable of str
        Strategies, instead of the case's.

    Returns
    -------
    list of dict
        For `columns.tidy`: one for each strategy and phase, status ``"not_tried"``, with predicted bytes and flops where the strategy
        has a model.
    """
    graph = case.make()
    knobs = {name: value for name, value in case.knobs.items() if name in COLUMNS}
    rows = []
    for spec in specs or case.strategies:
        phases = phases_of(spec, graph, n_seeds_of(case))
        for phase in BY_STRATEGY:
            expected = phases.get(phase)
            rows.append(
                knobs
                | {"case": case.name, "strategy": spec, "phase": phase, "n_parameters": graph.n_parameters}
                | {"status": "not_tried", "reason": "predicted only"}
                | {"predicted_bytes": expected and expected.peak_bytes, "predicted_flops": expected and expected.flops}
            )
    return rows


def largest_batch(case_of: Callable[[int], Case], spec: str, budget_bytes: float) -> int | None:
    """Find the largest batch that a strategy can take.

    Parameters
    ----------
    case_of : callable
        From a batch to the case.
    spec : str
        The strategy.
    budget_bytes : float
        What its heaviest phase may be predicted to need.

    Returns
    -------
    int or None
        By bisection, at most `LARGEST_BATCH`; 0 if not even one sample fits, None if there is no model.
    """

    def needed(batch: int) -> int:
        case = case_of(batch)
        phases = phases_of(spec, case.make(), n_seeds_of(case))
        return max((expected.peak_bytes for expected in phases.values()), default=-1)

    if needed(1) < 0:
        return None
    fits, over = 0, 1
    while over <= LARGEST_BATCH and needed(over) <= budget_bytes:
        fits, over = over, 2 * over
    over = min(over, LARGEST_BATCH + 1)
    while over - fits > 1:
        middle = (fits + over) // 2
        fits, over = (middle, over) if needed(middle) <= budget_bytes else (fits, middle)
    return fits
