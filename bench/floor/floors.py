"""The floor: the time that the machine needs for the work that a strategy's definition cannot avoid.

It is measured in the process that measures the strategy, at the case's own shapes. docs/floor.md gives the reasoning.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.bench.floor.hand_kernels import BACKWARD, FORWARD, Pass
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.strategies.reverse import Reverse
from jacobench.strategies.seed_batching import batch_seeds, samples_of
from jacobench.strategies.tape import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.bench.cell.prepared_cell import Problem
    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.tape import Step

LARGEST = 2**26
"""The most bytes that are written and read to learn the bandwidths, 64 MiB: more than caches hold."""

READ_COLUMNS = 1024
"""Length of the rows of the matrix that is read. Its products read 64 MiB at 43 GB/s where the dot product of one long vector
reads 30: several rows are read at once."""

PRODUCT_SIDE = 384
"""Side of the matrix product that tells the rate of arithmetic."""

MIN_SECONDS, ROUNDS = 5e-4, 7
"""The shortest round; how many there are, of which the fastest counts."""

PHASES = ("linearize", "pullback", "gradient")
"""The phases that have a floor."""

MODELS = ("vjp", "dense", "dense-blocks", "sparse")
"""The strategies whose unavoidable work is known. The others have no floor."""


@dataclass(frozen=True)
class Loop:
    """The hand-scheduled loop of a case: every pass of the forward sweep and of the pullback, outputs preallocated.

    Attributes
    ----------
    forward, backward : sequence of Pass
        To be run in order.
    """

    forward: Sequence[Pass]
    backward: Sequence[Pass]


def loop(point: Problem) -> Loop | None:
    """Schedule a case by hand; None if an op has no kernels.

    Parameters
    ----------
    point : Problem
        The case.

    Returns
    -------
    Loop or None
        Its passes leave right values, so that what they time is the work itself. None also where seeds touch one sample
        each: the strategies then share pullbacks, which these passes do not.
    """
    graph = point.graph
    planned = steps(graph)
    samples = samples_of(graph, planned)
    if samples and len(point.seeds) >= samples.count and batch_seeds(point.seeds, samples.count) is not None:
        return None
    if any(node.op.name not in FORWARD for node in graph.nodes):
        return None
    values: list[Any] = [point.leaves[name] for name in graph.leaves]
    forward: list[Pass] = []
    for node in graph.nodes:
        xs = tuple(values[i] for i in node.args)
        y = np.array(node.op.forward(NUMPY, *xs, **node.attrs), order="C")
        forward += FORWARD[node.op.name](xs, y, node.attrs)
        values.append(y)
    backward = _backward(planned, graph, values, point.seeds)
    return None if backward is None else Loop(forward, backward)


def _backward(planned: Sequence[Step], graph: Graph, values: Sequence[Array], seeds: Array) -> list[Pass] | None:
    passes: list[Pass] = []
    bars: dict[int, Array] = {graph.output: seeds}
    for step in reversed(planned):
        kernels = BACKWARD.get(step.node.op.name, ())
        xs = tuple(values[i] for i in step.node.args)
        for edge in step.edges:
            k = min(edge.ctx.k, len(kernels) - 1) if step.node.op.variadic else edge.ctx.k
            if k >= len(kernels):
                return None
            y_bar = bars[step.y]
            x_bar = np.zeros((len(seeds), *edge.ctx.x), seeds.dtype)
            passes += kernels[k](y_bar, values[step.y], xs, x_bar, edge.ctx)
            if edge.x in bars:
                passes.append((np.add, (bars[edge.x], x_bar, bars[edge.x])))
            bars.setdefault(edge.x, x_bar)
    return passes


def run(passes: Sequence[Pass]) -> None:
    """Run passes in order."""
    for function, arguments in passes:
        function(*arguments)


def fastest(call: Callable[[], Any]) -> float:
    """Return the seconds of a call: the fastest of several rounds of at least half a millisecond each."""
    call()
    start = time.perf_counter()
    call()
    calls = max(1, int(MIN_SECONDS / max(time.perf_counter() - start, 1e-7)))
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        found.append((time.perf_counter() - start) / calls)
    return min(found)


def write_seconds(n_bytes: int) -> float:
    """Return how long it takes to write so many bytes.

    Not half of a copy: that reads each line of its target before it writes it, which filling does not, and dense Jacobians
    were then found to be made in less than their floor.
    """
    return _in_proportion(_write, n_bytes)


def read_seconds(n_bytes: int) -> float:
    """Return how long it takes to read so many bytes, in the quickest products there are."""
    return _in_proportion(_read, n_bytes)


def _in_proportion(seconds: Callable[[int], float], n_bytes: int) -> float:
    """Measure at the power of two below, once in a process, so that the many sizes of a suite cost little."""
    if not n_bytes:
        return 0.0
    size = min(LARGEST, 1 << (n_bytes.bit_length() - 1))
    return seconds(size) * n_bytes / size


@cache
def _write(size: int) -> float:
    target = np.empty(size, np.uint8)
    return fastest(lambda: target.fill(0))


@cache
def _read(size: int) -> float:
    source = np.ones((max(1, size // (8 * READ_COLUMNS)), min(READ_COLUMNS, max(1, size // 8))))
    left, right = np.ones(len(source)), np.ones(source.shape[1])
    return min(fastest(lambda: np.dot(left, source)), fastest(lambda: np.dot(source, right)))


@cache
def seconds_a_flop(dtype: str) -> float:
    """Return how long an arithmetic operation takes at the rate of a matrix product; measured once."""
    a = np.ones((PRODUCT_SIDE, PRODUCT_SIDE), dtype)
    product = np.empty_like(a)
    return fastest(lambda: np.matmul(a, a, out=product)) / (2 * PRODUCT_SIDE**3)


@dataclass
class Floors:
    """The floors of one case, each measured when it is first asked for.

    Attributes
    ----------
    point : Problem
        The case.
    """

    point: Problem

    def __post_init__(self) -> None:
        self._loop = loop(self.point)
        self._seconds: dict[str, float] = {}

    def of(self, strategy: Any, phase: str) -> float | None:
        """Return the floor of a strategy's phase.

        Parameters
        ----------
        strategy : Strategy
            One that was loaded.
        phase : str
            ``linearize``, ``pullback`` or ``gradient``, both in turn; ``prepare`` has no floor.

        Returns
        -------
        float or None
            Seconds of one call; None if there is no model for it.
        """
        if self._loop is None or not isinstance(strategy, Reverse) or strategy.name not in MODELS:
            return None
        if phase not in PHASES:
            return None
        if strategy.name == "vjp":
            return self._passes(phase)
        return sum(PARTS[part](self, strategy) for part in PARTS if phase in (part, "gradient"))

    def _passes(self, phase: str) -> float:
        """Time the loop; the whole one for `gradient`, since what one half leaves in the caches the other may not find."""
        assert self._loop is not None
        if phase not in self._seconds:
            halves = {"linearize": self._loop.forward, "pullback": self._loop.backward}
            passes = halves.get(phase, (*self._loop.forward, *self._loop.backward))
            self._seconds[phase] = fastest(lambda: run(passes))
        return self._seconds[phase]

    def _materialize(self, strategy: Reverse) -> float:
        """Run the forward sweep, and write the local Jacobians once."""
        return self._passes("linearize") + write_seconds(sum(size for size, _, _ in self._jacobians(strategy)))

    def _apply(self, strategy: Reverse) -> float:
        """Read the local Jacobians once, their indices too, and multiply meanwhile."""
        jacobians = self._jacobians(strategy)
        reading = read_seconds(sum(size + indices for size, indices, _ in jacobians))
        return max(reading, sum(flops for _, _, flops in jacobians) * seconds_a_flop(self.point.graph.dtype.name))

    def _jacobians(self, strategy: Reverse) -> list[tuple[int, int, int]]:
        """Return bytes of values, bytes of indices, and flops of the product, of each local Jacobian."""
        costs = (
            strategy.local.cost(edge.argument, edge.ctx, len(self.point.seeds))
            for step in steps(self.point.graph)
            for edge in step.edges
        )
        return [(cost.linearize_bytes, cost.prepare_bytes, cost.pull_flops) for cost in costs]


PARTS: Mapping[str, Callable[[Floors, Reverse], float]] = {
    "linearize": Floors._materialize,  # noqa: SLF001
    "pullback": Floors._apply,  # noqa: SLF001
}
"""Phase → its floor for a strategy that materializes Jacobians."""
