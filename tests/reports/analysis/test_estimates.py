"""Estimates on runs with known costs: the rates and the errors are found."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.floor.fitted_rates import FEWEST_CELLS, features
from jacobench.bench.floor.microbenchmarks import SHAPES
from jacobench.bench.floor.predicted_rows import one_case, predicted_rows
from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.estimates import bound_of_ratio, distance, error_bound, estimate_bytes, estimate_seconds


@pytest.fixture
def target_of(make_case, make_cell):
    """Return a function from knobs to a case's rows by the model alone."""

    def target(strategies=("dense", "sparse", "vjp"), **knobs):
        rows = [make_cell(make_case(**knobs), name) for name in strategies]
        return tidy([row | {"status": "not_tried", "seconds_median": None, "peak_bytes": None} for row in rows])

    return target


def noisy(table, scale, seed=1):
    noise = np.exp(scale * np.random.default_rng(seed).standard_normal(len(table)))
    return table.assign(seconds_median=table["seconds_median"] * noise)


def estimates(table, target):
    return estimate_seconds(table, target), estimate_bytes(table, target)


def test_exact_costs_are_found_again(standard, target_of):
    target = target_of(width=100, batch=3)
    seconds, n_bytes = estimates(standard, target)
    for row, rate in zip(target.to_dict("records"), (4e-10, 3e-9, 5e-10), strict=True):
        name = row["strategy"]
        assert seconds[name].value == pytest.approx(row["predicted_flops"] * rate)
        assert seconds[name].error_factor == pytest.approx(1)
        assert n_bytes[name].value == row["predicted_bytes"]
        assert n_bytes[name].error_factor == pytest.approx(1)


def test_a_fixed_cost_of_each_call_is_found(standard, target_of):
    standard["seconds_median"] += 1e-5 + 3e-6 * 2 * standard["depth"]
    target = target_of(width=20, depth=7)
    seconds, _ = estimates(standard, target)
    true = target["predicted_flops"] * [4e-10, 3e-9, 5e-10] + 1e-5 + 3e-6 * 14
    assert [seconds[name].value for name in target["strategy"]] == pytest.approx(true.tolist(), rel=1e-3)


def test_how_far_off_it_is_comes_from_cells_that_were_left_out(standard, target_of):
    seconds, _ = estimates(noisy(standard, 0.1), target_of(width=100))
    assert 1.1 < seconds["vjp"].error_factor < 1.6
    calm, _ = estimates(noisy(standard, 0.01), target_of(width=100))
    assert 1.005 < calm["vjp"].error_factor < 1.1


@pytest.mark.long
def test_it_is_as_far_off_as_it_says_in_new_cases(make_case, make_cell, target_of):
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(100):
        cases = [make_case(width=int(w), batch=int(b)) for w, b in np.exp2(rng.uniform(3, 8, (20, 2))).round()]
        *known, new = tidy([make_cell(case, "vjp") | {"case": str(k)} for k, case in enumerate(cases)]).to_dict(
            "records"
        )
        table = noisy(tidy(known), 0.1, int(rng.integers(1e9)))
        found, _ = estimates(table, target_of(("vjp",), width=int(new["width"]), batch=int(new["batch"])))
        measured = new["seconds_median"] * math.exp(0.1 * rng.standard_normal())
        inside += abs(math.log(found["vjp"].value / measured)) <= math.log(found["vjp"].error_factor)
    assert 88 <= inside <= 100


def test_the_error_factor_grows_with_the_distance_of_the_case(standard, target_of):
    table = noisy(standard, 0.1)
    off = [estimates(table, target_of(width=width))[0]["vjp"].error_factor for width in (100, 1000, 100_000)]
    assert off == sorted(off)
    assert off[-1] > 2 * off[0]
    target = target_of(width=512)
    assert distance(table, target, "vjp") == pytest.approx(4)  # flops of width 256


RATES = {"dense": (2e-5, 2e-6, 2e-10, 1e-10), "sparse": (3e-5, 5e-6, 1e-9, 4e-10), "vjp": (1e-5, 2e-6, 5e-10, 3e-10)}
NOISE = 0.05


def rows_of(shapes):
    rows = [row for one in shapes for row in predicted_rows(one_case(one)) if row["phase"] == "gradient"]
    return tidy([row | {"status": "ok"} for row in rows])


def true_seconds(rows, exponents, cache):
    """Return costs that the time model cannot fit: other exponents, and slower bytes beyond the size of a cache."""
    work = features(rows)
    found = []
    for own, name in zip(work, rows["strategy"], strict=True):
        rates = np.array(RATES[name]) * [1, 1, 1, cache[1] if own[3] > cache[0] else 1]
        found.append(own @ rates * np.prod((own[1:] / [4, 1e4, 1e4]) ** exponents[name]))
    return np.array(found)


@pytest.mark.parametrize(
    ("target", "widest"),
    [
        ({"width": 100, "depth": 2, "batch": 4}, 4),
        ({"width": 512, "depth": 2, "batch": 8}, 8),
        ({"width": 1024, "depth": 2, "batch": 1}, 12),
        ({"width": 64, "depth": 40, "batch": 1}, 12),
    ],
    ids=str,
)
def test_the_bounds_hold_at_every_distance(target, widest):
    rng = np.random.default_rng(5)
    measured, new = rows_of(SHAPES), rows_of([target])
    inside, factors = [], []
    for _ in range(15):
        exponents = {name: rng.normal(0, 0.1, 3) for name in RATES}
        truth = partial(true_seconds, exponents=exponents, cache=(np.exp(rng.uniform(12, 18)), rng.uniform(1, 6)))
        table = noisy(measured.assign(seconds_median=truth(measured)), NOISE, int(rng.integers(1e9)))
        found = estimate_seconds(table, new)
        times = dict(zip(new["strategy"], truth(new) * np.exp(NOISE * rng.standard_normal(3)), strict=True))
        inside += [abs(math.log(one.value / times[name])) <= one.bound for name, one in found.items()]
        ratio = found["sparse"].value / found["vjp"].value / (times["sparse"] / times["vjp"])
        inside.append(abs(math.log(ratio)) <= bound_of_ratio(found["sparse"], found["vjp"]))
        factors.append(found["vjp"].error_factor)
    assert np.mean(inside) >= 0.92
    assert np.median(factors) < widest


def test_the_error_bound():
    assert math.isnan(error_bound(pd.Series([0.1] * 4)))
    assert error_bound(pd.Series([0.1, -0.5, 0.2, 0.0, 0.3])) == 0.5  # all of few
    assert error_bound(pd.Series(np.arange(1, 101) / 100)) == pytest.approx(0.96)  # the 96th of 100


def test_unusable_measurements_give_no_estimate(standard, target_of):
    target = target_of(width=100)
    few = standard[standard["case"].isin(standard["case"].unique()[: FEWEST_CELLS - 1])]
    assert estimates(few, target)[0] == {}
    assert estimates(standard, target_of(width=100, dtype="float32"))[0] == {}
    assert estimates(standard, target_of(width=100, density=0.5))[0] == {}  # only three cells are stored sparse
    target["predicted_bytes"] = math.nan
    assert estimates(standard, target) == ({}, {})
    assert estimates(tidy([]), target_of()) == ({}, {})


def test_a_strategy_that_never_succeeded_is_not_estimated(standard, target_of):
    standard.loc[standard["strategy"] == "sparse", "status"] = "wrong"
    seconds, n_bytes = estimates(standard, target_of(width=100))
    assert set(seconds) == set(n_bytes) == {"dense", "vjp"}


def test_memory_that_numpy_may_have_cached_adds_no_error(standard, target_of):
    standard.loc[standard["predicted_bytes"] < 8192, "peak_bytes"] = 120.0
    assert estimates(standard, target_of(width=100))[1]["vjp"].error_factor == pytest.approx(1)
