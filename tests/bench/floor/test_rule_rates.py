"""Rates of rules: known rates are found again, bytes take the bandwidth of the footprint, and deviations are interpolated."""

import numpy as np
import pytest

from jacobench.bench.floor.rule_rates import Bandwidth, RuleTime, fit_relative, rates_of
from jacobench.bench.floor.rule_work import Work

CACHES = Bandwidth((1e4, 1e6, 1e8), (1e-11, 1e-11, 1e-10), (2e-11, 2e-11, 3e-10))
SIZES = [(flops, n_bytes) for flops in (1e2, 1e4, 1e6) for n_bytes in (1e2, 1e3, 1e4)]


def measured(seconds):
    return [RuleTime("r", flops, n_bytes, n_bytes, seconds(flops, n_bytes)) for flops, n_bytes in SIZES]


def known(flops, n_bytes):
    return 2e-6 + 1e-10 * flops + 2 * (1e-11 + 2e-11) * n_bytes


def test_known_rates_are_found_again_at_other_sizes():
    rates = rates_of(measured(known), CACHES)["r"]
    assert rates.seconds([Work("r", 5e4, 700, 700)], [0])[0] == pytest.approx(known(5e4, 700), rel=1e-6)


def test_bytes_take_the_bandwidth_of_the_footprint():
    rates = rates_of(measured(known), CACHES)["r"]
    far = rates.seconds([Work("r", 0, 1e4, 1e4)], [1e8])[0]
    assert far == pytest.approx(2e-6 + 2 * (1e-10 + 3e-10) * 1e4, rel=1e-6)


def test_a_shape_that_is_slower_than_its_rates_stays_slower_nearby():
    slow = rates_of(measured(lambda flops, n_bytes: known(flops, n_bytes) * (3 if flops == 1e6 else 1)), CACHES)["r"]
    assert slow.seconds([Work("r", 1.1e6, 1e3, 1e3)], [0])[0] > 2 * known(1.1e6, 1e3)
    assert slow.seconds([Work("r", 1.1e2, 1e3, 1e3)], [0])[0] < 1.5 * known(1.1e2, 1e3)


def test_no_rate_is_negative():
    work = np.array([[1.0, 4, 1e3], [1, 8, 1e4], [1, 12, 1e5], [1, 16, 2e5]])
    assert (fit_relative(work, np.array([5e-6, 4e-6, 3e-6, 2e-6])) >= 0).all()
