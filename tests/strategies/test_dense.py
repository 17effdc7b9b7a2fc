"""Positions of entries computed from strides are those of the pattern, also at sizes that no matrix can have."""

import tracemalloc

import numpy as np
import pytest

from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.strategies.dense import columns_of_entries
from jacobench.strategies.tape import steps

each_op = pytest.mark.parametrize("name", OPS)


def edges_of(name, **lengths):
    return [edge for step in steps(op_graph(name, **lengths)) for edge in step.edges]


@pytest.mark.parametrize("lengths", [{}, {"batch": 1, "size": 5}, {"batch": 4, "size": 7}], ids=str)
@each_op
def test_columns_are_those_of_the_pattern(name, lengths):
    for edge in edges_of(name, **lengths):
        structure = edge.argument.jacobian.structure
        indices = structure.pattern(edge.ctx).indices
        backwards = np.arange(indices.size)[::-1]
        np.testing.assert_array_equal(columns_of_entries(structure, edge.ctx, backwards), indices[::-1])


def test_a_pattern_of_a_petabyte_takes_no_memory():
    edge = edges_of("affine", batch=2**15, size=2**12)[1]
    structure = edge.argument.jacobian.structure
    nnz = structure.n_nonzeros(edge.ctx)
    assert edge.ctx.n_out * edge.ctx.n_in * 8 > 2**50
    tracemalloc.start()
    columns = columns_of_entries(structure, edge.ctx, np.array([0, 2**12 - 1, 2**12, nnz - 1]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert columns.tolist() == [0, 2**12 - 1, 2**12, edge.ctx.n_in - 1]
    assert peak < 2**20
