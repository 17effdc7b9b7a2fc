"""Floors: lower bounds for the time of the work that each strategy's definition requires, measured on this machine.

They are measured in the process that measures the strategy, at the case's shapes. docs/floor.md explains the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell import timing
from jacobench.bench.cell.prepared_cell import status_of
from jacobench.bench.floor.floor_loop import loop
from jacobench.bench.floor.floor_rules import RULES
from jacobench.graphs.calls import run
from jacobench.strategies.reverse import Reverse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.bench.cell.prepared_cell import Problem
    from jacobench.bench.floor.floor_loop import Loop

PHASES = ("linearize", "pullback", "gradient")  # phases that have a floor
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
        if phase not in PHASES or not isinstance(strategy, Reverse) or strategy.name not in RULES:
            return None, ""
        if strategy.name not in self._found:
            self._found[strategy.name] = self._measure(strategy)
        seconds, reason = self._found[strategy.name]
        return seconds.get(phase), reason

    def _measure(self, strategy: Reverse) -> tuple[Mapping[str, float], str]:
        try:
            return loop_seconds(loop(self.problem, strategy)), ""
        except Exception as error:  # noqa: BLE001  (the row says that its floor is missing; the cells go on)
            return {}, status_of(error, "no floor")[1]


def loop_seconds(by_hand: Loop) -> dict[str, float]:
    """Time a loop; all of it for `gradient`, because each half alone finds its own data in the caches."""
    whole = (*by_hand.linearize, *by_hand.pullback)
    parts = zip(PHASES, (by_hand.linearize, by_hand.pullback, whole), strict=True)
    return {phase: timing.fastest(partial(run, calls), ROUNDS, MIN_SECONDS, TIME_LIMIT) for phase, calls in parts}
