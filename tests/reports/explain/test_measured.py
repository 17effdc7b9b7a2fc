"""What is told of dense and sparse Jacobians, and of what VJPs keep, against the heap that the strategies take: within 2 %.

Of every op and argument by itself, at a size from which the allocator's steps, and NumPy's own buffers, are few beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from jacobench.bench import memory
from jacobench.graphs.ops import OPS

pytestmark = pytest.mark.skipif(not memory.has_memray(), reason="there is no memray here")

PROGRAM = """
import json
from dataclasses import replace
from math import prod
import scipy.sparse
from jacobench.bench import memory
from jacobench.graphs.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.reports.explain.weighing import weigh
from jacobench.strategies.registry import load

LEAST = 2**20


def large(name, leaf, column):
    size = 8
    while True:
        graph = replace(op_graph(name, batch=size, size=size), wrt=(leaf,))
        told = getattr(weigh(graph).weights[0], column)
        if told >= LEAST or (column == "vjp_kept_bytes" and not told):
            return graph, told
        size += size // 2


def stored(name, graph):
    leaves, strategy = graph.sample(0), load(name)
    output_bytes = prod(graph.output_shape) * graph.dtype.itemsize
    return memory.measure(lambda: strategy.prepare(graph).linearize(leaves)).retained_bytes - output_bytes


found = {}
for name in OPS:
    small = op_graph(name)
    for strategy, column in (("dense", "dense_bytes"), ("sparse", "sparse_bytes"), ("vjp", "vjp_kept_bytes")):
        load(strategy).prepare(small).linearize(small.sample(0))  # what is made once for all is made here
        for leaf in small.wrt:
            graph, told = large(name, leaf, column)
            if told:
                found[f"{name} {leaf} {strategy}"] = (told, stored(strategy, graph))
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


def test_every_op_was_measured_dense_and_sparse(figures):
    measured = {tuple(what.split()[::2]) for what in figures}
    assert measured >= {(name, strategy) for name in OPS for strategy in ("dense", "sparse")}
    assert ("tanh", "vjp") in measured


def test_what_is_told_is_what_is_stored(figures):
    off = {what: stored / told - 1 for what, (told, stored) in figures.items()}
    assert {what: f"{by:+.1%}" for what, by in off.items() if abs(by) > 0.02} == {}
