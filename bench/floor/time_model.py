"""Time model: seconds of a phase = overhead of the strategy + the seconds of each rule that it calls.

``run --dry-run``, ``recommend``, predicted exponents and the column ``predicted_seconds`` use this model. Everything that it
knows is in a `Profile`: rates of the rules, bandwidths, and whole small cases, to which the overheads are fitted.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jacobench.bench.cell.phase_costs import FORWARD, JACOBIAN, input_bytes, phase_bytes, predict_task
from jacobench.bench.floor.rule_rates import Bandwidth, RuleTime, fit_relative, rates_of
from jacobench.bench.floor.rule_work import COPY, edges_of, forward_works, jacobian_works, works_of
from jacobench.bench.suites.case import graph_of
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.strategies import registry
from jacobench.strategies.memory_model import predict_forward

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.bench.floor.rule_rates import RuleRates
    from jacobench.bench.floor.rule_work import Parts, Work
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

    parts: Parts
    n_nodes: int
    n_edges: int
    footprint: float

    @property
    def works(self) -> list[Work]:
        """All calls."""
        return [work for part in self.parts for work in part]

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
        peak = (phases or predict_forward(graph).phases)[FORWARD].peak_bytes
        return {FORWARD: Calls((forward_works(graph),), len(graph.nodes), 0, OVERLAP * (input_bytes(graph, 0) + peak))}
    if spec not in WITH_RULES:
        return {}
    strategy: Any = registry.load(spec)
    if phases is None:
        predictions = predict_task(strategy, graph, task, n_seeds)
        assert predictions is not None  # each of `WITH_RULES` has a model
        phases = predictions.phases
    footprint = OVERLAP * (input_bytes(graph, n_seeds) + phase_bytes(phases, task))
    n_edges = len(edges_of(graph))
    works = works_of(graph, strategy, n_seeds)
    if task == JACOBIAN:
        works = {"prepare": works["prepare"], JACOBIAN: (jacobian_works(graph, strategy),)}
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
        found = calls_of(graph, spec, n_seeds, task, phases)
        seconds = self.seconds_of([(spec, phase, calls) for phase, calls in found.items()])
        return {phase: value for phase, value in zip(found, seconds, strict=True) if not math.isnan(value)}

    def seconds_of(self, cells: Sequence[tuple[str, str, Calls]]) -> list[float]:
        """Return the seconds of many cells, each with strategy, phase and calls; NaN where the profile does not cover one."""
        if not cells:
            return []
        counts = np.array([calls.counts for _, _, calls in cells])
        unknown = np.full(counts.shape[1], math.nan)
        overheads = np.array([self._overheads.get((spec, phase), unknown) for spec, phase, _ in cells])
        seconds = self._of_rules([calls for _, _, calls in cells]) + np.sum(counts * overheads, axis=1)
        found: list[float] = seconds.tolist()
        return found

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
        rest = seconds - self._of_rules([calls for calls, _ in cells])
        return fit_relative(counts, seconds, rest)

    def _of_rules(self, cells: Sequence[Calls]) -> Array:
        """Return the seconds of the rules of each cell, shape (cells,); NaN where a rule was not measured."""
        parts = {(id(part), calls.footprint): part for calls in cells for part in calls.parts}
        seconds = self._of_parts(list(parts.values()), [key[1] for key in parts])
        of_parts = dict(zip(parts, seconds.tolist(), strict=True))
        return np.array([sum(of_parts[id(part), calls.footprint] for part in calls.parts) for calls in cells])

    def _of_parts(self, parts: Sequence[list[Work]], footprints: Sequence[float]) -> Array:
        """Return the seconds of lists of calls, each with its footprint, shape (parts,)."""
        by_rule: dict[str, list[tuple[int, int, Work]]] = defaultdict(list)
        for number, part in enumerate(parts):
            for work, count in Counter(part).items():  # the layers of a deep network have equal calls
                by_rule[work.rule].append((number, count, work))
        seconds = np.zeros(len(parts))
        for rule, calls in by_rule.items():
            numbers, counts, works = zip(*calls, strict=True)
            of_rule = self._of_rule(rule, works, [footprints[number] for number in numbers])
            np.add.at(seconds, list(numbers), np.array(counts) * of_rule)
        return seconds

    def _of_rule(self, rule: str, works: Sequence[Work], footprints: Sequence[float]) -> Array:
        if rule == COPY:
            read, written = np.array([(work.read, work.written) for work in works], dtype=np.float64).T
            return self.profile.bandwidth.seconds(read, written, np.asarray(footprints))
        if rule in self._rates:
            return self._rates[rule].seconds(works, footprints)
        return np.full(len(works), math.nan)
