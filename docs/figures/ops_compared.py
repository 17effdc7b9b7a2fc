"""Compare `vjp` with torch and JAX for each op: python docs/figures/ops_compared.py [OP …] [--passes 3].

Prints time of the faster peer / time of `vjp`: the median over three passes, and a mark below 0.9. What is timed is the
gradient of the op's example with respect to all its leaves: linearize, and one pullback of one seed. A pass is a fresh
process with one thread. The strategies take turns in it, and each has the minimum of its rounds. Needs the extra ``peers``.
"""

from __future__ import annotations

import gc
import json
from argparse import ArgumentParser
from math import inf
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from jacobench.bench.cell.timing import calls_per_round, round_seconds
from jacobench.bench.machine import environment
from jacobench.bench.machine.worker_process import run_python
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies.registry import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jacobench.graphs.graph import Graph

    Calls = Mapping[str, Callable[[], object]]
    Seconds = dict[str, float]

OURS, PEERS = "vjp", ("jax-vjp", "torch-vjp")
SIZES = "64x1,64x48,160x1,160x48,256x64,512x1,512x48"
"""Size and batch of the examples."""

PASSES = 3
BEHIND = 0.9
SHORTEST_ROUND, LEAST_ROUNDS, SECONDS = 3e-4, 5, 0.15
"""Seconds of a round, number of rounds, and seconds for all rounds of a case if they are not enough."""


def gradient(name: str, graph: Graph) -> Callable[[], object]:
    """Return the call that linearizes and pulls back one seed; its leaves are arrays of the strategy's library."""
    prepared = load(name).prepare(graph)
    leaves = graph.sample()
    placed = prepared.place(leaves) if hasattr(prepared, "place") else leaves
    seeds = np.random.default_rng(1).standard_normal((1, *graph.output_shape)).astype(graph.dtype)
    return lambda: prepared.linearize(placed).pullback(seeds)


def fastest_rounds(calls: Calls) -> Seconds:
    """Return the seconds of each call: the minimum over rounds, in which the calls take turns."""
    counts = {name: calls_per_round(call, SHORTEST_ROUND)[0] for name, call in calls.items()}
    best = dict.fromkeys(calls, inf)
    end = perf_counter() + SECONDS
    rounds = 0
    while rounds < LEAST_ROUNDS or perf_counter() < end:
        for name, call in calls.items():
            call()  # untimed: the others have filled the cache
            best[name] = min(best[name], round_seconds(call, counts[name]) / counts[name])
        rounds += 1
    return best


def measure(op: str, size: int, batch: int) -> Seconds:
    """Return the seconds of each strategy for the op's example."""
    graph = op_graph(op, size=size, batch=batch)
    return fastest_rounds({name: gradient(name, graph) for name in (OURS, *PEERS)})


def one_pass(op: str, sizes: str) -> None:
    """Print the seconds of each strategy for each size, as JSON."""
    gc.disable()
    pairs = [tuple(map(int, each.split("x"))) for each in sizes.split(",")]
    print(json.dumps([measure(op, size, batch) for size, batch in pairs]))


def compare(op: str, sizes: str, n_passes: int) -> None:
    """Measure an op in fresh processes and print a line of a Markdown table for each size."""
    passes = []
    for number in range(n_passes):
        variables = environment.environment(environment.settings("tuned", 1), number)
        output = run_python(__file__, op, "--sizes", sizes, "--pass", variables=variables, timeout=600)
        passes.append(json.loads(output))
    for size, measured in zip(sizes.split(","), zip(*passes, strict=True), strict=True):
        print(f"| {' | '.join((op, size, *cells(measured)))} |", flush=True)


def cells(measured: Sequence[Seconds]) -> list[str]:
    """Return the medians over the passes: µs of each strategy, the ratio, and a mark if it is low."""
    seconds = [f"{1e6 * median(each[name] for each in measured):,.1f}" for name in (OURS, *PEERS)]
    ratio = median(min(each[peer] for peer in PEERS) / each[OURS] for each in measured)
    return [*seconds, f"{ratio:.2f}", "behind" if ratio < BEHIND else ""]


def main() -> None:
    """Compare the given ops, or all."""
    parser = ArgumentParser()
    parser.add_argument("ops", nargs="*", metavar="OP", help="default: all")
    parser.add_argument("--sizes", default=SIZES, help=f"size x batch of the examples, default {SIZES}")
    parser.add_argument("--passes", type=int, default=PASSES)
    parser.add_argument("--pass", action="store_true", dest="one_pass", help="measure one op in this process")
    given = parser.parse_args()
    if given.one_pass:
        one_pass(given.ops[0], given.sizes)
        return
    heading = ("op", "size x batch", *(f"{name} (µs)" for name in (OURS, *PEERS)), "faster peer / vjp", "")
    print(f"| {' | '.join(heading)} |\n{'|---' * len(heading)}|")
    for op in given.ops or OPS:
        compare(op, given.sizes, given.passes)


if __name__ == "__main__":
    main()
