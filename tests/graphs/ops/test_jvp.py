"""The jvp rule of every op, against JAX and against the op's own vjp rule, for several tangents at once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from jacobench.graphs.arrays.namespaces import NUMPY, namespace
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.op import OUTPUT
from jacobench.graphs.ops import OPS

N_TANGENTS = 3


def has_rules(op):
    return op.is_differentiable and any(op.arguments)


each_op = pytest.mark.parametrize("name", [name for name, op in OPS.items() if has_rules(op)])


@cache
def one_node(name, dtype="float64"):
    """Return the node of an op's example, its output, its arguments' arrays, and the numbers of those that have rules."""
    g = GraphBuilder(dtype)
    graph = g.build(OPS[name].example(g), wrt="all")
    values = graph.values_of(graph.sample(2))
    for node in graph.nodes:
        xs = tuple(values[i] for i in node.args)
        values.append(np.asarray(node.op.forward(NUMPY, *xs, **node.attrs)))
        if node.op.name == name:
            return node, values[-1], xs, [ctx.k for ctx in node.contexts if node.op.has_rules(ctx.k)]
    raise AssertionError(f"the example of {name} has no node of it")


def tangents(name, k, shape):
    return np.random.default_rng([len(name), k]).standard_normal((N_TANGENTS, *shape))


def in_jax(names):
    """Return the output tangents of each argument of these ops by jax.jvp: compiled together, which takes far less time."""
    jax = pytest.importorskip("jax")

    def of_argument(name, k, x, x_dot):
        node, _, xs, _ = one_node(name)

        def along(x):
            others = [jax.numpy.asarray(other) for other in xs]
            return node.op.forward(namespace(jax.numpy), *others[:k], x, *others[k + 1 :], **node.attrs)

        return jax.vmap(lambda dot: jax.jvp(along, (x,), (dot,))[1])(x_dot)

    arguments = [(name, k) for name in names for k in one_node(name)[3]]
    with jax.enable_x64(True):
        given = [(one_node(name)[2][k], tangents(name, k, one_node(name)[2][k].shape)) for name, k in arguments]
        compiled = jax.jit(
            lambda given: [of_argument(*each, *pair) for each, pair in zip(arguments, given, strict=True)]
        )
        return dict(zip(arguments, map(np.asarray, compiled(given)), strict=True))


@cache
def of_representatives():
    return in_jax([name for name, op in OPS.items() if has_rules(op) and op.like is None])


@each_op
def test_jvp_is_that_of_jax(name):
    node, y, xs, numbers = one_node(name)
    expected = of_representatives() if node.op.like is None else in_jax([name])
    for k in numbers:
        found = node.op.argument(k).jvp(tangents(name, k, xs[k].shape), y, xs, node.contexts[k])
        assert found.shape == (N_TANGENTS, *y.shape)
        np.testing.assert_allclose(found, expected[name, k], rtol=1e-11, atol=1e-12)


@each_op
def test_jvp_is_the_adjoint_of_vjp(name):
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for each pair of several u and v, with an argument of the graph's dtype."""
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        node, y, xs, numbers = one_node(name, dtype)
        for k in numbers:
            ctx = node.contexts[k]
            u, v = (tangents(name, k, shape).astype(dtype) for shape in (y.shape, xs[k].shape))
            for array in (u, v, y, *xs):
                array.flags.writeable = False
            y_dot = node.op.argument(k).jvp(v, y, xs, ctx)
            argument = node.op.argument(k)
            kept = tuple(x if i in argument.residuals else None for i, x in enumerate(xs))
            x_bar = argument.vjp(u, y if OUTPUT in argument.residuals else None, kept, ctx)
            assert y_dot.dtype == x_bar.dtype == dtype
            left = u.reshape(N_TANGENTS, -1) @ y_dot.reshape(N_TANGENTS, -1).T
            right = x_bar.reshape(N_TANGENTS, -1) @ v.reshape(N_TANGENTS, -1).T
            scale = np.abs(u).reshape(N_TANGENTS, -1).sum() * max(1, np.abs(y_dot).max())
            assert np.max(np.abs(left - right)) <= tolerance * scale


@each_op
def test_each_tangent_is_mapped_by_itself(name):
    node, y, xs, numbers = one_node(name)
    for k in numbers:
        dots = tangents(name, k, xs[k].shape)
        together = node.op.argument(k).jvp(dots, y, xs, node.contexts[k])
        for dot, found in zip(dots, together, strict=True):
            alone = node.op.argument(k).jvp(dot[None], y, xs, node.contexts[k])
            np.testing.assert_allclose(alone[0], found, rtol=1e-13, atol=1e-14)
