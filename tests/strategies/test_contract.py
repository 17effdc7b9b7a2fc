"""Every registered strategy fulfils the contract, and the built-in ones predict their cost."""

import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from jacobench.bench.cell.verification import TOLERANCE, relative_error
from jacobench.graphs.arrays.namespaces import NUMPY
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.mlp import mlp
from jacobench.strategies import dense, sparse
from jacobench.strategies.contract import PHASES
from jacobench.strategies.registry import load, registered

STRATEGIES = [name for name, point in registered().items() if ".peers." not in point.value]
"""Ours; tests/strategies/peers/test_peers.py has the others, which compile for each graph."""

each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def graph_of(make, wrt, dtype="float64"):
    g = GraphBuilder(dtype)
    return g.build(make(g), wrt=wrt)


def x_of(g):
    return g.input("x", (2, 3))


def sum_of_two(g):
    return g.add(x_of(g), g.parameter("p", (2, 3)))


def sum_with_itself(g):
    x = x_of(g)
    return g.add(x, x)


def only_leaf(g):
    g.parameter("p", (2, 3))
    return x_of(g)


def two_parts(g):
    return g.concat(x_of(g), g.parameter("p", (2, 1)), g.parameter("q", (2, 2)))


def one_part(g):
    return g.concat(x_of(g))


def skips(g):
    """Make cotangents that are handed on unchanged along several ways, and p once more behind them."""
    x, p = x_of(g), g.parameter("p", (2, 3))
    return g.add(g.add(x, p), g.add(g.tanh(x), g.scale(p, factor=1.0)))


def product_with_itself(g):
    x = x_of(g)
    return g.multiply(x, x)


def keeps_its_output(g):
    return g.tanh(x_of(g))


def scalar(g):
    return g.tanh(g.mse(x_of(g), g.parameter("p", (2, 3))))


def with_one_aside(g):
    """Make a leaf and a node that do not feed the output."""
    p = g.parameter("p", (4,))
    g.tanh(p)
    return g.sin(x_of(g))


def no_axes(g):
    s = g.parameter("s", ())
    return g.multiply(s, g.sin(s))


def view_of_a_leaf(g):
    return g.reshape(x_of(g), shape=(3, 2))


def views_of_a_value(g):
    """Make one value that two others are views of, one of them kept for the backward pass."""
    y = g.tanh(x_of(g))
    return g.add(g.sin(g.reshape(y, shape=(-1,))), g.reshape(g.reshape(y, shape=(6, 1)), shape=(6,)))


def parts_of_cotangents(g):
    """Make cotangents that are parts of others, along two ways to one leaf."""
    x = x_of(g)
    return g.add(g.pad(x, before=1), g.pad(x, after=1))


ALIASING = {
    "view of a leaf": graph_of(view_of_a_leaf, ["x"]),
    "views of a value": graph_of(views_of_a_value, ["x"]),
    "parts of cotangents": graph_of(parts_of_cotangents, ["x"]),
    "sum of two": graph_of(sum_of_two, ["x", "p"]),
    "sum with itself": graph_of(sum_with_itself, ["x"]),
    "only a leaf": graph_of(only_leaf, ["x", "p"]),
    "only another leaf": graph_of(only_leaf, ["p"]),
    "two parts": graph_of(two_parts, ["x", "p", "q"]),
    "one part": graph_of(one_part, ["x"]),
    "skips": graph_of(skips, ["p", "x"]),
    "product with itself": graph_of(product_with_itself, ["x"]),
    "keeps its output": graph_of(keeps_its_output, ["x"]),
    "scalar": graph_of(scalar, ["x", "p"]),
    "one aside": graph_of(with_one_aside, ["p", "x"]),
    "no axes": graph_of(no_axes, ["s"]),
    "perceptron": mlp([3, 4, 4, 2], batch=2, residual=True, normalization="layer_norm")[0],
    "masked perceptron": mlp([6, 5, 4], batch=3, weight_density=0.4, loss="cross_entropy")[0],
    "float32": graph_of(skips, ["p", "x"], "float32"),
}
"""Graphs in which a pull-back that hands on what it is given would hand out the seeds, or one array twice."""

each_graph = pytest.mark.parametrize("graph", ALIASING.values(), ids=ALIASING)


def seeds_for(graph, n_seeds=2, rng_seed=0):
    return np.random.default_rng(rng_seed).standard_normal((n_seeds, *graph.output_shape)).astype(graph.dtype)


@each_graph
@each_strategy
def test_results_have_the_form_of_the_contract(strategy, graph):
    leaves = graph.sample(0)
    lin = load(strategy).prepare(graph).linearize(leaves)
    assert isinstance(lin.output, np.ndarray)
    assert (lin.output.shape, lin.output.dtype) == (graph.output_shape, graph.dtype)
    np.testing.assert_array_equal(lin.output, graph.evaluate(leaves))
    for n_seeds in (1, 2, 5):
        bars = lin.pullback(seeds_for(graph, n_seeds))
        assert list(bars) == list(graph.wrt)
        for name, bar in bars.items():
            assert (bar.shape, bar.dtype) == ((n_seeds, *graph.leaves[name].shape), graph.dtype)


@each_graph
@each_strategy
def test_each_seed_is_pulled_back_by_itself(strategy, graph):
    lin = load(strategy).prepare(graph).linearize(graph.sample(0))
    seeds = seeds_for(graph, 3)
    together = lin.pullback(seeds)
    for k in range(3):
        alone = lin.pullback(seeds[k : k + 1])
        for name, bar in alone.items():
            np.testing.assert_allclose(together[name][k : k + 1], bar, rtol=1e-12 if bar.itemsize == 8 else 1e-5)


@each_graph
@each_strategy
def test_results_are_the_callers_own(strategy, graph):
    """All that was ever returned can be written, shares memory with nothing, and writing it changes no later answer."""
    leaves = graph.sample(0)
    prepared = load(strategy).prepare(graph)
    lin, other = prepared.linearize(leaves), prepared.linearize(graph.sample(1))
    seeds = seeds_for(graph)
    results = [lin.pullback(seeds), lin.pullback(seeds), other.pullback(seeds)]
    arrays = [lin.output, other.output, seeds, *leaves.values(), *(bar for bars in results for bar in bars.values())]
    for i, array in enumerate(arrays):
        assert array.flags.writeable
        assert not any(np.may_share_memory(array, earlier) for earlier in arrays[:i])
    expected = {name: bar.copy() for name, bar in results[0].items()}
    for bars in results:
        for bar in bars.values():
            bar[...] = np.nan
    lin.output[...] = np.nan
    again = lin.pullback(seeds)
    assert all(np.array_equal(again[name], expected[name]) for name in expected)


@each_strategy
def test_results_keep_nothing_larger_alive(strategy):
    """The parts of a fresh array are not handed out as views of it: a small result would hold on to all of it."""
    g = GraphBuilder()
    graph = g.build(g.tanh(g.concat(g.input("x", (2, 3)), g.parameter("p", (2, 1)))), wrt=["p"])
    (bar,) = load(strategy).prepare(graph).linearize(graph.sample(0)).pullback(seeds_for(graph)).values()
    held = bar
    while isinstance(held.base, np.ndarray):
        held = held.base
    assert held.nbytes == bar.nbytes


@each_graph
@each_strategy
def test_later_calls_change_no_earlier_result(strategy, graph):
    prepared = load(strategy).prepare(graph)
    lin = prepared.linearize(graph.sample(0))
    bars = lin.pullback(seeds_for(graph))
    before = {"output": lin.output.copy(), **{name: bar.copy() for name, bar in bars.items()}}
    later = prepared.linearize(graph.sample(1))
    later.pullback(seeds_for(graph, 2, rng_seed=1))
    load(strategy).prepare(graph).linearize(graph.sample(2)).pullback(seeds_for(graph))
    assert all(np.array_equal(before[name], bar) for name, bar in {"output": lin.output, **bars}.items())
    again = lin.pullback(seeds_for(graph))
    assert all(np.array_equal(again[name], before[name]) for name in again)


@each_graph
@each_strategy
def test_inputs_are_never_written(strategy, graph):
    leaves, seeds = graph.sample(0), seeds_for(graph)
    for array in (*leaves.values(), seeds):
        array.flags.writeable = False  # to write it raises
    bars = load(strategy).prepare(graph).linearize(leaves).pullback(seeds)
    assert all(bar.flags.writeable for bar in bars.values())


@each_strategy
def test_seeds_may_lie_anywhere_in_memory(strategy):
    """A part of a larger array, in Fortran order, reversed, or one number repeated without memory of its own."""
    graph = ALIASING["skips"]
    lin = load(strategy).prepare(graph).linearize(graph.sample(0))
    seeds = seeds_for(graph)
    larger = np.zeros((4, 2, 6))
    larger[1:3, :, ::2] = seeds
    ones = np.broadcast_to(1.0, seeds.shape)
    expected = lin.pullback(seeds)
    for form in (larger[1:3, :, ::2], np.asfortranarray(seeds), seeds[:, ::-1].copy()[:, ::-1]):
        bars = lin.pullback(form)
        for name, bar in bars.items():
            np.testing.assert_allclose(bar, expected[name], rtol=1e-14)
            assert not np.may_share_memory(bar, form)
    for name, bar in lin.pullback(ones).items():
        assert bar.flags.writeable
        np.testing.assert_allclose(bar, lin.pullback(ones.copy())[name], rtol=1e-14)


@each_strategy
def test_leaves_may_lie_anywhere_in_memory(strategy):
    graph = ALIASING["perceptron"]
    leaves, seeds = graph.sample(0), seeds_for(ALIASING["perceptron"])
    expected = load(strategy).prepare(graph).linearize(leaves).pullback(seeds)
    fortran = {name: np.asfortranarray(leaf) for name, leaf in leaves.items()}
    strided = {name: np.repeat(leaf, 2, axis=0)[::2] for name, leaf in leaves.items()}
    for form in (fortran, strided):
        bars = load(strategy).prepare(graph).linearize(form).pullback(seeds)
        assert relative_error(bars, expected) < TOLERANCE["float64"]


@each_strategy
def test_a_leaf_that_does_not_feed_the_output_gets_zeros(strategy):
    for name, graph in (("p", ALIASING["one aside"]), ("p", ALIASING["only another leaf"])):
        bars = load(strategy).prepare(graph).linearize(graph.sample(0)).pullback(seeds_for(graph))
        assert bars[name].shape == (2, *graph.leaves[name].shape)
        assert not bars[name].any()


@each_strategy
def test_a_leaf_used_twice_gets_the_sum(strategy):
    seeds = seeds_for(ALIASING["sum with itself"])
    for name, expected in (("sum with itself", lambda _x: 2 * seeds), ("product with itself", lambda x: 2 * seeds * x)):
        graph = ALIASING[name]
        leaves = graph.sample(0)
        bars = load(strategy).prepare(graph).linearize(leaves).pullback(seeds)
        np.testing.assert_allclose(bars["x"], expected(leaves["x"]), rtol=1e-15)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda seeds: seeds[0], r"seeds are float64 \(2, 3\): expected float64 \(S, 2, 3\) with S ≥ 1"),
        (lambda seeds: seeds[:0], r"seeds are float64 \(0, 2, 3\): expected"),
        (lambda seeds: seeds[:, :1], r"seeds are float64 \(2, 1, 3\): expected"),
        (lambda seeds: seeds[None], r"seeds are float64 \(1, 2, 2, 3\): expected"),
        (lambda seeds: seeds.astype("f4"), r"seeds are float32 \(2, 2, 3\): expected float64"),
        (lambda seeds: seeds.astype(int), r"seeds are int64 \(2, 2, 3\): expected float64"),
    ],
)
@each_strategy
def test_wrong_seeds_are_named(strategy, spoil, message):
    graph = ALIASING["skips"]
    lin = load(strategy).prepare(graph).linearize(graph.sample(0))
    with pytest.raises(BadInput, match=message):
        lin.pullback(spoil(seeds_for(graph)))


def counting(graph):
    """Return the graph with rules that count their calls, and the counter: (op, argument, kind) → calls."""
    calls = Counter()

    def counted(rule, key):
        def count(*args):
            calls[key] += 1
            return rule(*args)

        return count

    def with_counts(node):
        arguments = tuple(
            replace(
                argument,
                vjp=counted(argument.vjp, (node.op.name, k, "vjp")),
                jacobian=replace(argument.jacobian, values=counted(argument.jacobian.values, (node.op.name, k, "J"))),
            )
            for k, argument in enumerate(node.op.arguments)
        )
        return replace(node, op=replace(node.op, arguments=arguments))

    return replace(graph, nodes=tuple(map(with_counts, graph.nodes))), calls


KIND = {"vjp": "vjp", "linear-operator": "vjp"}
"""Which rule a strategy calls; the others call for Jacobians."""


@each_strategy
def test_leaves_that_nobody_asked_for_cost_nothing(strategy):
    """Three layers, of which only the second weight is asked for: the first layer and the others' leaves have no rule called."""
    graph, _ = mlp([3, 4, 4, 2], batch=2)
    graph, calls = counting(replace(graph, wrt=("W2",)))
    lin = load(strategy).prepare(graph).linearize(graph.sample(0))
    lin.pullback(seeds_for(graph))
    kind = KIND.get(strategy, "J")
    assert calls == {("affine", 1, kind): 1, ("tanh", 0, kind): 1, ("affine", 0, kind): 1, ("mse", 0, kind): 1}
    lin.pullback(seeds_for(graph))
    assert sum(calls.values()) == (8 if kind == "vjp" else 4)


def residual_chain(depth):
    g = GraphBuilder()
    h = g.input("x", (2, 3))
    for _ in range(depth):
        h = g.add(g.tanh(h), h)
    return g.build(h, wrt=["x"])


@each_strategy
def test_rules_are_called_once_an_edge_however_many_paths_there_are(strategy):
    """30 residual layers have 2**30 paths and 90 edges."""
    graph, calls = counting(residual_chain(30))
    load(strategy).prepare(graph).linearize(graph.sample(0)).pullback(seeds_for(graph))
    assert sum(calls.values()) == 90


# Every kind of Jacobian there is, in both dtypes, in sizes that weigh more than 1 MiB but no more than the machine minds.
HEAVY = {
    "dense": {
        "wide": mlp([64, 64, 64], batch=4),
        "float32": mlp([96, 64, 48], batch=3, activation="gelu", dtype="float32"),
        "one sample": mlp([128, 96, 96, 10], loss="cross_entropy"),
        "normalized": mlp([40, 40, 40, 40], batch=5, residual=True, normalization="layer_norm", activation="softmax"),
        "masked": mlp([100, 80, 60], batch=8, weight_density=0.3),
        "no loss": mlp([64, 128], batch=8, loss=None),
    },
    "sparse": {
        "wide": mlp([256, 200, 200], batch=4),
        "float32": mlp([300, 300, 200], batch=5, activation="gelu", dtype="float32"),
        "one sample": mlp([512, 300, 300, 10], loss="cross_entropy"),
        "normalized": mlp([96, 96, 96, 96], batch=9, residual=True, normalization="layer_norm", activation="softmax"),
        "masked": mlp([200, 200, 200], batch=16, weight_density=0.3),
        "no loss": mlp([64, 400], batch=8, loss=None),
    },
}
CASES = list(HEAVY["dense"])
SIZES = {"dense": "dense", "dense-blocks": "dense", "sparse": "sparse", "forward-dense": "dense"}
"""Which of the sizes weigh enough for a strategy."""


def jacobians_bytes(strategy, graph, leaves):
    """Return the bytes and the stored entries of all Jacobians, from the arrays themselves."""
    values = [leaves[name] for name in graph.leaves]
    n_bytes = n_entries = 0
    for node in graph.nodes:
        xs = tuple(values[i] for i in node.args)
        y = np.asarray(node.op.forward(NUMPY, *xs, **node.attrs))
        values.append(y)
        for x, ctx in zip(node.args, node.contexts, strict=True):
            if x not in graph.active:
                continue
            jacobian = node.op.argument(ctx.k).jacobian
            if strategy == "sparse":
                stored = sparse.materialize(jacobian, jacobian.structure.pattern(ctx), y, xs, ctx).data
            else:
                make = dense.materialize if strategy == "dense" else dense.materialize_blocks
                stored = make(jacobian, y, xs, ctx)
            n_bytes += stored.nbytes
            n_entries += stored.size
    return n_bytes, n_entries


def measured(call):
    """Return what a call returned, the highest the heap rose during it, and what is held after it, in bytes."""
    call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        result = call()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return result, peak - before, held - before


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("strategy", ["dense", "dense-blocks", "sparse"])
def test_predicted_bytes_are_those_of_the_jacobians(strategy, case):
    graph, leaves = HEAVY[SIZES[strategy]][case]
    prepared = load(strategy).prepare(graph)
    predictions = load(strategy).predict(graph, 1)
    n_bytes, n_entries = jacobians_bytes(strategy, graph, leaves)
    lin, peak, held = measured(lambda: prepared.linearize(leaves))
    predicted = predictions.phases["linearize"]
    assert lin.output.shape == graph.output_shape
    assert predictions.n_nonzeros == n_entries
    assert n_bytes > 2**20
    assert held == pytest.approx(predicted.retained_bytes, rel=0.05)
    assert peak == pytest.approx(predicted.peak_bytes, rel=0.05)
    assert held == pytest.approx(n_bytes, rel=0.05)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n_seeds", [1, 3])
@pytest.mark.parametrize("strategy", SIZES)
def test_predicted_bytes_hold_in_every_phase(strategy, n_seeds, case):
    """Within 5 % above 1 MiB; below, Python's own objects count too: 48 KiB are allowed for them."""
    graph, leaves = HEAVY[SIZES[strategy]][case]
    predictions = load(strategy).predict(graph, n_seeds)
    seeds = seeds_for(graph, n_seeds)
    prepared = load(strategy).prepare(graph)
    lin = prepared.linearize(leaves)
    calls = {
        "prepare": lambda: load(strategy).prepare(graph),
        "linearize": lambda: prepared.linearize(leaves),
        "pullback": lambda: lin.pullback(seeds),
        "gradient": lambda: prepared.linearize(leaves).pullback(seeds),
    }
    for phase, call in calls.items():
        predicted = predictions.phases[phase]
        result, peak, held = measured(call)
        assert result is not None
        assert peak == pytest.approx(predicted.peak_bytes, rel=0.05, abs=3 * 2**14), phase
        assert held == pytest.approx(predicted.retained_bytes, rel=0.05, abs=3 * 2**14), phase


def test_forward_sparse_predicts_patterns_once():
    """They are made in `prepare`. A single layer has no products, of whose fill the prediction knows but a bound."""
    graph, leaves = HEAVY["sparse"]["no loss"]
    prepared = load("forward-sparse").prepare(graph)
    predicted = load("forward-sparse").predict(graph, 1).phases
    _, peak, held = measured(lambda: prepared.linearize(leaves))
    _, _, held_by_prepare = measured(lambda: load("forward-sparse").prepare(graph))
    assert peak == pytest.approx(predicted["linearize"].peak_bytes, rel=0.05)
    assert held == pytest.approx(predicted["linearize"].retained_bytes, rel=0.05)
    assert held_by_prepare == pytest.approx(predicted["prepare"].retained_bytes, rel=0.05)


@pytest.mark.parametrize("case", CASES)
def test_vjp_retains_what_it_predicts(case):
    """Its residuals; what the forward rules allocate on the way is not predicted."""
    graph, leaves = HEAVY["sparse"][case]
    prepared = load("vjp").prepare(graph)
    predicted = load("vjp").predict(graph, 1).phases["linearize"]
    _, peak, held = measured(lambda: prepared.linearize(leaves))
    assert held == pytest.approx(predicted.retained_bytes, rel=0.05, abs=2**14)
    assert peak >= predicted.peak_bytes


@each_graph
@each_strategy
def test_every_graph_has_predictions(strategy, graph):
    predictions = load(strategy).predict(graph, 2)
    own = {"jacobian"} if strategy.startswith("forward") else set()
    assert set(predictions.phases) == set(PHASES) | own
    assert predictions.n_nonzeros >= 0
    for prediction in predictions.phases.values():
        assert prediction.peak_bytes >= prediction.retained_bytes >= 0
        assert prediction.flops >= 0
    pulled = 2 * sum(int(np.prod(graph.leaves[name].shape)) for name in graph.wrt) * graph.dtype.itemsize
    assert predictions.phases["pullback"].retained_bytes <= pulled


@pytest.mark.parametrize("strategy", ["vjp", "linear-operator"])
def test_matrix_free_strategies_store_no_jacobian(strategy):
    assert load(strategy).predict(HEAVY["dense"]["wide"][0], 1).n_nonzeros == 0
