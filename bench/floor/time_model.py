"""Time model: seconds of a phase = overhead of the strategy + the seconds of each rule that it calls.

``run --dry-run``, ``recommend``, predicted exponents and the column ``predicted_seconds`` use this model. Everything that it
knows is in a `Profile`: rates of the rules, bandwidths, and whole small cases, to which the overheads are fitted.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jacobench.bench.cell.prepared_cell import FORWARD, JACOBIAN, input_bytes, phase_bytes, predict_task
from jacobench.bench.floor.rule_rates import Bandwidth, RuleTime, fit_relative, rates_of
from jacobench.bench.floor.rule_work import COPY, edges_of, forward_works, jacobian_works, works_of
from jacobench.bench.suites.case import graph_of
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.strategies import registry
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.bench.floor.rule_rates import RuleRates
    from jacobench.bench.floor.rule_work import Work
    from jacobench.bench.suites.case import Case
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.contract import Prediction

WITH_RULES = ("vjp", "sparse", "dense", "dense-blocks")  # strategies whose work is known rule by rule

OVERLAP = 2.0
"""Factor by which the footprint of a case counts more than that of one array, from which bandwidths are measured. Its arrays
are allocated, written and read in turn, so it leaves a cache earlier. With 1, dense Jacobians of 10 to 30 MiB (the cache has
32) took 1.3 times the prediction, with 2 or more, 1.1 times."""

Array = Any


class CellTime(msgspec.Struct, frozen=True):
    """Measured seconds of one phase of a small case; `knobs` are those of its ``[[sweep]]``."""

    knobs: dict[str, Any]
    strategy: str
    phase: str
    seconds: float

    def case(self) -> Case:
        """Return the case."""
        return expand(self.knobs, Path())[0]


class Profile(msgspec.Struct, frozen=True):
    """Measurements of one machine in one dtype: bandwidths, rules, and small cases to fit and to test the model."""

    dtype: str
    bandwidth: Bandwidth
    rules: tuple[RuleTime, ...]
    fitted: tuple[CellTime, ...]
    tested: tuple[CellTime, ...]


@dataclass(frozen=True)
class Calls:
    """Calls of rules in one phase of a graph; `footprint` is the bytes in use together."""

    works: list[Work]
    n_nodes: int
    n_edges: int
    footprint: float

    @property
    def counts(self) -> list[float]:
        """What the overheads of a strategy are multiplied with: one, nodes and edges."""
        return [1.0, self.n_nodes, self.n_edges]


def calls_of(
    graph: Graph, spec: str, n_seeds: int, task: str = "gradient", phases: Mapping[str, Prediction] | None = None
) -> dict[str, Calls]:
    """Return the calls of each phase of a task; empty for a strategy without known rules.

    `phases` is the predicted cost of each phase, if it is known already.
    """
    if spec == FORWARD:
        peak = predict_forward(graph).phases[FORWARD].peak_bytes
        return {FORWARD: Calls(forward_works(graph), len(graph.nodes), 0, OVERLAP * (input_bytes(graph, 0) + peak))}
    if spec not in WITH_RULES:
        return {}
    strategy: Any = registry.load(spec)
    if phases is None:
        predictions = predict_task(strategy, graph, task, n_seeds)
        assert predictions is not None  # each of `WITH_RULES` has a model
        phases = predictions.phases
    footprint = OVERLAP * (input_bytes(graph, n_seeds) + phase_bytes(phases, task))
    n_edges = sum(1 for _ in edges_of(graph))
    works = works_of(graph, strategy, n_seeds)
    if task == JACOBIAN:
        works = {"prepare": works["prepare"], JACOBIAN: jacobian_works(graph, strategy)}
    return {phase: Calls(own, len(graph.nodes), n_edges, footprint) for phase, own in works.items()}


class TimeModel:
    """Predicts seconds from the measurements of a profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._rates: Mapping[str, RuleRates] = rates_of(profile.rules, profile.bandwidth)

    def seconds(
        self,
        graph: Graph,
        spec: str,
        n_seeds: int,
        task: str = "gradient",
        phases: Mapping[str, Prediction] | None = None,
    ) -> dict[str, float]:
        """Return the seconds of each phase of a task; without those that the profile does not cover.

        It covers the strategies of `WITH_RULES` and the forward pass, of graphs whose rules were all measured. `phases`
        is as for `calls_of`.
        """
        found = {
            phase: self._of_rules(calls) + float(np.dot(calls.counts, self._overheads[spec, phase]))
            for phase, calls in calls_of(graph, spec, n_seeds, task, phases).items()
            if (spec, phase) in self._overheads
        }
        return {phase: seconds for phase, seconds in found.items() if not math.isnan(seconds)}

    @cached_property
    def _overheads(self) -> dict[tuple[str, str], Array]:
        """Seconds per call, node and edge by strategy and phase, fitted to the profile's small cases."""
        cells: dict[tuple[str, str], list[tuple[Calls, float]]] = {}
        for cell in self.profile.fitted:
            case, n_seeds = cell.case(), int(cell.knobs.get("n_seeds", 1))
            calls = calls_of(graph_of(case), cell.strategy, n_seeds, case.task)[cell.phase]
            cells.setdefault((cell.strategy, cell.phase), []).append((calls, cell.seconds))
        return {key: self._fit_overhead(own) for key, own in cells.items()}

    def _fit_overhead(self, cells: list[tuple[Calls, float]]) -> Array:
        counts = np.array([calls.counts for calls, _ in cells], dtype=np.float64)
        seconds = np.array([seconds for _, seconds in cells])
        rest = seconds - [self._of_rules(calls) for calls, _ in cells]
        return fit_relative(counts, seconds, rest)

    def _of_rules(self, calls: Calls) -> float:
        rules: float = 0.0
        copies: float = 0.0
        for work, n in Counter(calls.works).items():  # the layers of a deep network have equal calls
            if work.rule == COPY:
                copies += n * self.profile.bandwidth.seconds(work.read, work.written, calls.footprint)
            elif work.rule in self._rates:
                rules += n * self._rates[work.rule].seconds(work, calls.footprint)
            else:
                return math.nan
        return rules + copies
