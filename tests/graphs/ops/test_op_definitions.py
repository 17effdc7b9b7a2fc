"""Ops: definitions and error messages."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

from jacobench.graphs.arrays.namespaces import FEW_VECTORS, NUMPY
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.ops import OPS
from jacobench.strategies.registry import load


def wide_mask(n, m, n_positions, rng_seed=0):
    mask = np.zeros(n * m, bool)
    mask[np.random.default_rng(rng_seed).choice(n * m, n_positions, replace=False)] = True
    return mask.reshape(n, m)


def test_values_are_those_of_the_definitions():
    """Spot values, computed by hand."""
    x = np.array([[-1.0, 0.0, 2.0]])
    expected = {
        "relu": [0, 0, 2],
        "leaky_relu": [-0.01, 0, 2],
        "tanh": [-0.7615941559557649, 0, 0.9640275800758169],
        "sigmoid": [0.2689414213699951, 0.5, 0.8807970779778823],
        "softplus": [0.31326168751822286, 0.6931471805599453, 2.1269280110429727],
        "gelu": [-0.15865525393145707, 0, 1.9544997361036416],
        "silu": [-0.2689414213699951, 0, 1.7615941559557646],
        "sin": [-0.8414709848078965, 0, 0.9092974268256817],
        "softmax": [0.04201006613406605, 0.11419519938459449, 0.8437947344813395],
        "layer_norm": [-1.0690400, -0.2672600, 1.3363000],
    }
    for name, values in expected.items():
        g = GraphBuilder()
        got = g.build(getattr(g, name)(g.input("x", x.shape)), wrt="all").evaluate({"x": x})
        np.testing.assert_allclose(got, [values], rtol=1e-5 if name == "layer_norm" else 1e-14, atol=1e-15)
    t, target = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 2.0]])
    assert OPS["mse"].forward(NUMPY, t, target) == 10 / 4
    one_hot = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(
        OPS["cross_entropy"].forward(NUMPY, t, one_hot), (np.log1p(np.exp(-1)) + np.log(2)) / 2, rtol=1e-14
    )


X = np.array([[1.0, 2.0, 4.0, 3.0]])


@pytest.mark.parametrize(
    ("op", "args", "attrs", "expected"),
    [
        ("neg", [X], {}, [[-1, -2, -4, -3]]),
        ("stop_gradient", [X], {}, X),
        ("channel_bias", [X.reshape(1, 2, 2), np.array([10.0, 20.0])], {}, [[[11, 12], [24, 23]]]),
        ("permute", [X], {"order": [2, 0, 3, 1]}, [[4, 1, 3, 2]]),
        ("flip", [X], {}, [[3, 4, 2, 1]]),
        ("reshape", [X], {"shape": (2, -1)}, [[1, 2], [4, 3]]),
        ("transpose", [X], {"axes": (1, 0)}, [[1], [2], [4], [3]]),
        ("pad", [X], {"before": 1, "after": 2}, [[0, 1, 2, 4, 3, 0, 0]]),
        ("pad", [X], {"pairs": ((1, 0), (-1, 1)), "value": 5}, [[5, 5, 5, 5], [2, 4, 3, 5]]),
        ("pad", [X], {"pairs": ((0, 0), (-1, 0)), "interior": (0, 1)}, [[0, 2, 0, 4, 0, 3]]),
        ("concat", [X, X], {"axis": 0}, [[1, 2, 4, 3], [1, 2, 4, 3]]),
        ("flip", [X.reshape(2, 2)], {"axes": (0, 1)}, [[3, 4], [2, 1]]),
        ("slice", [X], {"starts": (0, -1), "stops": (None, 0), "steps": (1, -2)}, [[3, 2]]),
        ("broadcast", [X[0, :2]], {"shape": (2, 3), "axes": (0,)}, [[1, 1, 1], [2, 2, 2]]),
        ("gather", [X], {"positions": [[3, -1], [0, 0]], "fill": 9}, [[3, 9], [1, 1]]),
        ("scatter", [X, X], {"positions": [[0, 2, 0, -1]]}, [[4, 2, 2, 3]]),
        ("scatter", [X, X], {"positions": [[0, 2, 0, -1]], "mode": "add"}, [[6, 2, 6, 3]]),
        ("scatter_reduce", [X, X], {"positions": [[0, 2, 0, -1]]}, [[4, 2, 8, 3]]),
        ("scatter_reduce", [X, X], {"positions": [[1, 2, 3, -1]], "mode": "max"}, [[1, 2, 4, 4]]),
        ("scatter_reduce", [X, X], {"positions": [[1, 2, 3, -1]], "mode": "min"}, [[1, 1, 2, 3]]),
        ("roll", [X], {"shifts": (1, 4, -2), "axes": (1, 0, -1)}, [[2, 4, 3, 1]]),
        ("embedding", [X.T], {"indices": [[2, 2], [0, 1]]}, [[[4], [4]], [[1], [2]]]),
        ("cross", [np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]])], {}, [[0, 0, 1]]),
        ("dot", [X, X], {}, [30]),
        ("outer", [X[:, :2], X[:, 2:]], {}, [[[4, 3], [8, 6]]]),
        ("matmul", [X, X.T], {}, [[30]]),
        ("sum", [X], {}, [10]),
        ("mean", [X], {}, [2.5]),
        ("sum", [X], {"axes": (0,)}, [1, 2, 4, 3]),
        ("sum", [X], {"axes": None, "keepdims": True}, [[10]]),
        ("mean", [X.reshape(2, 2)], {"axes": (0,)}, [2.5, 2.5]),
        ("max", [X], {}, [4]),
        ("max", [X.reshape(2, 2)], {"axes": (0,), "ties": "first"}, [4, 3]),
        ("min", [X], {"axes": None}, 1),
        ("prod", [X], {}, [24]),
        ("logsumexp", [np.log(X)], {}, [np.log(10)]),
        ("var", [X], {}, [1.25]),
        ("var", [X], {"correction": 1}, [5 / 3]),
        ("norm", [X], {}, [np.sqrt(30)]),
        ("norm", [-X], {"order": 1}, [10]),
        ("norm", [-X], {"order": np.inf}, [4]),
        ("rms_norm", [np.array([[3.0, 4.0]])], {"eps": 0}, [[3 / np.sqrt(12.5), 4 / np.sqrt(12.5)]]),
        ("log_softmax", [np.log(X)], {}, np.log(X / 10)),
        ("softmax", [np.log(X.T)], {"axis": 0}, X.T / 10),
        ("einsum", [X, X], {"subscripts": "ij,ij->i"}, [30]),
        ("cumsum", [X], {}, [[1, 3, 7, 10]]),
        ("cumsum", [X], {"reverse": True}, [[10, 9, 7, 3]]),
        ("cumsum", [X.reshape(2, 2)], {"axis": 0}, [[1, 2], [5, 5]]),
        ("cumprod", [X], {}, [[1, 2, 8, 24]]),
        ("dropout", [X], {"mask": [True, False, True, False], "rate": 0.5}, [[2, 0, 8, 0]]),
        ("low_rank_affine", [X, np.ones((1, 1)), np.ones((1, 4)), np.ones(1)], {}, [[11]]),
        # The kernel is not mirrored: a cross-correlation.
        ("conv1d", [X[None], np.array([[[1.0, 10.0]]])], {}, [[[21, 42, 34]]]),
        ("conv1d", [X[None], np.array([[[1.0, 10.0]]])], {"stride": 2, "padding": 1}, [[[10, 42, 3]]]),
        ("conv2d", [X.reshape(1, 1, 2, 2), np.array([[[[1.0, 10.0]]]])], {}, [[[[21], [34]]]]),
        ("max_pool", [X], {"window": 2}, [[2, 4]]),
        ("max_pool", [X], {"window": 2, "stride": 1}, [[2, 4, 4]]),
        ("avg_pool", [X.reshape(1, 2, 2)], {"window": (2, 2)}, [[[2.5]]]),
        # Padding: −∞ for the largest; zeros, counted or not, for the mean.
        ("max_pool", [-X], {"window": 2, "padding": 1}, [[-1, -2, -3]]),
        ("max_pool", [X], {"window": 2, "stride": 1, "dilation": 2}, [[4, 3]]),
        ("avg_pool", [X], {"window": 2, "padding": 1}, [[0.5, 3, 1.5]]),
        ("avg_pool", [X], {"window": 2, "padding": ((0, 2),), "stride": 3, "count_padding": False}, [[1.5, 3]]),
        ("sum_pool", [X], {"window": 3, "padding": ((2, 0),)}, [[1, 9]]),
        ("conv", [X[None], np.array([[[1.0, 10.0]]])], {"dilation": 2, "padding": ((1, -1),)}, [[[20, 41]]]),
        # Zeros between the entries, 1 0 2 0 4 0 3; two groups, of one channel and one output each.
        ("conv", [X[None], np.array([[[1.0, 10.0]]])], {"input_dilation": 2}, [[[1, 20, 2, 40, 4, 30]]]),
        ("conv", [X.reshape(1, 2, 2), np.array([[[1.0]], [[10.0]]])], {"groups": 2}, [[[1, 2], [40, 30]]]),
    ],
)
def test_small_values_worked_out_by_hand(op, args, attrs, expected):
    g = GraphBuilder()
    leaves = {f"p{k}": arg for k, arg in enumerate(args)}
    value = getattr(g, op)(*(g.parameter(name, arg.shape) for name, arg in leaves.items()), **attrs)
    output = g.build(value, wrt="all").evaluate(leaves)
    assert output.shape == value.shape == np.shape(expected)
    np.testing.assert_allclose(output, expected, rtol=1e-15)


@pytest.mark.parametrize(
    "name", [name for name, op in OPS.items() if op.shape is OPS["tanh"].shape and len(op.arguments) == 1]
)
def test_far_out_nothing_overflows(name):
    """At ±700 in float64 and ±80 in float32, results are finite and NumPy does not warn."""
    for dtype, far in (("float64", 700.0), ("float32", 80.0)):
        g = GraphBuilder(dtype)
        graph = g.build(getattr(g, name)(g.input("x", (1, 2))), wrt=["x"])
        lin = load("vjp").prepare(graph).linearize({"x": np.array([[-far, far]], dtype)})
        assert np.all(np.isfinite(lin.output))
        assert np.all(np.isfinite(lin.pullback(np.ones((1, 1, 2), dtype))["x"]))


def shapes_given(g, *shapes):
    return [g.parameter(f"p{i}", shape) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("op", "shapes", "attrs", "message"),
    [
        (
            "affine",
            [(3, 4), (5, 3), (5,)],
            {},
            r"affine: shapes \(3, 4\) and \(5, 3\) and \(5,\) do not fit: expected z",
        ),
        ("affine", [(3, 4), (5, 4), (4,)], {}, "do not fit: expected z"),
        ("affine", [(), (5, 4), (5,)], {}, "do not fit: expected z"),
        (
            "add",
            [(3, 4), (3, 5)],
            {},
            r"add: arguments have shapes \(3, 4\) and \(3, 5\): expected shapes that broadcast",
        ),
        ("concat", [(3, 4), (2, 4)], {}, r"concat: .*expected shapes that differ in the last axis only"),
        ("concat", [(), ()], {}, "expected shapes that differ in the last axis only"),
        ("softmax", [()], {}, "softmax: the argument is a scalar: expected at least one axis"),
        ("mse", [(), ()], {}, "the argument is a scalar"),
        ("sum", [(2, 3)], {"axes": (2,)}, "sum: an axis is 2: expected a number from -2 to 1"),
        ("sum", [(2, 3)], {"axes": (0, -2)}, r"the axes are \(0, -2\): expected each once"),
        ("sum", [(2, 3)], {"axes": ()}, "no axes are given: expected at least one, or None for all"),
        ("sum", [(2, 3)], {"keepdims": 1}, "keepdims is 1: expected True or False"),
        ("max", [(2, 3)], {"ties": "last"}, "unknown convention of ties 'last': expected one of first, share"),
        ("var", [(2, 3)], {"correction": 3}, "the correction is 3: expected a number from 0 to 2 for 3 entries"),
        ("norm", [(2, 3)], {"order": 3}, "the order is 3: expected 1, 2 or infinity"),
        ("norm", [(2, 3)], {"at_zero": 1}, "at_zero is 1.0: expected 0 or nan"),
        ("layer_norm", [(2, 3)], {"eps": -1}, "eps is -1.0: expected a finite number, 0 or more"),
        ("rms_norm", [()], {}, "the argument is a scalar"),
        ("cumsum", [()], {}, "the argument is a scalar"),
        ("cumsum", [(2, 3)], {"reverse": None}, "reverse is None: expected True or False"),
        ("mse", [(2, 3), (2, 1)], {}, "expected equal shapes"),
        ("scale", [(2,)], {"factor": "2"}, "scale: the factor is '2': expected a number"),
        ("scale", [(2,)], {"factor": float("nan")}, "the factor is nan: expected a finite number"),
        ("scale", [(2,)], {"faktor": 2}, "unknown attribute of scale 'faktor': .*did you mean 'factor'"),
        ("tanh", [(2,)], {"factor": 2}, "unknown attribute of tanh 'factor'"),
        ("masked_affine", [(3, 4), (2,), (5,)], {}, r"masked_affine: the mask has shape \(\): expected a boolean"),
        ("masked_affine", [(3, 4), (2,), (5,)], {"mask": np.zeros((5, 4), bool)}, "the mask has no non-zero entry"),
        (
            "permute",
            [(2, 3)],
            {"order": [0, 2, 2]},
            r"permute: the order is \[0, 2, 2\]: expected each of 0 … n − 1 once",
        ),
        ("permute", [(2, 3)], {}, "the order is None: expected each of"),
        ("permute", [(2, 3)], {"order": [1, 0]}, r"shape \(2, 3\) and the order 2 entries: expected a last axis of 2"),
        (
            "reshape",
            [(2, 3)],
            {"shape": (4, 2)},
            r"shape \(2, 3\), 6 entries: expected a shape with as many entries, got \(4, 2\)",
        ),
        ("reshape", [(2, 3)], {"shape": (-1, -1)}, "expected a shape with as many entries"),
        ("reshape", [(2, 3)], {"shape": (-2, -3)}, "expected a shape with as many entries"),
        ("transpose", [(2, 3)], {"axes": (0, 0)}, "the axes are .* expected each of 0 … 1 once"),
        ("transpose", [(2, 3)], {"axes": (0, 1, 2)}, r"shape \(2, 3\): expected as many axes, got \(0, 1, 2\)"),
        ("concat", [(2, 3), (2, 4)], {"axis": 0}, "expected shapes that differ in axis 0 only"),
        ("concat", [(2, 3)], {"axis": 2}, "concat: an axis is 2: expected a number from -2 to 1"),
        ("flip", [(2, 3)], {"axes": (1, -1)}, r"flip: the axes are \(1, -1\): expected each once"),
        (
            "slice",
            [(2, 3)],
            {"starts": (0,)},
            r"slice: the argument has 2 axes: expected as many starts, stops and steps",
        ),
        ("slice", [(3,)], {"starts": (2,), "stops": (1,)}, "the slice 2:1:1 of an axis of 3 is empty"),
        ("slice", [(3,)], {"steps": (0,)}, "a step is 0: expected another number"),
        ("slice", [(3,)], {"starts": (0.5,)}, "a bound of a slice is 0.5: expected a whole number"),
        (
            "broadcast",
            [(2, 3)],
            {"shape": (2, 4)},
            r"shape \(2, 3\): expected one that broadcasts to \(2, 4\), axes None",
        ),
        ("broadcast", [(2, 3)], {"shape": (3, 2), "axes": (1, 0)}, r"broadcasts to \(3, 2\), axes \(1, 0\)"),
        ("broadcast", [(1,)], {"shape": (0,)}, r"the shape is \(0,\): expected lengths of 1 or more"),
        (
            "roll",
            [(2, 3)],
            {"shifts": (1, 2), "axes": (0,)},
            r"the shifts are \(1, 2\), the axes \(0,\): expected a shift",
        ),
        (
            "pad",
            [(2, 3)],
            {"pairs": ((0, 0),)},
            r"pad: the pairs are .*: expected a pair \(before, after\) per axis of",
        ),
        ("pad", [(2, 3)], {"interior": (0, -1)}, r"interior is \(0, -1\): expected numbers of 0 or more"),
        ("pad", [(2, 3)], {"before": -3}, r"shape \(2, 3\), the output \(2, 0\): expected lengths of 1 or more"),
        ("pad", [(2, 3)], {"value": "0"}, "the value is '0': expected a number"),
        ("embedding", [(2, 3)], {"indices": [0, 2]}, r"the table has shape \(2, 3\), the largest index is 2"),
        ("embedding", [(2, 3)], {"indices": [0.5]}, "the indices are .* expected whole numbers, each 0 or more"),
        ("cross", [(2, 4), (2, 4)], {}, r"cross: the arguments have shape \(2, 4\): expected a last axis of 3"),
        ("channel_bias", [(2, 3, 2), (2,)], {}, r"do not fit: expected x \(B, C, …\), b \(C,\)"),
        ("dot", [(), ()], {}, "the argument is a scalar"),
        ("outer", [(2, 3), (3, 3)], {}, "expected shapes that differ in the last axis only"),
        ("matmul", [(2, 3), (2, 3)], {}, r"do not fit: expected x \(…, n, k\), y \(…, k, m\)"),
        (
            "dropout",
            [(2, 3)],
            {"mask": [True, False]},
            r"shape \(2, 3\), the mask \(2,\): expected the shape of its last axes",
        ),
        ("dropout", [(2, 3)], {"mask": [1, 0, 1]}, "expected booleans, at least one of them true"),
        ("dropout", [(2, 3)], {"mask": [True] * 3, "rate": 1}, r"the rate is 1.0: expected a number in \[0, 1\)"),
        (
            "low_rank_affine",
            [(2, 3), (4, 2), (3, 3), (4,)],
            {},
            r"expected z \(…, m\), U \(n, r\), V \(r, m\), b \(n,\)",
        ),
        ("conv1d", [(2, 3, 5), (4, 2, 3)], {}, r"conv1d: shapes .* do not fit: expected x \(B, C, L\), W \(O, C, K\)"),
        (
            "conv1d",
            [(2, 3, 5), (4, 3, 8)],
            {"padding": 1},
            r"a kernel \(8,\) that spans \(8,\) does not fit into \(5,\) with a padding of \(\(1, 1\),\)",
        ),
        (
            "conv2d",
            [(2, 3, 5, 5), (4, 3, 2, 2)],
            {"stride": (1, 0)},
            "the stride is .* one number for each of 2 axes, each 1 or more",
        ),
        (
            "conv2d",
            [(2, 3, 5, 5), (4, 3, 2, 2)],
            {"padding": (1, 1, 1)},
            "the padding is .* for each of 2 axes, each 0 or more",
        ),
        (
            "max_pool",
            [(2, 3)],
            {"window": 4},
            r"a window \(4,\) that spans \(4,\) does not fit into an argument of shape \(2, 3\)",
        ),
        ("max_pool", [(3,)], {"window": (2, 2)}, "expected an axis for each of its lengths"),
        (
            "avg_pool",
            [(2, 3)],
            {},
            r"the window is \(\): expected one length, or one for each of the last two or three",
        ),
        ("max_pool", [(2, 3)], {"window": 1, "padding": 1}, r"a window \(1,\) covers only padding: expected less than"),
        ("avg_pool", [(2, 3)], {"window": 2, "dilation": 3}, r"a window \(2,\) that spans \(4,\) does not fit into"),
        ("conv", [(2, 3, 5), (4, 3)], {}, r"do not fit: expected x \(B, C, …\), W \(O, C, …\)"),
        ("conv", [(2, 4, 5), (3, 2, 2)], {"groups": 2}, r"do not fit: expected x \(B, C, …\), W \(O, C / 2, …\)"),
        ("conv", [(2, 4, 5), (3, 2, 2)], {"groups": 0}, "groups is 0: expected 1 or more"),
        (
            "conv",
            [(2, 3, 5), (4, 3, 2)],
            {"padding": ((1, 0), (0, 1))},
            "expected one number or one pair for each of 1 axes",
        ),
        (
            "conv",
            [(2, 3, 5), (4, 3, 4)],
            {"dilation": 2},
            r"a kernel \(4,\) that spans \(7,\) does not fit into \(5,\)",
        ),
        ("conv", [(2, 3, 5), (4, 3, 4)], {"input_dilation": 0}, "the input dilation is 0: expected one number"),
        (
            "masked_affine",
            [(3, 4), (2,), (5,)],
            {"mask": np.eye(5, 4, dtype=bool)},
            r"do not fit: expected z \(…, 4\), v \(4,\), b \(5,\) for the mask",
        ),
    ],
)
def test_what_does_not_fit_is_named(op, shapes, attrs, message):
    g = GraphBuilder()
    with pytest.raises(BadInput, match=message) as caught:
        getattr(g, op)(*shapes_given(g, *shapes), **attrs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("factor", [3, np.int64(3), np.float32(3), True])
def test_any_finite_number_is_a_factor(factor):
    g = GraphBuilder("float32")
    graph = g.build(g.scale(g.input("x", (1, 2)), factor=factor), wrt="all")
    assert graph.evaluate({"x": np.ones((1, 2), np.float32)}).tolist() == [[float(factor)] * 2]


@pytest.mark.parametrize(
    "form", [np.asarray, scipy_sparse.csr_array, scipy_sparse.coo_array, partial(np.asarray, dtype=float)]
)
def test_a_mask_may_have_any_form(form):
    mask = wide_mask(5, 4, 9)
    g = GraphBuilder()
    graph = g.build(
        g.masked_affine(g.input("z", (3, 4)), g.parameter("v", (9,)), g.parameter("b", (5,)), mask=form(mask))
    )
    leaves = graph.sample(0)
    W = np.zeros((5, 4))
    W[np.nonzero(mask)] = leaves["v"]
    np.testing.assert_allclose(graph.evaluate(leaves), leaves["z"] @ W.T + leaves["b"], rtol=1e-14)


def test_a_mask_is_not_written():
    """SciPy sorts a matrix's indices in place."""
    indptr, indices = np.array([0, 2, 3]), np.array([1, 0, 1])
    mask = scipy_sparse.csr_array((np.ones(3), indices, indptr), shape=(2, 2))
    g = GraphBuilder()
    g.masked_affine(g.input("z", (3, 2)), g.parameter("v", (3,)), g.parameter("b", (2,)), mask=mask)
    assert mask.indices.tolist() == [1, 0, 1]


@pytest.mark.parametrize("n", [1, FEW_VECTORS, FEW_VECTORS + 1])
def test_few_vectors_and_many_have_one_cross_product(n):
    """Also for cotangents, which have one axis more."""
    x, y = np.random.default_rng(0).standard_normal((2, n, 3))
    np.testing.assert_array_equal(NUMPY.crossed(x, y), np.cross(x, y))
    np.testing.assert_array_equal(NUMPY.crossed(y, np.stack([x, y])), np.stack([np.cross(y, x), np.zeros((n, 3))]))


def test_an_op_is_like_one_that_is_measured_itself_and_has_as_many_rules():
    for op in OPS.values():
        if op.like is not None:
            assert OPS[op.like].like is None
            assert OPS[op.like].is_differentiable == op.is_differentiable
            assert len(OPS[op.like].arguments) == len(op.arguments)
