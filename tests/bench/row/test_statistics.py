"""The statistics of a row, on synthetic data with known answers."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from jacobench.bench.row.statistics import (
    PROCESS_NOISE,
    TOTAL_ERROR,
    clearly_less,
    clopper_pearson,
    decide,
    geometric_mean,
    half_width,
    interquartile_range,
    log_median,
    robust_interval,
    t_interval,
    t_p_value,
    welch,
)


def test_the_interval_is_students_with_one_more_deviation_and_an_error_spent_over_the_looks():
    values = [1.0, 1.02, 0.99, 1.01]
    logs = np.log(values)
    error = math.sqrt((((logs - logs.mean()) ** 2).sum() + PROCESS_NOISE**2) / 4 / 4)
    reach = error * scipy_stats.t.ppf(1 - 0.001 / 5, 4)
    expected = np.exp([logs.mean() - reach, logs.mean() + reach])
    assert robust_interval(values, 0.001) == pytest.approx(tuple(expected), rel=1e-12)


def test_the_interval_is_of_95_percent_unless_asked_otherwise_and_scales_with_its_values():
    values = [1.0, 1.3, 0.9, 1.1]
    low, high = robust_interval(values)
    assert (low, high) == robust_interval(values, 0.025)
    assert low < log_median(values) < high
    assert robust_interval([1e-6 * value for value in values]) == pytest.approx((1e-6 * low, 1e-6 * high))
    assert robust_interval([1 / value for value in values]) == pytest.approx((1 / high, 1 / low))


def test_equal_values_agree_by_chance_at_first():
    widths = [math.log(high / low) for low, high in (robust_interval([0.25] * n) for n in (3, 6, 12, 100))]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.1
    assert widths[-1] < 0.01


@pytest.mark.parametrize("bad", [0.01, 100.0])
def test_one_bad_process_cannot_spoil_the_interval(bad):
    low, high = robust_interval([2.0, 2.02, 1.99, 2.01, 1.98, bad])
    assert 1.7 < low < 2 < high < 2.3
    assert log_median([2.0, 2.02, 1.99, 2.01, bad]) == pytest.approx(2.0, rel=0.006)


def test_the_interval_contains_the_median_and_all_of_three_values():
    rng = np.random.default_rng(4)
    for n in range(3, 12):
        values = np.exp(rng.standard_cauchy(n)).tolist()
        low, high = robust_interval(values)
        assert low <= log_median(values) <= high
        assert n > 3 or (low <= min(values) <= max(values) <= high)


@pytest.mark.parametrize("n_passes", [2, 3, 10])
def test_the_interval_covers_the_truth_at_least_as_often_as_it_says(n_passes):
    rng = np.random.default_rng(20)
    truth, covered, trials = 3e-4, 0, 4000
    for values in truth * np.exp(0.05 * rng.standard_normal((trials, n_passes))):
        low, high = robust_interval(values.tolist())
        covered += low <= truth <= high
    assert covered / trials >= 0.95


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_neither_interval_nor_range(values):
    assert all(math.isnan(end) for end in robust_interval(values))
    assert math.isnan(interquartile_range(values))


def test_the_median_of_an_even_number_is_a_geometric_mean():
    assert log_median([1.0, 4.0]) == pytest.approx(2.0)
    assert log_median([9.0, 1.0, 3.0]) == 3.0
    assert math.isnan(log_median([]))


def test_geometric_mean():
    assert geometric_mean([1.0, 4.0]) == pytest.approx(2.0)
    assert geometric_mean([7.0]) == pytest.approx(7.0)
    assert geometric_mean([2.0, 0.5]) == pytest.approx(1.0)
    assert math.isnan(geometric_mean([]))


def test_interquartile_range():
    assert interquartile_range([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2.0)
    assert interquartile_range([5.0, 1.0]) == pytest.approx(2.0)
    values = np.random.default_rng(0).random(20).tolist()
    assert interquartile_range(values) == pytest.approx(scipy_stats.iqr(values))


def test_a_candidate_is_ahead_only_if_it_beats_every_rival():
    near, far = [1.20, 1.21, 1.22, 1.20], [3.0, 3.1, 2.9, 3.0]
    assert decide({"a": near, "b": far}).status == "ahead"
    assert decide({"a": near, "b": [0.9, 1.4, 1.0, 1.2]}).status == "undecided"
    assert decide({"a": near, "b": far}).runner_up == "a"


def test_one_disturbed_pass_of_three_leaves_a_clear_case_decided():
    ratios = [2.2, 1.36, 2.21]  # Student's interval with two degrees of freedom is 0.94 to 3.7
    found = decide({"a": ratios, "b": [9.0, 9.0, 9.0]})
    assert (found.status, found.factor) == ("ahead", 2.2)
    assert found.low > 1


def test_a_pass_on_the_other_side_needs_two_more_passes():
    disturbed = [2.2, 0.9, 2.2]
    assert decide({"a": disturbed}).status == "undecided"
    assert decide({"a": [*disturbed, 2.21]}).status == "undecided"
    assert decide({"a": [*disturbed, 2.21, 2.19]}).status == "ahead"


def test_the_factor_and_its_interval_are_those_of_the_runner_up_and_the_interval_does_not_decide():
    ratios = [1.11, 1.10, 1.12]
    found = decide({"a": ratios, "b": [9.0, 9.0, 9.0]})
    assert (found.runner_up, found.n_passes) == ("a", 3)
    assert found.factor == 1.11
    assert (found.low, found.high) == robust_interval(ratios)
    assert robust_interval(ratios)[0] > 1
    assert found.status == "undecided"


def test_equal_times_are_equal_and_many_of_them_are_needed():
    close = [1.01, 0.99, 1.0, 1.005, 0.995, 1.0, 1.0]
    assert decide({"a": close, "b": [5.0] * 7}).status == "equal"
    assert decide({"a": close, "b": [1.2, 0.8, 1.0, 1.1, 0.9, 1.0, 1.0]}).status == "undecided"
    assert decide({"a": close[:4]}).status == "undecided"


@pytest.mark.parametrize("ratios", [[], [2.0]])
def test_a_rival_without_two_ratios_is_undecided_and_named(ratios):
    found = decide({"a": ratios, "b": [1.5, 1.5, 1.5]})
    assert (found.status, found.runner_up, found.n_passes) == ("undecided", "b", 3)
    assert found.open_rivals == ("a",)


def test_the_runner_up_is_the_second_fastest_and_not_the_one_with_the_widest_interval():
    found = decide({"noisy": [1.0, 30.0, 9.0, 0.8], "second": [2.0, 2.1, 2.0, 1.9]})
    assert (found.status, found.runner_up, found.open_rivals) == ("undecided", "second", ("noisy",))
    assert found.factor == pytest.approx(2, rel=0.01)
    assert decide({"noisy": [5.0, 5.1, 4.9, 5.0], "second": [2.0, 2.1, 2.0, 1.9]}).open_rivals == ()


def test_without_rivals_there_is_no_runner_up():
    found = decide({})
    assert (found.status, found.runner_up, found.n_passes) == ("ahead", "", 0)
    assert math.isnan(found.factor)


def test_more_rivals_need_more_evidence():
    ratios = [1.10, 1.12, 1.11, 1.11]
    assert decide({"a": ratios}).status == "ahead"
    assert decide({"a": ratios} | {f"b{i}": [9.0, 9.0, 9.0, 9.0] for i in range(99)}).status == "undecided"


@pytest.mark.parametrize(("n_strategies", "n_passes"), [(2, 3), (2, 10), (5, 3), (5, 10)])
def test_equal_strategies_are_called_ahead_in_at_most_one_of_a_hundred_runs(n_strategies, n_passes):
    rng, trials = np.random.default_rng(1), 4000
    false = 0
    for logs in 0.03 * rng.standard_normal((trials, n_strategies, n_passes)):
        best = int(np.median(logs, axis=1).argmin())  # the candidate is chosen from the same times
        ratios = {str(i): np.exp(own - logs[best]).tolist() for i, own in enumerate(logs) if i != best}
        false += decide(ratios).status == "ahead"
    assert clopper_pearson(false, trials)[0] <= TOTAL_ERROR


def test_repeated_looks_keep_the_total_error():
    rng, trials, looks = np.random.default_rng(2), 1500, range(3, 13)
    false = 0
    for logs in 0.03 * rng.standard_normal((trials, 12)):
        ratios = np.exp(logs)
        false += any(
            decide({"rival": side[:n].tolist()}).status == "ahead" for n in looks for side in (ratios, 1 / ratios)
        )
    assert clopper_pearson(false, trials)[0] <= TOTAL_ERROR


def test_a_true_difference_is_found():
    rng = np.random.default_rng(3)
    found = [decide({"a": np.exp(0.1 + 0.02 * own).tolist()}).status for own in rng.standard_normal((200, 8))]
    assert found.count("ahead") > 190


# Of the tables of exact confidence limits: Clopper and Pearson (1934), two-sided 95 %.
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 200, 0.0, 0.0183), (200, 200, 0.9817, 1.0), (8, 8, 0.6306, 1.0), (0, 10, 0.0, 0.3085),
        (5, 10, 0.1871, 0.8129), (1, 20, 0.0013, 0.2487), (95, 100, 0.8872, 0.9836), (0, 0, 0.0, 1.0),
    ],
)  # fmt: skip
def test_clopper_pearson_is_that_of_the_tables(k, n, low, high):
    assert clopper_pearson(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_clopper_pearson_is_scipys_at_any_confidence(confidence):
    for k in range(13):
        expected = scipy_stats.binomtest(k, 12).proportion_ci(confidence, method="exact")
        assert clopper_pearson(k, 12, confidence) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5)])
def test_clopper_pearson_refuses_counts_that_cannot_be(k, n):
    with pytest.raises(ValueError, match=f"got k = {k} and n = {n}"):
        clopper_pearson(k, n)


def test_the_interval_of_a_mean_is_students():
    values = [3.0, 1.0, 4.0, 1.5]
    expected = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    assert t_interval(values) == pytest.approx(expected)


def test_welchs_error_and_freedom_are_scipys():
    first, second = [1.0, 1.2, 0.9, 1.1], [2.0, 2.5, 1.8]
    difference = np.mean(second) - np.mean(first)
    error, freedom = welch([np.var(first, ddof=1), np.var(second, ddof=1)], [4, 3])
    expected = scipy_stats.ttest_ind(second, first, equal_var=False)
    assert freedom == pytest.approx(expected.df)
    interval = expected.confidence_interval(0.95)
    reach = half_width(error, freedom)
    assert (difference - reach, difference + reach) == pytest.approx((interval.low, interval.high))
    one_sided = scipy_stats.ttest_ind(second, first, equal_var=False, alternative="greater").pvalue
    assert t_p_value(difference, error, freedom) == pytest.approx(one_sided)


def test_constant_samples_differ_or_do_not():
    error, freedom = welch([0.0, 0.0], [3, 3])
    assert t_p_value(0.0, error, freedom) == pytest.approx(0.5)
    assert t_p_value(0.01, error, freedom) < 1e-9


@pytest.mark.parametrize(
    ("peak", "other", "less"),
    [
        (980e3, 1000e3, True),
        (995e3, 1000e3, False),
        (100.0, 8291.0, False),
        (100.0, 8292.0, True),
        (math.nan, 1e6, False),
    ],
)
def test_memory_is_clearly_less_by_one_per_cent_and_eight_kibibytes(peak, other, less):
    assert clearly_less(peak, other) == less
