"""Changes from run to run, on synthetic passes with known answers."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from jacobench.bench.row.columns import tidy
from jacobench.reports.analysis.run_changes import changes, differences, ratio_of_means
from jacobench.reports.data.run_data import PASS_COLUMNS, Run


def run_of(cells, **more):
    """Return a run in which each (case, strategy) took these seconds, one a pass; a status instead of them for a failure."""
    rows, passes = [], []
    for (case, strategy), found in cells.items():
        row = {"case": case, "strategy": strategy, "phase": "gradient", "status": "ok", "peak_bytes": 100.0} | more
        if isinstance(found, str):
            row |= {"status": found, "peak_bytes": None}
        else:
            row["seconds_median"] = float(np.median(found))
            passes += [(case, strategy, "gradient", number, 0, value) for number, value in enumerate(found)]
        rows.append(row)
    return Run(tidy(rows), pd.DataFrame(passes, columns=list(PASS_COLUMNS)))


def test_the_interval_is_welchs():
    rng = np.random.default_rng(3)
    old, new = np.exp(rng.normal(0, 0.02, 5)), np.exp(rng.normal(0.1, 0.05, 4))
    ratio, low, high = ratio_of_means(old, new)
    expected = ttest_ind(np.log(new), np.log(old), equal_var=False).confidence_interval(0.95)
    assert math.log(ratio) == pytest.approx(np.log(new).mean() - np.log(old).mean())
    assert (math.log(low), math.log(high)) == pytest.approx((expected.low, expected.high))


def test_it_covers_the_truth_in_95_of_100_trials():
    rng = np.random.default_rng(7)
    trials = 1000
    held = 0
    for _ in range(trials):
        _, low, high = ratio_of_means(np.exp(rng.normal(0, 0.03, 3)), np.exp(rng.normal(0.2, 0.06, 5)))
        held += low <= math.exp(0.2) <= high
    assert 0.93 <= held / trials <= 0.98


@pytest.mark.parametrize(
    ("old", "new", "known"),
    [([], [1.0], 0), ([1.0], [2.0], 1), ([1.0, 1.0], [2.0], 1), ([1.0, 1.0], [2.0, 2.0], 3)],
)
def test_what_too_few_passes_leave_open(old, new, known):
    found = ratio_of_means(old, new)
    assert sum(not math.isnan(value) for value in found) == known
    assert math.isnan(found[0]) or found[0] == pytest.approx(2)


def test_new_over_old_for_each_cell_that_both_have():
    base = run_of({("a", "vjp"): [1.0, 1.02], ("b", "vjp"): [1.0, 1.0], ("gone", "vjp"): [1.0, 1.0]})
    head = run_of({("b", "vjp"): "timeout", ("a", "vjp"): [2.0, 2.04], ("new", "vjp"): [1.0, 1.0]})
    found = changes(base, head)
    assert found["case"].tolist() == ["b", "a"]  # as the new one has them
    failed, slower = found.to_dict("records")
    assert slower["seconds_ratio"] == pytest.approx(2)
    assert slower["seconds_low"] < 2 < slower["seconds_high"]
    assert slower["bytes_ratio"] == 1
    assert (failed["status_base"], failed["status_head"]) == ("ok", "timeout")
    assert math.isnan(failed["seconds_ratio"])
    assert math.isnan(failed["bytes_ratio"])
    assert changes(base, head, "pullback").empty


def test_without_passes_there_is_a_ratio_and_no_interval():
    base, head = run_of({("a", "vjp"): [1.0, 1.0]}), run_of({("a", "vjp"): [3.0, 3.0]})
    (line,) = changes(base, Run(head.table)).to_dict("records")
    assert line["seconds_ratio"] == pytest.approx(3)
    assert math.isnan(line["seconds_low"])


def test_what_makes_two_runs_incomparable_is_said():
    cells = {("a", "vjp"): [1.0, 1.0]}
    one, other = run_of(cells, machine="A", controls="tuned"), run_of(cells, machine="B", controls="tuned")
    assert differences(one, one) == []
    assert differences(one, other) == ["machine: A, then B"]
    other.table.attrs["threads"] = 2
    assert differences(other, one)[1] == "threads: 2, then unknown"
