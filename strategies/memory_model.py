"""Memory model: the sweeps of the strategies simulated over shapes, step by step, to predict bytes and flops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from jacobench.strategies.contract import Prediction, Predictions
from jacobench.strategies.tape import is_view_of_given, kept_with, known_steps, owners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jacobench.graphs.graph import Graph, Node
    from jacobench.strategies.seed_batching import Samples
    from jacobench.strategies.tape import Edge, Local, LocalCost, Step

Costs = Mapping[tuple[int, int], "LocalCost"]
"""(number of a node's value, number of an argument) → cost of differentiating it."""

PULLED, SUMMED, SPREAD = -1, -2, -3
"""Temporary names of a cotangent that was just pulled back, and of a sum of cotangents. Those of a leaf's separate seeds are
`SPREAD` and less."""


@dataclass
class AllocationTracker:
    """Number of allocated bytes, and its peak."""

    held: int = 0
    peak: int = 0

    def hold(self, n_bytes: int, scratch: int = 0) -> None:
        """Allocate `n_bytes`, and `scratch` bytes that are freed before the call returns."""
        self.held = held = self.held + n_bytes
        if held + scratch > self.peak:  # noqa: PLR1730  (`max` takes twice as long, 100 times per case)
            self.peak = held + scratch


@dataclass(slots=True)
class MemoryBlock:
    """A memory block: its bytes, the number of values in it, and whether one of them claimed it."""

    n_bytes: int
    users: int = 1
    is_claimed: bool = False


class Buffers:
    """Memory blocks that several values may share; a block is freed when its last value is dropped."""

    def __init__(self, tracker: AllocationTracker) -> None:
        self._tracker = tracker
        self._block: dict[int, MemoryBlock] = {}

    def __contains__(self, value: int) -> bool:
        return value in self._block

    def make(self, value: int, n_bytes: int, scratch: int = 0) -> None:
        """Allocate a new block for a value; 0 bytes represent memory of the caller."""
        self._tracker.hold(n_bytes, scratch)
        self._block[value] = MemoryBlock(n_bytes)

    def share(self, value: int, other: int) -> None:
        """Store a value in the block of another one."""
        block = self._block[value] = self._block[other]
        block.users += 1

    def drop(self, value: int) -> None:
        """Remove a value."""
        block = self._block.pop(value)
        block.users -= 1
        if not block.users:
            self._tracker.held -= block.n_bytes

    def rename(self, value: int, name: int) -> None:
        """Rename a value."""
        self._block[name] = self._block.pop(value)

    def claim(self, value: int) -> bool:
        """Claim a value's block; return whether no other value claimed it before."""
        block = self._block[value]
        free = not block.is_claimed
        block.is_claimed = True
        return free

    def size(self, value: int) -> int:
        """Return the bytes of a value's block."""
        return self._block[value].n_bytes


class Primals(Buffers):
    """Values of the forward sweep."""

    def __init__(self, graph: Graph, tracker: AllocationTracker) -> None:
        super().__init__(tracker)
        self._owners = kept_with(graph, "owners", lambda: owners(graph))
        self._block.update(dict.fromkeys(range(graph.n_given), MemoryBlock(0, graph.n_given)))

    def compute(self, number: int, node: Node) -> None:
        """Allocate a node's output, which is value `number`."""
        ctx = node.contexts[0]
        if number in self._owners:
            self.share(number, node.args[0])
        else:
            self.make(number, ctx.n_out * node.dtype.itemsize, node.op.scratch(ctx))


def simulate_linearize(graph: Graph, planned: Sequence[Step], costs: Costs) -> AllocationTracker:
    """Simulate the allocations of `reverse.ReversePrepared.linearize`."""
    tracker = AllocationTracker()
    primals = Primals(graph, tracker)
    kept: set[int] = set()
    for step in planned:
        for edge in step.edges:
            if residuals := costs[step.y, edge.ctx.k].residuals:
                numbers = (*step.node.args, step.y)  # OUTPUT is -1: the last of them
                kept.update([numbers[k] for k in residuals])
    for step in planned:
        primals.compute(step.y, step.node)
        for edge in step.edges:
            cost = costs[step.y, edge.ctx.k]
            tracker.hold(cost.linearize_bytes, cost.linearize_scratch)
        for i in step.last_uses:
            if i not in kept:
                primals.drop(i)
    tracker.hold(prod(graph.output_shape) * graph.dtype.itemsize)  # the caller's copy
    if graph.output not in kept:
        primals.drop(graph.output)
    return tracker


def simulate_pullback(
    graph: Graph, planned: Sequence[Step], costs: Costs, n_seeds: int, samples: Samples | None = None
) -> AllocationTracker:
    """Simulate the allocations of `reverse.pull_back` and `reverse.own`.

    With `samples`, the seeds are the identity: `n_seeds` of them, and the costs, are those of one sample.
    """
    itemsize = graph.dtype.itemsize
    tracker = AllocationTracker()
    bars = Buffers(tracker)
    shared = samples.shared if samples else frozenset()
    joined_bytes = n_seeds * prod(graph.output_shape) * itemsize if samples else 0
    tracker.hold(joined_bytes)  # until the end
    bars.make(graph.output, 0)  # the seeds, joined or not
    for step in reversed(planned):
        for edge in step.edges:
            cost, n_bytes = costs[step.y, edge.ctx.k], n_seeds * edge.ctx.n_in * itemsize
            n_bytes *= samples.count if samples and edge.x in shared else 1
            if cost.returns_cotangent:
                bars.share(PULLED, step.y)
            else:
                bars.make(PULLED, n_bytes, cost.pull_scratch)
            if edge.x in bars:
                bars.make(SUMMED, n_bytes)
                bars.drop(edge.x)
                bars.drop(PULLED)
                bars.rename(SUMMED, edge.x)
            else:
                bars.rename(PULLED, edge.x)
        if step.edges:
            bars.drop(step.y)
    if samples:
        _simulate_unbatch(graph, bars, n_seeds, samples)
    _simulate_own(graph, bars, tracker, n_seeds * (samples.count if samples else 1))
    tracker.held -= joined_bytes
    return tracker


def _simulate_unbatch(graph: Graph, bars: Buffers, n_seeds: int, samples: Samples) -> None:
    """Simulate the allocations of `seed_batching.unbatch_cotangents`: the results of all leaves, while all others exist."""
    spread = [number for number in graph.wrt_values if number in bars and number not in samples.shared]
    sizes = dict(zip(graph.wrt_values, (graph.leaves[name].shape for name in graph.wrt), strict=True))
    for number in spread:
        bars.make(SPREAD - number, samples.count * n_seeds * prod(sizes[number]) * graph.dtype.itemsize)
    for number in spread:
        bars.drop(number)
        bars.rename(SPREAD - number, number)


def _simulate_own(graph: Graph, bars: Buffers, tracker: AllocationTracker, n_seeds: int) -> None:
    """Allocate copies of the cotangents that share memory, and zeros for leaves that were not reached."""
    copied = []
    for name, number in zip(graph.wrt, graph.wrt_values, strict=True):
        n_bytes = n_seeds * prod(graph.leaves[name].shape) * graph.dtype.itemsize
        if number not in bars or bars.size(number) != n_bytes or not bars.claim(number):
            tracker.hold(n_bytes)
            copied += [number] if number in bars else []
    for number in copied:
        bars.drop(number)


def forward_flops(graph: Graph) -> int:
    """Return the operations of the forward pass, kept with the graph."""
    return kept_with(graph, "flops", lambda: sum(node.op.flops(node.contexts[0]) for node in graph.nodes))


def predict_forward(graph: Graph) -> Predictions:
    """Predict the cost of `Graph.evaluate`, which holds every value until it returns."""
    tracker = AllocationTracker()
    primals = Primals(graph, tracker)
    for number, node in graph.numbered_nodes:
        primals.compute(number, node)
    returned = min(tracker.held, prod(graph.output_shape) * graph.dtype.itemsize)
    return Predictions({"forward": Prediction(tracker.peak, returned, forward_flops(graph))}, 0)


@dataclass(frozen=True)
class MatrixSize:
    """Shape of a matrix, number of its stored entries, and bytes of it that other matrices share."""

    rows: int
    columns: int
    stored: int
    shared: int = 0


@dataclass(frozen=True)
class MatrixStorage:
    """Cost of storing and multiplying Jacobians in one format.

    - `local`: the rule that materializes local Jacobians in this format.
    - `n_multiplied`: (left, right) → number of multiplications of their product.
    - `n_bytes`: (size, itemsize) → bytes of a matrix.
    - `join_copies`: copies of matrices that exist while several are joined, besides the result.
    """

    local: Local
    n_multiplied: Callable[[MatrixSize, MatrixSize], int]
    n_bytes: Callable[[MatrixSize, int], int]
    join_copies: int = field(default=0, kw_only=True)


class MatrixProducts:
    """Simulation of `forward.ForwardPrepared.linearize`: Jacobians multiplied from the input side."""

    def __init__(self, graph: Graph, storage: MatrixStorage) -> None:
        self.graph, self.storage = graph, storage
        self.itemsize = graph.dtype.itemsize
        self.prepare, self.linearize = AllocationTracker(), AllocationTracker()
        self.flops = self.stored = 0
        self.totals: dict[int, dict[int, MatrixSize | None]] = {leaf: {leaf: None} for leaf in graph.wrt_values}
        self.primals = Primals(graph, self.linearize)
        for step in known_steps(graph):
            self._step(step)
        if is_view_of_given(graph):
            self.linearize.hold(prod(graph.output_shape) * self.itemsize)

    def predictions(self, n_seeds: int) -> Predictions:
        """Return the cost of each phase; see `contract.Predictions`."""
        totals = [size for size in self.totals.get(self.graph.output, {}).values() if size is not None]
        pull_flops = 2 * n_seeds * sum(size.stored for size in totals)
        pulled = n_seeds * self.itemsize * sum(size.columns for size in totals)
        peak = max(self.linearize.peak, self.linearize.held + pulled)
        phases = {
            "prepare": Prediction(self.prepare.peak, self.prepare.held, 0),
            "linearize": Prediction(self.linearize.peak, self.linearize.held, self.flops),
            "pullback": Prediction(pulled, pulled, pull_flops),
            "gradient": Prediction(peak, pulled, self.flops + pull_flops),
            "jacobian": self._jacobian(),
        }
        return Predictions(phases, self.stored)

    def _jacobian(self) -> Prediction:
        """Predict the sweep and the join of the output's Jacobians by all leaves."""
        graph = self.graph
        n_out, totals = prod(graph.output_shape), self.totals.get(graph.output, {})
        parts = []
        for name, number in zip(graph.wrt, graph.wrt_values, strict=True):
            n_in = prod(graph.leaves[name].shape)
            unreached = MatrixSize(n_out, n_in, n_out if number in totals else 0)  # an identity, or zeros
            parts.append(totals.get(number) or unreached)
        whole = MatrixSize(n_out, sum(part.columns for part in parts), sum(part.stored for part in parts))
        n_bytes = self.storage.n_bytes(whole, self.itemsize)
        copies = self.storage.join_copies * n_bytes if len(parts) > 1 else 0
        peak = max(self.linearize.peak, self.linearize.held + n_bytes + copies)
        return Prediction(peak, n_bytes, self.flops)

    def _step(self, step: Step) -> None:
        self.flops += step.node.op.flops(step.node.contexts[0])
        self.primals.compute(step.y, step.node)
        y_totals: dict[int, MatrixSize | None] = {}
        for edge in step.edges:
            self._edge(edge, y_totals)
        self.totals[step.y] = y_totals
        for i in step.last_uses:
            self.primals.drop(i)
            for size in self.totals.pop(i, {}).values():
                if size is not None:
                    self.linearize.held -= self._own_bytes(size)

    def _edge(self, edge: Edge, y_totals: dict[int, MatrixSize | None]) -> None:
        ctx = edge.ctx
        cost = self.storage.local.cost(edge.argument, ctx, 1)
        J = MatrixSize(ctx.n_out, ctx.n_in, cost.n_nonzeros, cost.prepare_bytes)
        self.prepare.hold(cost.prepare_bytes, cost.prepare_scratch)
        self.stored += cost.n_nonzeros
        self.flops += cost.linearize_flops
        self.linearize.hold(cost.linearize_bytes, cost.linearize_scratch)
        kept = False
        for leaf, T in self.totals[edge.x].items():
            product = J if T is None else self._product(J, T)
            kept |= T is None
            y_totals[leaf] = self._sum(y_totals.get(leaf), product)
        if not kept:
            self.linearize.held -= self._own_bytes(J)

    def _product(self, J: MatrixSize, T: MatrixSize) -> MatrixSize:
        multiplied = self.storage.n_multiplied(J, T)
        self.flops += 2 * multiplied
        return self._held(MatrixSize(J.rows, T.columns, min(multiplied, J.rows * T.columns)))

    def _sum(self, a: MatrixSize | None, b: MatrixSize) -> MatrixSize:
        if a is None:
            return b
        total = self._held(MatrixSize(b.rows, b.columns, min(a.stored + b.stored, b.rows * b.columns)))
        self.flops += total.stored
        self.linearize.held -= self._own_bytes(a) + self._own_bytes(b)
        return total

    def _held(self, size: MatrixSize) -> MatrixSize:
        self.linearize.hold(self._own_bytes(size))
        return size

    def _own_bytes(self, size: MatrixSize) -> int:
        return self.storage.n_bytes(size, self.itemsize) - size.shared
