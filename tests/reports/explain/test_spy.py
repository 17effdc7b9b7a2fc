"""Rasters of patterns: exact if they fit, thinned if not, and small in memory."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array

from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.reports.explain.spy import raster
from jacobench.strategies.tape import steps


def contexts(name, **lengths):
    return [
        (edge.argument.jacobian.structure, edge.ctx) for step in steps(op_graph(name, **lengths)) for edge in step.edges
    ]


@pytest.mark.parametrize(
    "lengths", [{"batch": 1, "size": 3}, {"batch": 3, "size": 4}, {"batch": 2, "size": 9}], ids=str
)
@pytest.mark.parametrize("name", OPS)
def test_small_patterns_are_drawn_entry_by_entry(name, lengths):
    for structure, ctx in contexts(name, **lengths):
        pattern = structure.pattern(ctx)
        ones = np.ones(pattern.indices.size)
        whole = csr_array((ones, pattern.indices, pattern.indptr), shape=pattern.shape).toarray() != 0
        np.testing.assert_array_equal(raster(structure, ctx, *pattern.shape), whole)


def test_every_line_of_a_thinned_plot_has_its_entries():
    """Each point that a diagonal runs through is marked, and no other."""
    ((structure, ctx),) = contexts("tanh", batch=1000, size=1000)
    np.testing.assert_array_equal(raster(structure, ctx, 320, 320), np.eye(320, dtype=bool))


def test_a_block_is_full_and_the_rest_empty():
    structure, ctx = contexts("affine", batch=4, size=1000)[0]
    np.testing.assert_array_equal(raster(structure, ctx, 16, 16), np.kron(np.eye(4), np.ones((4, 4))) > 0)


def test_no_mark_without_an_entry():
    for name in OPS:
        for structure, ctx in contexts(name, batch=5, size=40):
            pattern = structure.pattern(ctx)
            n_lines, n_points = min(ctx.n_out, 30), min(ctx.n_in, 30)
            coarse = np.zeros((n_lines, n_points), bool)
            coarse[
                pattern.rows.astype(int) * n_lines // ctx.n_out, pattern.indices.astype(int) * n_points // ctx.n_in
            ] = True
            drawn = raster(structure, ctx, n_lines, n_points)
            assert not (drawn & ~coarse).any(), name
            assert drawn.sum() > 0.5 * coarse.sum(), name


@pytest.mark.long
@pytest.mark.parametrize("name", OPS)
def test_large_patterns_take_no_more_than_a_few_vectors(name):
    for structure, ctx in contexts(name, batch=256, size=128):
        tracemalloc.start()
        raster(structure, ctx, min(ctx.n_out, 320), min(ctx.n_in, 320))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 * 2**20 + 64 * (ctx.n_out + ctx.n_in)


def test_a_petabyte_is_drawn():
    structure, ctx = contexts("affine", batch=2**15, size=2**12)[1]
    assert ctx.n_out * ctx.n_in * 8 > 2**50
    assert raster(structure, ctx, 160, 320).any(axis=1).all()
