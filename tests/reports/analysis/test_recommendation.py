"""Recommendations, on synthetic passes with known answers."""

import math

import numpy as np
import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.bench.row.measurement import Measurement
from jacobench.bench.run.pass_schedule import undecided_cases
from jacobench.reports.analysis.recommendation import least_memory, materializing, recommend
from jacobench.reports.data.run_data import PASS_COLUMNS


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
    line = only({"dense": [9, 9.1, 8.9], "sparse": [2, 2.02, 1.99], "vjp": [1, 1.01, 0.99]})
    assert (line["strategy"], line["decision"], line["runner_up"], line["n_passes"]) == ("vjp", "ahead", "sparse", 3)
    assert line["factor"] == pytest.approx(2, rel=0.01)
    assert line["low"] <= 2 <= line["high"]


def test_there_is_no_winner_where_the_interval_holds_one():
    line = only({"dense": [9, 9, 9], "sparse": [1.0, 1.1, 0.9], "vjp": [1.02, 1.0, 1.0]})
    assert line["decision"] == "undecided"
    assert line["low"] < 1 < line["high"]


def test_what_all_strategies_of_a_process_share_decides_nothing():
    slow = np.array([1.0, 3.0, 0.5])
    line = only({"sparse": 1.2 * slow, "vjp": slow})
    assert line["decision"] == "ahead"
    assert line["factor"] == pytest.approx(1.2)
    assert 1.1 < line["low"] < 1.2 < line["high"] < 1.3


@pytest.mark.parametrize(
    ("times", "status", "decision", "strategy"),
    [
        ({"vjp": [1.0, 1.0], "dense": []}, {"dense": "timeout"}, "alone", "vjp"),
        ({"vjp": [1.0], "dense": [2.0]}, {}, "one pass", "vjp"),
        ({"vjp": [], "dense": []}, {"vjp": "error", "dense": "crashed"}, "nothing", math.nan),
        ({"vjp": [2.0, 2.0], "dense": [1.0, 1.0]}, {"dense": "wrong"}, "alone", "vjp"),
    ],
)
def test_what_is_missing_is_said(times, status, decision, strategy):
    line = only(times, status)
    assert line["decision"] == decision
    assert line["strategy"] == strategy or math.isnan(strategy)


@pytest.mark.long
def test_identical_strategies_are_rarely_distinguished():
    rng = np.random.default_rng(6)
    noise = np.exp(0.03 * rng.standard_normal((300, 2, 5)))
    clear = sum(only({"sparse": one, "vjp": other})["decision"] == "ahead" for one, other in noise)
    assert clear / 300 <= 0.03  # decide has a total error of 1 %


def test_a_run_continues_the_cases_that_its_reports_call_undecided():
    rng = np.random.default_rng(7)
    rows, passes, measurements = [], [], []
    for case, factor in enumerate(np.linspace(1, 1.3, 30)):
        for name, seconds in (("sparse", factor), ("vjp", 1.0)):
            times = seconds * np.exp(0.01 * rng.standard_normal(3))
            rows.append({"case": f"c{case}", "strategy": name, "phase": "gradient", "status": "ok"})
            passes += [(f"c{case}", name, "gradient", k, 0, "", time) for k, time in enumerate(times)]
            measurements += [
                Measurement(f"c{case}", name, "gradient", name, k, seconds=(t,)) for k, t in enumerate(times)
            ]
    found = recommend(tidy(rows), pd.DataFrame(passes, columns=list(PASS_COLUMNS)))
    undecided = found.loc[found["decision"] == "undecided", "case"].tolist()
    assert undecided == undecided_cases(measurements)
    assert 0 < len(undecided) < 30


def test_a_run_that_did_not_record_its_passes_is_no_failure():
    table, passes = run_of({"vjp": [1.0], "dense": [2.0]})
    (line,) = recommend(table, passes.head(0)).to_dict("records")
    assert (line["decision"], line["n_passes"]) == ("no passes", 0)


def test_an_empty_table_gives_no_line():
    table, passes = run_of({})
    assert recommend(table, passes).empty


def test_equal_times_are_equal():
    line = only({"dense": [1.0, 1.001, 1.0, 1.0, 1.0, 1.0], "vjp": [1.0, 1.0, 1.001, 1.0, 1.0, 1.0]})
    assert line["decision"] == "equal"


def test_a_strategy_that_shares_no_process_with_the_fastest_is_undecided():
    table, passes = run_of({"vjp": [1.0, 1.0], "dense": [5.0, 5.0], "sparse": [2.0, 2.0]})
    passes.loc[passes["strategy"] == "sparse", "worker"] = 1
    (line,) = recommend(table, passes).to_dict("records")
    assert (line["strategy"], line["decision"], line["runner_up"]) == ("vjp", "undecided", "dense")
    assert line["open_rivals"] == "sparse"


def memory(status=None, tool=None, **peaks):
    rows = [
        {
            "case": "c",
            "strategy": name,
            "phase": "gradient",
            "status": (status or {}).get(name, "ok"),
            "peak_bytes": peak,
            "memory_tool": tool,
        }
        for name, peak in peaks.items()
    ]
    return least_memory(tidy(rows)).get("c")


@pytest.mark.parametrize(
    ("peaks", "winner"),
    [
        ({"dense": 5000.0, "sparse": 1011.0}, "vjp"),
        ({"dense": 5000.0, "sparse": 1010.0}, None),  # 990.1 / 1000 is within one per cent
        ({"dense": 5000.0, "sparse": 981.0}, "sparse"),
        ({"dense": 5000.0, "sparse": math.nan}, None),
        ({"dense": 1000.0}, None),
        ({}, None),
    ],
)
def test_the_least_memory_must_be_clearly_the_least(peaks, winner):
    assert memory(vjp=1000.0 * 1024, **{name: peak * 1024 for name, peak in peaks.items()}) == winner


def test_no_winner_where_peaks_differ_by_what_numpy_keeps_in_its_own_cache():
    assert memory(vjp=1000.0, sparse=120.0) is None
    assert memory(vjp=1000.0, dense=1000.0 + 8192) == "vjp"
    assert memory(vjp=1000.0, dense=1000.0 + 8191) is None


def test_a_peak_below_the_resolution_is_known_to_be_at_most_that():
    assert memory(vjp=math.nan, dense=1e6, tool="memray") == "vjp"
    assert memory(vjp=math.nan, dense=16383.0, tool="memray") is None
    assert memory(vjp=math.nan, dense=math.nan, tool="memray") is None
    assert memory(vjp=math.nan, dense=1e6) is None  # not measured


def test_what_failed_has_no_memory():
    assert memory({"sparse": "wrong"}, vjp=2e6, sparse=1e6, dense=3e6) == "vjp"
    assert memory({"sparse": "wrong"}, vjp=2e6, sparse=1e6) is None


def test_materializing_strategies_stored_entries():
    rows = [{"case": "c", "strategy": name, "n_nonzeros": n} for name, n in (("vjp", 0), ("sparse", 4), ("dense", 9))]
    assert materializing(tidy(rows)) == ["dense", "sparse"]


def test_the_phase_of_a_whole_jacobian_decides_its_case():
    table, passes = run_of({"vjp": [1.0, 1.0, 1.01], "dense": [2.0, 2.1, 2.0]})
    whole = {"case": "c-jacobian", "phase": "jacobian"}
    table = pd.concat([table, table.assign(**whole, seconds_median=1.0)], ignore_index=True)
    swapped = passes.assign(strategy=passes["strategy"].map({"vjp": "dense", "dense": "vjp"}), **whole)
    passes = pd.concat([passes, swapped], ignore_index=True)
    found = recommend(table, passes).set_index("case")
    assert found["strategy"].to_dict() == {"c": "vjp", "c-jacobian": "dense"}
    assert recommend(table, passes, "jacobian")["case"].tolist() == ["c-jacobian"]
