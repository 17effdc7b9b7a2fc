"""Size limits: they fit, the next size does not, and no size is named that was not checked."""

import math
import tracemalloc

import numpy as np
import pytest

from jacobench.bench.floor.predicted_rows import held_bytes, needed_bytes, one_case, predicted_rows
from jacobench.bench.row.columns import tidy
from jacobench.graphs.errors import BadInput
from jacobench.reports.analysis import size_limits
from jacobench.reports.analysis.size_limits import (
    LARGEST_TESTED_BYTES,
    RANGE_FACTOR,
    between_sizes,
    largest_batch,
    what_fits,
)
from jacobench.strategies import registry

SIZES = np.array([16.0, 32, 64, 128, 256])
CUBE = 8 * SIZES**3

SWEEPS = {
    "width": ({"depth": 2}, [16, 32, 64]),
    "depth": ({"width": 20}, [1, 2, 4]),
    "batch": ({"widths": [20, 30, 10], "activation": "gelu", "loss": "none"}, [1, 2, 4]),
    "n_seeds": ({"width": 40, "depth": 2, "batch": 3, "residual": True, "normalization": "layer_norm"}, [1, 2, 4]),
}


def predicted(knob):
    fixed, sizes = SWEEPS[knob]
    return tidy([row for size in sizes for row in predicted_rows(one_case({**fixed, knob: size}))])


def needed(case, strategy):
    return needed_bytes(case, [strategy], "gradient")[strategy]


def total(knob, strategy, size):
    return needed(one_case({**SWEEPS[knob][0], knob: int(size)}), strategy)


@pytest.mark.parametrize("knob", SWEEPS)
def test_the_largest_size_fits_and_the_next_does_not(knob):
    limit = 8_000_000
    found = what_fits(predicted(knob), knob, "bytes", limit)
    assert found["strategy"].tolist() == ["dense", "sparse", "vjp"]
    for line in found.to_dict("records"):
        assert line["size"] == int(line["size"])
        if line["basis"] == "model":
            assert (
                total(knob, line["strategy"], line["size"]) <= limit < total(knob, line["strategy"], line["size"] + 1)
            )
        else:
            assert line["basis"] == "more than"
            assert line["size"] == RANGE_FACTOR * SWEEPS[knob][1][-1]
            assert total(knob, line["strategy"], line["size"]) <= limit
    assert "model" in set(found["basis"])


def test_sizes_of_a_published_network_and_of_an_op_are_searched():
    for fixed, knob in (({"name": "lenet-300-100"}, "batch"), ({"graph": "op", "name": "tanh", "size": 8}, "batch")):
        rows = [row for size in (1, 2) for row in predicted_rows(one_case({**fixed, knob: size}))]
        (line,) = what_fits(tidy(rows), knob, "bytes", 5_000_000_000).query("strategy == 'dense'").to_dict("records")
        cost = [needed(one_case({**fixed, knob: int(line["size"]) + more}), "dense") for more in (0, 1)]
        assert line["basis"] == "more than" or cost[0] <= 5_000_000_000 < cost[1]
        assert cost[0] <= 5_000_000_000


def test_no_size_beyond_the_tested_memory_is_named():
    found = what_fits(predicted("width"), "width", "bytes", 2.0**60)
    assert set(found["basis"]) == {"more than"}
    for line in found.to_dict("records"):
        assert line["size"] <= RANGE_FACTOR * 64
        assert total("width", line["strategy"], line["size"]) <= LARGEST_TESTED_BYTES


def test_a_limit_below_the_smallest_size_is_none():
    found = what_fits(predicted("width"), "width", "bytes", 10)
    assert set(found["basis"]) == {"none"}
    assert found["size"].isna().all()


def test_a_limit_below_the_measured_sizes_is_searched():
    (dense, *_) = what_fits(predicted("width"), "width", "bytes", 20_000).to_dict("records")
    assert dense["basis"] == "model"
    assert 1 < dense["size"] < 16


@pytest.mark.parametrize("density", [0.02, 1.0])
def test_a_size_within_the_limit_has_room_for_its_leaves(density):
    cases = [one_case({"width": size, "depth": 2, "weight_density": density}) for size in (16, 32, 64)]
    limit = 20_000_000 * density
    found = what_fits(tidy([row for one in cases for row in predicted_rows(one)]), "width", "bytes", limit)
    for line in found.to_dict("records"):
        graph = one_case({"width": int(line["size"]), "depth": 2, "weight_density": density}).make()
        leaves = sum(array.nbytes for array in graph.sample(0).values())
        assert leaves < limit / 1.8  # the gradient alone is as large as the weights
        assert line["basis"] == "model"


def test_patterns_seeds_inputs_and_targets_are_held():
    knobs = {"width": 64, "depth": 2, "batch": 5, "weight_density": 0.1, "loss": "none", "n_seeds": 3}
    graph = one_case(knobs).make()
    patterns = [node.attrs["mask"] for node in graph.nodes if "mask" in node.attrs]
    parts = ("indptr", "indices", "counts", "rows", "columns", "positions")
    arrays = [*graph.sample(0).values(), *(getattr(own, part) for own in patterns for part in parts)]
    assert held_bytes(graph, 3) == sum(array.nbytes for array in arrays) + 3 * 5 * 64 * 8


def test_patterns_of_the_jacobians_count(standard):
    case = one_case({"width": 64, "depth": 2})
    rows = {row["phase"]: row for row in predicted_rows(case, ["sparse"])}
    pattern = needed(case, "sparse") - held_bytes(case.make(), 1) - rows["gradient"]["predicted_bytes"]
    assert pattern > 4 * 2 * 64 * 64  # an index for each non-zero


def test_no_limit_is_named_for_a_graph_whose_leaves_are_unknown(standard):
    standard["graph"] = "net.py:net"
    assert what_fits(standard, "batch", "bytes", 2.0**31).empty
    assert len(what_fits(standard, "batch", "seconds", 1.0))


@pytest.mark.parametrize("limit", [10_000, 20_000, 40_000, 2**30])
def test_a_density_is_searched(limit):
    knobs = [{"width": 64, "depth": 2, "weight_density": density} for density in (0.01, 0.1)]
    found = what_fits(
        tidy([row for one in knobs for row in predicted_rows(one_case(one))]), "weight_density", "bytes", limit
    )
    for line in found[found["basis"] == "model"].to_dict("records"):
        density, strategy = line["size"], line["strategy"]
        cost = [needed(one_case({**knobs[0], "weight_density": more * density}), strategy) for more in (1, 1.05)]
        assert cost[0] <= limit < cost[1]


def test_sparse_weights_are_searched_only_as_far_as_they_can_be_drawn(monkeypatch):
    monkeypatch.setattr(size_limits, "LARGEST_STORED", 4_000)
    for knob, sizes, fixed in (("width", (32, 64), {"depth": 2}), ("depth", (1, 2), {"width": 64})):
        cases = [one_case({**fixed, knob: size, "weight_density": 0.1}) for size in sizes]
        rows = tidy([row for case in cases for row in predicted_rows(case)])
        found = what_fits(rows, knob, "bytes", 2.0**34)
        assert set(found["basis"]) == {"more than"}
        assert found["size"].between(sizes[-1], 5 * sizes[-1]).all()


def test_a_case_that_differs_from_the_rebuilt_one_is_not_searched(standard):
    limit = 24 * 64**3 * 50**2
    found = what_fits(standard, "batch", "bytes", limit).set_index("strategy")  # costs that no graph has
    assert found.loc["dense", "size"] == 49  # without leaves it would be 50
    assert found.loc["dense", "basis"] == "interpolation"
    assert (found.loc["vjp", "size"], found.loc["vjp", "basis"]) == (64, "more than")
    assert found.loc["dense", "held"] == "mlp, width 64, depth 3, tanh, mse, float64"


def test_a_strategy_of_a_plug_in_is_not_loaded(monkeypatch):
    monkeypatch.setattr(size_limits, "is_built_in", lambda _name: False)
    monkeypatch.setattr(size_limits, "needed_bytes", None)
    assert set(what_fits(predicted("width"), "width", "bytes", 2.0**60)["basis"]) == {"more than"}


@pytest.mark.parametrize("size", [17.0, 64.0, 200.0])
def test_between_known_sizes_it_is_interpolated(size):
    found = between_sizes(SIZES, CUBE, 8 * size**3)
    assert found.size == pytest.approx(size)
    assert found.basis == "interpolation"


def test_the_ends_of_known_sizes():
    assert between_sizes(SIZES, CUBE, 1.0).basis == "none"
    assert vars(between_sizes(SIZES[:2], CUBE[:2], 1e12)) == {"size": 32.0, "basis": "more than"}
    assert between_sizes(SIZES, np.full(5, math.nan), 10.0).basis == "none"


def test_time_is_extrapolated_by_a_factor_of_two_at_most(standard):
    def limit(seconds):
        found = what_fits(standard, "width", "seconds", seconds).query("strategy == 'vjp' and held.str.contains('mlp')")
        return found.iloc[0][["size", "basis"]].tolist()

    def cost(width):
        return 5e-10 * 4 * 3 * width**2

    assert limit(cost(100)) == [100, "interpolation"]
    assert limit(cost(400)) == [400, "extrapolation"]
    assert limit(cost(600)) == [256, "more than"]


def test_a_strategy_that_never_succeeded_has_a_line_only_for_memory(standard):
    standard.loc[standard["strategy"] == "dense", "status"] = "crashed"
    assert "dense" not in set(what_fits(standard, "width", "seconds", 1e-3)["strategy"])
    assert "dense" in set(what_fits(standard, "width", "bytes", 1e9)["strategy"])


@pytest.mark.parametrize(
    "arguments",
    [("widht", "bytes", 1.0), ("width", "byte", 1.0), ("width", "bytes", 0.0), ("width", "bytes", math.nan)],
)
def test_bad_input_says_what_was_expected(standard, arguments):
    with pytest.raises(BadInput, match=r"did you mean|expected a positive number"):
        what_fits(standard, *arguments)


def test_a_density_goes_no_further_than_one(standard):
    dense = what_fits(standard, "weight_density", "bytes", 2.0**50).set_index("strategy").loc["dense"]
    assert (dense["size"], dense["basis"]) == (1.0, "bound")


@pytest.mark.parametrize("strategy", ["dense", "sparse", "vjp"])
def test_the_largest_batch_fits_with_its_inputs_and_the_next_does_not(strategy):
    def case_of(batch):
        return one_case({"widths": [20, 30, 10], "batch": batch})

    def most(batch):
        return needed_bytes(case_of(batch), [strategy])[strategy]

    budget = 20_000_000
    batch = int(largest_batch(case_of, strategy, budget, 10_000).size)
    assert most(batch) <= budget < most(batch + 1)
    assert largest_batch(case_of, strategy, most(1), 1).size == 1
    assert math.isnan(largest_batch(case_of, strategy, most(1) - 1, 1).size)
    assert vars(largest_batch(case_of, strategy, 2.0**60, 2)) == {"size": 2.0 * RANGE_FACTOR, "basis": "more than"}


def test_a_size_that_is_impossible_is_not_computed():
    rows = [
        row
        for size in (3, 6)
        for row in predicted_rows(one_case({"graph": "chain", "ops": [["cross"]], "size": size, "depth": 2}))
    ]
    found = what_fits(tidy(rows), "width", "bytes", 2.0**30)
    assert found["strategy"].tolist() == ["dense", "sparse", "vjp"]
    assert set(zip(found["size"], found["basis"], strict=True)) == {(6 * RANGE_FACTOR, "more than")}
    found = what_fits(tidy(rows), "width", "bytes", 20_000)  # the search would try other sizes
    assert set(found["size"]) <= {3, 4, 5, 6}


@pytest.mark.parametrize("strategy", ["sparse", "vjp"])
def test_sparse_weights_need_at_most_what_is_predicted(strategy):
    chosen = registry.load(strategy)
    case = one_case({"width": 1024, "depth": 2, "weight_density": 0.1})
    chosen.prepare(case.make())  # imports
    tracemalloc.start()
    try:
        graph = case.make()
        leaves, seeds = graph.sample(0), np.ones((1, *graph.output_shape))
        prepared = chosen.prepare(graph)
        prepared.linearize(leaves).pullback(seeds)
        tracemalloc.reset_peak()
        prepared.linearize(leaves).pullback(seeds)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.7 < peak / needed(case, strategy) < 1.05  # vjp does not use the columns
