"""`from_jax`: names, constants, dtypes, loops, what is removed, and what cannot be imported."""

import threading
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jacobench.graphs.errors import BadInput, Unsupported
from jacobench.graphs.importers.from_jax import from_jax
from jacobench.strategies.registry import load

X = np.arange(1.0, 7.0).reshape(2, 3)


class Layer(NamedTuple):
    w: Any
    b: Any


def op_names(graph):
    return [node.op.name for node in graph.nodes]


def first(x, *others, **more):
    return jnp.sin(x)


def test_leaves_are_named_after_arguments_and_paths():
    def model(params, x, *rest):
        return params["layer1"].w * x + params["list"][0][1] + rest[1]

    params = {"layer1": Layer(X, np.zeros(3)), "list": [(np.zeros(3), np.ones(3))], "7": {7: np.ones(1)}}
    graph, leaves = from_jax(model, params, X, np.ones(3), 2.5, argnums=(1, -2))
    names = ["params.7.7", "params.layer1.w", "params.layer1.b", "params.list.0.0", "params.list.0.1"]
    assert sorted(leaves) == sorted([*names, "x", "rest.0", "rest.1"])
    assert list(leaves) == list(graph.leaves)
    assert graph.wrt == ("x", "rest.0")
    assert {leaf.role for leaf in graph.leaves.values()} == {"input"}
    assert leaves["rest.1"].shape == ()
    assert leaves["rest.1"] == 2.5
    np.testing.assert_allclose(graph.evaluate(leaves), X * X + 3.5)


def test_wrt_overrides_argnums():
    assert from_jax(first, X, X)[0].wrt == ("x",)
    assert from_jax(jnp.dot, X, X.T, argnums=1)[0].wrt == ("b",)
    assert from_jax(jnp.dot, X, X.T, wrt="inputs")[0].wrt == ("a", "b")
    assert from_jax(jnp.dot, X, X.T, wrt=["b"])[0].wrt == ("b",)
    with pytest.raises(
        BadInput, match=r"selects no leaf: expected 'inputs', 'parameters', 'all' or names, of x \(input\)"
    ):
        from_jax(first, X, wrt="parameters")


def test_a_leaf_that_the_output_does_not_need_has_derivative_zero():
    graph, leaves = from_jax(lambda p: jnp.cos(p["a"]), {"a": X, "unused": X})
    bars = load("vjp").prepare(graph).linearize(leaves).pullback(np.ones((1, 2, 3)))
    np.testing.assert_allclose(bars["p.a"][0], -np.sin(X))
    assert not bars["p.unused"].any()


def test_leaves_are_copies_of_the_arguments():
    given = X.copy()
    _, leaves = from_jax(first, given)
    leaves["x"][...] = 0
    np.testing.assert_array_equal(given, X)


def test_float64_stays_float64_and_settings_are_unchanged():
    seen = []

    def model(x):
        seen.append(jnp.asarray(x).dtype)
        return jnp.sin(x) * jnp.arange(3) * 0.1

    assert not jax.config.jax_enable_x64
    graph, leaves = from_jax(model, X)
    assert graph.dtype == leaves["x"].dtype == seen[0] == np.float64
    np.testing.assert_allclose(graph.evaluate(leaves), np.sin(X) * [0, 0.1, 0.2], rtol=1e-15)
    assert not jax.config.jax_enable_x64
    with jax.enable_x64(True):
        graph, leaves = from_jax(model, X.astype(np.float32))
        assert graph.dtype == leaves["x"].dtype == seen[1] == np.float32
        assert jax.config.jax_enable_x64


def test_dtype_converts_a_model():
    single = X.astype(np.float32)
    graph, leaves = from_jax(lambda x, y: x * 0.1 + y, single, 2, dtype="float64")
    assert graph.dtype == leaves["x"].dtype == np.float64
    np.testing.assert_allclose(graph.evaluate(leaves), X * 0.1 + 2, rtol=1e-15)
    assert from_jax(first, X, dtype="float32")[0].dtype == np.float32
    with pytest.raises(BadInput, match=r"several dtypes: x \(float32\) and others.0 \(float64\); expected one"):
        from_jax(first, single, X)
    with pytest.raises(BadInput, match="has dtype bfloat16: expected float32 or float64"):
        from_jax(first, jnp.ones(3, jnp.bfloat16))
    with pytest.raises(Unsupported, match=r"convert_element_type to float32 \(<lambda>, line"):
        from_jax(lambda x: x.astype(jnp.float32), X)
    assert op_names(from_jax(lambda x: jnp.sin(x.astype(jnp.float32)), X, dtype="float64")[0]) == ["sin"]


def test_integers_closures_and_defaults_are_constants():
    weights = np.array([1.0, 2.0, 3.0])

    def model(x, ids, n, scale=0.5, flag=True):
        return (x[:, ids] * weights * scale) ** n if flag else x

    graph, leaves = from_jax(model, X, np.array([2, 0, 0]), 2)
    assert list(leaves) == ["x"]
    np.testing.assert_allclose(graph.evaluate({"x": 2 * X}), (2 * X[:, [2, 0, 0]] * weights * 0.5) ** 2)


def test_one_node_per_equation():
    def model(x, w):
        unused = jnp.exp(w)  # noqa: F841
        return jnp.tanh(x) * w + jnp.tanh(x) * np.exp(1.0) + jnp.exp(jnp.ones(3))

    graph, _ = from_jax(model, X, X)
    assert op_names(graph) == ["tanh", "multiply", "tanh", "multiply", "add", "add"]
    assert "exp" in graph.origin.removed
    assert graph.origin.library == "jax"
    assert graph.origin.library_seconds > 0
    assert graph.origin.conversion_seconds > 0


def test_outputs_are_joined_and_one_keeps_its_shape():
    assert from_jax(jnp.sum, X)[0].output_shape == ()
    assert from_jax(lambda x: (x,), X)[0].output_shape == (2, 3)
    graph, leaves = from_jax(lambda x: {"b": x.sum(), "a": (x, jnp.ones(2))}, X)
    np.testing.assert_allclose(graph.evaluate(leaves), [*X.reshape(-1), 1, 1, 21])
    graph, leaves = from_jax(lambda _x: jnp.ones(3), X)
    np.testing.assert_array_equal(graph.evaluate(leaves), np.ones(3))
    with pytest.raises(BadInput, match="output 1 of the JAX function is bool: expected floating-point numbers"):
        from_jax(lambda x: (x, x > 0), X)
    with pytest.raises(BadInput, match="returns no array with entries"):
        from_jax(lambda _x: None, X)


def test_loops_whose_condition_depends_on_no_leaf_are_unrolled():
    def model(x, n):
        doubled = jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, 2 * c[1]), (n, x))[1]
        chosen = jax.lax.cond(n > 0, jnp.sin, jnp.cos, doubled)
        return jax.jit(lambda m: jax.lax.fori_loop(0, m, lambda k, y: y + k, chosen))(n)

    graph, leaves = from_jax(model, X, 1)
    np.testing.assert_allclose(graph.evaluate(leaves), np.sin(4 * X), rtol=1e-14)
    assert op_names(graph) == ["multiply", "multiply", "sin", "add"]


def test_counts_of_comparisons_and_choices_by_them_are_piecewise_constant():
    def model(x):
        chosen = jax.vmap(lambda row: jax.lax.cond(row[0] > 2, jnp.sin, jnp.cos, row))(x)
        named = jnp.select([x > 5, x > 2], [x**2, -x], 3.0)
        return chosen * (x > 2).sum() + named + x * jnp.any(x > 5, axis=1, keepdims=True)

    graph, leaves = from_jax(model, X)
    expected = np.stack([np.cos(X[0]), np.sin(X[1])]) * 4 + np.where(X > 5, X**2, np.where(X > 2, -X, 3.0))
    expected[1] += X[1]
    np.testing.assert_allclose(graph.evaluate(leaves), expected, rtol=1e-14)
    slopes = np.stack([-np.sin(X[0]), np.cos(X[1]) + 1 / 4]) * 4 + np.where(X > 5, 2 * X, np.where(X > 2, -1.0, 0.0))
    bars = load("vjp").prepare(graph).linearize(leaves).pullback(np.ones((1, 2, 3)))
    np.testing.assert_allclose(bars["x"][0], slopes, rtol=1e-14)


def test_everything_unsupported_is_listed_once_with_its_place():
    def helper(x):
        return jnp.sort(x) + jnp.sort(-x)

    def model(x):
        index = jnp.argmax(x)
        y = jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x)
        z = jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, y)
        unused = jax.scipy.special.digamma(x)  # noqa: F841
        return helper(z) + x[index] + jnp.fft.rfft(x).real[0]

    with pytest.raises(Unsupported) as caught:
        from_jax(model, np.ones(4))
    message = str(caught.value)
    for name in (
        "sort (helper, line",
        "argmax (model, line",
        "while (model, line",
        "cond (model, line",
        "fft (model, line",
    ):
        assert message.count(name) == 1
    assert "digamma" not in message
    assert "/" not in message.replace("docs/models.md", "")
    assert "\n" not in message


@jax.custom_vjp
def straight_through(x):
    return jnp.round(x)


straight_through.defvjp(lambda x: (jnp.round(x), None), lambda _, y_bar: (y_bar,))


def test_a_custom_rule_must_be_the_derivative():
    """A rule that is, such as one for large arguments, is replaced by the derivative of the equations."""
    with pytest.raises(Unsupported, match=r"not the derivative, custom_vjp_call of straight_through \(<lambda>, line"):
        from_jax(lambda x: straight_through(x) * 2, X)


def test_control_flow_of_python_on_a_leaf_is_unsupported():
    with pytest.raises(Unsupported, match=r"control flow of the JAX function depends on its arguments: .*boolean"):
        from_jax(lambda x: x if x.sum() > 0 else -x, X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(from_jax, 3, X), "the function is 3: expected a function of JAX"),
        (partial(from_jax, first, X, argnums=1), "argnums is 1 for 1 arguments: expected numbers from 0 to 0"),
        (partial(from_jax, first, X, argnums="x"), "argnums is 'x': expected positions of arguments"),
        (partial(from_jax, first, 3), "argnums = 0 selects no floating-point array"),
        (partial(from_jax, first, X, dtype="float16"), "unknown dtype 'float16'"),
        (partial(from_jax, first, X, wrt=["y"]), "unknown leaf in wrt 'y'"),
        (partial(from_jax, lambda p: p["a"]["b"], {"a": {"b": X}, "a.b": X}), "leaf 'p.a.b' already exists"),
        (partial(from_jax, jnp.matmul, X, X), "the JAX function raises TypeError for these arguments: dot_general"),
        (partial(from_jax, jnp.sum, np.ones((0, 2))), r"leaf 'a' has shape \(0, 2\): expected lengths of 1 or more"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(call, message):
    with pytest.raises(BadInput, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_original_function_is_that_of_the_leaves():
    graph, leaves = from_jax(lambda x, w, n: (jnp.tanh(x) @ w, w.sum() * n), X, np.ones((3, 2)), 2, argnums=(0, 1))
    with jax.enable_x64(True):
        np.testing.assert_allclose(graph.origin.evaluate(leaves), graph.evaluate(leaves), rtol=1e-14)


def test_an_import_in_a_thread_leaves_other_threads_alone():
    found = []
    thread = threading.Thread(target=lambda: found.append(from_jax(first, X)[0].dtype))
    thread.start()
    thread.join()
    assert found == [np.float64]
    assert jnp.asarray(X).dtype == np.float32


@pytest.mark.long
@pytest.mark.parametrize("n_steps", [4000])
def test_thousands_of_nodes_are_built_in_linear_time(n_steps):
    def model(x):
        return jax.lax.scan(lambda c, _: (jnp.sin(c) * 0.9 + c, None), x, None, length=n_steps)[0]

    graph, leaves = from_jax(model, np.ones(3))
    assert len(graph.nodes) == 3 * n_steps
    assert len(graph.constants) == 1
    assert np.all(np.isfinite(load("vjp").prepare(graph).linearize(leaves).pullback(np.ones((1, 3)))["x"]))
