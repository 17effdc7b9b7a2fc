"""Recommendations, on synthetic passes with known answers."""

import math

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.recommendation import recommend


def run_of(times, status=None):
    """Return a table and passes in which each strategy took these seconds, one a pass."""
    status = dict.fromkeys(times, "ok") | (status or {})
    rows = [{"case": "c", "strategy": name, "phase": "gradient", "status": status[name]} for name in status]
    passes = [
        ("c", name, "gradient", number, 0, value) for name, own in times.items() for number, value in enumerate(own)
    ]
    return tidy(rows), pd.DataFrame(passes, columns=["case", "strategy", "phase", "pass", "worker", "seconds"])


def only(times, status=None):
    (line,) = recommend(*run_of(times, status)).to_dict("records")
    return line


def test_the_fastest_is_recommended_by_the_factor_to_the_runner_up():
    line = only({"dense": [9, 9.1, 8.9], "sparse": [2, 2.02, 1.98], "vjp": [1, 1.01, 0.99]})
    assert (line["strategy"], line["sure"], line["runner_up"], line["n_passes"]) == ("vjp", "clear", "sparse", 3)
    assert line["factor"] == pytest.approx(2)
    assert line["low"] <= 2 <= line["high"]


def test_there_is_no_winner_where_the_interval_holds_one():
    line = only({"dense": [9, 9, 9], "sparse": [1.0, 1.1, 0.9], "vjp": [1.02, 1.0, 1.0]})
    assert line["sure"] == "undecided"
    assert line["low"] < 1 < line["high"]


def test_what_all_strategies_of_a_process_share_decides_nothing():
    slow = np.array([1.0, 3.0, 0.5])
    line = only({"sparse": 1.1 * slow, "vjp": slow})
    assert line["sure"] == "clear"
    assert (line["low"], line["high"]) == pytest.approx((1.1, 1.1))


@pytest.mark.parametrize(
    ("times", "status", "sure", "strategy"),
    [
        ({"vjp": [1.0, 1.0], "dense": []}, {"dense": "timeout"}, "alone", "vjp"),
        ({"vjp": [1.0], "dense": [2.0]}, {}, "one pass", "vjp"),
        ({"vjp": [], "dense": []}, {"vjp": "error", "dense": "crashed"}, "nothing", math.nan),
        ({"vjp": [2.0, 2.0], "dense": [1.0, 1.0]}, {"dense": "wrong"}, "alone", "vjp"),
    ],
)
def test_what_is_missing_is_said(times, status, sure, strategy):
    line = only(times, status)
    assert line["sure"] == sure
    assert line["strategy"] == strategy or math.isnan(strategy)


def test_identical_strategies_are_rarely_told_apart():
    rng = np.random.default_rng(6)
    noise = np.exp(0.03 * rng.standard_normal((300, 2, 5)))
    clear = sum(only({"sparse": one, "vjp": other})["sure"] == "clear" for one, other in noise)
    assert clear / 300 <= 0.08  # each side of a 95 % interval


def test_a_run_that_did_not_record_its_passes_is_no_failure():
    table, passes = run_of({"vjp": [1.0], "dense": [2.0]})
    (line,) = recommend(table, passes.head(0)).to_dict("records")
    assert (line["sure"], line["n_passes"]) == ("no passes", 0)


def test_an_empty_table_gives_no_line():
    table, passes = run_of({})
    assert recommend(table, passes).empty
