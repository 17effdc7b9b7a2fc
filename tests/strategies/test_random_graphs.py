"""Random graphs of all ops: every strategy against vjp, and vjp against central differences.

How close two right strategies can be is limited where terms cancel: rounding is relative to the terms, not to their sum.
So besides the tolerance relative to the reference, a difference may reach 100 ε times the *magnitude*: what comes back
when the absolute seeds are pulled back through the absolute values of all terms of the local Jacobians. It is 0 where
nothing was summed up, and some 1e-14 of the reference in float64 where nothing cancels.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jacobench.bench.cell.verification import TOLERANCE
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.ops import OPS
from jacobench.graphs.structures.windows import Windows
from jacobench.strategies.dense import materialize
from jacobench.strategies.registry import load
from jacobench.strategies.reverse import Reverse

BUILT_IN = ("dense", "dense-blocks", "sparse", "vjp", "forward-dense", "forward-sparse", "linear-operator")
WIDTHS = st.integers(1, 4)
EXAMPLES = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Pool:
    """The values there are so far, and how to get one of a wanted shape: an old one (a tie, a skip) or a new leaf."""

    def __init__(self, draw, dtype):
        self.draw = draw
        self.g = GraphBuilder(dtype)
        self.batch = draw(st.integers(1, 4))
        self.values = []
        self.n_leaves = 0
        self.used = set()
        self.fed = set()
        lead = draw(st.sampled_from([(self.batch,), (self.batch, 2)]))
        self.leaf((*lead, draw(WIDTHS)))
        self.leaf((self.batch, draw(WIDTHS)))

    def leaf(self, shape):
        may_be_input = shape[:1] == (self.batch,)
        is_input = may_be_input and self.draw(st.booleans())
        self.n_leaves += 1
        name = f"leaf{self.n_leaves}"
        value = self.g.input(name, shape) if is_input else self.g.parameter(name, shape)
        self.values.append(value)
        return value

    def any(self, fits=lambda _shape: True):
        """Pick a value, most often the newest, or None."""
        fitting = [value for value in self.values if fits(value.shape)]
        if not fitting:
            return None
        newest = self.draw(st.sampled_from([True, True, True, False]))
        return fitting[-1] if newest else self.draw(st.sampled_from(fitting))

    def of(self, shape):
        """Pick a value of a shape, old or new."""
        old = self.any(lambda other: other == shape) if self.draw(st.booleans()) else None
        return old or self.leaf(shape)

    def apply(self, name):
        args, attrs = MAKERS[name](self)
        self.put(name, *args, **attrs)

    def put(self, name, *args, **attrs):
        self.used.add(name)
        self.fed.update(map(id, args))
        self.values.append(getattr(self.g, name)(*args, **attrs))

    def gather(self):
        """Add to the newest value what feeds nothing and has its shape, so that few values are drawn in vain."""
        for value in self.values[:-1]:
            if id(value) not in self.fed and value.shape == self.values[-1].shape:
                self.put("add", self.values[-1], value)


def one(pool):
    return (pool.any(),), {}


def one_vector(pool):
    return (pool.any(len),), {}


def two_alike(pool):
    x = pool.any()
    pair = (x, pool.of(x.shape))
    return (pair if pool.draw(st.booleans()) else pair[::-1]), {}


def two_vectors_alike(pool):
    x = pool.any(len)
    return (x, pool.of(x.shape)), {}


def scaled(pool):
    return one(pool)[0], {"factor": pool.draw(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.5]))}


def bounded(pool):
    """Return a value in (−1, 1), so that it does not grow beyond the range of numbers."""
    pool.put("tanh", pool.any())
    return (pool.values[-1],), {}


def two_that_broadcast(pool):
    """Return a value, and one whose leading axes are missing or whose other lengths may be 1, in any order."""
    x = pool.any()
    lengths = [pool.draw(st.sampled_from([1, n])) for n in x.shape]
    y = pool.of(tuple(lengths[pool.draw(st.integers(0, len(lengths))) :]))
    return ((x, y) if pool.draw(st.booleans()) else (y, x)), {}


def quotient(pool):
    """Return two values that broadcast; the divisor is in (1/e, e)."""
    (x, y), _ = two_that_broadcast(pool)
    pool.put("tanh", y)
    pool.put("exp", pool.values[-1])
    return (x, pool.values[-1]), {}


def chosen(pool):
    (x, y), _ = two_that_broadcast(pool)
    shape = np.broadcast_shapes(x.shape, y.shape)
    condition = np.random.default_rng(pool.draw(st.integers(0, 9))).random(shape) < 0.5
    return (pool.g.constant(condition), x, y), {}


def joined(pool):
    x = pool.any(len)
    axis = pool.draw(st.integers(-len(x.shape), -1))
    others = [
        pool.any(lambda shape: len(shape) == len(x.shape) and without(shape, axis) == without(x.shape, axis))
        for _ in range(pool.draw(st.integers(0, 2)))
    ]
    return (x, *others), {"axis": axis}


def without(shape, axis):
    return tuple(np.delete(shape, axis))


def sliced(pool):
    x = pool.any()
    steps = [pool.draw(st.sampled_from([1, 1, -1, 2, -3])) for _ in x.shape]
    starts = [pool.draw(st.integers(0, n - 1)) if pool.draw(st.booleans()) else None for n in x.shape]
    return (x,), {"starts": starts, "stops": (None,) * len(x.shape), "steps": steps}


def some_axes(pool, x):
    return pool.draw(st.lists(st.integers(0, len(x.shape) - 1), unique=True, max_size=2)) if x.shape else []


def flipped(pool):
    x = pool.any(len)
    return (x,), {"axes": some_axes(pool, x)}


def positions_in(pool, x, shape):
    """Draw positions of single entries, or of rows along the last axis."""
    rng = np.random.default_rng(pool.draw(st.integers(0, 99)))
    if x.shape and shape[-1:] == x.shape[-1:] and pool.draw(st.booleans()):
        width = x.shape[-1]
        runs = rng.integers(-1, size_of(x) // width, shape[:-1])[..., None]
        return np.where(runs < 0, -1, width * runs + np.arange(width))
    return rng.integers(-1, size_of(x), shape)


def gathered(pool):
    x = pool.any()
    shape = pool.draw(st.sampled_from([(3,), (pool.batch, 2), (2, *x.shape[-1:])]))
    return (x,), {"positions": positions_in(pool, x, shape), "fill": 0.5}


def scattered(pool):
    x = pool.any()
    updates = pool.of(pool.draw(st.sampled_from([(3,), (*x.shape[:-1], 2), (2, *x.shape[-1:])])))
    return (x, updates), {
        "positions": positions_in(pool, x, updates.shape),
        "mode": pool.draw(st.sampled_from(["set", "add"])),
    }


def repeated(pool):
    x = small_vector(pool)
    lengths = [pool.draw(st.integers(1, 2)) if n == 1 else n for n in x.shape]
    axis = pool.draw(st.integers(0, len(lengths)))
    shape = (*lengths[:axis], pool.draw(st.integers(1, 2)), *lengths[axis:])
    return (x,), {"shape": shape, "axes": [k + (k >= axis) for k in range(len(lengths))]}


def affine(pool):
    z = pool.any(len)
    W = (pool.any(lambda shape: len(shape) == 2 and shape[1] == z.shape[-1]) if pool.draw(st.booleans()) else None) or (
        pool.leaf((pool.draw(WIDTHS), z.shape[-1]))
    )
    return (z, W, pool.of(W.shape[:1])), {}


def masked_affine(pool):
    z = pool.any(len)
    n, m = pool.draw(WIDTHS), z.shape[-1]
    mask = np.array(pool.draw(st.lists(st.booleans(), min_size=n * m, max_size=n * m))).reshape(n, m)
    mask[0, 0] |= not mask.any()
    return (z, pool.of((int(mask.sum()),)), pool.of((n,))), {"mask": mask}


def size_of(value):
    return int(np.prod(value.shape))


def shaped(pool, lengths):
    """Give the newest value a shape that ends with these lengths, one of them −1, by a change of shape; else a new leaf."""
    x = pool.any(lambda shape: 1 <= np.prod(shape) <= LARGEST)
    known = int(np.prod([length for length in lengths if length > 0]))
    if x is None or size_of(x) % known:
        return pool.leaf((pool.batch, *(pool.draw(WIDTHS) if length == -1 else length for length in lengths)))
    rest = size_of(x) // known
    lead = x.shape[0] if len(x.shape) > 1 and rest % x.shape[0] == 0 else 1
    pool.put("reshape", x, shape=(lead, *(rest // lead if length == -1 else length for length in lengths)))
    return pool.values[-1]


LARGEST = 48
"""Entries of a value that an op may make larger: what grows at each step is soon too large for dense Jacobians."""


def small_vector(pool):
    return pool.any(lambda shape: shape and np.prod(shape) <= LARGEST) or pool.leaf((2,))


def permuted(pool):
    x = pool.any(len)
    return (x,), {"order": pool.draw(st.permutations(range(x.shape[-1])))}


def reshaped(pool):
    x = pool.any()
    return (x,), {"shape": pool.draw(st.sampled_from([(-1,), (1, -1), (size_of(x), 1), (*x.shape, 1), x.shape]))}


def transposed(pool):
    x = pool.any()
    return (x,), {"axes": pool.draw(st.permutations(range(len(x.shape))))}


def padded(pool):
    x = small_vector(pool)
    pairs = [(pool.draw(st.integers(-1 if n > 1 else 0, 1)), pool.draw(st.integers(0, 2))) for n in x.shape]
    return (x,), {"pairs": pairs, "interior": [pool.draw(st.sampled_from([0, 0, 1])) for _ in x.shape], "value": 0.5}


def looked_up(pool):
    table = pool.any(lambda shape: len(shape) == 2 and np.prod(shape) <= LARGEST) or pool.leaf((2, pool.draw(WIDTHS)))
    indices = st.integers(0, table.shape[0] - 1)
    return (table,), {"indices": pool.draw(st.lists(indices, min_size=1, max_size=4))}


def crossed(pool):
    x = shaped(pool, (-1, 3))
    pair = (x, pool.of(x.shape))
    return (pair if pool.draw(st.booleans()) else pair[::-1]), {}


def outer(pool):
    x = small_vector(pool)
    return (x, pool.of((*x.shape[:-1], pool.draw(st.integers(1, 2))))), {}


def matrices(pool):
    x = pool.any(lambda shape: len(shape) > 1 and np.prod(shape) <= LARGEST) or pool.leaf((2, 2))
    return (x, pool.of((*x.shape[:-2], x.shape[-1], pool.draw(WIDTHS)))), {}


def product(pool):
    """Draw labels: the second factor has some of the first one's and perhaps its own; the output has any."""
    x = small_vector(pool)
    lengths = dict(zip("abcdefgh", x.shape, strict=False)) | {"z": pool.draw(st.integers(1, 2))}
    own = "".join(label for label in lengths if label != "z")
    other = pool.draw(st.lists(st.sampled_from(sorted(lengths)), unique=True, max_size=3))
    y = pool.of(tuple(lengths[label] for label in other))
    out = pool.draw(st.lists(st.sampled_from(sorted({*own, *other})), unique=True, max_size=3))
    factors = [(own, x), ("".join(other), y)]
    (a, x), (b, y) = factors if pool.draw(st.booleans()) else factors[::-1]
    return (x, y), {"subscripts": f"{a},{b}->{''.join(out)}"}


def reduced(pool, **attrs):
    x = pool.any()
    drawn_axes = some_axes(pool, x) or None
    return (x,), {**attrs, "axes": drawn_axes, "keepdims": pool.draw(st.booleans())}


def extreme(pool):
    return reduced(pool, ties=pool.draw(st.sampled_from(["share", "first"])))


def accumulated(pool):
    x = pool.any(len)
    return (x,), {"axis": pool.draw(st.integers(-len(x.shape), -1))}


def dropped(pool):
    x = pool.any(len)
    mask = np.random.default_rng(pool.draw(st.integers(0, 9))).random(x.shape) < 0.7
    mask.reshape(-1)[0] = True
    return (x,), {"mask": mask, "rate": pool.draw(st.sampled_from([0, 0.3]))}


def low_rank(pool):
    z = pool.any(len)
    U = pool.leaf((pool.draw(WIDTHS), pool.draw(st.integers(1, 2))))
    return (z, U, pool.of((U.shape[1], z.shape[-1])), pool.of(U.shape[:1])), {}


def convolution(pool, lengths):
    """Draw groups, steps and a padding of each side; a second tap only where it fits."""
    n_groups = pool.draw(st.integers(1, 2))
    x = shaped(pool, (n_groups * pool.draw(st.integers(1, 2)), *lengths))
    n_axes = len(lengths)
    spread, dilation, stride, before, after = (
        tuple(pool.draw(st.integers(low, low + 1)) for _ in range(n_axes)) for low in (1, 1, 1, 0, 0)
    )
    wide = ((n - 1) * e + 1 + b + a for n, e, b, a in zip(x.shape[2:], spread, before, after, strict=True))
    kernel = tuple(1 + (n > step) for n, step in zip(wide, dilation, strict=True))
    W = pool.of((n_groups * pool.draw(st.integers(1, 2)), x.shape[1] // n_groups, *kernel))
    steps = {"stride": stride, "dilation": dilation, "input_dilation": spread, "groups": n_groups}
    return (x, W), {**steps, "padding": tuple(zip(before, after, strict=True))}


def biased(pool):
    x = pool.any(lambda shape: len(shape) > 1) or pool.leaf((pool.batch, 2))
    return (x, pool.of(x.shape[1:2])), {}


def pooled(pool):
    """Draw windows over one axis or two, and a padding smaller than the window, so that no window covers only padding."""
    x = pool.any(len)
    window = (pool.draw(st.integers(1, x.shape[-1])),)
    if len(x.shape) > 1 and pool.draw(st.booleans()):
        window = (pool.draw(st.integers(1, x.shape[-2])), *window)
    padding = tuple((pool.draw(st.integers(0, n - 1)), pool.draw(st.integers(0, min(1, n - 1)))) for n in window)
    return (x,), {"window": window, "stride": pool.draw(st.sampled_from([None, 1, 2])), "padding": padding}


def averaged(pool):
    args, attrs = pooled(pool)
    return args, {**attrs, "count_padding": pool.draw(st.booleans())}


MAKERS = {
    "affine": affine,
    "low_rank_affine": low_rank,
    "conv1d": partial(convolution, lengths=(-1,)),
    "conv2d": partial(convolution, lengths=(-1, 1)),
    "channel_bias": biased,
    "max_pool": pooled,
    "avg_pool": averaged,
    "neg": one,
    "cross": crossed,
    "dot": two_vectors_alike,
    "outer": outer,
    "matmul": matrices,
    "einsum": product,
    "sum": reduced,
    "mean": reduced,
    "max": extreme,
    "prod": reduced,
    "logsumexp": reduced,
    "cumsum": accumulated,
    "cumprod": accumulated,
    "dropout": dropped,
    "permute": permuted,
    "flip": flipped,
    "gather": gathered,
    "scatter": scattered,
    "slice": sliced,
    "broadcast": repeated,
    "reshape": reshaped,
    "transpose": transposed,
    "pad": padded,
    "embedding": looked_up,
    "masked_affine": masked_affine,
    "add": two_that_broadcast,
    "multiply": two_that_broadcast,
    "scale": scaled,
    "exp": bounded,
    "square": bounded,
    "erf": one,
    "divide": quotient,
    "where": chosen,
    "concat": joined,
    "relu": one,
    "leaky_relu": one,
    "tanh": one,
    "sigmoid": one,
    "softplus": one,
    "gelu": one,
    "silu": one,
    "sin": one,
    "softmax": one_vector,
    "layer_norm": one_vector,
    "mse": two_vectors_alike,
    "cross_entropy": two_vectors_alike,
}
"""For each op that is not like another: pool → (arguments, attributes). A new one needs an entry."""


@st.composite
def drawn(draw, dtype):
    """Draw a graph, the ops that it was drawn with, and the seed of its arrays."""
    pool = Pool(draw, dtype)
    n_ops = draw(st.integers(3, 12))
    # hypothesis repeats what it has drawn before. Of 57 ops, it leaves some out in 200 graphs.
    names = np.random.default_rng(draw(st.integers(0, 2**32))).choice(sorted(MAKERS), n_ops)
    for name in names:
        pool.apply(str(name))
    pool.gather()
    loss = draw(st.sampled_from([None, "mse", "cross_entropy"]))
    if loss and pool.values[-1].shape:
        pool.put(loss, pool.values[-1], pool.of(pool.values[-1].shape))
        pool.gather()
    graph = pool.g.build(pool.values[-1], wrt="all")
    left_out = draw(st.sets(st.sampled_from(sorted(graph.leaves)), max_size=3))
    wrt = tuple(name for name in draw(st.permutations(list(graph.leaves))) if name not in left_out)
    return graph.with_wrt(wrt or "all"), pool.used, draw(st.integers(0, 2**16))


def absolute(_y, _xs, J, _ctx):
    return np.abs(J)


class Magnitude:
    """Pulls back through the absolute values of a Jacobian's terms; where its entries are sums, of each term."""

    def prepare(self, argument, ctx):
        def linearize(y, xs):
            J = materialize(argument.jacobian, y, xs, ctx)
            return TERMS.get(id(argument), absolute)(y, xs, J, ctx)

        return lambda y_bar, terms: (y_bar.reshape(-1, ctx.n_out) @ terms).reshape(-1, *ctx.x), linearize


def softmax_terms(y, _xs, J, _ctx):
    """Of diag(y) − y yᵀ: where J's blocks are, at most y_i (δ + 1)."""
    return y.reshape(-1, 1) * (np.eye(y.size) + (J != 0))


def layer_norm_terms(y, xs, _J, _ctx):
    """Of (I − 1/n − y yᵀ/n) / deviation: at most (I + 1 + 1) / deviation, as y² ≤ n."""
    n = y.shape[-1]
    blocks = np.kron(np.eye(y.size // n), np.ones((n, n)))
    deviation = np.repeat(np.sqrt(np.var(xs[0], axis=-1) + 1e-5).reshape(-1), n)
    return (np.eye(y.size) + 2 * blocks) / deviation[:, None]


def product_terms(name, k):
    """Of U V and z Vᵀ, and of a factor that is summed alone: the absolute values of their terms."""
    jacobian = OPS[name].arguments[k].jacobian

    def terms(y, xs, _J, ctx):
        return materialize(jacobian, y, tuple(map(np.abs, xs)), ctx)

    return terms


TERMS = {
    id(OPS["softmax"].arguments[0]): softmax_terms,
    id(OPS["layer_norm"].arguments[0]): layer_norm_terms,
    **{id(OPS[name].arguments[k]): product_terms(name, k) for name in ("low_rank_affine", "einsum") for k in (0, 1)},
}
"""Argument → (y, xs, J, ctx) → the absolute values of the terms that J's entries are sums of."""


def magnitudes(graph, leaves, seeds):
    """Return for each leaf the bound that rounding is relative to, and all values' largest entry."""
    return Reverse("magnitude", Magnitude()).prepare(graph).linearize(leaves).pullback(np.abs(seeds))


def values_of(graph, leaves):
    values = graph.values_of(leaves)
    for node in graph.nodes:
        values.append(node.op.forward(NUMPY, *(values[i] for i in node.args), **node.attrs))
    return values


def of_moderate_size(graph, leaves):
    """Say whether no chain of products has run away."""
    with np.errstate(all="ignore"):
        return all(np.max(np.abs(value)) < 1e3 for value in values_of(graph, leaves))


def random_seeds(graph, n_seeds, rng_seed):
    return np.random.default_rng(rng_seed).standard_normal((n_seeds, *graph.output_shape)).astype(graph.dtype)


def assert_close(bars, reference, magnitude, tolerance, what):
    assert list(bars) == list(reference)
    for name, bar in bars.items():
        allowed = max(
            tolerance * np.max(np.abs(reference[name])),
            100 * np.finfo(bar.dtype).eps * np.max(magnitude[name]),
        )
        gap = np.max(np.abs(bar - reference[name]))
        assert gap <= allowed, f"{what}: cotangent of {name} is off by {gap:.1e}, allowed {allowed:.1e}"


def test_the_generator_knows_every_op():
    assert MAKERS.keys() == {name for name, op in OPS.items() if op.like is None and op.is_differentiable}


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_strategy_agrees_with_vjp(dtype):
    seen = set()

    @EXAMPLES
    @given(drawn(dtype))
    def agree(case):
        graph, used, rng_seed = case
        leaves = graph.sample(rng_seed)
        assume(of_moderate_size(graph, leaves))
        linearized = {name: load(name).prepare(graph).linearize(leaves) for name in BUILT_IN}
        for n_seeds in (1, 3):
            seeds = random_seeds(graph, n_seeds, rng_seed)
            reference = linearized["vjp"].pullback(seeds)
            magnitude = magnitudes(graph, leaves, seeds)
            for name in BUILT_IN:
                first = linearized[name].pullback(seeds)
                assert_close(first, reference, magnitude, TOLERANCE[dtype], name)
                assert {bar.dtype.name for bar in first.values()} <= {dtype}
                assert all(bar.shape == (n_seeds, *graph.leaves[leaf].shape) for leaf, bar in first.items())
                second = linearized[name].pullback(seeds)
                assert all(np.array_equal(first[leaf], second[leaf]) for leaf in first), name
        seen.update(used)

    agree()
    assert seen == MAKERS.keys()


STEP = 1e-6


def crosses_a_kink(graph, low, high):
    """Say whether a rectifier's input changes its sign along the way, by more than rounding does."""
    ends = [(node, low[node.args[0]], high[node.args[0]]) for node in graph.nodes if node.op.name in KINKS]
    return any(KINKS[node.op.name](node, a, b) for node, a, b in ends)


def changes_sign(_node, a, b):
    return np.any((np.sign(a) != np.sign(b)) & (np.abs(a - b) > 1e-12))


def changes_its_largest(node, a, b):
    """Say whether another place of a window is the largest at the other end, or two are as large."""
    window, stride, padding, dilation = (node.attrs[name] for name in ("window", "stride", "padding", "dilation"))
    windows = Windows(a.shape[-len(window) :], window, stride, padding, dilation, (1,) * len(window))
    seen = np.where(windows.valid(), windows.positions(), -1)
    low, high = (
        np.pad(x.reshape(-1, windows.n_positions), [(0, 0), (0, 1)], constant_values=-np.inf)[:, seen] for x in (a, b)
    )
    tied = any(np.any(np.sum(x == x.max(axis=-1, keepdims=True), axis=-1) > 1) for x in (low, high))
    return tied or not np.array_equal(low.argmax(axis=-1), high.argmax(axis=-1))


def changes_its_extreme(node, a, b):
    """Say whether another entry of a vector is the largest at the other end, or two are as large."""
    low, high = (node.attrs["axes"].last(x) for x in (a, b))
    tied = any(np.any(np.sum(x == x.max(axis=-1, keepdims=True), axis=-1) > 1) for x in (low, high))
    return tied or not np.array_equal(low.argmax(axis=-1), high.argmax(axis=-1))


KINKS = {
    "relu": changes_sign,
    "leaky_relu": changes_sign,
    "max_pool": changes_its_largest,
    "max": changes_its_extreme,
}


@EXAMPLES
@given(drawn("float64"))
def test_vjp_agrees_with_central_differences(case):
    """⟨seed, f(x + h d) − f(x − h d)⟩ / 2h = ⟨x̄, d⟩, up to h² and ε/h: both near 1e-10 of the largest term at h = 1e-6."""
    graph, _, rng_seed = case
    leaves = graph.sample(rng_seed)
    assume(of_moderate_size(graph, leaves))
    seeds = random_seeds(graph, 1, rng_seed)
    rng = np.random.default_rng(rng_seed)
    directions = {name: rng.uniform(-1, 1, leaves[name].shape) for name in graph.wrt}
    low, high = (
        values_of(graph, {name: leaf + step * directions.get(name, 0) for name, leaf in leaves.items()})
        for step in (-STEP, STEP)
    )
    assume(not crosses_a_kink(graph, low, high))
    bars = load("vjp").prepare(graph).linearize(leaves).pullback(seeds)
    magnitude = magnitudes(graph, leaves, seeds)
    difference = float(np.sum(seeds[0] * (high[graph.output] - low[graph.output]))) / (2 * STEP)
    predicted = sum(float(np.sum(bars[name][0] * directions[name])) for name in graph.wrt)
    scale = sum(float(np.sum(magnitude[name][0] * np.abs(directions[name]))) for name in graph.wrt)
    assert abs(difference - predicted) <= 1e-6 * scale + 1e-7 * np.sum(np.abs(seeds))
