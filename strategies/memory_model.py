"""The reverse sweep replayed over shapes: what `reverse.ReversePrepared` and `reverse.pull_back` hold, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.graphs.graph import Graph, Node
    from jacobench.strategies.tape import LocalCost, Step

Costs = Mapping[tuple[int, int], "LocalCost"]
"""(a node's value, which argument) → what differentiating it takes."""

MADE, SUMMED = -1, -2
"""The names of a cotangent that was just pulled back, and of a sum, until they have their place."""


class AllocationTracker:
    """Count what is held and the highest it ever was, in bytes."""

    def __init__(self) -> None:
        self.held = 0
        self.peak = 0

    def hold(self, n_bytes: int, scratch: int = 0) -> None:
        """Hold `n_bytes` more; `scratch` bytes beside them are gone when the call returns."""
        self.held += n_bytes
        self.peak = max(self.peak, self.held + scratch)

    def release(self, n_bytes: int) -> None:
        """Hold `n_bytes` less."""
        self.held -= n_bytes


class Buffers:
    """Buffers of memory on a ledger that several values may share; one is released when its last value is dropped."""

    def __init__(self, ledger: AllocationTracker) -> None:
        self._ledger = ledger
        self._block: dict[int, int] = {}
        self._bytes: list[int] = []
        self._users: Counter[int] = Counter()
        self._claimed: set[int] = set()

    def __contains__(self, value: int) -> bool:
        """Say whether a value is held."""
        return value in self._block

    def make(self, value: int, n_bytes: int, scratch: int = 0) -> None:
        """Give a value a block of its own; one of 0 bytes stands for memory that is not ours."""
        self._ledger.hold(n_bytes, scratch)
        self._bytes.append(n_bytes)
        self._use(value, len(self._bytes) - 1)

    def share(self, value: int, other: int) -> None:
        """Let a value lie where another does."""
        self._use(value, self._block[other])

    def drop(self, value: int) -> None:
        """Let a value go."""
        block = self._block.pop(value)
        self._users[block] -= 1
        if not self._users[block]:
            self._ledger.release(self._bytes[block])

    def rename(self, value: int, name: int) -> None:
        """Call a value by another name."""
        self._block[name] = self._block.pop(value)

    def claim(self, value: int) -> bool:
        """Take a value's block for it alone; say whether no other had taken it before."""
        block = self._block[value]
        free = block not in self._claimed
        self._claimed.add(block)
        return free

    def size(self, value: int) -> int:
        """Return the bytes of a value's block."""
        return self._bytes[self._block[value]]

    def _use(self, value: int, block: int) -> None:
        self._block[value] = block
        self._users[block] += 1


class Primals:
    """The values of the forward sweep."""

    def __init__(self, graph: Graph, ledger: AllocationTracker) -> None:
        self._blocks = Buffers(ledger)
        for leaf in range(len(graph.leaves)):
            self._blocks.make(leaf, 0)

    def compute(self, number: int, node: Node) -> None:
        """Enter a node's output, which is value `number`."""
        ctx = node.contexts[0]
        if node.op.is_view:
            self._blocks.share(number, node.args[0])
        else:
            self._blocks.make(number, ctx.n_out * ctx.dtype.itemsize, node.op.scratch(ctx))

    def drop(self, value: int) -> None:
        """Let a value go."""
        self._blocks.drop(value)


def simulate_linearize(graph: Graph, planned: Sequence[Step], costs: Costs) -> AllocationTracker:
    """Enter `ReversePrepared.linearize` in a ledger."""
    ledger = AllocationTracker()
    primals = Primals(graph, ledger)
    kept: set[int] = set()
    for step in planned:
        for edge in step.edges:
            numbers = (*step.node.args, step.y)  # OUTPUT is -1: the last of them
            kept.update(numbers[k] for k in costs[step.y, edge.ctx.k].keeps)
    for step in planned:
        primals.compute(step.y, step.node)
        for edge in step.edges:
            cost = costs[step.y, edge.ctx.k]
            ledger.hold(cost.linearize_bytes, cost.linearize_scratch)
        for i in step.last_uses:
            if i not in kept:
                primals.drop(i)
    ledger.hold(prod(graph.output_shape) * graph.dtype.itemsize)  # the caller's copy
    if graph.output not in kept:
        primals.drop(graph.output)
    return ledger


def simulate_pullback(graph: Graph, planned: Sequence[Step], costs: Costs, n_seeds: int) -> AllocationTracker:
    """Enter `pull_back`, and then `own`, in a ledger."""
    itemsize = graph.dtype.itemsize
    ledger = AllocationTracker()
    bars = Buffers(ledger)
    bars.make(graph.output, 0)  # the seeds
    for step in reversed(planned):
        for edge in step.edges:
            cost, n_bytes = costs[step.y, edge.ctx.k], n_seeds * edge.ctx.n_in * itemsize
            if cost.returns_cotangent:
                bars.share(MADE, step.y)
            else:
                bars.make(MADE, n_bytes, cost.pull_scratch)
            if edge.x in bars:
                bars.make(SUMMED, n_bytes)
                bars.drop(edge.x)
                bars.drop(MADE)
                bars.rename(SUMMED, edge.x)
            else:
                bars.rename(MADE, edge.x)
        if step.edges:
            bars.drop(step.y)
    _own(graph, bars, ledger, n_seeds)
    return ledger


def _own(graph: Graph, bars: Buffers, ledger: AllocationTracker, n_seeds: int) -> None:
    """Enter copies of what is not the caller's own, and zeros for what was not reached."""
    copied = []
    for name, number in zip(graph.wrt, graph.wrt_values, strict=True):
        n_bytes = n_seeds * prod(graph.leaves[name].shape) * graph.dtype.itemsize
        if number not in bars or bars.size(number) != n_bytes or not bars.claim(number):
            ledger.hold(n_bytes)
            copied += [number] if number in bars else []
    for number in copied:
        bars.drop(number)
