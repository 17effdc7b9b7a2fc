"""Estimate of a run before it starts: predicted bytes and seconds of each cell."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.cell.phase_costs import JACOBIAN, TASKS, input_bytes, step_bytes
from jacobench.bench.cell.problem import rows_to_verify
from jacobench.bench.floor.fitted_rates import predict_seconds
from jacobench.bench.floor.microbenchmarks import measure_like
from jacobench.bench.floor.predicted_rows import NO_PREDICTION, fill_seconds, n_seeds_of, predict_case
from jacobench.bench.floor.time_model import calls_of
from jacobench.bench.row.columns import tidy
from jacobench.bench.run.run_plan import MAX_SECONDS, MIN_ROUNDS
from jacobench.bench.suites.case import graph_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jacobench.bench.floor.predicted_rows import CellKey, PredictedCase
    from jacobench.bench.floor.stored_profile import StoredProfile
    from jacobench.bench.floor.time_model import Calls, TimeModel
    from jacobench.bench.run.run_plan import Plan

CASES_AT_ONCE = 1000
"""Cases that are predicted together: many, because of NumPy, but few enough for the caches of the processor."""

OVERHEAD = 0.06  # seconds per cell and pass outside the timed rounds, measured on the standard suite


def estimate(rows: pd.DataFrame, budget_bytes: float) -> pd.DataFrame:
    """Return the rows of `predicted_table` with the seconds of the strategies that the time model does not know.

    Small cases of these are measured now. ``predicted_seconds`` (of one call) is NaN where a strategy has no model; the
    column ``reason`` says why. The status is "over_budget" where it is in a run: where the strategy is predicted to need
    more than the budget. The strategies are loaded in this process.
    """
    rows = rows.copy()
    unknown = rows["predicted_seconds"].isna() & rows["predicted_flops"].notna()
    if unknown.any():
        measured = _measure_small_cases(rows[unknown])
        rows.loc[unknown, "predicted_seconds"] = predict_seconds(measured, rows[unknown])
        failed = measured[measured["status"] == "error"].groupby("strategy")["reason"].first().to_dict()
        reasons = rows["strategy"].map({name: NO_PREDICTION + str(reason) for name, reason in failed.items()})
        rows["reason"] = rows["reason"].mask(unknown & reasons.notna(), reasons.astype(object))
    rows["status"] = rows["status"].mask(rows["needs_bytes"] > budget_bytes, "over_budget")
    return rows


def predicted_table(plan: Plan, model_of: Callable[[str], TimeModel] | None = None) -> pd.DataFrame:
    """Return the rows of a plan's cells with predicted bytes, flops and seconds, in the order of the cells.

    `model_of` returns the time model of a dtype; without it, there are no seconds. ``needs_bytes`` is what a run compares
    with the budget: the largest step of the strategy, with leaves and seeds.
    """
    specs: dict[str, dict[str, None]] = {}
    for cell in plan.cells:
        specs.setdefault(cell.case, {})[cell.strategy] = None
    cases = plan.suite.cases
    batches = [cases[first : first + CASES_AT_ONCE] for first in range(0, len(cases), CASES_AT_ONCE)]
    parts = [_predicted([predict_case(case, specs[case.name]) for case in batch], plan, model_of) for batch in batches]
    return pd.concat(parts, ignore_index=True)


def _predicted(batch: Sequence[PredictedCase], plan: Plan, model_of: Callable[[str], TimeModel] | None) -> pd.DataFrame:
    """Return the rows of `predicted_table` of some cases."""
    lines, n_calls, needs = [], [], []
    rules: dict[str, dict[CellKey, Calls]] = defaultdict(dict)  # by dtype
    for predicted in batch:
        graph = predicted.graph
        own = predicted.rows()
        lines += own
        if model_of:
            rules[graph.dtype.name] |= predicted.calls()
        needed = {spec: _needed(predicted, spec, plan.budget_bytes) for spec in predicted.predictions}
        needs += [needed[row["strategy"]] for row in own]
        n_calls += [len(graph.nodes) if predicted.case.knobs.get("depth") is None else math.nan] * len(own)
    if model_of:
        for dtype, of_dtype in rules.items():
            fill_seconds([row for row in lines if row["dtype"] == dtype], model_of(dtype), of_dtype)
    return tidy(lines).assign(n_calls=n_calls, needs_bytes=needs)


def _needed(predicted: PredictedCase, spec: str, budget_bytes: int) -> int:
    graph, (phases, _) = predicted.graph, predicted.predictions[spec]
    is_jacobian = predicted.case.task == JACOBIAN
    n_used = len(rows_to_verify(graph, budget_bytes)) if is_jacobian else n_seeds_of(predicted.case)
    return max(step_bytes(graph, n_used, phases).values()) + input_bytes(graph, n_used)


def _measure_small_cases(rows: pd.DataFrame) -> pd.DataFrame:
    """Measure small cases of each task and dtype, with dense and with sparse weights, as far as the rows have them."""
    specs = list(rows["strategy"].unique())
    same = ["task", "dtype", "weight_density"]
    kinds = rows.groupby([*same[:2], rows["weight_density"] < 1], sort=False)[same].first()
    measured = [
        measure_like(
            {str(name): value for name, value in knobs.items()}, specs, TASKS[knobs["task"]], with_memory=False
        )
        for knobs in kinds.to_dict("records")
    ]
    return tidy([row for found in measured for row in found])


def total_seconds(cells: pd.DataFrame, passes: int) -> float:
    """Return the approximate duration of a run of these cells."""
    tried = cells[cells["status"] != "over_budget"]
    timed = (MIN_ROUNDS * tried["predicted_seconds"].fillna(0.0)).clip(lower=MAX_SECONDS)
    return passes * float(timed.sum() + OVERHEAD * len(tried))


def add_seconds(
    rows: Sequence[dict[str, Any]],
    planned: Plan,
    machine: str,
    profile_of: Callable[[str], StoredProfile | None],
) -> None:
    """Add the seconds that the time model predicts to the rows of a run, one per cell of its plan, in this order.

    `profile_of` returns the profile of a dtype, if there is one, of the machine with this key. Only successful cells
    that this machine measured get a prediction.
    """
    ok_of: dict[str, list[tuple[dict[str, Any], str]]] = defaultdict(list)
    for row, cell in zip(rows, planned.cells, strict=True):
        if row["status"] == "ok" and row["machine"] == machine:
            ok_of[cell.case].append((row, cell.strategy))
    model_of = cache(lambda dtype: found.model if (found := profile_of(dtype)) else None)
    known: dict[str, list[tuple[dict[str, Any], str, Calls]]] = defaultdict(list)  # by dtype
    for case in planned.suite.cases:
        graph = graph_of(case) if ok_of[case.name] else None
        if graph is None or model_of(graph.dtype.name) is None:
            continue
        specs = dict.fromkeys(spec for _, spec in ok_of[case.name])
        calls = {spec: calls_of(graph, spec, n_seeds_of(case), case.task) for spec in specs}
        known[graph.dtype.name] += [
            (row, spec, calls[spec][row["phase"]]) for row, spec in ok_of[case.name] if row["phase"] in calls[spec]
        ]
    for dtype, cells in known.items():
        model = model_of(dtype)
        seconds = model.seconds_of([(spec, row["phase"], own) for row, spec, own in cells]) if model else []
        for (row, _, _), value in zip(cells, seconds, strict=True):
            row["predicted_seconds"] = None if math.isnan(value) else value
