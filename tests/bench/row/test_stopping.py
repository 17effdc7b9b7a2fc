"""The rules of adaptive runs, on small tables."""

import pytest

from jacobench.bench.row.stopping import is_outlier, leader, pass_disturbed, undecided

STEADY = {0: (1.0, 1.01), 1: (1.0,), 2: (0.99, 1.02)}  # seconds of the calibration kernel by pass


def by_pass(*seconds):
    return dict(enumerate(seconds))


def test_the_leader_is_the_fastest_within_the_processes():
    # The medians of the seconds have the other order, because b was measured in one more process.
    name, decision = leader({"a": by_pass(1.0, 2.0, 3.0), "b": by_pass(1.1, 2.2, 3.3, 1.0, 1.0)})
    assert (name, decision.runner_up, decision.n_passes) == ("a", "b", 3)
    assert decision.factor == pytest.approx(1.1)


def test_a_strategy_that_shares_no_process_does_not_lead_and_leaves_the_case_undecided():
    seconds = {"a": by_pass(1.0, 1.0, 1.0), "b": by_pass(2.0, 2.0, 2.0), "alone": {7: 0.5}}
    name, decision = leader(seconds)
    assert (name, decision.open_rivals) == ("a", ("alone",))
    assert undecided(seconds)


def test_clear_cases_equal_ones_and_single_strategies_need_no_further_pass():
    one = by_pass(1.0, 1.0, 1.0)
    assert not undecided({"a": one, "b": by_pass(2.0, 2.0, 2.0)})
    assert not undecided({"a": by_pass(*[1.0] * 6), "b": by_pass(*[1.0] * 6)})
    assert not undecided({"a": one})
    assert not undecided({})
    assert undecided({"a": one, "b": by_pass(0.5, 2.0, 1.5)})


def test_an_outlier_is_ten_percent_slower_than_the_median_of_its_cell():
    assert is_outlier(1.11, [1.0, 0.9, 1.0, 1.11])
    assert not is_outlier(1.09, [1.0, 0.9, 1.0, 1.09])
    assert not is_outlier(0.5, [1.0, 0.5, 1.0])
    assert not is_outlier(2.0, [1.0, 2.0])


def test_a_pass_is_repeated_if_half_of_its_cells_are_outliers():
    slow, fine = by_pass(1.0, 1.0, 1.2), by_pass(1.0, 1.0, 1.0)
    assert pass_disturbed(2, [slow, fine], STEADY) == "1 of 2 cells were more than 10% slower than usual"
    assert not pass_disturbed(2, [slow, fine, fine], STEADY)
    assert not pass_disturbed(1, [slow, slow], STEADY)
    assert not pass_disturbed(2, [{0: 1.0, 1: 1.0}], STEADY)


@pytest.mark.parametrize("changed", [1.12, 0.88])
def test_a_pass_is_repeated_if_the_calibration_kernel_changed(changed):
    assert "calibration kernel changed" in pass_disturbed(1, [], STEADY | {1: (1.0, changed)})
    assert not pass_disturbed(0, [], STEADY | {1: (1.0, changed)})


def test_no_pass_is_repeated_before_there_are_three():
    assert not pass_disturbed(1, [by_pass(1.0, 2.0)], {0: (1.0,), 1: (2.0,)})
