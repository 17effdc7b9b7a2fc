"""Which values are views of others' memory, found from the shapes alone, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jacobench.graphs.builder import GraphBuilder
from jacobench.strategies.tape import has_view, is_view_of_given, owners


@st.composite
def strided(draw):
    """Draw a part of an array, repeated along some axes, and another shape for it."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    array = np.zeros([n + draw(st.integers(0, 1)) for n in shape])
    x = array[tuple(slice(None, None, draw(st.sampled_from([1, 1, 2, -1]))) for _ in shape)]
    x = np.broadcast_to(x, (draw(st.integers(1, 3)), *x.shape))
    lengths = [p for n in x.shape for p in ((2, n // 2) if n % 2 == 0 else (n,))]
    joined = draw(st.integers(0, len(lengths)))
    start = draw(st.integers(0, len(lengths)))
    inside = lengths[start : start + joined]
    return x, (*lengths[:start], int(np.prod(inside, dtype=int)), *lengths[start + joined :])


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(strided())
def test_strides_express_a_shape_where_numpy_makes_a_view(case):
    x, shape = case
    assert has_view(x, shape) == np.shares_memory(x.reshape(shape), x)


@pytest.mark.parametrize(
    ("slices", "shape", "copies"),
    [
        (((0, 1), (0, 3), (0, 4)), (12,), False),
        (((0, 2), (1, 3), (0, 4)), (2, 8), False),
        (((0, 2), (1, 3), (0, 4)), (16,), True),
        (((0, 2), (0, 3), (0, 2)), (2, 3, 2, 1), False),
        (((0, 2), (0, 3), (0, 2)), (2, 6), True),
    ],
)
def test_a_change_of_shape_copies_a_slice_if_strides_cannot_express_it(slices, shape, copies):
    g = GraphBuilder()
    starts, stops = zip(*slices, strict=True)
    part = g.slice(g.input("x", (2, 3, 4)), starts=starts, stops=stops)
    graph = g.build(g.reshape(part, shape=shape), wrt="all")
    assert owners(graph) == ({1: 0} if copies else {1: 0, 2: 0})
    assert is_view_of_given(graph) != copies
    leaves = graph.sample(0)
    assert np.shares_memory(graph.evaluate(leaves), leaves["x"]) != copies


def test_what_is_computed_is_no_view():
    g = GraphBuilder()
    x = g.input("x", (2, 3))
    graph = g.build(g.slice(g.tanh(g.reshape(x, shape=(6,))), starts=(1,)), wrt="all")
    assert owners(graph) == {1: 0, 3: 2}
    assert not is_view_of_given(graph)
