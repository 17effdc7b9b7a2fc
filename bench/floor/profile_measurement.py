"""Measurement of a machine profile in this process: bandwidths, rules of all ops, and small cases.

`stored_profile` runs it in fresh processes with the settings of a run.
"""

from __future__ import annotations

import gc
import math
import sys
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from jacobench.bench.cell import timing
from jacobench.bench.cell.phase_costs import FORWARD, predict_task
from jacobench.bench.cell.prepared_cell import PreparedCell
from jacobench.bench.cell.problem import Problem
from jacobench.bench.floor.rule_rates import Bandwidth, RuleTime
from jacobench.bench.floor.rule_work import edge_works, forward_work
from jacobench.bench.floor.time_model import WITH_RULES, CellTime, Profile
from jacobench.bench.suites.case import build, graph_of
from jacobench.bench.suites.sweep_expansion import expand
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.mlp import LOSSES
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.tape import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jacobench.bench.floor.rule_work import EdgeWorks, Work
    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.tape import Edge, Step

FOOTPRINTS = tuple(2.0**k for k in range(14, 28))  # 16 KiB, in the first cache, to 128 MiB, in memory

OP_SHAPES = ((1, 8), (1, 64), (1, 512), (16, 32), (64, 64), (256, 16), (128, 512))
"""Batches and sizes of the example of each op: four orders of magnitude of work, and of operations per byte."""

WIDTHS = ([16, 16], [64, 64], [256, 32], [32, 256], [128, 128], [256, 256], [784, 300], [1024, 1024], [2048, 1024])
SPARSE_WIDTHS, DENSITIES = ([64, 64], [256, 32], [128, 128], [256, 256]), (0.02, 0.1, 0.5)
SEEDS: dict[int, tuple[int, ...]] = {1: (1, 64), 4: (1, 8), 16: (1,), 64: (1,)}  # batch → numbers of seeds
LOSS_SHAPES = ((1, 10), (16, 16), (64, 100), (128, 500))

SLOWEST = 4e-3  # Seconds. Calls that are estimated to take longer are not measured.
SLOWEST_OF_OPS = 1e-3  # The same for single ops, of which there are many: these would take a third of the whole time.
OPERATIONS, BYTES = 2e10, 2e10  # per second, for this estimate
PLACES = 1.0  # measured calls of a rule differ by a factor of about 2 ** (1 / PLACES) in operations or bytes

SHORT, LONG = timing.Schedule(4, 1), timing.Schedule(2, 1)  # rounds of a call; long: 2 ms
ROUND_SECONDS, LONG_SECONDS = 2e-4, 2e-3

FITTED: tuple[dict[str, Any], ...] = (
    *({"graph": "mlp", "width": 18, "depth": depth, "loss": "none"} for depth in (1, 4)),
    *({"graph": "mlp", "width": 28, "depth": depth} for depth in (1, 3, 12)),
    *({"graph": "mlp", "width": 28, "depth": 2, "batch": batch} for batch in (3, 12)),
    {"graph": "mlp", "width": 44, "depth": 2, "weight_density": 0.2},
    {"graph": "chain", "ops": [["neg"]], "size": 40, "depth": 6},
    {"graph": "chain", "ops": [["affine", "tanh"]], "size": 24, "depth": 6},
    *({"graph": "mlp", "width": 14, "depth": depth, "loss": "none", "task": "jacobian"} for depth in (1, 2, 5)),
    {"graph": "mlp", "width": 22, "depth": 2, "batch": 3, "loss": "none", "task": "jacobian"},
    {"graph": "mlp", "width": 28, "depth": 2, "weight_density": 0.2, "loss": "none", "task": "jacobian"},
    {"graph": "chain", "ops": [["affine", "tanh"]], "size": 40, "depth": 4, "task": "jacobian"},
)
"""Small cases to which the overheads of the strategies are fitted. No suite has them."""

TESTED: tuple[dict[str, Any], ...] = (
    {"graph": "architecture", "name": "pinn", "batch": 8},
    {"graph": "architecture", "name": "lenet-300-100", "batch": 2},
    {"graph": "architecture", "name": "siren", "batch": 2},
    {"graph": "architecture", "name": "dlrm-bottom", "batch": 4},
    {"graph": "mlp", "widths": [[40, 96, 20]], "batch": 5, "activation": "relu", "loss": "cross_entropy"},
    {"graph": "mlp", "width": 96, "depth": 3, "activation": "gelu", "residual": True, "normalization": "layer_norm"},
    {"graph": "mlp", "width": 200, "depth": 2},
    {"graph": "mlp", "width": 150, "depth": 2, "weight_density": 0.3},
    {"graph": "mlp", "width": 24, "depth": 2, "n_seeds": 6},
    {"graph": "mlp", "width": 18, "depth": 3, "loss": "none", "task": "jacobian"},
    {"graph": "mlp", "width": 34, "depth": 2, "loss": "none", "task": "jacobian"},
    {"graph": "mlp", "widths": [[30, 40, 10]], "batch": 4, "loss": "none", "task": "jacobian"},
    {"graph": "mlp", "width": 36, "depth": 2, "weight_density": 0.3, "loss": "none", "task": "jacobian"},
    {"graph": "architecture", "name": "pinn", "batch": 2, "loss": "none", "wrt": "inputs", "task": "jacobian"},
)
"""Small cases on which the model is tested."""

LARGEST_BYTES = 2**27  # of a case that is fitted or tested


def fastest(call: Callable[[], Any]) -> float:
    """Return the seconds of a call: the fastest of a few short rounds."""
    call()
    once = timing.round_seconds(call, 1)
    if once > LONG_SECONDS:
        return timing.fastest_round(call, LONG)
    return timing.fastest_round(call, timing.Schedule(SHORT.rounds, max(1, int(ROUND_SECONDS / max(once, 1e-7)))))


def measure(dtype: str) -> Profile:
    """Measure the profile of a dtype in this process."""
    gc.disable()
    fitted, tested = (tuple(_cells([{**knobs, "dtype": dtype} for knobs in cells])) for cells in (FITTED, TESTED))
    return Profile(dtype, _bandwidth(dtype), tuple(_rules(dtype)), fitted, tested)


def _bandwidth(dtype: str) -> Bandwidth:
    """Measure the seconds per byte: of reading in the product of a vector and a matrix, of writing by filling it."""
    read, write = [], []
    itemsize = np.dtype(dtype).itemsize
    for footprint in FOOTPRINTS:
        rows = round(math.sqrt(footprint / itemsize))
        matrix, vector = np.ones((rows, rows), dtype), np.ones(rows, dtype)
        one = matrix[:1, :1]
        read.append((fastest(partial(vector.dot, matrix)) - fastest(partial(vector[:1].dot, one))) / matrix.nbytes)
        write.append((fastest(partial(matrix.fill, 0)) - fastest(partial(one.fill, 0))) / matrix.nbytes)
    return Bandwidth(FOOTPRINTS, tuple(read), tuple(write))


def _rule_cases() -> Iterator[tuple[dict[str, Any], Sequence[int], float]]:
    """Yield the knobs of each graph whose rules are measured, the numbers of seeds, and the seconds of the slowest call."""
    for name in (name for name, op in OPS.items() if op.like is None):
        for batch, size in OP_SHAPES:
            yield {"graph": "op", "name": name, "batch": batch, "size": size}, (1, 8), SLOWEST_OF_OPS
    for batch, seeds in SEEDS.items():
        for widths in WIDTHS:
            yield {"graph": "mlp", "widths": [widths], "batch": batch, "loss": "none"}, seeds, SLOWEST
        for widths in SPARSE_WIDTHS:
            for density in DENSITIES:
                mlp = {"graph": "mlp", "widths": [widths], "batch": batch, "loss": "none"}
                yield {**mlp, "weight_density": density}, seeds, SLOWEST
    for batch, size in LOSS_SHAPES:
        for loss in LOSSES:
            yield {"graph": "mlp", "widths": [[8, size]], "batch": batch, "loss": loss}, (1,), SLOWEST


class Places:
    """Places (operations and bytes, in powers of two) at which each rule was measured."""

    def __init__(self) -> None:
        self._known: set[tuple[str, int, int]] = set()

    def add(self, work: Work, slowest: float = SLOWEST) -> bool:
        """Return whether a call must be measured: its place is new, and it is not estimated to be slow."""
        flops, n_bytes = (round(PLACES * math.log2(size + 1)) for size in (work.flops, work.n_bytes))
        place = (work.rule, flops, n_bytes)
        known = place in self._known
        self._known.add(place)
        return not known and work.flops / OPERATIONS + work.n_bytes / BYTES < slowest


@dataclass(frozen=True)
class NewRules:
    """Rules of one node to be measured: whether the forward rule, and by edge, strategy and number of seeds the phases."""

    step: Step
    forward: bool
    edges: tuple[tuple[Edge, str, int, dict[str, Work]], ...]


def _new_rules(graph: Graph, seeds: Sequence[int], places: Places, slowest: float) -> list[NewRules]:
    """Return the rules of a graph that were not measured at such sizes; without calculating anything."""
    return [
        NewRules(
            step,
            places.add(forward_work(step.node), slowest),
            tuple(
                (edge, spec, n_seeds, new)
                for edge in step.edges
                for n_seeds in seeds
                for spec in WITH_RULES
                if (new := _new_phases(edge_works(_reverse(spec), step.node, edge, n_seeds), places, slowest))
            ),
        )
        for step in steps(graph)
    ]


def _new_phases(works: EdgeWorks, places: Places, slowest: float) -> dict[str, Work]:
    return {phase: work for phase, work in works._asdict().items() if places.add(work, slowest)}


@cache
def _reverse(spec: str) -> Reverse:
    strategy: Any = registry.load(spec)
    assert isinstance(strategy, Reverse)
    return strategy


def _rules(dtype: str) -> Iterator[RuleTime]:
    places = Places()
    for knobs, seeds, slowest in _rule_cases():
        try:
            (case,) = expand({**knobs, "dtype": dtype}, Path())
            graph = graph_of(case)
        except BadInput:  # an op without this size
            continue
        new = _new_rules(graph, seeds, places, slowest)
        if any(rules.forward or rules.edges for rules in new):
            yield from _timed_rules(graph, graph.sample(case.rng_seed), new)


def _timed_rules(graph: Graph, leaves: Mapping[str, Array], new: Sequence[NewRules]) -> Iterator[RuleTime]:
    values: list[Any] = graph.values_of(leaves)
    for rules in new:
        xs = tuple(values[i] for i in rules.step.node.args)
        y = np.asarray(rules.step.forward(*xs))
        values.append(y)
        if rules.forward:
            yield _timed(forward_work(rules.step.node), partial(rules.step.forward, *xs))
        for edge, spec, n_seeds, works in rules.edges:
            yield from _timed_edge(edge, spec, n_seeds, works, xs, y)


def _timed_edge(
    edge: Edge, spec: str, n_seeds: int, works: Mapping[str, Work], xs: tuple[Array, ...], y: Array
) -> Iterator[RuleTime]:
    prepare = partial(_reverse(spec).local.prepare, edge.argument, edge.ctx)
    if set(works) == {"prepare"}:
        yield _timed(works["prepare"], prepare)
        return
    pull, linearize = prepare()
    y_bar = np.random.default_rng(0).standard_normal((n_seeds, *y.shape)).astype(y.dtype)
    calls: dict[str, Callable[[], Any]] = {
        "prepare": prepare,
        "linearize": partial(linearize, y, xs),
        "pullback": partial(pull, y_bar, linearize(y, xs)),
    }
    for phase, work in works.items():
        yield _timed(work, calls[phase])


def _timed(work: Work, call: Callable[[], Any]) -> RuleTime:
    return RuleTime(work.rule, work.flops, work.read, work.written, fastest(call))


def _cells(sweeps: Sequence[Mapping[str, Any]]) -> Iterator[CellTime]:
    for knobs in sweeps:
        (case,) = expand(knobs, Path())
        graph, leaves = build(case)
        seeds = np.ones((int(knobs.get("n_seeds", 1)), *graph.output_shape), graph.dtype)
        problem = Problem(graph, leaves, seeds)
        yield CellTime(dict(knobs), FORWARD, FORWARD, fastest(PreparedCell(FORWARD, problem).call(FORWARD)))
        for spec in WITH_RULES:
            strategy: Any = _reverse(spec)
            predictions = predict_task(strategy, graph, case.task, len(seeds))
            if predictions and predictions.phases[case.task].peak_bytes <= LARGEST_BYTES:
                cell = PreparedCell(spec, problem, strategy, strategy.prepare(graph))
                for phase in case.phases:
                    yield CellTime(dict(knobs), spec, phase, fastest(cell.call(phase)))


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure(sys.argv[1])))
