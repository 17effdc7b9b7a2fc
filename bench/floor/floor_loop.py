"""Hand-scheduled loop of a case: the library calls that a strategy's definition requires, with preallocated outputs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.cell import timing
from jacobench.bench.floor.floor_rules import RULES, vjp_calls_by_sample
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.calls import Fastest, run, zeroed
from jacobench.graphs.op import OUTPUT
from jacobench.strategies.seed_batching import batch_seeds
from jacobench.strategies.tape import steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jacobench.bench.cell.problem import Problem
    from jacobench.bench.floor.floor_rules import PullCalls
    from jacobench.graphs.array_types import Array, Shape
    from jacobench.graphs.calls import Call, Calls
    from jacobench.strategies.reverse import Reverse
    from jacobench.strategies.seed_batching import Samples
    from jacobench.strategies.tape import Edge, LocalCost, Step

CHOICE_ROUNDS, CHOICE_SECONDS = 5, 2e-5  # rounds, and their length, that choose among alternatives


@dataclass(frozen=True)
class Loop:
    """Calls of a case in order, and the arrays that they write."""

    linearize: Sequence[Call]
    pullback: Sequence[Call]
    output: Array
    cotangents: Mapping[str, Array]  # name of a leaf that was reached → its cotangents, shape (S, …)


def fastest_calls(calls: Calls) -> list[Call]:
    """Run calls and return them, of alternatives the fastest."""
    chosen: list[Call] = []
    for call in calls:
        found = list(min(call.alternatives, key=_seconds)) if isinstance(call, Fastest) else [call]
        run(found)
        chosen += found
    return chosen


def _seconds(calls: Iterable[Call]) -> float:
    return timing.fastest(lambda: run(calls), CHOICE_ROUNDS, CHOICE_SECONDS)


def loop(problem: Problem, strategy: Reverse) -> Loop:
    """Return the loop of a case for a strategy that has a rule in `RULES`. Its calls have run once."""
    building = _Building(problem, strategy)
    return Loop(building.linearize(), building.pullback(), building.values[problem.graph.output], building.results())


class _Buffers:
    """Memory of a loop. Arrays that are no longer needed are used again, as the allocator does for a strategy."""

    def __init__(self) -> None:
        self._free: dict[int, list[Any]] = defaultdict(list)
        self._of: dict[int, Any] = {}  # address → its memory

    def empty(self, shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        n_bytes = prod(shape) * dtype.itemsize
        free = self._free[n_bytes]
        memory = free.pop() if free else np.zeros(n_bytes, np.uint8)
        self._of[memory.ctypes.data] = memory
        array: Array = memory.view(dtype).reshape(shape)
        return array

    def owns(self, array: Array) -> bool:
        """Return whether the array was made by `empty`, and is not kept."""
        return array.ctypes.data in self._of

    def keep(self, array: Array) -> None:
        """Never use the memory of an array again."""
        self._of.pop(array.ctypes.data, None)

    def release(self, array: Array) -> None:
        """Use the memory of an array again, unless it is kept or was not made by `empty`."""
        memory = self._of.pop(array.ctypes.data, None)
        if memory is not None:
            self._free[memory.nbytes].append(memory)


class _Building:
    """The values, cotangents and calls of a loop while it is built."""

    def __init__(self, problem: Problem, strategy: Reverse) -> None:
        self.graph = problem.graph
        self.steps = steps(problem.graph)
        self.rule = RULES[strategy.name]
        self.samples, self.seeds = _joined(problem, strategy)
        self.costs: dict[tuple[int, int], LocalCost] = {
            (step.y, edge.ctx.k): strategy.local.cost(edge.argument, edge.ctx, len(self.seeds))
            for step in self.steps
            for edge in step.edges
        }
        self.values: list[Any] = self.graph.values_of(problem.leaves)
        self.pulls: dict[tuple[int, int], PullCalls] = {}
        self.bars: dict[int, Array] = {self.graph.output: self.seeds}
        self.calls: list[Call] = []
        self.buffers = _Buffers()

    def linearize(self) -> list[Call]:
        needed = self._needed()
        self.calls = []
        for step in self.steps:
            xs = tuple(self.values[i] for i in step.node.args)
            y = self._value(step)
            self.values.append(y)
            for edge in step.edges:
                rule = vjp_calls_by_sample if self._is_shared(edge) else self.rule
                calls, self.pulls[step.y, edge.ctx.k] = rule(edge, y, xs)
                self.calls += fastest_calls(calls)
            for i in set(step.last_uses) - needed:
                self.buffers.release(self.values[i])
        return self.calls

    def _value(self, step: Step) -> Array:
        node, xs = step.node, tuple(self.values[i] for i in step.node.args)
        if node.op.is_view:
            self.buffers.keep(xs[0])
            view: Array = node.op.forward(NUMPY, *xs, **node.attrs)
            if np.may_share_memory(view, xs[0]):
                return view
            y = self.buffers.empty(node.shape, node.dtype)
            self.calls += fastest_calls([(np.copyto, (y.reshape(xs[0].shape), xs[0]))])
            return y
        y = self.buffers.empty(node.shape, node.dtype)
        self.calls += fastest_calls(node.op.floor(xs, y, node.attrs))
        return y

    def _needed(self) -> set[int]:
        """Return the numbers of the output and of the values that the backward pass reads."""
        read = {
            step.y if k == OUTPUT else step.node.args[k]
            for step in self.steps
            for edge in step.edges
            for k in self.costs[step.y, edge.ctx.k].residuals
        }
        return {self.graph.output, *read}

    def pullback(self) -> list[Call]:
        self.calls = []
        for step in reversed(self.steps):
            if not step.edges:  # it depends on no leaf in `wrt`, so it has no cotangent
                continue
            y_bar = self.bars.pop(step.y)
            for edge in step.edges:
                self._pull(step, edge, y_bar)
            self.buffers.release(y_bar)
        if self.samples is not None:
            self._separate_seeds()
        return self.calls

    def _is_shared(self, edge: Edge) -> bool:
        """Return whether the samples share this argument and the seeds are joined."""
        return self.samples is not None and edge.x in self.samples.shared

    def _pull(self, step: Step, edge: Edge, y_bar: Array) -> None:
        view = self.costs[step.y, edge.ctx.k].returns_cotangent
        if view:
            self.buffers.keep(y_bar)
            # Kernels need arrays in C order. A copy is not required work, so a strided view is copied only here.
            xs = tuple(self.values[i] for i in step.node.args)
            x_bar = np.ascontiguousarray(edge.argument.vjp(y_bar, self.values[step.y], xs, edge.ctx))
        else:
            samples = (self.samples.count,) if self.samples and self._is_shared(edge) else ()
            x_bar = self.buffers.empty((*samples, len(self.seeds), *edge.ctx.x), self.graph.dtype)
            self.calls += fastest_calls(self.pulls[step.y, edge.ctx.k](y_bar, x_bar))
        self.bars[edge.x] = self._sum(self.bars[edge.x], x_bar) if edge.x in self.bars else x_bar

    def _sum(self, first: Array, second: Array) -> Array:
        """Add two cotangents of a value; they may be views of another one, so the sum gets memory of its own."""
        owned = [array for array in (second, first) if self.buffers.owns(array)]
        total = owned[0] if owned else self.buffers.empty(first.shape, first.dtype)
        self.calls += fastest_calls([(np.add, (first, second, total))])
        for array in owned[1:]:
            self.buffers.release(array)
        return total

    def _separate_seeds(self) -> None:
        """Expand the cotangents of joined seeds, (S / B, B, …), to those of single seeds: zero except for one sample."""
        assert self.samples is not None
        for number in set(self.bars).difference(self.samples.shared):
            bar = self.bars[number]
            spread = np.zeros((bar.shape[1], *bar.shape), bar.dtype)
            self.calls += fastest_calls(
                [zeroed(spread), (np.copyto, (np.einsum("iki...->ki...", spread), bar))],
            )
            self.bars[number] = spread

    def results(self) -> dict[str, Array]:
        """Return the cotangents of the leaves that were reached."""
        leaves = {name: self.graph.leaves[name].shape for name in self.graph.wrt}
        found = zip(leaves.items(), self.graph.wrt_values, strict=True)
        return {name: self.bars[i].reshape(-1, *shape) for (name, shape), i in found if i in self.bars}


def _joined(problem: Problem, strategy: Reverse) -> tuple[Samples | None, Array]:
    """Return the seeds, joined across the samples where the strategy joins them."""
    samples = strategy.samples_of(problem.graph, steps(problem.graph))
    joined = batch_seeds(problem.seeds, samples.count) if samples and len(problem.seeds) >= samples.count else None
    return (None, problem.seeds) if joined is None else (samples, joined)
