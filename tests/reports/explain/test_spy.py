"""Patterns as pictures: exact where there is room, true to their form where there is not, and never large in memory."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array

from jacobench.graphs.generators.one_op import op_graph
from jacobench.graphs.ops import OPS
from jacobench.reports.explain.spy import raster
from jacobench.strategies.tape import steps


def sites(name, **lengths):
    return [
        (edge.argument.jacobian.structure, edge.site)
        for step in steps(op_graph(name, **lengths))
        for edge in step.edges
    ]


@pytest.mark.parametrize(
    "lengths", [{"batch": 1, "size": 3}, {"batch": 3, "size": 4}, {"batch": 2, "size": 9}], ids=str
)
@pytest.mark.parametrize("name", OPS)
def test_small_patterns_are_drawn_entry_by_entry(name, lengths):
    for structure, site in sites(name, **lengths):
        pattern = structure.pattern(site)
        ones = np.ones(pattern.indices.size)
        whole = csr_array((ones, pattern.indices, pattern.indptr), shape=pattern.shape).toarray() != 0
        np.testing.assert_array_equal(raster(structure, site, *pattern.shape), whole)


def test_every_line_of_a_thinned_picture_has_its_entries():
    """Each point that a diagonal runs through is marked, and no other."""
    ((structure, site),) = sites("tanh", batch=1000, size=1000)
    np.testing.assert_array_equal(raster(structure, site, 320, 320), np.eye(320, dtype=bool))


def test_a_block_is_full_and_what_is_beside_it_empty():
    structure, site = sites("affine", batch=4, size=1000)[0]
    np.testing.assert_array_equal(raster(structure, site, 16, 16), np.kron(np.eye(4), np.ones((4, 4))) > 0)


def test_no_mark_without_an_entry():
    for name in OPS:
        for structure, site in sites(name, batch=5, size=40):
            pattern = structure.pattern(site)
            n_lines, n_points = min(site.n_out, 30), min(site.n_in, 30)
            coarse = np.zeros((n_lines, n_points), bool)
            coarse[
                pattern.rows.astype(int) * n_lines // site.n_out, pattern.indices.astype(int) * n_points // site.n_in
            ] = True
            drawn = raster(structure, site, n_lines, n_points)
            assert not (drawn & ~coarse).any(), name
            assert drawn.sum() > 0.5 * coarse.sum(), name


@pytest.mark.parametrize("name", OPS)
def test_large_patterns_take_no_more_than_a_few_vectors(name):
    for structure, site in sites(name, batch=256, size=128):
        tracemalloc.start()
        raster(structure, site, min(site.n_out, 320), min(site.n_in, 320))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 * 2**20 + 64 * (site.n_out + site.n_in)


def test_a_petabyte_is_drawn():
    structure, site = sites("affine", batch=2**15, size=2**12)[1]
    assert site.n_out * site.n_in * 8 > 2**50
    assert raster(structure, site, 160, 320).any(axis=1).all()
