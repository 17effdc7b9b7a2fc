"""Models of JAX: values at two points, pullbacks against ``jax.vjp``, and whole Jacobians against ``jax.jacrev``."""

from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jacobench.bench.cell.whole_jacobian import is_sparse, whole_jacobian
from jacobench.graphs.importers.from_jax import from_jax
from jacobench.strategies.registry import load


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def layers(*widths, scale=0.5):
    return [(scale * normal(n, m, seed=k), normal(m, seed=k)) for k, (n, m) in enumerate(pairwise(widths))]


def perceptron(params, x):
    for name in ("first", "second"):
        x = jnp.tanh(x @ params[name]["w"] + params[name]["b"])
    return x @ params["last"]["w"]


def network_of_tuples(params, x):
    *hidden, (W, b) = params
    for U, c in hidden:
        x = jax.nn.relu(x @ U + c)
    return jax.nn.softmax(x @ W + b)


def convolution(x, W, order, stride=1, groups=1):
    return jax.lax.conv_general_dilated(
        x, W, (stride, stride), "SAME", dimension_numbers=order, feature_group_count=groups
    )


def channels_last(params, x):
    h = jax.nn.relu(convolution(x, params["a"], ("NHWC", "HWIO", "NHWC")) + params["bias"])
    h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    h = convolution(h, params["depthwise"], ("NHWC", "HWIO", "NHWC"), groups=3)
    h = jax.lax.reduce_window(h, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "SAME") / 4
    return h.reshape(h.shape[0], -1) @ params["dense"]


def channels_first(params, x):
    h = jax.nn.silu(convolution(x, params["a"], ("NCHW", "OIHW", "NCHW"), stride=2))
    h = jax.lax.conv_transpose(h, params["b"], (2, 2), "SAME", dimension_numbers=("NCHW", "IOHW", "NCHW"))
    return jnp.mean(h, axis=(2, 3))


def attention(params, x):
    n, d = x.shape[1], params["q"].shape[1] // 2
    q, k, v = ((x @ params[name]).reshape(*x.shape[:2], 2, d) for name in "qkv")
    scores = jnp.einsum("bnhd,bmhd->bhnm", q, k) / jnp.sqrt(d)
    scores = jnp.where(jnp.tril(jnp.ones((n, n), bool)), scores, -1e9)
    mixed = jnp.einsum("bhnm,bmhd->bnhd", jax.nn.softmax(scores, axis=-1), v)
    return mixed.reshape(x.shape[0], n, -1) @ params["o"]


def layer_norm(params, x):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return params["scale"] * (x - mean) * jax.lax.rsqrt(variance + 1e-5) + params["shift"]


def burgers(u, viscosity, dx=0.1):
    slope = (jnp.roll(u, -1) - jnp.roll(u, 1)) / (2 * dx)
    curvature = (jnp.roll(u, -1) - 2 * u + jnp.roll(u, 1)) / dx**2
    return u * slope - viscosity * curvature


def poisson(u, f):
    inner = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1]
    return jnp.pad(inner, 1) - f * jnp.exp(u)


def pinn(params, x, t):
    def u(x, t):
        h = jnp.stack([x, t])
        for W, b in params[:-1]:
            h = jnp.tanh(h @ W + b)
        return (h @ params[-1][0] + params[-1][1])[0]

    def residual(x, t):
        return jax.grad(u, 1)(x, t) + u(x, t) * jax.grad(u)(x, t) - 0.01 * jax.grad(jax.grad(u))(x, t)

    return jax.vmap(residual)(x, t)


def lorenz(state, parameters):
    x, y, z = state
    sigma, rho, beta = parameters
    return jnp.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])


def runge_kutta(field, state, parameters, dt):
    k1 = field(state, parameters)
    k2 = field(state + dt / 2 * k1, parameters)
    k3 = field(state + dt / 2 * k2, parameters)
    return state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + field(state + dt * k3, parameters))


def scanned_solver(parameters, state, dt=0.02, n_steps=12):
    def step(state, _):
        new = runge_kutta(lorenz, state, parameters, dt)
        return new, new[0]

    last, path = jax.lax.scan(step, state, None, length=n_steps)
    return last, path


def looped_solver(parameters, state, n_steps=3):
    for _ in range(n_steps):
        state = runge_kutta(lorenz, state, parameters, 0.01)
    return state


def counted_solver(parameters, state):
    return jax.lax.fori_loop(0, 10, lambda k, state: state + (0.01 + 0.001 * k) * lorenz(state, parameters), state)


def recurrent(params, xs):
    def cell(h, x):
        h = jnp.tanh(x @ params["in"] + h @ params["hidden"] + params["bias"])
        return h, h @ params["out"]

    h0 = jnp.zeros((xs.shape[1], params["hidden"].shape[0]))
    return jax.lax.scan(cell, h0, xs)[1]


def backward_sum(xs, w):
    return jax.lax.scan(lambda c, x: (w * c + x, c * x), xs[0], xs, reverse=True)[1]


def coupling(params, x):
    a, b = jnp.split(x, 2, axis=-1)
    log_scale, shift = jnp.split(jnp.tanh(a @ params["w"]) @ params["v"], 2, axis=-1)
    return jnp.concatenate([a, b * jnp.exp(log_scale) + shift], axis=-1), log_scale.sum(-1)


def mixture(params, x):
    z = (x[:, None] - params["mean"]) * jnp.exp(-params["log_scale"])
    parts = -0.5 * z**2 - params["log_scale"] + jax.nn.log_softmax(params["logits"])
    return jax.scipy.special.logsumexp(parts, axis=-1)


def arm(angles, lengths):
    """Return the end of a robot's arm and the velocity of it for a turn of each joint."""
    position, axis = jnp.zeros(3), jnp.array([0.0, 0.0, 1.0])
    for angle, length in zip(angles, lengths, strict=True):
        c, s = jnp.cos(angle), jnp.sin(angle)
        axis = jnp.stack([c * axis[0] - s * axis[1], s * axis[0] + c * axis[1], axis[2]])
        position = position + length * jnp.cross(axis, jnp.array([c, 0.0, s]))
    return position, jnp.cross(axis, position)


def stencil(x, w):
    left, right = np.array([0, 1, 2, 5]), np.array([3, 3, 4, 0])
    flux = w * (x[right] - x[left]) ** 3
    return jnp.zeros_like(x).at[left].add(flux).at[right].add(-flux).at[-1].set(x[-1]).at[1:3].multiply(2.0)


def kinks(x, y):
    z = jnp.where(x > y, x * y, jnp.abs(x) - y)
    return jnp.clip(z, -0.5, 0.5) + jnp.maximum(x, y) * jnp.sign(y) + jnp.minimum(x, 0.3) + jnp.mod(x, 0.7)


def tensors(a, b):
    return jnp.einsum("ijk,kl,lm->jmi", a, b, b), jnp.cumsum(a, axis=1), jnp.cumsum(a, axis=0)[::-1], jnp.prod(b, 0)


def norms(x):
    return jnp.linalg.norm(x, axis=-1), jnp.linalg.norm(x), jnp.max(x, axis=0), x.std(), jnp.sort(jnp.array([2.0, 1]))


def mapped(W, x):
    return jax.vmap(lambda row: jax.nn.gelu(W @ row), in_axes=1, out_axes=1)(x)


@jax.custom_jvp
def steep(x):
    return jnp.log1p(jnp.exp(x))


steep.defjvp(lambda primals, tangents: (steep(*primals), tangents[0] * jax.nn.sigmoid(primals[0])))


def custom_rules(x):
    return jax.nn.relu(x) + jax.nn.relu6(4 * x) + steep(x) + jnp.logaddexp(x, 1.0)


def with_checkpoint(params, x):
    block = jax.checkpoint(lambda x, W: jnp.sin(x @ W) + x)
    for W in params:
        x = block(x, W)
    return x


def several_outputs(x, scale, shift):
    return {"sum": x.sum(), "scaled": scale * x, "shifted": (x + shift, 2 * shift)}


def with_integers(table, ids, power, x):
    rows = table[ids] ** power
    return rows + x[: len(ids)] * jax.nn.one_hot(ids, table.shape[1]) + jnp.take_along_axis(rows, ids[:, None] % 3, 1)


def stopped(x):
    return x * jax.lax.stop_gradient(jnp.exp(x)) + jnp.where(jnp.isfinite(x), x, 0.0)


def dropped(params, x):
    """Dropout with a fixed key, whose mask is a constant."""
    mask = jax.random.bernoulli(jax.random.key(0), 0.5, x.shape)
    return jnp.where(mask, x / 0.5, 0.0) @ params


def moved(x):
    return (
        jnp.tile(x, (1, 2)),
        jnp.repeat(x, 2, axis=0),
        jnp.pad(x, ((1, 0), (2, 1)), mode="reflect"),
        jnp.flip(x, 0).T,
        jax.lax.pad(x, 1.0, ((1, 0, 1), (0, 2, 0))),
        jax.lax.dynamic_slice(x, (1, 0), (2, 2)) * jnp.swapaxes(x, 0, 1)[:2, :2],
        jax.lax.dynamic_update_slice(x, x[:1, :2] ** 2, (1, 1)),
        jnp.stack([x, -x], axis=1)[..., None, :],
        x[::-2, 1:],
        x[:, jnp.array([2, 0, 2])],
        jnp.roll(x, 1, axis=1),
        jnp.expm1(x) + jnp.cbrt(x) + jnp.arctan2(x, 2.0) + jnp.exp2(x) + x**1.5**2 + jnp.sinc(x),
    )


def out_of_bounds(x):
    ids = np.array([0, 7, -1, -9])
    dropped = jnp.zeros(3).at[ids].add(x[:4], mode="drop").at[ids[:2]].multiply(x[4], mode="clip", unique_indices=True)
    return x.at[ids].get(mode="fill", fill_value=0.5) * x[:4], x.at[ids].get(mode="clip"), dropped


MODELS = {
    "mlp of dicts": (perceptron, ({"first": {"w": normal(3, 5), "b": normal(5)}, "second": {"w": normal(5, 4), "b": normal(4)}, "last": {"w": normal(4, 2)}}, normal(6, 3)), 0),
    "mlp of tuples": (network_of_tuples, (layers(3, 6, 4), normal(5, 3)), 0),
    "cnn NHWC": (channels_last, ({"a": normal(3, 3, 2, 3), "bias": normal(3), "depthwise": normal(3, 3, 1, 3), "dense": normal(27, 2)}, normal(2, 6, 6, 2)), 0),
    "cnn NCHW": (channels_first, ({"a": normal(4, 2, 3, 3), "b": normal(4, 3, 2, 2)}, normal(2, 2, 5, 6)), (0, 1)),
    "attention": (attention, ({name: 0.5 * normal(4, 4, seed=k) for k, name in enumerate("qkvo")}, normal(2, 3, 4)), (0, 1)),
    "layer norm": (layer_norm, ({"scale": normal(5), "shift": normal(5)}, normal(3, 5)), (0, 1)),
    "burgers": (burgers, (normal(8), 0.05), (0, 1)),
    "poisson": (poisson, (normal(5, 6), normal(5, 6)), 0),
    "pinn": (pinn, (layers(2, 4, 4, 1), normal(3), normal(3, seed=1)), 0),
    "ode by scan": (scanned_solver, (np.array([10.0, 28.0, 8 / 3]), normal(3)), (0, 1)),
    "ode by a loop": (looped_solver, (np.array([10.0, 28.0, 8 / 3]), normal(3)), (0, 1)),
    "ode by fori_loop": (counted_solver, (np.array([10.0, 28.0, 8 / 3]), normal(3)), (0, 1)),
    "rnn by scan": (recurrent, ({"in": normal(2, 3), "hidden": 0.5 * normal(3, 3), "bias": normal(3), "out": normal(3, 2)}, normal(4, 2, 2)), 0),
    "scan backwards": (backward_sum, (normal(4, 3), 0.3), (0, 1)),
    "coupling layer": (coupling, ({"w": normal(2, 5), "v": 0.3 * normal(5, 4)}, normal(3, 4)), 1),
    "mixture": (mixture, ({"mean": normal(3), "log_scale": 0.2 * normal(3), "logits": normal(3, seed=1)}, normal(5)), 0),
    "robot arm": (arm, (normal(3), np.array([1.0, 0.7, 0.4])), 0),
    "stencil with updates": (stencil, (normal(6), normal(4)), (0, 1)),
    "kinks": (kinks, (normal(3, 4), normal(3, 4, seed=1)), (0, 1)),
    "einsum and cumsum": (tensors, (normal(2, 3, 4), normal(4, 4)), (0, 1)),
    "norms": (norms, (normal(3, 4),), 0),
    "vmap": (mapped, (normal(3, 4), normal(4, 2)), 0),
    "custom rules": (custom_rules, (normal(3, 4),), 0),
    "checkpoint": (with_checkpoint, ([normal(3, 3), normal(3, 3, seed=1)], normal(2, 3)), (0, 1)),
    "several outputs": (several_outputs, (normal(4), 1.5, 0.25), (0, 1, 2)),
    "integers": (with_integers, (1 + normal(4, 3) ** 2, np.array([3, 0, 3]), 3, normal(5, 3)), (0, 3)),
    "stop_gradient": (stopped, (normal(4),), 0),
    "dropout": (dropped, (normal(3, 2), normal(4, 3)), (0, 1)),
    "out of bounds": (out_of_bounds, (normal(5),), 0),
    "moved entries": (moved, (1 + normal(3, 3) ** 2,), 0),
}  # fmt: skip
"""Name → function, arguments, argnums."""

QUICK = {"mlp of dicts", "burgers", "ode by fori_loop", "scan backwards", "coupling layer", "several outputs", "vmap"}
"""Models of the normal run; the others are ``long``, because JAX takes a second to compile them."""

each_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in MODELS]
)


@cache
def imported(name, dtype=None):
    function, args, argnums = MODELS[name]
    return from_jax(function, *args, argnums=argnums, dtype=dtype)


def other_point(leaves):
    rng = np.random.default_rng(7)
    return {name: np.asarray(x * rng.uniform(0.8, 1.2, x.shape), x.dtype) for name, x in leaves.items()}


def by_jax(graph):
    """Return the function (leaves, seeds) → (output, cotangents by leaf) of JAX, compiled at the first call."""

    @jax.jit
    def compiled(leaves, seeds):
        wrt = {name: leaves[name] for name in graph.wrt}
        output, pullback = jax.vjp(lambda wrt: graph.origin.evaluate(leaves | wrt), wrt)
        return output, jax.vmap(pullback)(seeds)[0]

    def output_and_bars(leaves, seeds):
        with jax.enable_x64(graph.dtype == np.float64):
            return jax.tree.map(np.asarray, compiled(leaves, seeds))

    return output_and_bars


def assert_bars_close(bars, expected, tolerance):
    """Compare per leaf, relative to its largest entry, or to 1 % of the largest of all leaves."""
    largest = max(np.max(np.abs(each)) for each in expected.values())
    for name, each in expected.items():
        scale = max(np.max(np.abs(each)), 1e-2 * largest)
        assert np.max(np.abs(bars[name] - each)) <= tolerance * scale, name


@each_model
def test_values_and_pullbacks_are_those_of_jax(name):
    """At the given point and at another, so that no value computed from a leaf is a constant."""
    graph, given = imported(name)
    prepared, reference = load("vjp").prepare(graph), by_jax(graph)
    seeds = np.random.default_rng(1).standard_normal((3, *graph.output_shape))
    for leaves in (given, other_point(given)):
        output, expected = reference(leaves, seeds)
        lin = prepared.linearize(leaves)
        assert lin.output.shape == output.shape == graph.output_shape
        np.testing.assert_allclose(lin.output, output, rtol=0, atol=1e-10 * np.max(np.abs(output)))
        assert_bars_close(lin.pullback(seeds), expected, 1e-8)


@pytest.mark.long
@each_model
def test_whole_jacobians_are_those_of_jacrev(name):
    graph, leaves = imported(name)
    n = np.prod(graph.output_shape, dtype=int)
    wrt = {leaf: leaves[leaf] for leaf in graph.wrt}
    with jax.enable_x64(True):
        blocks = jax.jit(jax.jacrev(lambda wrt: graph.origin.evaluate(leaves | wrt)))(wrt)
        expected = np.hstack([np.reshape(blocks[leaf], (n, -1)) for leaf in graph.wrt])
    scale = np.max(np.abs(expected))
    for strategy in ("vjp", "dense", "sparse"):
        found = whole_jacobian(load(strategy).prepare(graph).linearize(leaves), graph)
        dense = found.toarray() if is_sparse(found) else found
        np.testing.assert_allclose(dense, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_float32_models_have_the_values_and_pullbacks_of_jax(name):
    graph, leaves = imported(name, "float32")
    seeds = np.random.default_rng(1).standard_normal((3, *graph.output_shape)).astype(np.float32)
    output, expected = by_jax(graph)(leaves, seeds)
    lin = load("vjp").prepare(graph).linearize(leaves)
    assert lin.output.dtype == output.dtype == np.float32
    np.testing.assert_allclose(lin.output, output, rtol=0, atol=1e-5 * np.max(np.abs(output)))
    assert_bars_close(lin.pullback(seeds), expected, 1e-4)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["jax-vjp", "jax-jacrev", "jax-original"])
def test_peers_differentiate_an_imported_model(strategy):
    graph, leaves = imported("coupling layer")
    seeds = np.random.default_rng(1).standard_normal((3, *graph.output_shape))
    lin = load(strategy).prepare(graph).linearize(leaves)
    expected = load("vjp").prepare(graph).linearize(leaves)
    np.testing.assert_allclose(lin.output, expected.output, rtol=1e-13)
    assert_bars_close(lin.pullback(seeds), expected.pullback(seeds), 1e-12)


TIES = np.array([[-1.0, 0.0, 0.0, 6.0], [1.0, 1.0, -1.0, 0.5]])

AT_KINKS = {
    "absolute value": jnp.abs,
    "sign and floor": lambda x: x * jnp.sign(x) + x * jnp.floor(x) + x * jnp.round(x) + x * jnp.ceil(x),
    "maxima": lambda x: jnp.maximum(x, 0.0) * jnp.maximum(x, x[::-1]),
    "minima": lambda x: jnp.minimum(x, 1.0) + jnp.minimum(x, x),
    "activations": lambda x: jax.nn.relu(x) + jax.nn.relu6(x) + jax.nn.leaky_relu(x) + jax.nn.elu(x),
    "log of sums": lambda x: jnp.logaddexp(x, 1.0) + jnp.logaddexp(x, x[::-1]),
    "clipped": lambda x: jnp.clip(x, -1.0, 1.0) + jax.nn.hard_tanh(x),
    "clamped": lambda x: jax.lax.clamp(0.0, x, 1.0) + jax.lax.clamp(x[::-1] - 1, x, x[::-1] + 1),
    "largest": lambda x: (jnp.max(x, 1), jnp.min(-x, 1), jnp.max(x), jnp.min(x, (0, 1), keepdims=True)),
    "choice": lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), x**2),
    "powers": lambda x: x**2 + x**3 + jnp.power(x, 2.0) + x**0 + jax.nn.silu(x),
    "windows": lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2), (1, 1), "VALID"),
    "norm at 0": lambda x: jnp.linalg.norm(0 * x, axis=1),
}


@pytest.mark.parametrize("name", AT_KINKS)
def test_slopes_at_kinks_and_ties_are_those_of_jax(name):
    graph, leaves = from_jax(AT_KINKS[name], TIES)
    seeds = np.random.default_rng(1).standard_normal((1, *graph.output_shape))
    output, expected = by_jax(graph)(leaves, seeds)
    with np.errstate(all="ignore"):
        lin = load("vjp").prepare(graph).linearize(leaves)
        bars = lin.pullback(seeds)
    np.testing.assert_allclose(lin.output, output, rtol=1e-14)
    np.testing.assert_allclose(bars["x"], expected["x"], rtol=1e-12, atol=1e-14)
