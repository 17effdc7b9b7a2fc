"""Worth it after K products, on synthetic data with known answers."""

import math

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.reuse import COLUMNS, break_even, reuse


def passes_of(times, n_passes=3):
    """Return passes in which (strategy, phase) took so many seconds."""
    return pd.DataFrame(
        [
            ("case", strategy, phase, number, 0, seconds)
            for number in range(n_passes)
            for (strategy, phase), seconds in times.items()
        ],
        columns=["case", "strategy", "phase", "pass", "worker", "seconds"],
    )


@pytest.mark.parametrize(
    ("own", "reference", "outcome", "uses"),
    [
        ((21.0, 1.0), (1.0, 3.0), "after", 10.0),  # 21 + K = 1 + 3 K
        ((2.0, 1.0), (1.0, 3.0), "from the first", math.nan),
        ((1.0, 1.0), (1.0, 3.0), "from the first", math.nan),
        ((2.0, 3.0), (1.0, 3.0), "never", math.nan),
        ((2.0, 4.0), (1.0, 3.0), "never", math.nan),
        ((1.0, 4.0), (11.0, 2.0), "until", 5.0),  # 1 + 4 K = 11 + 2 K
    ],
)
def test_the_break_even_is_where_both_cost_the_same(own, reference, outcome, uses):
    once, each = zip(own, reference, strict=True)
    found = break_even([once] * 3, [each] * 3)
    assert found.outcome == outcome
    assert found.uses == pytest.approx(uses, nan_ok=True)
    assert math.isnan(uses) or found.low < uses < found.high


def test_passes_that_disagree_decide_nothing():
    assert break_even([[2, 1], [2, 1]], [[3.0, 3.1], [3.1, 3.0]]).outcome == "undecided"


@pytest.mark.parametrize("each", [[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]])
def test_one_pass_decides_nothing(each):
    assert break_even([[21.0, 1.0]], [each]).outcome == "undecided"


def test_passes_that_agree_by_chance_decide_nothing():
    assert break_even([[1.0, 1.0]] * 3, [[1.0, 1.01], [1.0, 1.3], [1.0, 1.9]]).outcome == "undecided"


@pytest.mark.parametrize("n_passes", [3, 5, 10])
def test_the_interval_covers_the_truth_as_often_as_it_says(n_passes):
    rng = np.random.default_rng(5)
    noise = np.exp(0.01 * rng.standard_normal((1000, 2, n_passes, 2)))
    found = [break_even([21.0, 1.0] * once, [1.0, 3.0] * each) for once, each in noise]
    assert {one.outcome for one in found} == {"after"}
    assert sum(one.low <= 10 <= one.high for one in found) >= 950


def test_each_strategy_is_compared_with_vjp_in_its_own_processes():
    times = {
        ("vjp", "linearize"): 1.0,
        ("vjp", "pullback"): 3.0,
        ("dense", "linearize"): 21.0,
        ("dense", "pullback"): 1.0,
        ("sparse", "linearize"): 2.0,
        ("forward", "forward"): 1.0,
    }
    (line,) = reuse(passes_of(times)).to_dict("records")  # sparse has no pullback
    assert (line["case"], line["strategy"], line["outcome"], line["n_passes"]) == ("case", "dense", "after", 3)
    assert line["uses"] == pytest.approx(10)
    apart = passes_of(times)
    apart.loc[apart["strategy"] == "vjp", "worker"] = 1
    assert reuse(apart).empty
    assert reuse(apart.head(0)).columns.tolist() == list(COLUMNS)


def test_the_others_can_be_compared_with_any_strategy():
    times = {
        ("dense", "linearize"): 21.0,
        ("dense", "pullback"): 1.0,
        ("sparse", "linearize"): 5.0,
        ("sparse", "pullback"): 3.0,
    }
    (line,) = reuse(passes_of(times), against="sparse").to_dict("records")
    assert (line["strategy"], line["outcome"], line["uses"]) == ("dense", "after", pytest.approx(8))
    assert reuse(passes_of(times)).empty


@pytest.mark.parametrize(
    ("own", "reference", "own_floors", "reference_floors", "outcome", "expected"),
    [
        ((21.0, 1.0), (1.0, 3.0), (0.1, 0.1), (1.0, 0.9), "after", {"vjp": 3 / 0.9}),  # for many products
        ((21.0, 1.0), (1.0, 3.0), (0.1, 0.1), (0.1, 1.1), "after", {}),
        ((2.0, 1.0), (1.0, 3.0), (0.1, 0.1), (1.0, 1.5), "from the first", {"vjp": 4 / 2.5}),  # for one product
        ((2.0, 3.5), (1.0, 3.0), (2.0, 1.9), (0.1, 0.1), "never", {"dense": 5.5 / 3.9}),  # for one product, not many
        ((2.0, 3.5), (1.0, 3.0), (2.0, 3.1), (0.1, 0.1), "never", {}),
        ((1.0, 4.0), (11.0, 2.0), (0.1, 1.5), (1.0, 1.9), "until", {"vjp": 13 / 2.9, "dense": 4 / 1.5}),
    ],
)
def test_the_slower_one_could_win_at_its_limit(own, reference, own_floors, reference_floors, outcome, expected):
    phases = ("linearize", "pullback")
    sides = {"dense": (own, own_floors), "vjp": (reference, reference_floors)}
    rows = [
        {
            "case": "case",
            "strategy": name,
            "phase": phase,
            "status": "ok",
            "seconds_median": time,
            "floor_seconds": floor,
        }
        for name, (times, floors) in sides.items()
        for phase, time, floor in zip(phases, times, floors, strict=True)
    ]
    passes = passes_of({(row["strategy"], row["phase"]): row["seconds_median"] for row in rows})
    (line,) = reuse(passes, table=tidy(rows)).to_dict("records")
    assert (line["outcome"], line["could_win"]) == (outcome, pytest.approx(expected))
    assert reuse(passes)["could_win"].tolist() == [{}]
    assert reuse(passes, table=tidy(rows).assign(floor_seconds=math.nan))["could_win"].tolist() == [{}]
