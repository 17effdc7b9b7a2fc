"""Floors: lower bounds for the time of the work that each strategy's definition requires, measured on this machine.

They are measured in the process that measures the strategy, at the case's shapes. docs/floor.md explains the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacobench.bench.floor.floor_loop import loop, run
from jacobench.bench.floor.machine_profile import fastest, read_seconds, seconds_per_flop, write_seconds
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.tape import steps
from jacobench.strategies.vjp import vjp

if TYPE_CHECKING:
    from jacobench.bench.cell.prepared_cell import Problem
    from jacobench.bench.floor.floor_loop import Loop

PHASES = ("linearize", "pullback", "gradient")  # phases that have a floor
MODELS = ("vjp", "dense", "dense-blocks", "sparse")  # strategies whose required work is defined; others have no floor


@dataclass
class Floors:
    """Floors of one case, each measured at its first use."""

    problem: Problem

    def __post_init__(self) -> None:
        self._loop: Loop | None = None
        self._seconds: dict[str, float] = {}

    def of(self, strategy: Any, phase: str) -> float | None:
        """Return the floor of a strategy's phase in seconds per call; None if there is no model for it.

        For `vjp` it is the loop. Strategies that materialize Jacobians run the forward pass and write these once
        (``linearize``); they read them and their indices once and multiply (``pullback``); ``gradient`` is the sum.
        """
        if phase not in PHASES or not isinstance(strategy, Reverse) or strategy.name not in MODELS:
            return None
        if strategy.name == "vjp":
            return self._loop_seconds(phase)
        graph = self.problem.graph
        edges = (edge for step in steps(graph) for edge in step.edges)
        costs = [strategy.local.cost(edge.argument, edge.ctx, len(self.problem.seeds)) for edge in edges]
        values, indices = sum(cost.linearize_bytes for cost in costs), sum(cost.prepare_bytes for cost in costs)
        arithmetic = sum(cost.pull_flops for cost in costs) * seconds_per_flop(graph.dtype.name)
        materialize = self._loop_seconds("linearize") + write_seconds(values)
        apply = max(read_seconds(values + indices), arithmetic)  # both at the same time
        return {"linearize": materialize, "pullback": apply, "gradient": materialize + apply}[phase]

    def _loop_seconds(self, phase: str) -> float:
        """Time the loop; all of it for `gradient`, because each half alone finds its own data in the caches."""
        if phase not in self._seconds:
            self._loop = self._loop or loop(self.problem, vjp())
            halves = {"linearize": self._loop.linearize, "pullback": self._loop.pullback}
            calls = halves.get(phase, (*self._loop.linearize, *self._loop.pullback))
            self._seconds[phase] = fastest(lambda: run(calls))
        return self._seconds[phase]
