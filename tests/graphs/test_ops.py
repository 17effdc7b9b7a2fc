"""Every op's rules: as maps, as matrices, and as what they leave alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import sparse as scipy_sparse

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.namespaces import NUMPY
from jacobench.graphs.op import OUTPUT
from jacobench.graphs.ops import OPS
from jacobench.graphs.ops.linear import CHUNK, DENSE_FROM
from jacobench.graphs.structures import INT32_MAX, index_bytes, index_dtype
from jacobench.strategies import dense, sparse
from jacobench.strategies.registry import load


def wide_mask(n, m, n_places, rng_seed=0):
    mask = np.zeros(n * m, bool)
    mask[np.random.default_rng(rng_seed).choice(n * m, n_places, replace=False)] = True
    return mask.reshape(n, m)


def masked(g, z_shape, n, n_places):
    m = z_shape[-1]
    mask = wide_mask(n, m, n_places)
    return g.masked_affine(g.input("z", z_shape), g.parameter("v", (n_places,)), g.parameter("b", (n,)), mask=mask)


# Beside each op's own example: shapes with more and fewer axes, a single sample, a single entry, arguments that trade the
# roles of data and weights, and the sizes from which masked_affine goes other ways.
EXAMPLES = {
    **{name: op.example for name, op in OPS.items()},
    "affine-3d": lambda g: g.affine(g.input("z", (2, 3, 4)), g.parameter("W", (5, 4)), g.parameter("b", (5,))),
    "affine-vector": lambda g: g.affine(g.input("z", (4,)), g.parameter("W", (5, 4)), g.parameter("b", (5,))),
    "affine-one": lambda g: g.affine(g.input("z", (1, 1)), g.parameter("W", (1, 1)), g.parameter("b", (1,))),
    "affine-one-sample": lambda g: g.affine(g.input("z", (1, 4)), g.parameter("W", (3, 4)), g.parameter("b", (3,))),
    "affine-weight-is-data": lambda g: g.affine(g.input("z", (3, 4)), g.input("W", (3, 4)), g.input("b", (3,))),
    "affine-only-weight-is-data": lambda g: g.affine(g.parameter("z", (2, 4)), g.input("W", (3, 4)), g.parameter("b", (3,))),
    "masked-3d": lambda g: masked(g, (2, 3, 4), 5, 6),
    "masked-vector": lambda g: masked(g, (4,), 5, 6),
    "masked-one-sample": lambda g: masked(g, (1, 4), 5, 6),
    "masked-gathered": lambda g: masked(g, (2, 20), 20, 11),
    "masked-chunks": lambda g: masked(g, (1, 70), 80, 5000),
    "add-weight": lambda g: g.add(g.input("x", (3, 4)), g.parameter("w", (3, 4))),
    "multiply-weight": lambda g: g.multiply(g.parameter("w", (3, 4)), g.input("x", (3, 4))),
    "multiply-scalars": lambda g: g.multiply(g.parameter("x", ()), g.parameter("y", ())),
    "tanh-scalar": lambda g: g.tanh(g.parameter("x", ())),
    "concat-one": lambda g: g.concat(g.input("x", (3, 4))),
    "concat-vectors": lambda g: g.concat(g.input("x", (3,)), g.parameter("y", (2,))),
    "concat-3d": lambda g: g.concat(g.input("x", (2, 3, 1)), g.parameter("y", (2, 3, 2)), g.input("z", (2, 3, 1))),
    "softmax-vector": lambda g: g.softmax(g.input("x", (3,))),
    "softmax-3d": lambda g: g.softmax(g.input("x", (2, 3, 4))),
    "softmax-one": lambda g: g.softmax(g.input("x", (2, 1))),
    "layer_norm-vector": lambda g: g.layer_norm(g.parameter("x", (5,))),
    "layer_norm-3d": lambda g: g.layer_norm(g.input("x", (2, 3, 4))),
    "reshape-mixes": lambda g: g.reshape(g.input("x", (2, 3, 4)), shape=(-1, 6)),
    "reshape-drops-an-axis": lambda g: g.reshape(g.input("x", (3, 1)), shape=(3,)),
    "transpose-mixes": lambda g: g.transpose(g.input("x", (2, 3, 4)), axes=(1, 2, 0)),
    "transpose-nothing": lambda g: g.transpose(g.input("x", (2, 3)), axes=(0, 1)),
    "permute-3d": lambda g: g.permute(g.input("x", (2, 3, 4)), order=[2, 0, 3, 1]),
    "flip-vector": lambda g: g.flip(g.parameter("x", (4,))),
    "pad-vector": lambda g: g.pad(g.parameter("x", (4,)), after=2),
    "pad-nothing": lambda g: g.pad(g.input("x", (2, 2, 2))),
    "embedding-repeats": lambda g: g.embedding(g.parameter("t", (3, 2)), indices=[2, 2, 0, 2]),
    "embedding-one": lambda g: g.embedding(g.parameter("t", (3, 2)), indices=1),
    "cross-vector": lambda g: g.cross(g.parameter("x", (3,)), g.parameter("y", (3,))),
    "cross-constant": lambda g: g.cross(g.input("x", (4, 3)), g.parameter("y", (4, 3))),
    "dot-vectors": lambda g: g.dot(g.parameter("x", (4,)), g.parameter("y", (4,))),
    "dot-3d": lambda g: g.dot(g.input("x", (2, 3, 4)), g.input("y", (2, 3, 4))),
    "outer-vectors": lambda g: g.outer(g.parameter("x", (3,)), g.parameter("y", (2,))),
    "outer-3d": lambda g: g.outer(g.input("x", (2, 3, 4)), g.parameter("y", (2, 3, 2))),
    "matmul-2d": lambda g: g.matmul(g.input("x", (3, 4)), g.parameter("y", (4, 2))),
    "matmul-4d": lambda g: g.matmul(g.input("x", (2, 3, 2, 4)), g.parameter("y", (2, 3, 4, 1))),
    "sum-vector": lambda g: g.sum(g.parameter("x", (3,))),
    "sum-3d": lambda g: g.sum(g.input("x", (2, 3, 4))),
    "cumsum-3d": lambda g: g.cumsum(g.input("x", (2, 3, 4))),
    "cumsum-one": lambda g: g.cumsum(g.parameter("x", (1,))),
    "dropout-shared": lambda g: g.dropout(g.input("x", (2, 3, 4)), mask=np.arange(4) != 2, rate=0.1),
    "dropout-keeps-all": lambda g: g.dropout(g.parameter("x", (2, 2)), mask=[[True, True]] * 2, rate=0),
    "low_rank-3d": lambda g: g.low_rank_affine(g.input("z", (2, 3, 4)), g.parameter("U", (5, 2)), g.parameter("V", (2, 4)), g.parameter("b", (5,))),
    "low_rank-vector": lambda g: g.low_rank_affine(g.input("z", (4,)), g.parameter("U", (5, 1)), g.parameter("V", (1, 4)), g.parameter("b", (5,))),
    "conv1d-stride": lambda g: g.conv1d(g.input("x", (2, 2, 7)), g.parameter("W", (3, 2, 2)), stride=3),
    "conv1d-stride-padding": lambda g: g.conv1d(g.input("x", (2, 2, 6)), g.parameter("W", (3, 2, 3)), stride=2, padding=2),
    "conv1d-wide-padding": lambda g: g.conv1d(g.parameter("x", (1, 1, 2)), g.input("W", (1, 1, 2)), padding=3),
    "conv1d-kernel-beyond": lambda g: g.conv1d(g.input("x", (2, 1, 2)), g.parameter("W", (2, 1, 4)), padding=1),
    "conv1d-one": lambda g: g.conv1d(g.input("x", (1, 1, 1)), g.parameter("W", (1, 1, 1))),
    "conv2d-channels": lambda g: g.conv2d(g.input("x", (2, 3, 4, 5)), g.parameter("W", (2, 3, 2, 3))),
    "conv2d-stride-padding": lambda g: g.conv2d(g.parameter("x", (2, 2, 4, 3)), g.parameter("W", (3, 2, 3, 2)), stride=(2, 1), padding=(1, 0)),
    "max_pool-overlap": lambda g: g.max_pool(g.input("x", (2, 7)), window=3, stride=2),
    "max_pool-gaps": lambda g: g.max_pool(g.parameter("x", (7,)), window=2, stride=3),
    "max_pool-2d": lambda g: g.max_pool(g.input("x", (2, 3, 4, 5)), window=(2, 2), stride=(2, 1)),
    "max_pool-all-axes": lambda g: g.max_pool(g.input("x", (4, 4)), window=(2, 2)),
    "avg_pool-overlap": lambda g: g.avg_pool(g.input("x", (2, 7)), window=3, stride=2),
    "avg_pool-2d": lambda g: g.avg_pool(g.input("x", (2, 3, 4, 5)), window=(2, 2), stride=(1, 2)),
    "channel_bias-2d": lambda g: g.channel_bias(g.input("x", (2, 3, 2, 2)), g.parameter("b", (3,))),
    "channel_bias-no-places": lambda g: g.channel_bias(g.parameter("x", (2, 3)), g.input("b", (3,))),
    "mse-vector": lambda g: g.mse(g.input("t", (3,)), g.input("target", (3,))),
    "cross_entropy-3d": lambda g: g.cross_entropy(g.input("t", (2, 3, 4)), g.input("target", (2, 3, 4), law="one_hot")),
}  # fmt: skip


def one_node(example, dtype="float64", rng_seed=0):
    """Return the only node of an example's graph, its output and its arguments' arrays."""
    g = GraphBuilder(dtype)
    output = EXAMPLES[example](g)
    graph = g.build(output, wrt=list(g.build(output).leaves))
    leaves = graph.sample(rng_seed)
    (node,) = graph.nodes
    xs = tuple(leaves[list(graph.leaves)[i]] for i in node.args)
    return graph, node, np.asarray(node.op.forward(NUMPY, *xs, **node.attrs)), xs


each_example = pytest.mark.parametrize("example", EXAMPLES)
each_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def test_every_op_has_an_entry_that_documents_itself():
    for name, op in OPS.items():
        assert op.name == name
        assert op.source
        assert callable(getattr(GraphBuilder(), name))


def test_masked_examples_reach_every_way():
    """Dense product and selection, one gathering, several: the sizes at which they part may have been changed."""
    places = {name: one_node(name)[1].sites[1].n_in for name in EXAMPLES if name.startswith("masked")}
    assert places["masked-gathered"] < DENSE_FROM * 20 * 20
    assert places["masked-3d"] >= DENSE_FROM * 5 * 4
    assert places["masked-chunks"] * 3 > CHUNK


@pytest.mark.parametrize(
    "example", sorted(EXAMPLES.keys() - {"masked-chunks"})
)  # 5,000 entries are too many to move one by one
def test_jacobian_is_the_derivative(example):
    """Each column of J, from a central difference in each entry of the argument."""
    _, node, y, xs = one_node(example)
    h = 1e-6
    for k, site in enumerate(node.sites):
        J = dense.materialize(node.op.argument(k).jacobian, y, xs, site)
        for i in range(site.n_in):
            step = np.zeros(site.n_in)
            step[i] = h
            ends = [
                np.asarray(
                    node.op.forward(NUMPY, *xs[:k], xs[k] + way * step.reshape(site.x), *xs[k + 1 :], **node.attrs)
                )
                for way in (1, -1)
            ]
            np.testing.assert_allclose(J[:, i], ((ends[0] - ends[1]) / (2 * h)).reshape(-1), rtol=1e-6, atol=1e-8)


@each_dtype
@each_example
def test_vjp_is_the_adjoint_of_the_jacobian(example, dtype):
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for three u at once, Jᵀ u by the vjp rule."""
    _, node, y, xs = one_node(example, dtype)
    rng = np.random.default_rng(1)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for k, site in enumerate(node.sites):
        u, v = rng.standard_normal((3, *site.out)).astype(dtype), rng.standard_normal(site.x).astype(dtype)
        J = dense.materialize(node.op.argument(k).jacobian, y, xs, site)
        x_bar = node.op.argument(k).vjp(u, y, xs, site)
        assert x_bar.shape == (3, *site.x)
        scale = np.abs(u).reshape(3, -1) @ np.abs(J) @ np.abs(v).reshape(-1)
        left, right = u.reshape(3, -1) @ (J @ v.reshape(-1)), x_bar.reshape(3, -1) @ v.reshape(-1)
        assert np.all(np.abs(left - right) <= tolerance * (scale + 1))


@each_dtype
@each_example
def test_dense_and_sparse_rules_agree(example, dtype):
    _, node, y, xs = one_node(example, dtype)
    for k, site in enumerate(node.sites):
        jacobian = node.op.argument(k).jacobian
        pattern = jacobian.structure.pattern(site)
        J = dense.materialize(jacobian, y, xs, site)
        S = sparse.materialize(jacobian, pattern, y, xs, site)
        blocks = dense.materialize_blocks(jacobian, y, xs, site)
        assert J.shape == S.shape == (site.n_out, site.n_in)
        np.testing.assert_array_equal(J, S.toarray())
        np.testing.assert_array_equal(J, scipy_sparse.block_diag(list(blocks)).toarray())


@each_example
def test_pattern_holds_what_it_says(example):
    _, node, y, xs = one_node(example)
    for k, site in enumerate(node.sites):
        jacobian = node.op.argument(k).jacobian
        pattern = jacobian.structure.pattern(site)
        S = sparse.materialize(jacobian, pattern, y, xs, site)
        assert jacobian.structure.n_nonzeros(site) == S.nnz == pattern.indices.size == pattern.indptr[-1]
        assert pattern.indices.dtype == pattern.indptr.dtype == np.int32
        assert pattern.indices.nbytes + pattern.indptr.nbytes == index_bytes(site.n_out, site.n_in, S.nnz)
        assert pattern.indptr[0] == 0
        assert np.all(np.diff(pattern.indptr) >= 0)
        assert np.all((pattern.indices >= 0) & (pattern.indices < site.n_in))
        ascending = np.diff(pattern.indices.astype(int)) > 0
        ascending[pattern.indptr[1:-1][(pattern.indptr[1:-1] > 0) & (pattern.indptr[1:-1] < S.nnz)] - 1] = True
        assert np.all(ascending)
        assert S.has_canonical_format
        np.testing.assert_array_equal(pattern.rows, S.tocoo().coords[0])


@each_example
def test_matrices_own_their_values(example):
    """A materialized Jacobian is no view of a primal, and writing it changes no other."""
    _, node, y, xs = one_node(example)
    for k, site in enumerate(node.sites):
        jacobian = node.op.argument(k).jacobian
        pattern = jacobian.structure.pattern(site)
        S = sparse.materialize(jacobian, pattern, y, xs, site)
        J = dense.materialize(jacobian, y, xs, site)
        for values in (S.data, J):
            assert values.flags.writeable
            assert not any(np.may_share_memory(values, primal) for primal in (y, *xs))
        assert np.shares_memory(S.indices, pattern.indices)


@each_example
def test_nothing_upcasts(example):
    _, node, y, xs = one_node(example, "float32")
    assert y.dtype == np.float32
    assert np.asarray(node.op.forward(NUMPY, *xs, **node.attrs)).dtype == np.float32
    for k, site in enumerate(node.sites):
        argument = node.op.argument(k)
        assert argument.vjp(np.ones((2, *site.out), np.float32), y, xs, site).dtype == np.float32
        assert argument.jacobian.values(y, xs, site).dtype == np.float32
        assert dense.materialize(argument.jacobian, y, xs, site).dtype == np.float32
        pattern = argument.jacobian.structure.pattern(site)
        assert sparse.materialize(argument.jacobian, pattern, y, xs, site).dtype == np.float32


@each_example
def test_rules_write_nothing_and_read_what_they_said(example):
    """Arrays are read-only; primals that a rule did not say it keeps are None, as under the strategy `vjp`."""
    _, node, y, xs = one_node(example)
    for array in (y, *xs):
        array.flags.writeable = False
    node.op.forward(NUMPY, *xs, **node.attrs)
    for k, site in enumerate(node.sites):
        argument = node.op.argument(k)
        u = np.random.default_rng(2).standard_normal((2, *site.out))
        u.flags.writeable = False
        in_full = argument.vjp(u, y, xs, site)
        kept = tuple(x if i in argument.keeps else None for i, x in enumerate(xs))
        np.testing.assert_array_equal(argument.vjp(u, y if OUTPUT in argument.keeps else None, kept, site), in_full)
        argument.jacobian.values(y, xs, site)
        dense.materialize(argument.jacobian, y, xs, site)


@each_example
def test_fresh_values_fill_the_extent_and_share_nothing(example):
    _, node, y, xs = one_node(example)
    for k, site in enumerate(node.sites):
        jacobian = node.op.argument(k).jacobian
        if jacobian.fresh:
            values = jacobian.values(y, xs, site)
            assert values.size == jacobian.structure.n_nonzeros(site)
            assert not any(np.may_share_memory(values, primal) for primal in (y, *xs))


@each_example
def test_counts_are_whole_numbers(example):
    _, node, *_ = one_node(example)
    assert node.op.flops(node.sites[0]) >= 0
    for k, site in enumerate(node.sites):
        argument = node.op.argument(k)
        counts = (argument.flops(site), argument.jacobian.flops(site), argument.jacobian.structure.n_nonzeros(site))
        assert all(isinstance(count, int) and count >= 0 for count in counts)


def test_a_missing_rule_is_named_and_only_where_it_is_needed():
    op = replace(OPS["multiply"], name="gate", arguments=(OPS["multiply"].arguments[0], None))
    g = GraphBuilder()
    x, y = g.input("x", (2, 3)), g.parameter("y", (2, 3))
    value = g._apply(op, x, y)
    load("vjp").prepare(g.build(value, wrt=["x"]))
    with pytest.raises(NotImplementedError, match="op 'gate' has no backward rule for argument 1"):
        load("vjp").prepare(g.build(value, wrt=["y"]))
    with pytest.raises(NotImplementedError, match="op 'tanh' has no backward rule for argument 1"):
        OPS["tanh"].argument(1)


def test_indices_are_wide_only_where_they_must_be():
    assert index_dtype(INT32_MAX) is np.int32
    assert index_dtype(3, INT32_MAX + 1) is np.int64
    assert index_bytes(2, 3, 4) == 4 * (4 + 3)
    assert index_bytes(2, 2**31, 4) == 8 * (4 + 3)
    assert index_bytes(2**31, 3, 4) == 8 * (4 + 2**31 + 1)  # as scipy, which goes by the longer side


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
        got = OPS[name].forward(NUMPY, x)
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
        ("channel_bias", [X.reshape(1, 2, 2), np.array([10.0, 20.0])], {}, [[[11, 12], [24, 23]]]),
        ("permute", [X], {"order": [2, 0, 3, 1]}, [[4, 1, 3, 2]]),
        ("flip", [X], {}, [[3, 4, 2, 1]]),
        ("reshape", [X], {"shape": (2, -1)}, [[1, 2], [4, 3]]),
        ("transpose", [X], {"axes": (1, 0)}, [[1], [2], [4], [3]]),
        ("pad", [X], {"before": 1, "after": 2}, [[0, 1, 2, 4, 3, 0, 0]]),
        ("embedding", [X.T], {"indices": [[2, 2], [0, 1]]}, [[[4], [4]], [[1], [2]]]),
        ("cross", [np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]])], {}, [[0, 0, 1]]),
        ("dot", [X, X], {}, [30]),
        ("outer", [X[:, :2], X[:, 2:]], {}, [[[4, 3], [8, 6]]]),
        ("matmul", [X, X.T], {}, [[30]]),
        ("sum", [X], {}, [10]),
        ("mean", [X], {}, [2.5]),
        ("cumsum", [X], {}, [[1, 3, 7, 10]]),
        ("dropout", [X], {"mask": [True, False, True, False], "rate": 0.5}, [[2, 0, 8, 0]]),
        ("low_rank_affine", [X, np.ones((1, 1)), np.ones((1, 4)), np.ones(1)], {}, [[11]]),
        # No mirrored kernel: a correlation, not what mathematics calls a convolution.
        ("conv1d", [X[None], np.array([[[1.0, 10.0]]])], {}, [[[21, 42, 34]]]),
        ("conv1d", [X[None], np.array([[[1.0, 10.0]]])], {"stride": 2, "padding": 1}, [[[10, 42, 3]]]),
        ("conv2d", [X.reshape(1, 1, 2, 2), np.array([[[[1.0, 10.0]]]])], {}, [[[[21], [34]]]]),
        ("max_pool", [X], {"window": 2}, [[2, 4]]),
        ("max_pool", [X], {"window": 2, "stride": 1}, [[2, 4, 4]]),
        ("avg_pool", [X.reshape(1, 2, 2)], {"window": (2, 2)}, [[[2.5]]]),
    ],
)
def test_new_values_are_those_of_the_definitions(op, args, attrs, expected):
    g = GraphBuilder()
    leaves = {f"p{k}": arg for k, arg in enumerate(args)}
    value = getattr(g, op)(*(g.parameter(name, arg.shape) for name, arg in leaves.items()), **attrs)
    output = g.build(value).evaluate(leaves)
    assert output.shape == value.shape == np.shape(expected)
    np.testing.assert_allclose(output, expected, rtol=1e-15)


@pytest.mark.parametrize(
    "name", [name for name, op in OPS.items() if op.shape is OPS["tanh"].shape and len(op.arguments) == 1]
)
def test_far_out_nothing_overflows(name):
    """At ±700 in float64 and ±80 in float32 forward and backward stay finite, and nothing warns."""
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
        ("add", [(3, 4), (3, 5)], {}, r"add: arguments have shapes \(3, 4\) and \(3, 5\): expected equal shapes"),
        ("concat", [(3, 4), (2, 4)], {}, r"concat: .*expected shapes that differ in the last axis only"),
        ("concat", [(), ()], {}, "expected shapes that differ in the last axis only"),
        ("softmax", [()], {}, "softmax: the argument is a scalar: expected at least one axis"),
        ("mse", [(), ()], {}, "the argument is a scalar"),
        ("mse", [(2, 3), (2, 1)], {}, "expected equal shapes"),
        ("scale", [(2,)], {"factor": "2"}, "scale: the factor is '2': expected a number"),
        ("scale", [(2,)], {"factor": float("nan")}, "the factor is nan: expected a finite number"),
        ("scale", [(2,)], {"faktor": 2}, "unknown attribute of scale 'faktor': .*did you mean 'factor'"),
        ("tanh", [(2,)], {"factor": 2}, "unknown attribute of tanh 'factor'"),
        ("masked_affine", [(3, 4), (2,), (5,)], {}, r"masked_affine: the mask has shape \(\): expected a boolean"),
        ("masked_affine", [(3, 4), (2,), (5,)], {"mask": np.zeros((5, 4), bool)}, "the mask has no place"),
        (
            "permute",
            [(2, 3)],
            {"order": [0, 2, 2]},
            r"permute: the order is \[0, 2, 2\]: expected each of 0 … n − 1 once",
        ),
        ("permute", [(2, 3)], {}, "the order is None: expected each of"),
        ("permute", [(2, 3)], {"order": [1, 0]}, r"shape \(2, 3\) and the order 2 places: expected a last axis of 2"),
        (
            "reshape",
            [(2, 3)],
            {"shape": (4, 2)},
            r"shape \(2, 3\), 6 entries: expected a shape of as many, got \(4, 2\)",
        ),
        ("reshape", [(2, 3)], {"shape": (-1, -1)}, "expected a shape of as many"),
        ("reshape", [(2, 3)], {"shape": (-2, -3)}, "expected a shape of as many"),
        ("transpose", [(2, 3)], {"axes": (0, 0)}, "the axes are .* expected each of 0 … 1 once"),
        ("transpose", [(2, 3)], {"axes": (0, 1, 2)}, r"shape \(2, 3\): expected as many axes, got \(0, 1, 2\)"),
        ("pad", [(2, 3)], {"before": -1}, "pad: before is -1: expected 0 or more"),
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
            r"shape \(2, 3\), the mask \(2,\): expected a mask over the last axes",
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
            r"a kernel \(8,\) does not fit into \(5,\) with a padding of \(1,\)",
        ),
        (
            "conv2d",
            [(2, 3, 5, 5), (4, 3, 2, 2)],
            {"stride": (1, 0)},
            "the stride is .* a number for each of 2 axes, each 1 or more",
        ),
        (
            "conv2d",
            [(2, 3, 5, 5), (4, 3, 2, 2)],
            {"padding": (1, 1, 1)},
            "the padding is .* for each of 2 axes, each 0 or more",
        ),
        ("max_pool", [(2, 3)], {"window": 4}, r"a window \(4,\) does not fit into an argument of shape \(2, 3\)"),
        ("max_pool", [(3,)], {"window": (2, 2)}, "expected an axis for each of its lengths"),
        ("avg_pool", [(2, 3)], {}, r"the window is \(\): expected one length, or two"),
        (
            "masked_affine",
            [(3, 4), (2,), (5,)],
            {"mask": np.eye(5, 4, dtype=bool)},
            r"do not fit a mask \(5, 4\) with 4 places: expected z \(…, 4\), v \(4,\), b \(5,\)",
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
    graph = g.build(g.scale(g.input("x", (1, 2)), factor=factor))
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
