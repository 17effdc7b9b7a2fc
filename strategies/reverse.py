"""The reverse loop that the strategies share: linearize node by node, then pull back edge by edge.

A strategy is defined by its `Local` rule, which differentiates one argument of one node. `pull_back` is the chain rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.errors import BadInput
from jacobench.strategies.contract import IDENTITY_PULLBACK, Prediction, Predictions
from jacobench.strategies.memory_model import AllocationTracker, forward_flops, simulate_linearize, simulate_pullback
from jacobench.strategies.seed_batching import batch_seeds, tape_by_sample, unbatch_cotangents
from jacobench.strategies.tape import (
    Edge,
    Linearizer,
    Local,
    LocalCost,
    Pull,
    Step,
    Tape,
    kept_with,
    known_steps,
    steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.array_types import Array
    from jacobench.graphs.graph import Graph
    from jacobench.strategies.seed_batching import Samples


def pull_back(tape: Tape, output: int, seeds: Array) -> dict[int, Array]:
    """Apply the chain rule from the value number `output`, with seeds (S, *output_shape), to the leaves.

    Returns number of each leaf that was reached → its cotangents, (S, *shape), summed over the nodes that use it.
    """
    bars = {output: seeds}
    for y, edges in reversed(tape):
        y_bar = bars.pop(y)
        for x, pull, kept in edges:
            x_bar = pull(y_bar, kept)
            bars[x] = bars[x] + x_bar if x in bars else x_bar
            del x_bar  # otherwise it would stay alive during the next pull and raise the peak
    return bars


def own(bars: Mapping[int, Array], graph: Graph, seeds: Array) -> dict[str, Array]:
    """Return the leaves' cotangents as arrays that share no memory; those of unreached leaves are zeros."""
    taken = {id(_root(seeds))}
    owned = {}
    for name, number in zip(graph.wrt, graph.wrt_values, strict=True):
        bar = bars.get(number)
        if bar is None:
            bar = np.zeros((len(seeds), *graph.leaves[name].shape), graph.dtype)
        root = bar if bar.base is None else _root(bar)  # a call for each leaf took 3 % of a small gradient's time
        if root.nbytes != bar.nbytes or id(root) in taken:
            bar = root = bar.copy()
        taken.add(id(root))
        owned[name] = bar
    return owned


def _root(array: Array) -> Array:
    """Return the array that owns the memory of `array`."""
    while isinstance(base := array.base, np.ndarray):
        array = base
    return array


def check_seeds(seeds: Array, output: Array) -> None:
    """Raise `BadInput` unless seeds are an array (S, *output.shape), S at least 1, of the output's dtype."""
    if (
        type(seeds) is not np.ndarray  # such as a list or a masked array
        or seeds.ndim != output.ndim + 1
        or seeds.shape[1:] != output.shape
        or not len(seeds)
        or seeds.dtype != output.dtype
    ):
        expected = ", ".join(["S", *map(str, output.shape)])
        given = f"{seeds.dtype} {seeds.shape}" if type(seeds) is np.ndarray else f"a {type(seeds).__name__}"
        raise BadInput(f"seeds are {given}: expected {output.dtype} ({expected}) with S ≥ 1")


@dataclass(frozen=True)
class Linearization:
    """A linearized graph whose methods are functions; see `contract.Linearized`. `jacobian` is None if it has none."""

    output: Array
    pullback: Callable[[Array], dict[str, Array]]
    jacobian: Callable[[], Any] | None = None


@dataclass(frozen=True)
class ReversePrepared:
    """A graph prepared for the reverse loop; see `contract.Prepared`.

    `_edges` has (argument's value, pull, linearizer) for each edge of each step.
    """

    _graph: Graph
    _steps: tuple[Step, ...]
    _edges: tuple[tuple[tuple[int, Pull, Linearizer], ...], ...]
    _finish: Callable[[Tape, Graph], Tape]
    _samples: Samples | None

    def linearize(self, leaves: Mapping[str, Array]) -> Linearization:
        """Run the forward pass and linearize each node in turn; primals are freed after their last use."""
        graph = self._graph
        values = graph.values_of(leaves)
        tape = []
        xs: tuple[Any, ...] = ()
        for step, edges in zip(self._steps, self._edges, strict=True):
            xs = tuple([values[i] for i in step.node.args])
            y = np.asarray(step.forward(*xs))
            values.append(y)
            if edges:
                tape.append((step.y, [(x, pull, linearizer(y, xs)) for x, pull, linearizer in edges]))
            for i in step.last_uses:
                values[i] = None
        xs = ()  # free the last node's arguments
        # A copy, because the caller may write to it and the tape or the leaves may hold the original.
        output = values[graph.output].copy()
        return Linearization(output, partial(self._pullback, self._finish(tape, graph), output))

    def _pullback(self, tape: Tape, output: Array, seeds: Array) -> dict[str, Array]:
        """Map seeds (S, *output_shape) to cotangents (S, *leaf shape) of every leaf in ``graph.wrt``."""
        check_seeds(seeds, output)
        samples = self._samples
        joined = batch_seeds(seeds, samples.count) if samples and len(seeds) >= samples.count else None
        if samples is None or joined is None:
            bars = pull_back(tape, self._graph.output, seeds)
        else:
            by_sample = tape_by_sample(tape, self._steps, samples)
            bars = unbatch_cotangents(pull_back(by_sample, self._graph.output, joined), samples)
        return own(bars, self._graph, seeds)


@dataclass(frozen=True)
class Reverse:
    """A strategy that uses the reverse loop and differentiates each argument of each node by the rule `local`.

    `finish`, (tape, graph) → tape, is called at the end of `linearize`. `samples_of`, (graph, steps), returns samples whose
    seeds may share a pullback, or None. If it returns samples, the linearizers must keep (y, xs), as `tape.pull_by_rule` needs.
    """

    name: str
    local: Local
    finish: Callable[[Tape, Graph], Tape] = lambda tape, _graph: tape
    samples_of: Callable[[Graph, Sequence[Step]], Samples | None] = lambda _graph, _planned: None

    def prepare(self, graph: Graph) -> ReversePrepared:
        """List the steps and do the work that depends on the shapes alone."""
        planned = steps(graph)
        edges = tuple(
            tuple((edge.x, *self.local.prepare(edge.argument, edge.ctx)) for edge in step.edges) for step in planned
        )
        return ReversePrepared(graph, planned, edges, self.finish, self.samples_of(graph, planned))

    def predict(self, graph: Graph, n_seeds: int) -> Predictions:
        """Predict bytes and flops of each phase by simulating the loop over shapes; see `contract.Predictions`.

        For as many seeds as outputs, where they share pullbacks if they are the identity, this is predicted, too.
        """
        planned = known_steps(graph)
        costs = self.costs(graph, n_seeds)
        prepare = AllocationTracker()
        for cost in costs.values():
            prepare.hold(cost.prepare_bytes, cost.prepare_scratch)
        linearize = simulate_linearize(graph, planned, costs)
        pullback = simulate_pullback(graph, planned, costs, n_seeds)
        linearize_flops = forward_flops(graph) + sum(cost.linearize_flops for cost in costs.values())
        pull_flops = sum(cost.pull_flops for cost in costs.values())
        gradient_peak = max(linearize.peak, linearize.held + pullback.peak)
        phases = {
            "prepare": Prediction(prepare.peak, prepare.held, 0),
            "linearize": Prediction(linearize.peak, linearize.held, linearize_flops),
            "pullback": Prediction(pullback.peak, pullback.held, pull_flops),
            "gradient": Prediction(gradient_peak, pullback.held, linearize_flops + pull_flops),
        }
        samples = self.samples_of(graph, planned) if n_seeds == prod(graph.output_shape) else None
        if samples:
            phases[IDENTITY_PULLBACK] = self._of_identity(graph, planned, n_seeds // samples.count, samples)
        return Predictions(phases, sum(cost.n_nonzeros for cost in costs.values()))

    def costs(self, graph: Graph, n_seeds: int) -> dict[tuple[int, int], LocalCost]:
        """Return the cost of each edge, by numbers of the node's value and of the argument; they are kept with the graph."""
        return kept_with(
            graph,
            ("costs", self.local, n_seeds),
            lambda: {
                (step.y, edge.ctx.k): self.cost(edge, n_seeds) for step in known_steps(graph) for edge in step.edges
            },
        )

    def cost(self, edge: Edge, n_seeds: int) -> LocalCost:
        """Return the cost of an edge, which is kept with its context."""
        argument, ctx = edge.argument, edge.ctx
        return kept_with(ctx, ("cost", self.local, argument, n_seeds), lambda: self.local.cost(argument, ctx, n_seeds))

    def _of_identity(self, graph: Graph, planned: Sequence[Step], n_seeds: int, samples: Samples) -> Prediction:
        """Predict a pullback of the identity, as `n_seeds` joined seeds."""
        costs = self.costs(graph, n_seeds)
        found = simulate_pullback(graph, planned, costs, n_seeds, samples)
        return Prediction(found.peak, found.held, sum(cost.pull_flops for cost in costs.values()))
