"""Laws of growth, on synthetic data with known exponents and noise."""

import math

import numpy as np
import pytest

from jacobench.reports.analysis.power_laws import fit

SIZES = np.array([8.0, 16, 32, 64, 128, 256, 512, 1024])
FLAT = {"power": 0.0, "flat at first": 2e-5}


def truth(fixed, exponent=2.0):
    return fixed + 1e-9 * SIZES**exponent


@pytest.mark.parametrize("fixed", FLAT.values(), ids=FLAT)
@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_exact_values_give_the_exact_law(fixed, exponent):
    law = fit(SIZES, [truth(fixed, exponent)] * 3)
    assert law.exponent == pytest.approx(exponent, rel=1e-6)
    assert (law.low, law.high) == pytest.approx((exponent, exponent), rel=1e-6)
    assert law.fixed == pytest.approx(fixed, rel=1e-5)
    assert law(SIZES) == pytest.approx(truth(fixed, exponent), rel=1e-6)
    assert law.residual == pytest.approx(1)
    assert law.r_squared == pytest.approx(1)


@pytest.mark.long
@pytest.mark.parametrize("n_passes", [3, 5, 10])
@pytest.mark.parametrize("fixed", FLAT.values(), ids=FLAT)
def test_the_interval_covers_the_exponent_as_often_as_it_says(fixed, n_passes):
    rng = np.random.default_rng(7)
    values = truth(fixed) * np.exp(0.03 * rng.standard_normal((1000, n_passes, SIZES.size)))
    laws = [fit(SIZES, passes) for passes in values]
    covered = sum(law.low <= 2.0 <= law.high for law in laws)
    assert 930 <= covered <= 970


def test_noise_that_a_whole_pass_shares_does_not_move_the_exponent():
    rng = np.random.default_rng(8)
    law = fit(SIZES, truth(0.0) * np.exp(rng.standard_normal((5, 1))))
    assert (law.low, law.high) == pytest.approx((2, 2))


def test_a_fixed_cost_is_found_only_where_there_is_one():
    rng = np.random.default_rng(9)
    noise = np.exp(0.03 * rng.standard_normal((200, 3, SIZES.size)))
    assert all(fit(SIZES, truth(2e-5) * passes).fixed == pytest.approx(2e-5, rel=0.3) for passes in noise)
    assert sum(fit(SIZES, truth(0.0) * passes).fixed > 0 for passes in noise) <= 20


def test_where_the_leading_term_begins_to_rule():
    assert fit(SIZES, truth(1e-9 * 64**2)).dominates_from == pytest.approx(64, rel=1e-5)
    assert fit(SIZES, truth(0.0)).dominates_from == 8


def test_the_interval_of_a_power_law_is_that_of_the_passes_own_slopes():
    rng = np.random.default_rng(10)
    passes = truth(0.0) * np.exp(0.1 * rng.standard_normal((4, SIZES.size)))
    law = fit(SIZES, passes, with_fixed=False)
    slopes = [np.polyfit(np.log(SIZES), np.log(values), 1)[0] for values in passes]
    assert law.exponent == pytest.approx(np.mean(slopes))
    assert law.high - law.low == pytest.approx(2 * 3.18244630528 * np.std(slopes, ddof=1) / 2)


def test_residual_and_r_squared_say_how_badly_a_law_fits():
    bent = truth(0.0).copy()
    bent[3] *= 2
    law = fit(SIZES, bent, with_fixed=False)
    assert law.residual == pytest.approx(2 ** (7 / 8), rel=0.02)  # one of eight pulls the line an eighth of its way
    assert 0.9 < law.r_squared < 0.999


def test_one_pass_has_an_exponent_but_no_interval():
    law = fit(SIZES, truth(0.0))
    assert law.exponent == pytest.approx(2)
    assert math.isnan(law.low)
    assert math.isnan(law.high)


def test_values_that_do_not_grow():
    law = fit(SIZES, np.full((3, SIZES.size), 5.0))
    assert law.exponent == pytest.approx(0, abs=1e-12)
    assert law.fixed == 0
    assert math.isnan(law.r_squared)


@pytest.mark.parametrize(
    ("sizes", "values"),
    [([1, 2], [[1, 2]]), ([1, 2, 4], np.empty((0, 3))), ([1, 2, 4], [[1, math.nan, 4]]), ([1, 2, 4], [[1, 0, 4]])],
    ids=["two sizes", "no pass", "missing", "zero"],
)
def test_too_little_to_fit(sizes, values):
    assert fit(sizes, values) is None


def test_values_that_do_not_grow_have_a_law_all_the_same():
    """Where a fixed cost is all there is, the leading term may be anything; no number is too large for it."""
    sizes = [16, 32, 64, 128, 256]
    for seed in range(30):
        values = 2e-5 * np.random.default_rng(seed).lognormal(0, 0.005, (6, 5))
        for with_fixed in (None, True):
            law = fit(sizes, values, with_fixed=with_fixed)
            assert law(sizes) == pytest.approx(2e-5, rel=0.05)
            assert law.dominates_from >= 16
