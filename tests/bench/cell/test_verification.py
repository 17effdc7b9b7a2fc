"""`verify` finds every way in which a strategy can be wrong; `central_difference_error` separates right from wrong gradients."""

from dataclasses import dataclass
from math import inf, isnan

import numpy as np
import pytest

from jacobench.bench.cell.verification import _sharing_breach, central_difference_error, relative_error, verify
from jacobench.graphs.builder import GraphBuilder
from jacobench.graphs.generators.mlp import mlp
from jacobench.strategies.registry import load, registered

DTYPES = ["float64", "float32"]


def case(dtype="float64"):
    graph, leaves = mlp([3, 4, 2], batch=2, dtype=dtype, loss=None)
    seeds = np.random.default_rng(0).standard_normal((2, *graph.output_shape)).astype(dtype)
    return graph, leaves, seeds, load("vjp").prepare(graph).linearize(leaves).pullback(seeds)


@dataclass
class Rogue:
    """A preparation by `vjp` that does one thing wrong: `spoil` is called for each call and may return another result."""

    graph: object
    spoil: object

    def linearize(self, leaves):
        return RogueLinearized(self, load("vjp").prepare(self.graph).linearize(leaves), leaves)


class RogueLinearized:
    def __init__(self, rogue, right, leaves):
        self.spoil, self.right, self.leaves = rogue.spoil, right, leaves
        self.results, self.seeds = [], None
        self.output = right.output
        self.spoil(self, {})

    def pullback(self, seeds):
        self.seeds = seeds
        bars = self.right.pullback(seeds)
        spoiled = self.spoil(self, bars)
        result = bars if spoiled is None else spoiled
        self.results.append(result)
        return result


def found(spoil, dtype="float64"):
    graph, leaves, seeds, reference = case(dtype)
    return verify(graph, Rogue(graph, spoil), leaves, seeds, reference)


def changed(name, change):
    """Make a spoiler that replaces one leaf's cotangent."""
    return lambda _lin, bars: {**bars, name: change(bars[name])} if bars else None


def first_entry_off_by(relative):
    """Spoil one entry by so much of the largest."""

    def change(bar):
        bar.reshape(-1)[0] += relative * np.max(np.abs(bar))
        return bar

    return change


def with_nan(bar):
    bar.reshape(-1)[:2] = np.nan
    return bar


def with_infinity(bar):
    bar.reshape(-1)[0] = inf
    return bar


def read_only(bar):
    bar.flags.writeable = False
    return bar


def writes_a_leaf_in_linearize(lin, bars):
    if not bars:
        lin.leaves["W1"][0, 0] += 1


def writes_a_leaf_in_pullback(lin, bars):
    if bars:
        lin.leaves["b1"][0] += 1


def writes_the_seeds(lin, bars):
    if bars:
        lin.seeds[0, 0, 0] += 1


def reuses_its_memory(lin, bars):
    for earlier in lin.results:
        earlier["W1"][...] = 0


def returns_the_same_arrays(lin, bars):
    return lin.results[0] if lin.results else None


def answers_otherwise_the_second_time(lin, bars):
    if bars and lin.results:
        bars["W2"][0, 0, 0] += 1e-3


def has_nan_the_second_time(lin, bars):
    if bars and lin.results:
        bars["W2"][0, 0, 0] = np.nan


def output_off(lin, _bars):
    lin.output = lin.output * (1 + 1e-6)


def output_nan(lin, _bars):
    lin.output = lin.output * np.nan


def output_of_another_shape(lin, _bars):
    lin.output = lin.output[:1]


def output_of_another_dtype(lin, _bars):
    lin.output = lin.output.astype("f4")


def output_missing(lin, _bars):
    lin.output = None


BREACHES = {
    "wrong values": (changed("W1", first_entry_off_by(1e-2)), "cotangent of W1 is off by 1.0e-02 from the reference: expected at most 1e-10"),
    "barely wrong values": (changed("b2", first_entry_off_by(2e-10)), "cotangent of b2 is off by 2.0e-10"),
    "wrong shape": (changed("W1", lambda bar: bar[0]), "cotangent of W1 is float64 (4, 3): expected float64 (2, 4, 3)"),
    "transposed": (changed("W1", lambda bar: bar.transpose(0, 2, 1)), "cotangent of W1 is float64 (2, 3, 4): expected"),
    "wrong dtype": (changed("b1", lambda bar: bar.astype("f4")), "cotangent of b1 is float32 (2, 4): expected float64 (2, 4)"),
    "no array": (changed("b1", lambda bar: bar.tolist()), "cotangent of b1 is list: expected float64 (2, 4)"),
    "NaN": (changed("W2", with_nan), "cotangent of W2 has 2 entries that are NaN or infinite"),
    "infinite": (changed("W2", with_infinity), "cotangent of W2 has 1 entries that are NaN or infinite"),
    "read-only": (changed("W2", read_only), "cotangent of W2 is read-only"),
    "leaf missing": (lambda _lin, bars: {k: v for k, v in bars.items() if k != "b1"} or None, "pullback returned W1, W2, b2: expected exactly the leaves W1, b1, W2, b2"),
    "leaf too many": (lambda _lin, bars: {**bars, "x": np.zeros(3)} if bars else None, "expected exactly the leaves W1, b1, W2, b2"),
    "no dict": (lambda _lin, bars: list(bars.values()) or None, "pullback returned list: expected exactly"),
    "empty": (lambda _lin, bars: {} if bars else None, "pullback returned nothing: expected exactly"),
    "writes a leaf in linearize": (writes_a_leaf_in_linearize, "linearize wrote its inputs: W1"),
    "writes a leaf in pullback": (writes_a_leaf_in_pullback, "pullback wrote its inputs: b1"),
    "writes the seeds": (writes_the_seeds, "pullback wrote its inputs: the seeds"),
    "reuses its memory": (reuses_its_memory, "a later call changed what pullback had returned: cotangent of W1"),
    "returns the same arrays": (returns_the_same_arrays, "cotangent of W1 shares memory with cotangent of W1 of a second call"),
    "answers otherwise": (answers_otherwise_the_second_time, "the second pullback differs from the first by"),
    "NaN the second time": (has_nan_the_second_time, "cotangent of W2 has 1 entries that are NaN"),
    "output off": (output_off, "output is off by 1.0e-06: expected at most 1e-10, relative"),
    "output NaN": (output_nan, "output is off by nan"),
    "output's shape": (output_of_another_shape, "output is float64 (1, 2): expected float64 (2, 2)"),
    "output's dtype": (output_of_another_dtype, "output is float32 (2, 2): expected float64 (2, 2)"),
    "no output": (output_missing, "output is NoneType: expected float64 (2, 2)"),
}  # fmt: skip


@pytest.mark.parametrize("breach", BREACHES)
def test_every_breach_is_found_and_named(breach):
    spoil, message = BREACHES[breach]
    finding = found(spoil)
    assert message in finding.breach
    assert "\n" not in finding.breach


class LaterCalls:
    """A preparation by `vjp` that keeps its results: `spoil` is called for each later call.

    It takes the event and the linearization that it happens in, and all that was made before.
    """

    def __init__(self, graph, spoil):
        self.graph, self.spoil, self.made = graph, spoil, []

    def linearize(self, leaves):
        right = load("vjp").prepare(self.graph).linearize(leaves)
        made = LaterLinearized(self, right)
        self.spoil("linearize", made, self.made)
        self.made.append(made)
        return made


class LaterLinearized:
    def __init__(self, prepared, right):
        self.prepared, self.right, self.output, self.results = prepared, right, right.output.copy(), []

    def pullback(self, seeds):
        bars = self.right.pullback(seeds)
        self.prepared.spoil("pullback", self, [*self.prepared.made])
        self.results.append(bars)
        return bars


def linearize_overwrites_the_cotangents(event, _made, before):
    for earlier in before if event == "linearize" else ():
        for bars in earlier.results:
            bars["W1"][...] = 0


def linearize_overwrites_the_output(event, _made, before):
    for earlier in before if event == "linearize" else ():
        earlier.output[...] = 0


def pullback_overwrites_the_output(event, made, _before):
    if event == "pullback":
        made.output[...] = 0


def the_output_is_shared(event, made, before):
    if event == "linearize" and before:
        made.output = before[0].output


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (linearize_overwrites_the_cotangents, "a later call changed what pullback had returned: cotangent of W1"),
        (linearize_overwrites_the_output, "a later call changed the output of linearize"),
        (pullback_overwrites_the_output, "a later call changed the output of linearize"),
        (the_output_is_shared, "output shares memory with that of an earlier call"),
        (lambda *_: None, ""),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_later_call_changes_is_found(spoil, message, dtype):
    graph, leaves, seeds, reference = case(dtype)
    assert verify(graph, LaterCalls(graph, spoil), leaves, seeds, reference).breach == message


@dataclass
class Sum:
    """The strategy of x + p: both cotangents are the seeds. `hand_out` says in whose memory."""

    hand_out: object

    def linearize(self, leaves):
        self.output = leaves["x"] + leaves["p"]
        return self

    def pullback(self, seeds):
        return self.hand_out(seeds)


def one_buffer(seeds):
    """Return two parts of one array, interleaved but for no entry shared: that is fine."""
    buffer = np.concatenate([seeds, seeds], axis=-1)
    return {"x": buffer[..., :3], "p": buffer[..., 3:]}


def one_copy(seeds):
    copy = seeds.copy()
    return {"x": copy, "p": copy}


def views_of_one_copy(seeds):
    copy = seeds.copy()
    return {"x": copy, "p": copy[:, ::-1][:, ::-1]}


@pytest.mark.parametrize(
    ("hand_out", "message"),
    [
        (lambda seeds: {"x": seeds, "p": seeds.copy()}, "cotangent of x shares memory with the seeds"),
        (lambda seeds: {"x": seeds.copy(), "p": seeds[:]}, "cotangent of p shares memory with the seeds"),
        (one_copy, "cotangent of x shares memory with cotangent of p"),
        (views_of_one_copy, "cotangent of x shares memory with cotangent of p"),
        (lambda seeds: {"x": seeds.copy(), "p": seeds.copy()}, ""),
        (one_buffer, ""),
    ],
)
def test_shared_memory_is_found_and_nothing_else(hand_out, message):
    g = GraphBuilder()
    graph = g.build(g.add(g.input("x", (2, 3)), g.parameter("p", (2, 3))), wrt=["x", "p"])
    seeds = np.random.default_rng(0).standard_normal((2, 2, 3))
    finding = verify(graph, Sum(hand_out), graph.sample(0), seeds, {"x": seeds.copy(), "p": seeds.copy()})
    assert finding.breach.startswith(message)
    assert bool(finding.breach) == bool(message)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("strategy", [name for name, point in registered().items() if ".peers." not in point.value])
def test_a_right_strategy_passes(strategy, dtype):
    graph, leaves, seeds, reference = case(dtype)
    finding = verify(graph, load(strategy).prepare(graph), leaves, seeds, reference)
    assert finding.breach == ""
    assert finding.max_relative_error <= (1e-14 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("strategy", ["dense", "dense-blocks", "sparse", "forward-dense", "forward-sparse"])
@pytest.mark.parametrize("rng_seed", range(25))
def test_cotangents_that_are_nothing_but_rounding_may_differ(strategy, rng_seed):
    """A layer norm of width 2 gives ±1 whatever it is given: what reaches the weights before it is 0 but for rounding."""
    graph, leaves = mlp([3, 2, 2], batch=3, normalization="layer_norm", dtype="float32", rng_seed=rng_seed, loss=None)
    seeds = np.random.default_rng(rng_seed).standard_normal((2, *graph.output_shape)).astype("float32")
    reference = load("vjp").prepare(graph).linearize(leaves).pullback(seeds)
    assert verify(graph, load(strategy).prepare(graph), leaves, seeds, reference).breach == ""
    for name in ("W2", "b2"):
        wrong = Rogue(graph, changed(name, first_entry_off_by(1e-2)))
        assert f"cotangent of {name} is off by" in verify(graph, wrong, leaves, seeds, reference).breach


def test_without_a_reference_only_the_form_is_checked():
    graph, leaves, seeds, _ = case()
    finding = verify(graph, Rogue(graph, changed("W1", first_entry_off_by(1))), leaves, seeds, None)
    assert finding.breach == ""
    assert isnan(finding.max_relative_error)
    finding = verify(graph, Rogue(graph, changed("W1", with_nan)), leaves, seeds, None)
    assert "NaN" in finding.breach


def test_what_is_off_by_less_than_the_tolerance_passes_with_the_figure():
    finding = found(changed("W1", first_entry_off_by(5e-11)))
    assert finding.breach == ""
    assert finding.max_relative_error == pytest.approx(5e-11, rel=1e-3)
    finding = found(changed("W1", first_entry_off_by(5e-5)), "float32")
    assert finding.breach == ""
    assert "off by" in found(changed("W1", first_entry_off_by(2e-4)), "float32").breach


def test_what_a_strategy_raises_goes_through():
    def raises(_lin, _bars):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        found(raises)


def test_relative_error_is_the_largest_of_any_leaf():
    ones = np.ones(3)
    assert relative_error({}, {}) == 0
    assert relative_error({"a": ones, "b": 1.5 * ones}, {"a": ones, "b": ones}) == 0.5
    assert relative_error({"a": 100 * ones + [1, 0, 0], "b": ones}, {"a": 100 * ones, "b": ones}) == 0.01
    assert relative_error({"a": 0 * ones}, {"a": 0 * ones}) == 0
    assert relative_error({"a": 1e-300 * ones}, {"a": 0 * ones}) == inf


def test_a_small_leaf_is_compared_with_a_hundredth_of_the_largest():
    ones = np.ones(3)
    reference = {"large": ones, "small": 1e-6 * ones, "zero": 0 * ones}
    assert relative_error({**reference, "small": 2e-6 * ones}, reference) == pytest.approx(1e-4)
    assert relative_error({**reference, "zero": 1e-6 * ones}, reference) == pytest.approx(1e-4)
    assert relative_error({**reference, "large": ones + 1e-4}, reference) == pytest.approx(1e-4)


SMOOTH = {
    "mse": mlp([5, 7, 3], batch=3),
    "cross entropy": mlp([5, 7, 3], batch=3, activation="gelu", loss="cross_entropy"),
    "deep": mlp([4] * 8, batch=2, activation="silu", residual=True, normalization="layer_norm", loss=None),
    "masked": mlp([9, 8, 4], batch=2, activation="sin", weight_density=0.5),
    "float32": mlp([5, 7, 3], batch=3, dtype="float32"),
}


@pytest.mark.parametrize("case", SMOOTH)
@pytest.mark.parametrize("rng_seed", range(4))
def test_central_differences_distinguish_right_from_wrong(case, rng_seed):
    """Right gradients pass within 1e-7, in float32 within its rounding.

    Some 1 % too long, or off in one entry by 1 % of the longest, lie orders of magnitude above that.
    """
    graph, leaves = SMOOTH[case]
    seeds = np.random.default_rng(rng_seed).standard_normal((2, *graph.output_shape)).astype(graph.dtype)
    bars = load("vjp").prepare(graph).linearize(leaves).pullback(seeds)
    right = 1e-7 if graph.dtype == "float64" else 1e-5
    assert central_difference_error(graph, leaves, seeds, bars, rng_seed) < right
    longer = {name: 1.01 * bar for name, bar in bars.items()}
    flipped = {name: -bar for name, bar in bars.items()}
    assert central_difference_error(graph, leaves, seeds, longer, rng_seed) > 1e-4
    assert central_difference_error(graph, leaves, seeds, flipped, rng_seed) > 1e-2
    name = max(bars, key=lambda name: np.max(np.abs(bars[name])))
    one_off = {**bars, name: first_entry_off_by(0.01)(bars[name].copy())}
    assert central_difference_error(graph, leaves, seeds, one_off, rng_seed) > 1e-4


def test_central_differences_move_only_what_is_asked_for():
    g = GraphBuilder()
    graph = g.build(g.multiply(g.input("x", (2, 3)), g.parameter("p", (2, 3))), wrt=["p"])
    leaves, seeds = graph.sample(0), np.ones((1, 2, 3))
    assert central_difference_error(graph, leaves, seeds, {"p": leaves["x"][None]}) < 1e-9
    assert central_difference_error(graph, leaves, seeds, {"p": 0 * leaves["x"][None]}) > 0.01
    before = {name: leaf.copy() for name, leaf in leaves.items()}
    central_difference_error(graph, leaves, seeds, {"p": leaves["x"][None]})
    assert all(np.array_equal(leaves[name], before[name]) for name in leaves)


def test_rounding_of_a_large_value_does_not_make_a_small_gradient_wrong():
    g = GraphBuilder()
    graph = g.build(g.add(g.input("x", (2, 3)), g.parameter("p", (2, 3))), wrt=["p"])
    leaves, seeds = graph.sample(0), np.ones((1, 2, 3))
    leaves["p"] *= 1e-6
    for rng_seed in range(20):
        assert central_difference_error(graph, leaves, seeds, {"p": seeds}, rng_seed) < 1e-5
        assert central_difference_error(graph, leaves, seeds, {"p": 2 * seeds}, rng_seed) > 1e-3


def test_only_neighbours_in_memory_are_compared(monkeypatch):
    calls = []
    shares = np.shares_memory
    monkeypatch.setattr(np, "shares_memory", lambda *a: calls.append(a) or shares(*a))
    for depth in (10, 100):
        calls.clear()
        graph, leaves = mlp([3] * (depth + 1), loss=None)
        seeds = np.ones((1, *graph.output_shape))
        prepared = load("vjp").prepare(graph)
        assert not verify(graph, prepared, leaves, seeds, prepared.linearize(leaves).pullback(seeds)).breach
        assert len(calls) <= 2


def test_the_first_leaf_that_shares_memory_is_named_wherever_it_is_in_memory():
    low, high = np.split(np.zeros(8), 2)
    for first, second in ((low, high), (high, low)):
        bars, again = (
            {"cotangent of W1": first, "cotangent of W2": second},
            {"W2 of a second call": second, "W1 of a second call": first},
        )
        assert _sharing_breach(bars, again).startswith("cotangent of W1 shares memory with W1 of a second call:")
    assert _sharing_breach({"W1": low}, {"x": high}) == ""
