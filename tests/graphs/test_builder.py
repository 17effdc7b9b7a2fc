"""Graph builder: values, accepted arguments and error messages."""

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput, unknown
from jacobench.graphs.ops import OPS
from jacobench.strategies import registry


def test_a_graph_keeps_all_leaves_and_only_the_nodes_that_it_needs():
    g = GraphBuilder()
    x, W = g.input("x", (2, 3)), g.parameter("W", (4, 3))
    g.tanh(W)
    graph = g.build(g.tanh(x))
    assert list(graph.leaves) == ["x", "W"]
    assert [node.op.name for node in graph.nodes] == ["tanh"]
    assert graph.wrt == ("W",)


def test_one_builder_makes_several_graphs():
    g = GraphBuilder()
    x = g.input("x", (2, 3))
    first = g.build(g.tanh(x), wrt=["x"])
    y = g.input("y", (2, 3))
    second = g.build(g.add(x, y), wrt="all")
    assert list(first.leaves) == ["x"]
    assert list(second.leaves) == ["x", "y"]
    assert second.wrt == ("x", "y")


def test_a_shared_value_is_computed_once():
    g = GraphBuilder()
    value = g.input("x", (1, 1))
    for _ in range(60):
        value = g.add(value, value)  # 2**60 paths
    graph = g.build(value, wrt="all")
    assert len(graph.nodes) == 60
    assert graph.evaluate({"x": np.ones((1, 1))}) == 2.0**60


def test_nodes_come_after_their_arguments():
    g = GraphBuilder()
    x = g.input("x", (2, 3))
    a = g.tanh(x)
    b = g.add(g.sin(a), a)
    graph = g.build(g.concat(b, a, g.multiply(b, x)), wrt="all")
    for number, node in enumerate(graph.nodes, len(graph.leaves)):
        assert all(arg < number for arg in node.args)
    assert graph.output == len(graph.leaves) + len(graph.nodes) - 1


def test_a_leaf_may_be_the_output():
    g = GraphBuilder()
    x = g.input("x", (2, 3))
    g.parameter("W", (4, 3))
    graph = g.build(x)
    assert graph.nodes == ()
    assert graph.output_shape == (2, 3)


def test_wrt_is_kept_in_the_order_given_and_once():
    g = GraphBuilder()
    x = g.tanh(g.add(g.input("x", (2, 3)), g.parameter("p", (2, 3))))
    assert g.build(x, wrt=["p", "x", "p"]).wrt == ("p", "x")
    assert g.build(x, wrt=iter(["x"])).wrt == ("x",)


@pytest.mark.parametrize(
    ("value", "batched", "samples"),
    [
        (lambda g, x, _p: g.tanh(x), True, [3]),
        (lambda g, x, p: g.add(x, p), True, [3, 1]),
        (lambda g, _x, p: g.multiply(p, p), False, [1, 1]),
        (lambda g, x, _p: g.affine(x, g.parameter("W", (5, 4)), g.parameter("b", (5,))), True, [3, 1, 1]),
        (lambda g, x, _p: g.affine(x, x, g.input("b", (3,))), True, [3, 1, 1]),
        (lambda g, x, p: g.affine(p, x, g.input("b", (3,))), False, [1, 1, 1]),
        (lambda g, _x, _p: g.concat(g.input("u", (3,)), g.input("v", (3,))), False, [1, 1]),
        (lambda g, _x, _p: g.softmax(g.input("u", (3,))), False, [1]),
        (lambda g, x, p: g.mse(x, p), False, [1, 1]),
    ],
)
def test_the_batch_is_followed_only_where_samples_do_not_mix(value, batched, samples):
    g = GraphBuilder()
    made = value(g, g.input("x", (3, 4)), g.parameter("p", (3, 4)))
    assert made.batched == batched
    assert [ctx.samples for ctx in g.build(made, wrt="all").nodes[-1].contexts] == samples


def test_every_op_is_a_method():
    for name, op in OPS.items():
        g = GraphBuilder()
        value = op.example(g)
        assert getattr(g, name).args[0] is op
        assert op in [node.op for node in g.build(value, wrt="all").nodes]


def test_an_unknown_op_is_named_with_the_nearest():
    with pytest.raises(AttributeError, match=r"unknown op 'tahn': expected one of abs, add, .*; did you mean 'tan'"):
        _ = GraphBuilder().tahn
    with pytest.raises(AttributeError):
        _ = GraphBuilder()._tanh


def build_with(**changes):
    g = GraphBuilder(changes.get("dtype", "float64"))
    x = g.input("x", changes.get("x", (2, 3)))
    changes.get("then", lambda _g, _x: None)(g, x)
    return g.build(changes.get("output", x), wrt=changes.get("wrt", "inputs"))


def foreign(depth=1):
    g = GraphBuilder()
    value = g.input("x", (2, 3))
    for _ in range(depth):
        value = g.add(value, value)
    return value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "float46"}, "unknown dtype 'float46': expected one of float32, float64; did you mean 'float64'"),
        ({"dtype": "int64"}, "unknown dtype 'int64'"),
        ({"x": (0, 3)}, r"leaf 'x' has shape \(0, 3\): expected lengths of 1 or more"),
        ({"x": (2, -3)}, r"leaf 'x' has shape \(2, -3\): expected lengths of 1 or more"),
        ({"x": (2, 3.5)}, r"leaf 'x': its shape is \(2, 3.5\): expected a sequence of whole numbers"),
        ({"x": 6}, "leaf 'x': its shape is 6: expected a sequence of whole numbers"),
        ({"then": lambda g, _x: g.input("x", (2, 5))}, r"leaf 'x' already exists, with shape \(2, 3\)"),
        ({"then": lambda g, _x: g.parameter("x", (2, 5))}, "leaf 'x' already exists"),
        ({"then": lambda g, _x: g.parameter("W", (2, 0))}, "expected lengths of 1 or more"),
        ({"then": lambda g, _x: g.parameter("W", ["2"])}, "leaf 'W': its shape is .*expected a sequence of whole"),
        ({"then": lambda g, _x: g.parameter("W", (2,), fan_in=0)}, "'W' has fan_in 0: expected 1 or more"),
        ({"then": lambda g, _x: g.parameter("W", (2,), fan_in=-3)}, "'W' has fan_in -3: expected 1 or more"),
        ({"then": lambda g, _x: g.parameter("W", (2,), fan_in=0.5)}, "fan_in is 0.5: expected a whole number"),
        ({"wrt": []}, r"wrt = \[\] selects no leaf: expected 'inputs', 'parameters', 'all' or names, of x \(input\)"),
        (
            {"wrt": "parameters"},
            r"wrt = 'parameters' selects no leaf: expected 'inputs', 'parameters', 'all' or names, of x \(input\)",
        ),
        (
            {"wrt": "input"},
            "unknown leaf in wrt 'input': expected one of all, inputs, parameters, x; did you mean 'inputs'",
        ),
        ({"then": lambda g, _x: g.constant(["a"])}, "a constant has dtype <U1: expected floating-point numbers"),
        ({"then": lambda g, _x: g.tanh(g.constant([1, 2]))}, "argument 0 of tanh is int64: expected float64"),
        (
            {"then": lambda g, _x: g.input("y", (2, 3), distribution="one-hot")},
            "unknown distribution 'one-hot'.*did you mean 'one_hot'",
        ),
        ({"then": lambda g, _x: g.tanh(np.ones(3))}, r"tanh was given array.*: expected values of this builder"),
        ({"then": lambda g, _x: g.tanh(foreign())}, r"tanh was given Value\(.*: expected values of this builder"),
        ({"then": lambda g, _x: g.tanh(foreign(2000))}, "expected values of this builder"),
        ({"then": lambda g, _x: g.tanh()}, "tanh was given 0 arguments: expected 1"),
        ({"then": lambda g, x: g.add(x)}, "add was given 1 arguments: expected 2"),
        ({"then": lambda g, x: g.add(x, x, x)}, "add was given 3 arguments: expected 2"),
        ({"then": lambda g, _x: g.concat()}, "concat was given 0 arguments: expected 1 or more"),
        ({"then": lambda g, x: g.concat([x, x])}, r"concat was given \[Value\("),
        ({"output": foreign()}, r"output is Value\(shape=\(2, 3\), batched=True\): expected a value of this builder"),
        ({"output": "x"}, "output is 'x': expected a value of this builder"),
        ({"wrt": ["y"]}, "unknown leaf in wrt 'y': expected one of all, inputs, parameters, x"),
        ({"wrt": ["x", "X"]}, "unknown leaf in wrt 'X'"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        build_with(**changes)
    assert isinstance(caught.value, BadInput)
    assert "\n" not in str(caught.value)


def test_a_refused_leaf_leaves_nothing_behind():
    g = GraphBuilder()
    g.input("x", (2, 3))
    with pytest.raises(BadInput, match="expected lengths of 1 or more"):
        g.input("y", (0, 3))
    y = g.input("y", (5, 3))
    assert list(g.build(y, wrt="all").leaves) == ["x", "y"]


def test_leaves_may_be_scalars_and_have_any_leading_axis():
    g = GraphBuilder()
    x, y, s = g.input("x", (2, 3)), g.input("y", (5, 2)), g.input("s", ())
    graph = g.build(g.concat(g.reshape(g.matmul(y, x), shape=(15,)), g.reshape(g.tanh(s), shape=(1,))), wrt="all")
    leaves = graph.sample(0)
    expected = np.append(leaves["y"] @ leaves["x"], np.tanh(leaves["s"]))
    np.testing.assert_allclose(graph.evaluate(leaves), expected)


@pytest.mark.parametrize(
    ("wrt", "names"),
    [
        (None, ("W", "b")),
        ("parameters", ("W", "b")),
        ("inputs", ("x",)),
        ("all", ("x", "W", "b")),
        ("W", ("W",)),
        (["b", "x"], ("b", "x")),
    ],
)
def test_wrt_selects_by_role_or_name(wrt, names):
    g = GraphBuilder()
    x, W, b = g.input("x", (2, 3)), g.parameter("W", (4, 3)), g.parameter("b", (4,))
    y = g.affine(x, W, b)
    assert g.build(y, wrt=wrt).wrt == names
    if wrt is not None:
        graph = g.build(y, wrt="all").with_wrt(wrt)
        assert graph.wrt == names
        assert list(graph.leaves) == ["x", "W", "b"]


@pytest.mark.parametrize(
    "strategy", ["vjp", "dense", "sparse", "dense-blocks", "forward-dense", "forward-sparse", "linear-operator"]
)
def test_a_constant_is_a_value_but_no_leaf(strategy):
    given = np.array([[1.0, 2.0, 3.0]])
    g = GraphBuilder("float32")
    x, unused, c = g.input("x", (1, 3)), g.constant([4]), g.constant(given)
    graph = g.build(g.multiply(g.add(x, c), c), wrt="all")
    assert unused.dtype == np.int64
    assert list(graph.leaves) == ["x"]
    given[...] = 0  # the constant is a copy
    assert [array.tolist() for array in graph.constants] == [[[1, 2, 3]]]
    assert graph.constants[0].dtype == np.float32
    leaves = graph.sample(0)
    y = graph.evaluate(leaves)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, (leaves["x"] + [1, 2, 3]) * [1, 2, 3], rtol=1e-6)
    bars = registry.load(strategy).prepare(graph).linearize(leaves).pullback(np.ones((1, 1, 3), np.float32))
    np.testing.assert_allclose(bars["x"], [[[1, 2, 3]]], rtol=1e-6)


def test_an_unknown_name_with_no_near_one_gets_no_hint():
    assert str(unknown("op", "zzz", ["b", "a"])) == "unknown op 'zzz': expected one of a, b"
    assert str(unknown("op", "ad", ["add"])) == "unknown op 'ad': expected one of add; did you mean 'add'?"
