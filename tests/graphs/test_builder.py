"""Graph builder: values, accepted arguments and error messages."""

import numpy as np
import pytest

from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput, unknown
from jacobench.graphs.ops import OPS


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
    second = g.build(g.add(x, y))
    assert list(first.leaves) == ["x"]
    assert list(second.leaves) == ["x", "y"]
    assert second.wrt == ()


def test_a_shared_value_is_computed_once():
    g = GraphBuilder()
    value = g.input("x", (1, 1))
    for _ in range(60):
        value = g.add(value, value)  # 2**60 paths
    graph = g.build(value)
    assert len(graph.nodes) == 60
    assert graph.evaluate({"x": np.ones((1, 1))}) == 2.0**60


def test_nodes_come_after_their_arguments():
    g = GraphBuilder()
    x = g.input("x", (2, 3))
    a = g.tanh(x)
    b = g.add(g.sin(a), a)
    graph = g.build(g.concat(b, a, g.multiply(b, x)))
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
    assert g.build(x, wrt=[]).wrt == ()
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
    assert [ctx.samples for ctx in g.build(made).nodes[-1].contexts] == samples


def test_every_op_is_a_method():
    for name, op in OPS.items():
        g = GraphBuilder()
        value = op.example(g)
        assert g.build(value).nodes[-1].op is getattr(g, name).args[0] is op


def test_an_unknown_op_is_named_with_the_nearest():
    with pytest.raises(AttributeError, match=r"unknown op 'tahn': expected one of add, .*; did you mean 'tanh'"):
        _ = GraphBuilder().tahn
    with pytest.raises(AttributeError):
        _ = GraphBuilder()._tanh


def build_with(**changes):
    g = GraphBuilder(changes.get("dtype", "float64"))
    x = g.input("x", changes.get("x", (2, 3)))
    changes.get("then", lambda _g, _x: None)(g, x)
    return g.build(changes.get("output", x), wrt=changes.get("wrt"))


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
        ({"x": ()}, r"input 'x' has shape \(\): expected a leading batch axis"),
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
        ({"then": lambda g, _x: g.input("y", (5, 3))}, "input 'y' has a leading axis of 5: expected the batch, 2"),
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
        ({"wrt": ["y"]}, "unknown leaf in wrt 'y': expected one of x"),
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
    with pytest.raises(BadInput, match="expected the batch, 2"):
        g.input("y", (5, 3))
    y = g.input("y", (2, 3))
    assert list(g.build(y).leaves) == ["x", "y"]


def test_an_unknown_name_with_no_near_one_gets_no_hint():
    assert str(unknown("op", "zzz", ["b", "a"])) == "unknown op 'zzz': expected one of a, b"
    assert str(unknown("op", "ad", ["add"])) == "unknown op 'ad': expected one of add; did you mean 'add'?"
