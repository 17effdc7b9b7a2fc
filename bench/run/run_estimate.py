"""Estimate of a run before it starts: predicted bytes and seconds of each cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jacobench.bench.floor.microbenchmarks import measure_like
from jacobench.bench.floor.predicted_rows import predicted_rows
from jacobench.bench.floor.time_model import predict_seconds
from jacobench.bench.row.columns import tidy
from jacobench.bench.run.run_plan import MAX_SECONDS, MIN_ROUNDS
from jacobench.bench.suites.case import BY_STRATEGY

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.bench.run.run_plan import Plan

OVERHEAD = 0.06  # seconds per cell and pass outside the timed rounds, measured on the standard suite


def estimate(rows: pd.DataFrame, budget_bytes: float) -> pd.DataFrame:
    """Return the rows of `predicted_table` with ``predicted_seconds`` (of one call), from small cases measured now.

    It is NaN where the strategy has no model. The status is "over_budget" where a phase is predicted to need more
    than the budget. The strategies are loaded in this process.
    """
    rows = rows.copy()
    rows["predicted_seconds"] = predict_seconds(_measure_small_cases(rows), rows)
    peaks = rows.groupby(["case", "strategy"])["predicted_bytes"].transform("max")
    rows["status"] = rows["status"].mask(peaks > budget_bytes, "over_budget")
    return rows


def predicted_table(plan: Plan) -> pd.DataFrame:
    """Return the rows of a plan's cells with predicted bytes and flops, in the order of the cells."""
    specs: dict[str, dict[str, None]] = {}
    for cell in plan.cells:
        specs.setdefault(cell.case, {})[cell.strategy] = None
    lines, calls = [], []
    for case in plan.suite.cases:
        own = predicted_rows(case, specs[case.name])
        lines += own
        calls += [len(case.make().nodes) if case.knobs.get("depth") is None else math.nan] * len(own)
    return tidy(lines).assign(n_calls=calls)


def _measure_small_cases(rows: pd.DataFrame) -> pd.DataFrame:
    """Measure small cases of each dtype, with dense and with sparse weights, as far as the rows have them."""
    specs = list(rows["strategy"].unique())
    kinds = rows.groupby(["dtype", rows["weight_density"] < 1], sort=False)[["dtype", "weight_density"]].first()
    measured = [
        measure_like({str(name): value for name, value in knobs.items()}, specs, BY_STRATEGY, with_memory=False)
        for knobs in kinds.to_dict("records")
    ]
    return tidy([row for found in measured for row in found])


def total_seconds(cells: pd.DataFrame, passes: int) -> float:
    """Return the approximate duration of a run of these cells."""
    tried = cells[cells["status"] != "over_budget"]
    timed = (MIN_ROUNDS * tried["predicted_seconds"].fillna(0.0)).clip(lower=MAX_SECONDS)
    return passes * float(timed.sum() + OVERHEAD * len(tried))
