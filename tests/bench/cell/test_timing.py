"""The clock, the number of calls per round, and the fastest round."""

import time
from types import SimpleNamespace

import pytest

from jacobench.bench.cell import timing
from jacobench.bench.cell.timing import ROUND_SECONDS, Schedule, calls_per_round, fastest, fastest_round
from jacobench.bench.run.run_plan import MIN_SECONDS


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that only calls move."""
    found = SimpleNamespace(now=0.0, perf_counter=lambda: found.now, monotonic=time.monotonic)
    monkeypatch.setattr(timing, "time", found)
    return found


def taking(clock, *seconds):
    """Return a call that takes these times in turn."""
    times = list(seconds)

    def call():
        clock.now += times[0]
        times.append(times.pop(0))

    return call


def test_a_run_and_a_gate_use_rounds_of_the_same_length():
    assert MIN_SECONDS == ROUND_SECONDS


@pytest.mark.parametrize("seconds", [1e-7, 1e-4, 1e-3, 3.0])
def test_a_round_reaches_the_minimum_length(clock, seconds):
    n_calls, length = calls_per_round(taking(clock, seconds))
    assert length == pytest.approx(n_calls * seconds)
    assert length >= ROUND_SECONDS * (1 - 1e-9)


def test_a_shared_number_of_calls_is_used_for_up_to_five_times_the_minimum(clock):
    assert calls_per_round(taking(clock, 4e-4), shared=10)[0] == 10
    assert calls_per_round(taking(clock, 6e-4), shared=10)[0] < 10
    assert calls_per_round(taking(clock, 0.1), shared=10)[0] == 1


def test_the_fastest_round_counts_per_call(clock):
    assert fastest_round(taking(clock, 3e-3, 2e-3, 1e-3, 4e-3), Schedule(rounds=2, calls=2)) == pytest.approx(2.5e-3)


def test_no_round_begins_after_the_time_limit(clock):
    fastest_round(taking(clock, 1.0), Schedule(rounds=100, calls=1), time_limit=2.5)
    assert clock.now == 3.0


def test_one_call_is_not_timed(clock):
    assert fastest(taking(clock, 1.0, 1e-3, 1e-3, 1e-3), rounds=2, min_seconds=1e-3) == pytest.approx(1e-3)
