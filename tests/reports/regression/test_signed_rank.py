"""Signed-rank test: compared with scipy; test, estimate and intervals agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from jacobench.reports.regression.signed_rank import signed_ranks, upper_tail


@pytest.mark.parametrize("n", [6, 10, 30])
def test_p_values_are_scipys(n):
    values = np.random.default_rng(n).normal(0.2, 1, (40, n))
    rows = signed_ranks(values)
    np.testing.assert_allclose(rows.above(0), wilcoxon(values, axis=1, alternative="greater", method="exact").pvalue)
    expected = wilcoxon(values - 0.3, axis=1, alternative="less", method="exact").pvalue
    np.testing.assert_allclose(rows.below(0.3), expected)
    np.testing.assert_allclose(rows.below(np.full(40, 0.3)), expected)


def test_all_signs_are_equally_likely():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    p_values = signed_ranks(signs * values).above(0)
    for level in np.unique(p_values):
        assert np.mean(p_values <= level) <= level + 1e-12


@given(st.lists(st.floats(-10, 10), min_size=6, max_size=12), st.sampled_from([0.05, 0.025, 0.005]))
@settings(deadline=None)
def test_an_interval_holds_what_the_test_does_not_reject(values, level):
    rows = signed_ranks([values])
    (low,), (high,) = rows.bounds(level)
    assert low <= rows.estimate[0] <= high
    if np.isfinite(low):
        assert rows.above(np.array([low - 1e-6]))[0] <= level
        assert rows.above(np.array([low + 1e-6]))[0] > level
        assert rows.below(np.array([high + 1e-6]))[0] <= level


def test_ties_and_zeros_make_no_evidence():
    assert signed_ranks([[0.0] * 10]).above(0)[0] == 1
    assert signed_ranks([[0.0] * 10]).below(0)[0] == 1


def test_too_few_differences_bound_nothing():
    assert signed_ranks([[1.0, 1.1, 1.2]]).bounds(0.025) == (-np.inf, np.inf)


def test_the_estimate_does_not_mind_one_outlier():
    quiet = np.linspace(-0.01, 0.01, 9)
    assert abs(signed_ranks([[*quiet, 5.0]]).estimate[0]) < 0.01


@pytest.mark.parametrize("n", range(1, 31))
def test_tails_are_probabilities(n):
    found = upper_tail(n)
    assert found[0] == 1
    assert found[-1] == 0.5**n
    assert (np.diff(found) < 0).all()
