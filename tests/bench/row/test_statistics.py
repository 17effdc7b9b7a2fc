"""The statistics of a row, on synthetic data with known answers."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from jacobench.bench.row.statistics import geometric_mean, interquartile_range, log_t_interval


@pytest.mark.parametrize("values", [[1.0, 1.1, 1.2], [2e-6, 3e-6], [0.5, 0.5, 4.0, 2.0, 1.0]])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_the_interval_is_students_on_the_logarithms(values, confidence):
    logs = np.log(values)
    expected = np.exp(scipy_stats.t.interval(confidence, len(logs) - 1, logs.mean(), scipy_stats.sem(logs)))
    assert log_t_interval(values, confidence) == pytest.approx(tuple(expected), rel=1e-12)


def test_the_interval_is_of_95_percent_unless_asked_otherwise_and_scales_with_its_values():
    values = [1.0, 1.3, 0.9, 1.1]
    low, high = log_t_interval(values)
    assert (low, high) == log_t_interval(values, 0.95)
    assert low < geometric_mean(values) < high
    assert low * high == pytest.approx(geometric_mean(values) ** 2)
    assert log_t_interval([1e-6 * value for value in values]) == pytest.approx((1e-6 * low, 1e-6 * high))


def test_equal_values_give_an_interval_of_no_width():
    assert log_t_interval([0.25, 0.25, 0.25]) == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize("n_passes", [2, 3, 10])
def test_the_interval_covers_the_truth_as_often_as_it_says(n_passes):
    rng = np.random.default_rng(20)
    truth, covered, trials = 3e-4, 0, 4000
    for values in truth * np.exp(0.05 * rng.standard_normal((trials, n_passes))):
        low, high = log_t_interval(values.tolist())
        covered += low <= truth <= high
    assert 0.93 <= covered / trials <= 0.97


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_neither_interval_nor_range(values):
    assert all(math.isnan(end) for end in log_t_interval(values))
    assert math.isnan(interquartile_range(values))


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
