"""Floors: lower bounds for the time of the work that each strategy's definition requires, measured on this machine.

They are measured in the process that measures the strategy, at the case's shapes. docs/floor.md explains the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.cell import timing
from jacobench.bench.cell.phase_costs import JACOBIAN
from jacobench.bench.cell.prepared_cell import status_of
from jacobench.bench.cell.whole_jacobian import shape_of, unit_seeds
from jacobench.bench.floor.floor_loop import loop
from jacobench.bench.floor.floor_rules import RULES
from jacobench.graphs.calls import run
from jacobench.strategies.reverse import Reverse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.bench.cell.problem import Problem
    from jacobench.bench.floor.floor_loop import Loop
    from jacobench.graphs.calls import Call
    from jacobench.graphs.graph import Graph

PHASES = ("linearize", "pullback", "gradient")  # phases of the task "gradient" that have a floor
ROUNDS, MIN_SECONDS = 5, 2e-4  # rounds of a loop, and the length of the shortest; the fastest counts
TIME_LIMIT = 0.2  # seconds after which no round of a loop begins


@dataclass
class Floors:
    """Floors of one case. Those of a strategy are measured together, so that its loop's arrays are soon freed."""

    problem: Problem
    _found: dict[str, tuple[Mapping[str, float], str]] = field(default_factory=dict)

    def of(self, strategy: Any, phase: str) -> tuple[float | None, str]:
        """Return the floor of a strategy's phase in seconds per call, and why it could not be measured.

        It is None, without a reason, for a phase and a strategy whose required work is not defined.
        """
        if phase not in (*PHASES, JACOBIAN) or not isinstance(strategy, Reverse) or strategy.name not in RULES:
            return None, ""
        if strategy.name not in self._found:
            self._found[strategy.name] = self._measure(strategy)
        seconds, reason = self._found[strategy.name]
        return seconds.get(phase), reason

    def _measure(self, strategy: Reverse) -> tuple[Mapping[str, float], str]:
        try:
            if self.problem.task == JACOBIAN:
                return jacobian_seconds(self.problem, strategy), ""
            return loop_seconds(loop(self.problem, strategy)), ""
        except Exception as error:  # noqa: BLE001  (the row says that its floor is missing; the cells go on)
            return {}, status_of(error, "no floor")[1]


def loop_seconds(by_hand: Loop) -> dict[str, float]:
    """Time a loop; all of it for `gradient`, because each half alone finds its own data in the caches."""
    whole = (*by_hand.linearize, *by_hand.pullback)
    parts = zip(PHASES, (by_hand.linearize, by_hand.pullback, whole), strict=True)
    return {phase: timing.fastest(partial(run, calls), ROUNDS, MIN_SECONDS, TIME_LIMIT) for phase, calls in parts}


def jacobian_seconds(problem: Problem, strategy: Reverse) -> dict[str, float]:
    """Time the loop of a whole Jacobian: that of a gradient whose seeds are the identity, and the copies into one matrix.

    The identity itself is no required work.
    """
    graph = problem.graph
    seeds = unit_seeds(graph, np.arange(shape_of(graph)[0]))
    by_hand = loop(replace(problem, seeds=seeds), strategy)
    whole = (*by_hand.linearize, *by_hand.pullback, *joining(by_hand, graph))
    return {JACOBIAN: timing.fastest(partial(run, whole), ROUNDS, MIN_SECONDS, TIME_LIMIT)}


def joining(by_hand: Loop, graph: Graph) -> list[Call]:
    """Return the calls that copy the cotangents of a loop into one matrix; those of unreached leaves are zeros already."""
    matrix = np.zeros(shape_of(graph), graph.dtype)
    calls: list[Call] = []
    begin = 0
    for name in graph.wrt:
        end = begin + prod(graph.leaves[name].shape)
        if name in by_hand.cotangents and len(graph.wrt) > 1:
            bars = by_hand.cotangents[name].reshape(len(matrix), -1)
            calls.append((np.copyto, (matrix[:, begin:end], bars)))
        begin = end
    return calls
