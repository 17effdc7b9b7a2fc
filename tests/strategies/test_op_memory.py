"""What is predicted for a graph of one op, against what the heap is seen to hold: for every op of the table."""

import tracemalloc

import numpy as np
import pytest

from jacobench.graphs.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies.registry import load

ENOUGH = {"dense": 8e6, "dense-blocks": 8e6, "forward-dense": 8e6, "sparse": 4e6, "vjp": 2e6}
"""Strategy → the bytes that it is to take at least."""

BUFFERS = 200 * 2**10
"""NumPy works through some operands in buffers of 8,192 entries: 64 KiB each, for up to three operands at once."""


def large_enough(name, strategy, batch):
    size = 4
    while True:
        graph = op_graph(name, size=size, batch=batch)
        phases = load(strategy).predict(graph, 1).phases
        if max(phase.peak_bytes for phase in phases.values()) > ENOUGH[strategy]:
            return graph, phases
        size = int(1.6 * size) + 1


def measured(call):
    """Return the highest the heap rose during a call, and what is held after it, in bytes."""
    call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = call()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result is not None
    return peak - before, held - before


@pytest.mark.parametrize("strategy", ENOUGH)
@pytest.mark.parametrize("name", OPS)
def test_predicted_bytes_hold_within_2_percent(name, strategy):
    graph, phases = large_enough(name, strategy, batch=3)
    prepared = load(strategy).prepare(graph)
    leaves, seeds = graph.sample(0), np.ones((1, *graph.output_shape))
    lin = prepared.linearize(leaves)
    calls = {
        "prepare": lambda: load(strategy).prepare(graph),
        "linearize": lambda: prepared.linearize(leaves),
        "pullback": lambda: lin.pullback(seeds),
    }
    for phase, call in calls.items():
        peak, held = measured(call)
        assert peak == pytest.approx(phases[phase].peak_bytes, rel=0.02, abs=BUFFERS), phase
        assert held == pytest.approx(phases[phase].retained_bytes, rel=0.02, abs=BUFFERS), phase
