"""Predicted bytes of Jacobians, of what VJPs keep and of a dense gradient's peak agree with the heap within 2 %.

For every op and argument alone, at a size at which the allocator's steps and NumPy's buffers are negligible.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from jacobench.bench.cell import heap_memory
from jacobench.graphs.ops import OPS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not heap_memory.has_memray(), reason="there is no memray here"),
]

PROGRAM = """
import json
from dataclasses import replace
from math import prod
import numpy as np
from jacobench.bench.cell import heap_memory
from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.reports.explain.jacobian_costs import jacobian_costs
from jacobench.strategies.registry import load

LEAST = {"dense": 2**25, "sparse": 2**20, "vjp": 2**20}
BYTES = {
    "dense": lambda cost: cost.dense_bytes,
    "sparse": lambda cost: cost.sparse_bytes,
    "vjp": lambda cost: cost.vjp_kept_bytes,
}


def large(name, leaf, strategy):
    size = 8
    while True:
        graph = replace(op_graph(name, batch=size, size=size), wrt=(leaf,))
        explanation = jacobian_costs(graph)
        told = BYTES[strategy](explanation.jacobians[0])
        if told >= LEAST[strategy] or not told:
            return graph, told, explanation.totals
        if prod(graph.leaves[leaf].shape) > 2**24:  # too few bytes to measure, as of a maximum
            return graph, 0, explanation.totals
        size += max(1, size // 6)


def stored(name, graph):
    leaves, strategy = graph.sample(0), load(name)
    output_bytes = prod(graph.output_shape) * graph.dtype.itemsize
    return heap_memory.measure(lambda: strategy.prepare(graph).linearize(leaves)).retained_bytes - output_bytes


def at_its_peak(name, graph):
    leaves, seeds, strategy = graph.sample(0), np.ones((1, *graph.output_shape)), load(name)
    return heap_memory.measure(lambda: strategy.prepare(graph).linearize(leaves).pullback(seeds)).peak_bytes


found = {}
for name in (name for name, op in OPS.items() if op.like is None and op.is_differentiable):
    small = op_graph(name)
    for strategy in BYTES:
        load(strategy).prepare(small).linearize(small.sample(0))  # what is made once for all is made here
        for leaf in small.wrt:
            graph, told, totals = large(name, leaf, strategy)
            if told:
                found[f"{name} {leaf} {strategy}"] = (told, stored(strategy, graph))
            if strategy == "dense":
                found[f"{name} {leaf} dense peak"] = (totals[0].total_bytes, at_its_peak(strategy, graph))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def figures():
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


REPRESENTATIVES = [name for name, op in OPS.items() if op.like is None and op.is_differentiable]


def test_every_op_was_measured_dense_and_sparse(figures):
    measured = {(op, what) for op, _, *what in map(str.split, figures) for what in [" ".join(what)]}
    assert measured >= {(op, what) for op in REPRESENTATIVES for what in ("dense", "dense peak", "sparse")}
    assert ("tanh", "vjp") in measured


def test_predicted_bytes_are_those_of_the_heap(figures):
    off = {what: taken / told - 1 for what, (told, taken) in figures.items()}
    assert {what: f"{by:+.1%}" for what, by in off.items() if abs(by) > 0.02} == {}
