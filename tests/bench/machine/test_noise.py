"""The A/A experiment's arithmetic, on samples whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.bench.machine.noise import CONDITIONS, WORKLOADS, Sample, gains, spreads


def log_uniform(rng, half_width, size):
    """Draw numbers around 1 whose logarithms' middle 90 % reach `half_width` to either side."""
    return np.exp(rng.uniform(-1, 1, size) * half_width / 0.9)


def samples(rng, between, inside, paired, n=4000):
    found = []
    for level in log_uniform(rng, between, n):
        # The first round is the minimum, so that the spread of the minima is the level's alone.
        rounds = level * np.concatenate([[1], 2 * log_uniform(rng, inside, 11)])
        first = {name: tuple(rounds) for name in WORKLOADS}
        second = {name: tuple(rounds * log_uniform(rng, paired, 1)) for name in WORKLOADS}
        found.append(Sample(first, second))
    return found


def test_each_spread_is_half_the_range_of_the_middle_ninety_per_cent():
    found = spreads(samples(np.random.default_rng(0), between=0.05, inside=0.0, paired=0.01))
    assert list(found) == list(WORKLOADS)
    for spread in found.values():
        assert spread["between"] == pytest.approx(0.05, rel=0.05)
        assert spread["paired"] == pytest.approx(0.01, rel=0.05)
        # Ratios of two independent levels: the sum of two uniforms, whose middle 90 % reach 2 − √0.4 half-widths.
        assert spread["neighbours"] == pytest.approx(0.05 / 0.9 * (2 - np.sqrt(0.4)), rel=0.05)


def test_what_moves_a_whole_process_moves_no_paired_ratio():
    found = spreads(samples(np.random.default_rng(1), between=0.3, inside=0.02, paired=0.0, n=200))
    for spread in found.values():
        assert spread["paired"] == pytest.approx(0, abs=1e-12)
        assert spread["between"] > 0.25


def test_a_gain_is_the_median_of_neighbours():
    def sample(seconds):
        return Sample(dict.fromkeys(WORKLOADS, (seconds, 2 * seconds)), {})

    base, *others = CONDITIONS
    drifting = [1.0, 2.0, 4.0, 8.0, 16.0]
    by_condition = {base: [sample(level) for level in drifting]}
    by_condition |= {name: [sample(level / 1.5) for level in drifting[:-1]] + [sample(1e3)] for name in others}
    assert gains(by_condition) == {name: dict.fromkeys(WORKLOADS, pytest.approx(1.5)) for name in others}
