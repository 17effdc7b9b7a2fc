"""Positions of indexing, against NumPy's, torch's and ONNX's own functions."""

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.importers import index_positions as ip

SHAPE = (3, 4, 5)
X = np.random.default_rng(0).standard_normal(SHAPE)


def drawn(high, shape):
    return np.random.default_rng(1).integers(-high, high, shape)


@pytest.mark.parametrize(
    "index",
    [
        1,
        (slice(None), -1),
        (..., np.array([[0, 2], [1, -1]])),
        (np.array([0, 2]), slice(1, 3), np.array([4, 0])),
        (None, np.array([True, False, True])),
        (slice(None, None, -2), np.array([1, 1, 0])[:, None], np.array([2, 3])),
    ],
)
def test_positions_are_those_of_numpys_indexing(index):
    np.testing.assert_array_equal(X.reshape(-1)[ip.positions_of(SHAPE, index)], X[index])


def test_an_index_beyond_the_array_is_an_error():
    with pytest.raises(BadInput, match=r"an index does not fit an array of shape \(3, 4, 5\): .* out of bounds"):
        ip.positions_of(SHAPE, np.array([3]))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_positions_along_an_axis(axis):
    shape = list(SHAPE)
    shape[axis] = 2
    indices = drawn(SHAPE[axis], shape)
    np.testing.assert_array_equal(
        X.reshape(-1)[ip.along_axis(SHAPE, indices, axis)], np.take_along_axis(X, indices, axis)
    )


def test_indices_may_be_shorter_along_other_axes():
    indices = np.array([[[0], [3]]])
    np.testing.assert_array_equal(ip.along_axis(SHAPE, indices, 1), [[[0], [15]]])


def test_points_with_and_without_a_batch():
    indices = drawn(3, (2, 6, 2))
    np.testing.assert_array_equal(X.reshape(-1)[ip.at_points(SHAPE, indices)], X[indices[..., 0], indices[..., 1]])
    indices = drawn(4, (3, 2, 1))
    expected = np.stack([own[at[..., 0]] for own, at in zip(X, indices, strict=True)])
    np.testing.assert_array_equal(X.reshape(-1)[ip.at_points(SHAPE, indices, 1)], expected)
    whole = np.array([[0, 1, 2], [2, 3, 4]])
    np.testing.assert_array_equal(X.reshape(-1)[ip.at_points(SHAPE, whole)], [X[0, 1, 2], X[2, 3, 4]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("reflect", [2, 1, 0, 1, 2, 1]),
        ("replicate", [0, 0, 0, 1, 2, 2]),
        ("circular", [1, 2, 0, 1, 2, 0]),
    ],
)
def test_paddings(mode, expected):
    np.testing.assert_array_equal(ip.padding((3,), [(2, 1)], mode), expected)


def test_a_negative_padding_removes_entries():
    np.testing.assert_array_equal(ip.padding((2, 4), [(0, 0), (-1, 1)], "replicate"), [[1, 2, 3, 3], [5, 6, 7, 7]])
    with pytest.raises(BadInput, match="leaves nothing"):
        ip.padding((2,), [(-1, -1)], "wrap")
    with pytest.raises(BadInput, match=r"unknown padding mode 'edges': .*did you mean 'edge'"):
        ip.padding((2,), [(0, 0)], "edges")


def test_upsampling_repeats_the_nearest_entries():
    twice = ip.on_grid((1, 2, 2), [ip.nearest(2, 4), ip.nearest_in_torch(2, 4)])
    np.testing.assert_array_equal(twice, np.repeat(np.repeat(ip.numbers((1, 2, 2)), 2, axis=1), 2, axis=2))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 0, 1, 1, 1, 2, 2]),
        ({"coordinates": "asymmetric", "rounding": "floor"}, [0, 0, 0, 1, 1, 2, 2]),
        ({"coordinates": "align_corners", "rounding": "round_prefer_floor"}, [0, 0, 1, 1, 1, 2, 2]),
        ({"coordinates": "asymmetric", "rounding": "ceil"}, [0, 1, 1, 2, 2, 2, 2]),
    ],
)
def test_the_nearest_of_three(options, expected):
    np.testing.assert_array_equal(ip.nearest(3, 7, **options), expected)


def test_unknown_ways_of_resizing_are_named():
    with pytest.raises(BadInput, match="unknown coordinate transformation 'tf_crop_and_resize'"):
        ip.nearest(2, 4, coordinates="tf_crop_and_resize")
    with pytest.raises(BadInput, match="unknown rounding of coordinates 'up'"):
        ip.nearest(2, 4, rounding="up")


@pytest.mark.models
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("size", [{"size": 5}, {"size": 6}, {"size": 13}, {"size": 246}, {"scale_factor": 1.7}])
def test_the_nearest_are_those_of_torch(mode, size):
    """6 places become 246 by a factor of 41, where float32 rounds below a whole number."""
    torch = pytest.importorskip("torch")
    expected = torch.nn.functional.interpolate(torch.arange(6.0)[None, None], **size, mode=mode)[0, 0]
    found = ip.nearest_in_torch(6, len(expected), size.get("scale_factor"), exact=mode == "nearest-exact")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.models
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_paddings_are_those_of_torch(mode):
    torch = pytest.importorskip("torch")
    x = torch.arange(24.0).reshape(1, 4, 6)
    expected = torch.nn.functional.pad(x, (2, 3), mode=mode)
    np.testing.assert_array_equal(ip.padding((1, 4, 6), [(0, 0), (0, 0), (2, 3)], mode), expected)


@pytest.mark.models
def test_gather_and_scatter_add_are_those_of_torch():
    torch = pytest.importorskip("torch")
    indices = np.abs(drawn(3, (3, 2, 5)))
    x, u, at = torch.tensor(X), torch.ones(3, 2, 5, dtype=torch.float64), torch.tensor(indices)
    positions = ip.along_axis(SHAPE, indices, 1)
    g = GraphBuilder()
    leaves = {"x": X, "u": u.numpy()}
    values = g.input("x", SHAPE), g.input("u", u.shape)
    read = g.build(g.gather(values[0], positions=positions), wrt="all")
    np.testing.assert_array_equal(read.evaluate(leaves), torch.gather(x, 1, at))
    added = g.build(g.scatter(*values, positions=positions, mode="add"), wrt="all")
    np.testing.assert_allclose(added.evaluate(leaves), x.scatter_add(1, at, u), rtol=1e-15)


@pytest.mark.models
@pytest.mark.parametrize("coordinates", sorted(ip.COORDINATES))
@pytest.mark.parametrize("rounding", sorted(ip.ROUNDING))
def test_the_nearest_are_those_of_onnx(coordinates, rounding):
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    helper = onnx.helper
    attributes = {"mode": "nearest", "nearest_mode": rounding, "coordinate_transformation_mode": coordinates}
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    for length in (1, 5, 8, 12):
        feeds = {"x": np.arange(6, dtype=np.float32), "sizes": np.array([length])}
        (expected,) = ReferenceEvaluator(node).run(None, feeds)
        np.testing.assert_array_equal(
            ip.nearest(6, length, coordinates=coordinates, rounding=rounding), expected, str(length)
        )
