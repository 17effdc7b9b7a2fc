"""Crossovers, on synthetic data with known crossings and noise."""

import math

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.crossovers import cross, crossovers

SIZES = np.array([8.0, 16, 32, 64, 128, 256])


def ratios(exponent, at):
    return (SIZES / at) ** exponent


def noisy(values, n_passes, scale, seed=1):
    return values * np.exp(scale * np.random.default_rng(seed).standard_normal((n_passes, SIZES.size)))


@pytest.mark.parametrize("exponent", [1.0, -1.0, 0.3])
@pytest.mark.parametrize("at", [10.0, 64.0, 200.0])
def test_a_crossing_is_found_where_it_is(exponent, at):
    found = cross(SIZES, noisy(ratios(exponent, at), 5, 1e-4))
    assert found.outcome == "crosses"
    assert found.size == pytest.approx(at, rel=1e-3)
    assert found.low < found.size < found.high


@pytest.mark.parametrize("values", [ratios(1.0, 45.0), ratios(1.0, 4.0), ratios(0.5, 1024.0)], ids=str)
def test_one_pass_decides_nothing(values):
    found = cross(SIZES, [values])
    assert (found.outcome, found.decided) == ("undecided", False)
    assert math.isnan(found.low)


@pytest.mark.parametrize("scale", [0.01, 0.3, 2.0])
def test_a_pair_of_which_none_is_cheaper_at_the_largest_size_is_undecided_and_never_never(scale):
    for seed in range(100):
        found = cross(SIZES, noisy(ratios(-0.1, 300.0), 3, scale, seed))
        assert found.decided or not found.outcome.startswith("never")


@pytest.mark.long
@pytest.mark.parametrize("n_passes", [3, 5, 10])
def test_its_interval_covers_the_truth_as_often_as_it_says(n_passes):
    rng = np.random.default_rng(3)
    noise = np.exp(0.05 * rng.standard_normal((1000, n_passes, SIZES.size)))
    found = [cross(SIZES, ratios(1.0, 45.0) * passes) for passes in noise]
    assert {crossing.outcome for crossing in found} == {"crosses"}
    assert sum(crossing.low <= 45.0 <= crossing.high for crossing in found) >= 950


def test_never_in_the_range_and_never_at_all_are_distinguished():
    heading = cross(SIZES, noisy(ratios(0.5, 1024.0), 5, 0.01))
    assert heading.outcome == "never in the range"
    assert heading.low < heading.size < heading.high
    assert heading.extrapolated
    assert heading.size == pytest.approx(1024, rel=0.2)
    for ratio in (np.full(SIZES.size, 2.0), ratios(1.0, 4.0), ratios(-1.0, 4.0)):
        found = cross(SIZES, noisy(ratio, 5, 0.01))
        assert found.outcome == "never at all"
        assert math.isnan(found.size)
        assert not found.extrapolated


def test_noise_is_no_trend():
    outcomes = [cross(SIZES, noisy(np.full(SIZES.size, 2.0), 5, 0.02, seed)).outcome for seed in range(200)]
    assert outcomes.count("never at all") >= 180


def test_an_order_that_the_noise_hides_is_undecided():
    for seed in range(20):
        found = cross(SIZES, noisy(np.ones(SIZES.size), 5, 0.1, seed))
        assert found.outcome == "undecided"
        assert not found.extrapolated


def test_more_than_one_change_of_order():
    assert cross(SIZES, noisy(np.array([2, 2, 0.5, 0.5, 2, 2]), 5, 0.01)).outcome == "crosses again"


@pytest.mark.parametrize(
    ("ratios", "outcome", "decided"),
    [
        ([2, 1.2, 0.8, 0.5, 0.5, 0.5], "crosses", True),
        ([1.005, 1.005, 1.005, 0.5, 0.5, 0.5], "undecided", True),  # below the change, all are within one per cent
        ([2, 2, 2, 0.995, 0.995, 0.995], "undecided", False),
        ([1.001, 0.999, 1.001, 0.999, 1.001, 1], "undecided", False),
        ([2, 1.001, 0.999, 1.001, 2, 2], "undecided", True),  # it touches, and does not cross
        ([2, 2, 0.5, 0.5, 2, 2], "crosses again", True),
        ([2, 2, 2, 2, 2, 2], "never at all", True),
    ],
)
def test_what_is_measured_once_is_decided_by_how_much_it_differs(ratios, outcome, decided):
    found = cross(SIZES, [ratios], np.abs(np.log(ratios)) > np.log(1.01))
    assert (found.outcome, found.decided) == (outcome, decided)
    assert math.isnan(found.low)


def passes_of(table):
    timed = table[table["status"] == "ok"]
    parts = [timed.assign(**{"pass": k, "worker": 0, "seconds": timed["seconds_median"]}) for k in range(3)]
    return pd.concat(parts)[["case", "strategy", "phase", "pass", "worker", "seconds"]]


def test_every_pair_of_every_sweep_has_a_line(standard):
    found = crossovers(standard, passes_of(standard))
    width = found[(found["knob"] == "width") & (found["quantity"] == "seconds")]
    assert list(zip(width["first"], width["second"], strict=True)) == [
        ("dense", "sparse"),
        ("dense", "vjp"),
        ("sparse", "vjp"),
    ]
    line = width.iloc[0]  # 2 w³ · 4e-10 against 4 w² · 3e-9: equal at 15, just below the range
    assert line["outcome"] == "never at all"
    assert line["cheaper"] == "sparse"
    assert line["factor"] == pytest.approx(2 * 4e-10 * 256 / (4 * 3e-9))
    assert line["held"] == "mlp, depth 3, batch 1, tanh, mse, float64"


def sweep(make_case, make_cell, knob, sizes, bytes_of):
    """Return a table in which the strategies' peaks are as given."""
    rows = []
    for size in sizes:
        case = make_case(**{knob: size}, case=f"{knob}{size:g}")
        rows += [make_cell(case, name) | {"peak_bytes": peak(size)} for name, peak in bytes_of.items()]
    return tidy(rows)


@pytest.mark.parametrize("knob", ["width", "n_seeds"])
def test_memory_crosses_where_the_peaks_are_equal(make_case, make_cell, knob):
    peaks = {"dense": lambda size: 4096.0 * size**2, "vjp": lambda size: 4096.0 * 20 * size}
    table = sweep(make_case, make_cell, knob, [8, 16, 32, 64], peaks)
    found = crossovers(table, passes_of(table))
    (line,) = found[found["quantity"] == "bytes"].to_dict("records")
    assert (line["knob"], line["outcome"], line["cheaper"], line["n_passes"]) == (knob, "crosses", "vjp", 1)
    assert line["size"] == pytest.approx(20)
    assert math.isnan(line["low"])
    assert line["extrapolated"] is False


def test_peaks_within_one_per_cent_put_nobody_ahead(make_case, make_cell):
    peaks = {"sparse": lambda size: 8 * 1.004 * 1024.0 * size, "vjp": lambda size: 8 * 1024.0 * size}
    table = sweep(make_case, make_cell, "width", [8, 16, 32], peaks)
    found = crossovers(table, passes_of(table))
    (line,) = found[found["quantity"] == "bytes"].to_dict("records")
    assert line["outcome"] == "undecided"
    assert math.isnan(line["cheaper"])


def test_memory_that_numpy_may_have_cached_is_left_out(make_case, make_cell):
    peaks = {"sparse": lambda size: 9000.0 if size > 8 else 120.0, "vjp": lambda _size: 32768.0}
    table = sweep(make_case, make_cell, "width", [8, 16, 32], peaks)
    (line,) = crossovers(table, passes_of(table)).query("quantity == 'bytes'").to_dict("records")
    assert line["outcome"] == "never at all"


def test_a_pair_that_shares_no_process_is_none_in_time(standard):
    passes = passes_of(standard)
    passes.loc[passes["strategy"] == "vjp", "worker"] = 1
    found = crossovers(standard, passes)
    assert set(found[found["quantity"] == "seconds"]["second"]) == {"sparse"}
    assert set(found[found["quantity"] == "bytes"]["second"]) == {"sparse", "vjp"}


def test_no_row_no_line():
    empty = crossovers(tidy([]), passes_of(tidy([])))
    assert empty.empty
    assert "outcome" in empty.columns


def test_one_pass_does_not_decide_who_is_faster(standard):
    passes = passes_of(standard)
    found = crossovers(standard, passes[passes["pass"] == 0])
    times = found[found["quantity"] == "seconds"]
    assert len(times)
    assert times["cheaper"].isna().all()
    assert found.loc[found["quantity"] == "bytes", "cheaper"].notna().any()


@pytest.mark.parametrize(
    ("ratio", "floors", "expected"),
    [  # time and floor of dense, and floor of vjp; vjp takes 1 s
        (lambda width: width / 50, (2.0, 2.0), {}),
        (lambda width: width / 50, (0.9, 2.0), {"dense": 1.28 / 0.9}),  # next to the crossover
        (lambda width: width / 50, (2.0, 0.6), {"vjp": 1 / 0.6}),
        (lambda width: 3 + 0 * width, (0.9, 2.0), {"dense": 3 / 0.9}),  # at the largest size
        (lambda width: 3 + 0 * width, (1.1, 0.1), {}),
    ],
)
def test_the_loser_could_win_at_its_limit(make_case, make_cell, ratio, floors, expected):
    rows, passes = [], []
    for width in (16, 32, 64, 128):
        for name, seconds, floor in (("dense", ratio(width), floors[0]), ("vjp", 1.0, floors[1])):
            case = make_case(width=width)
            rows.append(make_cell(case, name) | {"seconds_median": seconds, "floor_seconds": floor})
            passes += [(case["case"], name, "gradient", k, 0, seconds * (1 + 0.01 * k)) for k in range(3)]
    columns = ["case", "strategy", "phase", "pass", "worker", "seconds"]
    found = crossovers(tidy(rows), pd.DataFrame(passes, columns=columns)).set_index("quantity")["could_win"]
    assert found["seconds"] == pytest.approx(expected)
    assert found["bytes"] == {}
