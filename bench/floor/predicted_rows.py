"""Rows of cases before they are measured: bytes, flops and seconds predicted from the shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.cell.phase_costs import FORWARD, input_bytes, phase_bytes, predict_task
from jacobench.bench.cell.prepared_cell import one_line
from jacobench.bench.floor.time_model import calls_of
from jacobench.bench.row.columns import COLUMNS, tidy
from jacobench.bench.suites.case import columns_of, graph_of
from jacobench.bench.suites.model_sweep import MODEL
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.errors import BadInput
from jacobench.graphs.structures.positions import Positions
from jacobench.graphs.structures.sparsity import Pattern
from jacobench.strategies import registry
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

    from jacobench.bench.floor.stored_profile import StoredProfile
    from jacobench.bench.floor.time_model import Calls, TimeModel
    from jacobench.bench.suites.case import Case
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prediction


NO_PREDICTION = "no prediction: "
"""Start of the reason in a row of a strategy without a model of its cost."""


CellKey = tuple[str, str, str]
"""Case, strategy and phase."""


def phases_of(spec: str, graph: Graph, n_seeds: int, task: str = "gradient") -> Mapping[str, Prediction]:
    """Return the predicted cost of each phase of a task; empty if the strategy has no model or fails."""
    return prediction_of(spec, graph, n_seeds, task)[0]


def prediction_of(
    spec: str, graph: Graph, n_seeds: int, task: str = "gradient"
) -> tuple[Mapping[str, Prediction], str]:
    """Return the predicted cost of each phase of a task, and why there is none: the strategy has no model, or fails."""
    if spec == FORWARD:
        return predict_forward(graph).phases, ""
    try:
        found = predict_task(registry.load(spec), graph, task, n_seeds)
    except Exception as error:  # noqa: BLE001  (a plug-in fails only its own rows)
        return {}, failure(error)
    return (found.phases, "") if found else ({}, "it has no method predict")


def failure(error: Exception) -> str:
    """Return the reason of a failure of a strategy, in one line."""
    return one_line(f"it fails: {type(error).__name__}: {error}")


def n_seeds_of(case: Case) -> int:
    """Return the number of seeds of a case; 1 if its task has none."""
    return int(case.knobs.get("n_seeds") or 1)


def one_case(knobs: Mapping[str, Any]) -> Case:
    """Return the one case of a ``[[sweep]]`` with these knobs.

    Without ``graph`` it is as in `sweep_of`. Raises BadInput as `expand`, or if there are several cases.
    """
    try:
        cases = expand(sweep_of(knobs), Path())
    except BadInput as error:
        raise BadInput(str(error).removeprefix(": ").removeprefix(".")) from error.__cause__
    if len(cases) > 1:
        raise BadInput(f"the knobs describe {len(cases)} cases: expected one value for each knob, not a list")
    return cases[0]


def sweep_of(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sweep with knobs; its graph is a published network (``name``), a model (``file``) or a perceptron."""
    graph = next((graph for key, graph in (("name", "architecture"), ("file", MODEL)) if key in knobs), "mlp")
    return {"graph": graph, **knobs}


@dataclass(frozen=True)
class PredictedCase:
    """A case with its graph, and the predicted cost of each phase under each strategy, or why there is none."""

    case: Case
    graph: Graph
    predictions: Mapping[str, tuple[Mapping[str, Prediction], str]]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the case before it is measured, one per strategy and phase, with status "not_tried".

        The rows have predicted bytes and flops where the strategy has a model, otherwise a reason.
        """
        knobs = {name: value for name, value in self.case.knobs.items() if name in COLUMNS}
        shared = {**columns_of(self.graph), **knobs, "case": self.case.name, "status": "not_tried"}
        return [
            shared | {"strategy": spec, "phase": phase, **values}
            for spec in self.predictions
            for phase, values in self._phases(spec)
        ]

    def calls(self) -> dict[CellKey, Calls]:
        """Return the calls of rules of each cell, where they are known."""
        n_seeds, task = n_seeds_of(self.case), self.case.task
        return {
            (self.case.name, spec, phase): calls
            for spec, (phases, _) in self.predictions.items()
            if phases
            for phase, calls in calls_of(self.graph, spec, n_seeds, task, phases).items()
        }

    def _phases(self, spec: str) -> Iterator[tuple[str, dict[str, Any]]]:
        phases, missing = self.predictions[spec]
        reason = f"{NO_PREDICTION}{missing}" if missing else "predicted only"
        for phase in (FORWARD,) if spec == FORWARD else self.case.phases:
            expected = phases.get(phase)
            yield (
                phase,
                {
                    "reason": reason,
                    "predicted_bytes": expected and expected.peak_bytes,
                    "predicted_flops": expected and expected.flops,
                },
            )


def predict_case(case: Case, specs: Iterable[str] = ()) -> PredictedCase:
    """Predict a case; `specs` replace the case's strategies; "forward" is the forward pass."""
    graph, n_seeds = graph_of(case), n_seeds_of(case)
    return PredictedCase(
        case, graph, {spec: prediction_of(spec, graph, n_seeds, case.task) for spec in specs or case.strategies}
    )


def predicted_rows(case: Case, specs: Iterable[str] = (), model: TimeModel | None = None) -> list[dict[str, Any]]:
    """Return the rows of a case before it is measured; with a `model`, with the seconds that it knows."""
    found = predict_case(case, specs)
    rows = found.rows()
    if model:
        fill_seconds(rows, model, found.calls())
    return rows


def fill_seconds(rows: Iterable[dict[str, Any]], model: TimeModel, calls: Mapping[CellKey, Calls]) -> None:
    """Add the predicted seconds to rows of many cases at once; None where the model does not know them."""
    cells = [(spec, phase, own) for (_, spec, phase), own in calls.items()]
    known = dict(zip(calls, model.seconds_of(cells), strict=True))
    for row in rows:
        seconds = known.get((row["case"], row["strategy"], row["phase"]), math.nan)
        row["predicted_seconds"] = None if math.isnan(seconds) else seconds


def held_bytes(graph: Graph, n_seeds: int) -> int:
    """Return the bytes held during every call: leaves (inputs and targets included), seeds, constants of the graph."""
    constants: dict[int, int] = {}  # ops may share them
    for node in graph.nodes:
        for value in node.attrs.values():
            if isinstance(value, Pattern):
                own = value.bytes_for(node.contexts[0].n_vectors)
                constants[id(value)] = max(own, constants.get(id(value), 0))
            elif isinstance(value, (np.ndarray, Positions)):
                constants[id(value)] = value.nbytes
    return input_bytes(graph, n_seeds) + sum(constants.values()) + sum(array.nbytes for array in graph.constants)


def needed_bytes(case: Case, specs: Iterable[str], phase: str | None = None) -> dict[str, int]:
    """Return the predicted memory of each strategy in a phase, or in its largest; none for a strategy without a model.

    This is `held_bytes`, what earlier phases keep, such as patterns, and the peak.
    """
    graph = graph_of(case)
    held = held_bytes(graph, n_seeds_of(case))
    found = {}
    for spec in specs:
        phases = phases_of(spec, graph, n_seeds_of(case), case.task)
        if phases:
            found[spec] = held + max(phase_bytes(phases, name) for name in ((phase,) if phase else phases))
    return found


def validation_rows(stored: StoredProfile) -> pd.DataFrame:
    """Return the rows of the small cases on which a profile tests the time model, with measured and predicted seconds.

    They were not used to fit the model.
    """
    cells = {(cell.case().name, cell.strategy, cell.phase): cell.seconds for cell in stored.profile.tested}
    cases = {cell.case().name: cell.case() for cell in stored.profile.tested}
    specs = list(dict.fromkeys(cell.strategy for cell in stored.profile.tested))
    rows = [row for case in cases.values() for row in predicted_rows(case, specs, stored.model)]
    measured = [(row, cells.get((row["case"], row["strategy"], row["phase"]))) for row in rows]
    return tidy(
        [
            row | {"case": f"test-{row['case']}", "status": "ok", "reason": None, "seconds_median": seconds}
            for row, seconds in measured
            if seconds
        ]
    )
