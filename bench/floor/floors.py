"""Floors: lower bounds for the time of the work that each strategy's definition requires, measured on this machine.

They are measured in the process that measures the strategy, at the case's shapes. docs/floor.md explains the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.floor.machine_profile import fastest, read_seconds, seconds_per_flop, write_seconds
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.seed_batching import batch_seeds, samples_of
from jacobench.strategies.tape import steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.bench.cell.prepared_cell import Problem
    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph, Node
    from jacobench.graphs.op import Call
    from jacobench.strategies.tape import Step

PHASES = ("linearize", "pullback", "gradient")  # phases that have a floor
MODELS = ("vjp", "dense", "dense-blocks", "sparse")  # strategies whose required work is defined; others have no floor


@dataclass(frozen=True)
class Loop:
    """Hand-scheduled loop of a case: the floor kernels of its ops in order, with preallocated outputs."""

    forward: Sequence[Call]
    backward: Sequence[Call]
    output: Array
    cotangents: Mapping[int, Array]  # number of a value → its cotangents after the backward calls, shape (S, …)


def loop(problem: Problem) -> Loop | None:
    """Return the hand-scheduled loop of a case, or None if an op has no floor kernel.

    Also None where each seed touches one sample: the strategies then batch the seeds, and the kernels do not.
    """
    graph = problem.graph
    planned = steps(graph)
    samples = samples_of(graph, planned)
    if samples and len(problem.seeds) >= samples.count and batch_seeds(problem.seeds, samples.count) is not None:
        return None
    values: list[Any] = [problem.leaves[name] for name in graph.leaves]
    forward: list[Call] = []
    for node in graph.nodes:
        if node.op.floor is None and not node.op.is_view:
            return None
        y, calls = _forward(node, tuple(values[i] for i in node.args))
        values.append(y)
        forward += calls
    scheduled = _backward(planned, graph, values, problem.seeds)
    return None if scheduled is None else Loop(forward, scheduled[0], values[graph.output], scheduled[1])


def _forward(node: Node, xs: tuple[Array, ...]) -> tuple[Array, list[Call]]:
    y = node.op.forward(NUMPY, *xs, **node.attrs)
    if node.op.floor is None:
        return y, []
    y = np.array(y, order="C")
    return y, node.op.floor(xs, y, node.attrs)


def _backward(
    planned: Sequence[Step], graph: Graph, values: Sequence[Array], seeds: Array
) -> tuple[list[Call], dict[int, Array]] | None:
    calls: list[Call] = []
    cotangents: dict[int, Array] = {graph.output: seeds}
    written: set[int] = set()  # values whose cotangents have an array of their own
    for step in reversed(planned):
        if not step.edges:  # it depends on no leaf in `wrt`, so it has no cotangent
            continue
        y_bar, y, xs = cotangents[step.y], values[step.y], tuple(values[i] for i in step.node.args)
        for edge in step.edges:
            view = edge.argument.returns_cotangent(edge.ctx)
            if view:
                # Kernels need arrays in C order. A copy is not required work, so a strided view is copied only here.
                x_bar = np.ascontiguousarray(edge.argument.vjp(y_bar, y, xs, edge.ctx))
            elif edge.argument.floor is None:
                return None
            else:
                x_bar = np.zeros((len(seeds), *edge.ctx.x), seeds.dtype)
                calls += edge.argument.floor(y_bar, y, xs, x_bar, edge.ctx)
            if edge.x in cotangents:
                first = cotangents[edge.x]
                total = x_bar if not view else first if edge.x in written else np.zeros_like(x_bar)
                calls.append((np.add, (first, x_bar, total)))
                x_bar, view = total, False
            cotangents[edge.x] = x_bar
            written |= set() if view else {edge.x}
    return calls, cotangents


def run(calls: Sequence[Call]) -> None:
    """Run calls in order."""
    for function, arguments in calls:
        function(*arguments)


@dataclass
class Floors:
    """Floors of one case, each measured at its first use."""

    problem: Problem

    def __post_init__(self) -> None:
        self._loop = loop(self.problem)
        self._seconds: dict[str, float] = {}

    def of(self, strategy: Any, phase: str) -> float | None:
        """Return the floor of a strategy's phase in seconds per call; None if there is no model for it.

        For `vjp` it is the loop. Strategies that materialize Jacobians run the forward pass and write these once
        (``linearize``); they read them and their indices once and multiply (``pullback``); ``gradient`` is the sum.
        """
        if (
            self._loop is None
            or phase not in PHASES
            or not isinstance(strategy, Reverse)
            or strategy.name not in MODELS
        ):
            return None
        if strategy.name == "vjp":
            return self._loop_seconds(self._loop, phase)
        graph = self.problem.graph
        edges = (edge for step in steps(graph) for edge in step.edges)
        costs = [strategy.local.cost(edge.argument, edge.ctx, len(self.problem.seeds)) for edge in edges]
        values, indices = sum(cost.linearize_bytes for cost in costs), sum(cost.prepare_bytes for cost in costs)
        arithmetic = sum(cost.pull_flops for cost in costs) * seconds_per_flop(graph.dtype.name)
        materialize = self._loop_seconds(self._loop, "linearize") + write_seconds(values)
        apply = max(read_seconds(values + indices), arithmetic)  # both at the same time
        return {"linearize": materialize, "pullback": apply, "gradient": materialize + apply}[phase]

    def _loop_seconds(self, by_hand: Loop, phase: str) -> float:
        """Time the loop; all of it for `gradient`, because each half alone finds its own data in the caches."""
        if phase not in self._seconds:
            halves = {"linearize": by_hand.forward, "pullback": by_hand.backward}
            calls = halves.get(phase, (*by_hand.forward, *by_hand.backward))
            self._seconds[phase] = fastest(lambda: run(calls))
        return self._seconds[phase]
