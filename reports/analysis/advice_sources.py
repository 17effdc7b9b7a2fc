"""Sources of advice on a case: finished runs, or small cases that are measured now."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jacobench.bench.floor.microbenchmarks import measure_like
from jacobench.bench.floor.predicted_rows import largest_batch, one_case, predicted_rows
from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.case_advice import advise
from jacobench.reports.data.run_data import Run
from jacobench.strategies.registry import registered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.bench.suites.case import Case
    from jacobench.reports.analysis.case_advice import CaseAdvice


def advise_from_runs(case: Case, runs: Sequence[Run], budget_bytes: float) -> CaseAdvice | None:
    """Return the advice of the run that knows most about a case; None without runs."""
    found = []
    for run in runs:
        specs = [name for name in run.table["strategy"].unique() if name in registered()]
        found.append(advise(tidy(predicted_rows(case, specs)), run, budget_bytes))
    return min(found, key=lambda advice: advice.rank) if found else None


def advise_from_small_cases(case: Case, budget_bytes: float) -> CaseAdvice:
    """Measure small cases that resemble a case, which takes a few seconds, and return the advice of the models."""
    run = Run(tidy(measure_like(case.knobs, case.strategies)))
    return advise(tidy(predicted_rows(case)), run, budget_bytes)


def with_largest_batches(advice: CaseAdvice, knobs: Mapping[str, Any]) -> CaseAdvice:
    """Add the largest batch of each strategy that fits in the budget; NaN for a strategy without a byte model."""

    def largest(name: str) -> float:
        found = largest_batch(lambda batch: one_case({**knobs, "batch": batch}), name, advice.budget_bytes)
        return math.nan if found is None else found

    batches = advice.strategies["strategy"].map(largest)
    return replace(advice, strategies=advice.strategies.assign(largest_batch=batches))
