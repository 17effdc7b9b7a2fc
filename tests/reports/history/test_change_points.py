"""Change points on series whose changes are known; noise alone must not be called a change."""

from __future__ import annotations

import numpy as np
import pytest

from jacobench.reports.history.change_points import MIN_RUNS, find_changes

RESOLUTION = 0.002


def correlated(rng, n):
    noise = rng.normal(size=n)
    for run in range(1, n):
        noise[run] = 0.6 * noise[run - 1] + 0.8 * noise[run]
    return noise


NOISES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(3, size=n),
    "outliers on one side": lambda rng, n: rng.normal(size=n) + 4 * (rng.random(n) < 0.1),
    "two modes": lambda rng, n: 0.3 * rng.normal(size=n) + 2 * (rng.random(n) < 0.5),
    "moods of the machine": correlated,
}

TIMES = np.arange(60)
SHAPES = {
    "step up": 0.08 * (TIMES >= 30),
    "step down": -0.08 * (TIMES >= 30),
    "drift up": np.linspace(0, 0.25, 60),
    "drift down": -0.25 * np.clip((TIMES - 15) / 30, 0, 1),
    "": np.zeros(60),
}


def noisy(rng, logs, noise="normal"):
    return 1e-3 * np.exp(logs + 0.02 * NOISES[noise](rng, len(logs)))


def found_in(values):
    return find_changes([values], [RESOLUTION])[0]


def kind(found):
    return f"{'drift' if found.change.is_drift else 'step'} {'up' if found.size.ratio > 1 else 'down'}"


@pytest.mark.long
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n", [14, 60])
def test_noise_is_not_called_a_change(noise, n):
    """At most one family in a hundred may have an alarm; of forty, four or more would be rarer than one in a thousand."""
    rng = np.random.default_rng(1)
    alarmed = 0
    for _ in range(40):
        family = [noisy(rng, np.zeros(n), noise) for _ in range(8)]
        alarmed += any(find_changes(family, [RESOLUTION] * 8))
    assert alarmed <= 3


def test_a_step_of_five_percent_is_found_in_two_percent_of_noise():
    """In one of ten series, ten runs after it; with its size, its place, and no alarm in the others."""
    rng = np.random.default_rng(2)
    hits = covered = placed = others = 0
    for _ in range(40):
        family = [noisy(rng, np.zeros(40)) for _ in range(10)]
        family[3][30:] *= 1.05
        own = (all_found := find_changes(family, [RESOLUTION] * 10)).pop(3)
        others += any(all_found)
        if own:
            found = own[-1]
            hits += 1
            covered += found.size.low <= 1.05 <= found.size.high
            placed += found.before < 30 <= found.after
    assert hits >= 32
    assert covered >= 0.85 * hits
    assert placed >= 0.9 * hits
    assert others <= 3


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_and_drifts_are_distinguished(shape):
    rng = np.random.default_rng(3)
    kinds = [" ".join(map(kind, found_in(noisy(rng, SHAPES[shape])))) for _ in range(20)]
    assert kinds.count(shape) >= 17


def test_a_large_step_is_found_three_runs_after_it():
    values = noisy(np.random.default_rng(4), 0.5 * (np.arange(25) >= 22))
    (found,) = found_in(values)
    assert kind(found) == "step up"
    assert (found.before, found.after) == (21, 22)
    assert found.size.low < np.exp(0.5) < found.size.high
    assert found.p_value <= 0.01


@pytest.mark.parametrize("where", [20, 58, 59])
@pytest.mark.parametrize("n_outliers", [1, 2])
def test_one_or_two_outliers_are_no_change(where, n_outliers):
    """Chance may make one series in a hundred look changed."""
    alarms = 0
    for seed in range(20):
        values = noisy(np.random.default_rng(seed), np.zeros(60))
        values[where : where + n_outliers] *= 3
        alarms += len(found_in(values))
    assert alarms <= 1


def test_outliers_do_not_hide_a_step():
    values = noisy(np.random.default_rng(6), SHAPES["step up"])
    values[[5, 20, 41, 50]] *= 4
    (found,) = found_in(values)
    assert kind(found) == "step up"
    assert found.before < 30 <= found.after


def test_a_small_step_is_found_next_to_a_large_one():
    logs = 0.6 * (np.arange(90) >= 30) + 0.05 * (np.arange(90) >= 60)
    found = found_in(noisy(np.random.default_rng(7), logs))
    assert [one.change.end for one in found] == pytest.approx([30, 60], abs=2)


def test_what_hardly_has_noise_changes_at_the_first_sight():
    values = np.array([1000.0] * 12 + [1030.0] * 4)
    (found,) = found_in(values)
    assert (found.before, found.after) == (11, 12)
    assert found.size.ratio == pytest.approx(1.03)


def test_short_and_constant_series_have_no_changes():
    short = np.array([1.0] * 4 + [9.0] * (MIN_RUNS - 5))
    assert find_changes([short, np.full(50, 7.0), np.array([])], [RESOLUTION] * 3) == [[], [], []]


def test_the_same_series_give_the_same_answer():
    values = noisy(np.random.default_rng(8), SHAPES["step up"])
    assert found_in(values) == found_in(values)


LEVELS = {
    "faster": ((4, 6.0, 0.01), (16, 1.0, 0.001)),
    "slower": ((19, 1.0, 0.02), (10, 1.75, 0.015)),
}
"""Series as published ones have them (docs/history.md): runs, time and noise of each level."""


@pytest.mark.parametrize("seed", [3, 24, 37])
@pytest.mark.parametrize("name", LEVELS)
def test_the_commit_of_a_step_next_to_outliers(name, seed):
    """The runs before the change are outliers by the noise of the others; their filter must not move the step."""
    rng = np.random.default_rng(seed)
    seconds = np.concatenate([time * np.exp(noise * rng.normal(size=n)) for n, time, noise in LEVELS[name]])
    at = LEVELS[name][0][0]
    ((found,),) = find_changes([seconds], [0.002])
    assert (found.before, found.change.end, found.after) == (at - 1, at, at)


@pytest.mark.parametrize("share", [0.3, 0.4])
def test_two_modes_are_no_change(share):
    """As a machine that is slower in some runs; a filter that removes one mode leaves steps between clusters."""
    n_changed = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        family = [np.exp(0.003 * rng.normal(size=60) + 0.04 * (rng.random(60) < share)) for _ in range(10)]
        n_changed += any(find_changes(family, [0.002] * 10))
    assert n_changed <= 1
