"""Other libraries as strategies: they agree with `vjp`, fulfil the contract, and are imported only on request."""

import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from jacobench.bench.cell.prepared_cell import prepare_cell
from jacobench.bench.cell.verification import verify
from jacobench.bench.cell.whole_jacobian import arrays_of, whole_jacobian
from jacobench.bench.suites.case import Case, problem_of
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.errors import BadInput
from jacobench.graphs.generators.chain import chain_graph
from jacobench.graphs.generators.mlp import mlp_graph
from jacobench.strategies.contract import Unsupported, placed
from jacobench.strategies.peers import library
from jacobench.strategies.registry import load, registered

LIBRARY = {
    "jax-vjp": "jax",
    "jax-jacrev": "jax",
    "torch-vjp": "torch",
    "torch-jacrev": "torch",
    "autograd-vjp": "autograd.numpy",
    "asdex": "asdex",
}

ORIGINALS = {"jax-original", "torch-original"}
"""Peers that need the model that a graph was imported from."""


def mlp_of(*widths, **knobs):
    return lambda: mlp_graph(widths, **knobs)


def sum_of_two():
    """Make a graph whose cotangents are the seeds themselves, twice."""
    g = GraphBuilder()
    return g.build(g.add(g.input("x", (2, 3)), g.parameter("p", (2, 3))), wrt=["p", "x"])


def only_a_leaf():
    g = GraphBuilder()
    g.parameter("p", (4,))
    return g.build(g.input("x", (2, 3)), wrt=["p", "x"])


def one_aside():
    """Make a graph in which the only leaf that is asked for does not feed the output."""
    g = GraphBuilder()
    g.parameter("p", (4,))
    return g.build(g.sin(g.input("x", (2, 3))), wrt=["p"])


def leaves_are_residuals():
    """Make products, whose cotangents need leaves, and whose output is a leaf's function that is kept, too."""
    g = GraphBuilder()
    x, p, q = g.input("x", (2, 3)), g.parameter("p", (2, 3)), g.parameter("q", (2, 3))
    return g.build(g.tanh(g.add(g.multiply(x, p), g.multiply(p, q))), wrt=["q", "p", "x"])


def masks():
    """Make residuals that are no floats, as the masked perceptron's indices are not."""
    g = GraphBuilder()
    return g.build(g.leaky_relu(g.relu(g.input("x", (3, 4)))), wrt=["x"])


GRAPHS = {
    "mse": mlp_of(5, 7, 3, batch=3),
    "cross entropy": mlp_of(5, 7, 3, batch=3, activation="gelu", loss="cross_entropy"),
    "no loss": mlp_of(3, 4, 2, batch=2, loss=None),
    "one output": mlp_of(3, 4, 1, loss=None),
    "deep": mlp_of(*[4] * 6, batch=2, activation="silu", residual=True, normalization="layer_norm", loss=None),
    "masked": mlp_of(9, 8, 4, batch=2, activation="relu", weight_density=0.4),
    "float32": mlp_of(5, 7, 3, batch=3, activation="softplus", dtype="float32"),
    "float32, no loss": mlp_of(5, 7, 3, batch=2, loss=None, activation="sigmoid", dtype="float32"),
    "sum of two": sum_of_two,
    "only a leaf": only_a_leaf,
    "one aside": one_aside,
    "leaves are residuals": leaves_are_residuals,
    "masks": masks,
    "chain": lambda: chain_graph(["neg", "permute", "cross", "cumsum", "multiply", "flip", "dropout"], 6, batch=2),
}


def convolution():
    """Make what a small network for pictures is made of."""
    g = GraphBuilder()
    x, W = g.input("x", (2, 1, 5, 5)), g.parameter("W", (2, 1, 2, 2))
    h = g.avg_pool(g.max_pool(g.relu(g.conv2d(x, W, padding=1)), window=(2, 2)), window=2, stride=1)
    return g.build(g.sum(g.reshape(h, shape=(2, -1))), wrt=["x", "W"])


each_peer = pytest.mark.parametrize("peer", LIBRARY)
each_graph = pytest.mark.parametrize("name", GRAPHS)


@cache
def prepared(peer, name):
    """Return a graph and its preparation: compiled once, however many tests take it."""
    pytest.importorskip(LIBRARY[peer])
    graph = GRAPHS[name]()
    return graph, load(peer).prepare(graph)


def seeds_for(graph, n_seeds, rng_seed=0):
    return np.random.default_rng(rng_seed).standard_normal((n_seeds, *graph.output_shape)).astype(graph.dtype)


def test_every_peer_is_here():
    peers = {name for name, point in registered().items() if point.value.startswith("jacobench.strategies.peers.")}
    assert peers == {*LIBRARY, *ORIGINALS}


@pytest.mark.long
@each_graph
@each_peer
def test_a_peer_agrees_with_vjp_and_keeps_the_contract(peer, name):
    graph, preparation = prepared(peer, name)
    leaves = graph.sample(0)
    for n_seeds in (1, 3):
        seeds = seeds_for(graph, n_seeds)
        reference = load("vjp").prepare(graph).linearize(leaves).pullback(seeds)
        finding = verify(graph, preparation, leaves, seeds, reference)
        assert finding.breach == ""
        assert finding.max_relative_error <= (1e-13 if graph.dtype == np.float64 else 1e-5)


@each_graph
@each_peer
def test_results_are_the_callers_own(peer, name):
    """All that was ever returned can be written, shares memory with nothing, and writing it changes no later answer."""
    graph, preparation = prepared(peer, name)
    leaves, seeds = graph.sample(0), seeds_for(graph, 1)
    lin, other = preparation.linearize(leaves), preparation.linearize(graph.sample(1))
    results = [lin.pullback(seeds), lin.pullback(seeds), other.pullback(seeds)]
    arrays = [lin.output, other.output, seeds, *leaves.values(), *(bar for bars in results for bar in bars.values())]
    for i, array in enumerate(arrays):
        assert array.flags.writeable
        assert not any(np.may_share_memory(array, earlier) for earlier in arrays[:i])
    expected = {leaf: bar.copy() for leaf, bar in results[0].items()}
    for array in (lin.output, *(bar for bars in results for bar in bars.values())):
        array[...] = np.nan
    again = lin.pullback(seeds)
    assert all(np.array_equal(again[leaf], expected[leaf]) for leaf in expected)


@each_peer
def test_a_peer_takes_convolutions_or_says_why_not(peer):
    pytest.importorskip(LIBRARY[peer])
    graph = convolution()
    if peer == "asdex":
        with pytest.raises(Unsupported, match="asdex finds no pattern: "):
            load(peer).prepare(graph)
        return
    leaves, seeds = graph.sample(0), seeds_for(graph, 3)
    reference = load("vjp").prepare(graph).linearize(leaves).pullback(seeds)
    finding = verify(graph, load(peer).prepare(graph), leaves, seeds, reference)
    assert finding.breach == ""
    assert finding.max_relative_error <= 1e-13


@each_peer
def test_leaves_may_be_placed_beforehand_and_inputs_may_be_read_only(peer):
    graph, preparation = prepared(peer, "no loss")
    leaves, seeds = graph.sample(0), seeds_for(graph, 1)
    expected = preparation.linearize(leaves).pullback(seeds)
    for array in (*leaves.values(), seeds):
        array.flags.writeable = False  # to write it raises
    ready = placed(preparation, leaves)
    assert list(ready) == list(leaves)
    for _ in range(2):
        bars = preparation.linearize(ready).pullback(seeds)
        assert all(np.array_equal(bars[leaf], expected[leaf]) for leaf in expected)


@each_peer
def test_seeds_may_lie_anywhere_in_memory(peer):
    graph, preparation = prepared(peer, "no loss")
    lin, seeds = preparation.linearize(graph.sample(0)), seeds_for(graph, 3)
    expected = lin.pullback(seeds)
    for form in (np.asfortranarray(seeds), seeds[:, ::-1].copy()[:, ::-1], np.repeat(seeds, 2, axis=2)[..., ::2]):
        bars = lin.pullback(form)
        assert all(np.allclose(bars[leaf], expected[leaf], rtol=1e-13) for leaf in expected)


@each_peer
def test_a_leaf_that_does_not_feed_the_output_gets_zeros(peer):
    graph, preparation = prepared(peer, "one aside")
    for n_seeds in (1, 3):
        bars = preparation.linearize(graph.sample(0)).pullback(seeds_for(graph, n_seeds))
        np.testing.assert_array_equal(bars["p"], np.zeros((n_seeds, 4)))


@each_peer
def test_wrong_inputs_are_named(peer):
    graph, preparation = prepared(peer, "no loss")
    leaves = graph.sample(0)
    with pytest.raises(BadInput, match="leaf 'W1' has shape"):
        preparation.linearize({**leaves, "W1": leaves["W1"][:1]})
    lin = preparation.linearize(leaves)
    for seeds in (seeds_for(graph, 1)[0], seeds_for(graph, 2)[:0], seeds_for(graph, 1).astype("f4")):
        with pytest.raises(BadInput, match="seeds are"):
            lin.pullback(seeds)


def test_jax_keeps_the_readers_precision():
    jax = pytest.importorskip("jax")
    graph, preparation = prepared("jax-vjp", "no loss")
    preparation.linearize(placed(preparation, graph.sample(0))).pullback(seeds_for(graph, 1))
    assert jax.numpy.asarray(np.ones(1)).dtype == np.float32
    with jax.enable_x64(True):
        single, in_single = prepared("jax-vjp", "float32")
        assert in_single.linearize(single.sample(0)).output.dtype == np.float32
        assert jax.numpy.asarray(np.ones(1)).dtype == np.float64


def test_jax_does_not_copy_leaves_that_the_pullback_needs():
    pytest.importorskip("jax")
    graph, preparation = prepared("jax-vjp", "leaves are residuals")
    kept = {list(graph.leaves)[k] for is_leaf, k in preparation.sources if is_leaf}
    assert kept == {"x", "p", "q"}


@pytest.mark.parametrize(("threads", "expected"), [(1, {0, 1}), (3, {3})])
@pytest.mark.skipif(sys.platform != "linux", reason="threads have names in /proc")
def test_jax_has_as_many_threads_as_it_is_given(threads, expected):
    pytest.importorskip("jax")
    script = """
from pathlib import Path
from jacobench.strategies.registry import load
load("jax-vjp")
print(sum("XLAEigen" in path.read_text() for path in Path("/proc/self/task").glob("*/comm")))
"""
    from jacobench.bench.machine.environment import environment, settings

    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env=environment(settings("tuned", threads), 0),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) in expected


@pytest.fixture
def nothing_installed(monkeypatch):
    """Pretend that no library of the extra is installed."""

    def import_module(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(library, "import_module", import_module)


@each_peer
@pytest.mark.usefixtures("nothing_installed")
def test_a_peer_that_is_not_installed_is_unsupported(peer):
    with pytest.raises(Unsupported, match=r"is not installed: pip install 'jacobench\[peers\]'"):
        load(peer)
    trial = prepare_cell(peer, problem_of(Case("case", {}, (), GRAPHS["mse"]), 2**31), 2**30, load)
    assert trial.name == peer
    assert set(trial.failed) == {"prepare", "linearize", "pullback", "gradient"}
    assert all(status == "unsupported" and "pip install" in reason for status, reason in trial.failed.values())


def test_a_library_that_is_broken_is_not_called_missing(monkeypatch):
    def import_module(_name):
        raise ModuleNotFoundError("No module named 'of_its_own'", name="of_its_own")

    monkeypatch.setattr(library, "import_module", import_module)
    with pytest.raises(ModuleNotFoundError, match="of_its_own"):
        load("jax-vjp")


def test_no_library_is_imported_before_its_strategy_is_loaded():
    script = """
import sys
import jacobench.strategies.peers.peer_asdex, jacobench.strategies.peers.peer_torch
from jacobench.strategies import registry
assert "torch-vjp" in registry.registered()
registry.load("vjp")
print(*{"torch", "jax", "autograd", "asdex"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize("name", ["mse", "no loss", "float32", "only a leaf", "one aside", "masked"])
@pytest.mark.parametrize("peer", ["jax-jacrev", "torch-jacrev", "asdex"])
def test_a_whole_jacobian_is_that_of_vjp(peer, name):
    graph, preparation = prepared(peer, name)
    leaves = graph.sample(0)
    linearized = preparation.linearize(placed(preparation, leaves))
    expected = whole_jacobian(load("vjp").prepare(graph).linearize(leaves), graph)
    first, second = linearized.jacobian(), linearized.jacobian()
    dense = first.toarray() if peer == "asdex" else first
    assert (dense.shape, dense.dtype) == (expected.shape, graph.dtype)
    tolerance = 1e-12 if graph.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(dense, expected, atol=tolerance * max(1, np.abs(expected).max()))
    for one, other in zip(arrays_of(first).values(), arrays_of(second).values(), strict=True):
        assert one.flags.writeable
        assert not np.shares_memory(one, other)


def solved(graph):
    return problem_of(Case("case", {}, (), lambda: graph, task="jacobian"), 2**30)


@each_peer
def test_only_peers_with_the_matrix_have_the_method_and_all_are_verified(peer):
    graph, preparation = prepared(peer, "no loss")
    linearized = preparation.linearize(placed(preparation, graph.sample(0)))
    assert (linearized.jacobian is None) == (peer not in {"jax-jacrev", "torch-jacrev", "asdex"})
    assert prepare_cell(peer, solved(graph), 2**30, load).failed == {}
