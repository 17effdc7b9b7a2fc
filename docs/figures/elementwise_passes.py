"""Show which passes of a network make JAX faster: python docs/figures/elementwise_passes.py [ARCHITECTURE …].

Affine layers are products in both libraries. The other ops are passes over all entries, which XLA fuses and NumPy does not.
Times are minima of sweeps in one process, in milliseconds: of one gradient by `vjp` and by `jax-vjp`, of its ops in `vjp`
one by one, and of the affine layers in JAX one by one. The rest of JAX's gradient are its fused passes.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

import jacobench as jb
from jacobench.bench.machine.environment import environment, settings
from jacobench.graphs.architectures import architecture_graph
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.strategies.contract import placed
from jacobench.strategies.tape import steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.strategies.tape import Step

NAMES = ("mixer-mlp", "mixer-token-mlp", "pointnet-shared-mlp")
BATCH, SWEEPS = 4, 15


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return a call's result and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def gradient(strategy: str, graph: jb.Graph) -> Callable[[], Any]:
    """Return the call that linearizes the graph and pulls one seed back."""
    prepared = jb.strategy(strategy).prepare(graph)
    leaves, seeds = placed(prepared, graph.sample()), np.ones((1, *graph.output_shape), graph.dtype)
    return lambda: prepared.linearize(leaves).pullback(seeds)


def sweep(graph: jb.Graph, planned: tuple[Step, ...]) -> dict[int, float]:
    """Return the seconds of each node in one sweep forward and back, by the number of its value."""
    values: list[Any] = list(graph.sample().values())
    seconds: dict[int, float] = {}
    for step in planned:
        xs = [values[i] for i in step.node.args]
        y, seconds[step.y] = timed(lambda xs=xs, node=step.node: node.op.forward(NUMPY, *xs, **node.attrs))
        values.append(np.asarray(y))
    bars = {graph.output: np.ones((1, *graph.output_shape), graph.dtype)}
    for step in (step for step in reversed(planned) if step.edges):  # others have no cotangent
        xs, y_bar = tuple(values[i] for i in step.node.args), bars.pop(step.y)
        for edge in step.edges:
            pull = edge.argument.vjp
            x_bar, of_edge = timed(lambda: pull(y_bar, values[step.y], xs, edge.ctx))  # noqa: B023  (called at once)
            bars[edge.x] = x_bar + bars[edge.x] if edge.x in bars else x_bar
            seconds[step.y] += of_edge
    return seconds


def layer(graph: jb.Graph, step: Step) -> jb.Graph:
    """Return the graph of one node, differentiated with respect to the same arguments."""
    g = jb.GraphBuilder(graph.dtype.name)
    arguments = [g.parameter(f"x{k}", shape) for k, shape in enumerate(step.node.contexts[0].shapes)]
    output = getattr(g, step.node.op.name)(*arguments, **step.node.attrs)
    return g.build(output=output, wrt=[f"x{edge.ctx.k}" for edge in step.edges])


def measure(name: str) -> str:
    """Return the row of an architecture."""
    graph = architecture_graph(name, batch=BATCH)
    planned = steps(graph)
    layers = [layer(graph, step) for step in planned if step.node.op.name == "affine"]
    calls = [gradient(strategy, graph) for strategy in ("vjp", "jax-vjp")] + [
        gradient("jax-vjp", one) for one in layers
    ]
    whole = np.full((SWEEPS, len(calls)), np.inf)
    nodes: list[dict[int, float]] = []
    for k in range(SWEEPS):
        whole[k] = [timed(call)[1] for call in calls]
        nodes.append(sweep(graph, planned))
    ours, jax, *jax_layers = 1e3 * whole.min(axis=0)
    by_op: dict[str, float] = defaultdict(float)
    for step in planned:
        by_op[step.node.op.name] += 1e3 * min(seconds[step.y] for seconds in nodes)
    products = by_op.pop("affine")
    passes = ", ".join(f"{op} {ms:.3g}" for op, ms in sorted(by_op.items(), key=lambda item: -item[1]) if ms >= 0.01)
    rest = jax - sum(jax_layers)
    return (
        f"| {name} | {ours:.3g}, {jax:.3g} | {jax / ours:.2f} | {products:.3g}, {sum(jax_layers):.3g} "
        f"| {sum(by_op.values()):.3g}, {rest:.3g} | {passes} |"
    )


def main(names: list[str]) -> None:
    """Print the table."""
    gc.disable()
    print("| architecture | gradient: `vjp`, JAX | JAX / `vjp` | affine layers | other passes | those of `vjp` |")
    print("|---|---|---|---|---|---|")
    for name in names or NAMES:
        print(measure(name), flush=True)
        gc.collect()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tuned"]:
        main(sys.argv[2:])
    else:  # malloc and BLAS read their variables when a process starts
        command = [sys.executable, __file__, "--tuned", *sys.argv[1:]]
        subprocess.run(command, env=environment(settings("tuned", threads=1), 0), check=True)
