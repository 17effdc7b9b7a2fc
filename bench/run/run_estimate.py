"""What a run would take, before it is started: predicted bytes of each cell, and seconds at rates measured on the spot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.cell.prepared_cell import FORWARD, PreparedCell, Problem
from jacobench.bench.floor.predicted_rows import n_seeds_of, phases_of
from jacobench.bench.run.run_plan import MAX_SECONDS, MIN_ROUNDS
from jacobench.bench.suites.cells import BY_STRATEGY
from jacobench.graphs.generators.mlp import mlp
from jacobench.strategies import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.bench.run.run_plan import Plan
    from jacobench.strategies.contract import Prediction

MATRIX, COPY = 256, 2**21
"""Sides of the matrices, and float64 entries of the array, that the rates are taken from."""

OVERHEAD = 0.06
"""Seconds beside the timed rounds of one cell in one pass, as measured on the standard suite."""


def rates() -> tuple[float, float]:
    """Return what this machine does: flops a second in a matrix product, bytes a second filled."""
    a = np.ones((MATRIX, MATRIX))
    product = _fastest(lambda: a @ a)
    filled = np.empty(COPY)
    return 2 * MATRIX**3 / product, filled.nbytes / _fastest(lambda: filled.fill(1))


def seconds_a_node(spec: str) -> dict[str, float]:
    """Return what each phase costs a node where the arrays are tiny: the interpreter's share, measured."""
    graph, leaves = mlp([2, 2, 2])
    point = Problem(graph, leaves, np.ones(1), {})
    trial = PreparedCell(spec, point)
    phases: tuple[str, ...] = (FORWARD,)
    if spec != FORWARD:
        trial.strategy = registry.load(spec)
        trial.prepared = trial.strategy.prepare(graph)
        phases = BY_STRATEGY
    return {phase: _fastest(trial.call(phase)) / len(graph.nodes) for phase in phases}


def _fastest(call: Callable[[], Any], rounds: int = 5) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def estimate(plan: Plan) -> list[dict[str, Any]]:
    """Predict each cell of a plan.

    Parameters
    ----------
    plan : Plan
        What would be measured. Its strategies are loaded here, in this process.

    Returns
    -------
    list of dict
        ``case, strategy, phase``, ``predicted_bytes`` (peak), ``predicted_seconds`` (of one call), both None where the
        strategy has no model, and ``over_budget``.
    """
    flop_rate, byte_rate = rates()
    calls: dict[str, Mapping[str, float]] = {}
    cases = {case.name: case for case in plan.suite.cases}
    graphs = {case.name: case.make() for case in plan.suite.cases}
    models: dict[tuple[str, str], Mapping[str, Prediction]] = {}
    found = []
    for cell in plan.cells:
        key = cell.case, cell.strategy
        if key not in models:
            models[key] = phases_of(cell.strategy, graphs[cell.case], n_seeds_of(cases[cell.case]))
        phases = models[key]
        if phases and cell.strategy not in calls:
            calls[cell.strategy] = seconds_a_node(cell.strategy)
        phase = phases.get(cell.phase)
        found.append(
            {
                "case": cell.case,
                "strategy": cell.strategy,
                "phase": cell.phase,
                "predicted_bytes": phase and phase.peak_bytes,
                "predicted_seconds": phase
                and phase.flops / flop_rate
                + phase.peak_bytes / byte_rate
                + calls[cell.strategy][cell.phase] * len(graphs[cell.case].nodes),
                "over_budget": any(other.peak_bytes > plan.budget_bytes for other in phases.values()),
            }
        )
    return found


def total_seconds(estimates: list[dict[str, Any]], passes: int) -> float:
    """Return about how long a run of these cells takes."""
    tried = [cell for cell in estimates if not cell["over_budget"]]
    timed = (max(MAX_SECONDS, MIN_ROUNDS * (cell["predicted_seconds"] or 0.0)) for cell in tried)
    return passes * (sum(timed) + OVERHEAD * len(tried))
