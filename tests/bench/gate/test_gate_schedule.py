"""How often a call is made: enough for the clock, within what a process may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacobench.bench.gate.gate_schedule import (
    LEAST_ROUNDS,
    LEAST_VISITS,
    MOST_SECONDS,
    PROCESS_SECONDS,
    ROUND_SECONDS,
    VISITS,
    row_seconds,
    schedule,
)

times = st.floats(1e-7, 10)


@given(
    st.dictionaries(st.sampled_from(["prepare", "linearize", "pullback", "gradient"]), times, min_size=1),
    st.floats(1e-3, 0.1),
)
def test_rounds_are_long_enough_and_visits_as_many_as_there_is_time_for(seconds, each):
    found = schedule(seconds, each)
    assert 2 <= found.visits <= VISITS
    for phase, (calls, rounds) in found.phases.items():
        assert rounds >= 2, "a minimum over one round is none"
        assert calls >= 1
        if calls > 1:
            assert calls * seconds[phase] == pytest.approx(ROUND_SECONDS, rel=0.5)
        spent = found.visits * rounds * calls * seconds[phase]
        least = LEAST_VISITS * LEAST_ROUNDS * max(seconds[phase], ROUND_SECONDS)
        assert spent <= 2 * max(each, least * VISITS / LEAST_VISITS)


def test_quick_calls_get_their_share_of_the_process():
    found = schedule({"gradient": 2e-5}, 0.012)
    calls, rounds = found.phases["gradient"]
    assert found.visits == VISITS
    assert found.visits * calls * rounds * 2e-5 == pytest.approx(0.012, rel=0.1)


def test_a_process_of_many_rows_takes_what_it_may_and_one_of_few_is_short():
    assert 120 * row_seconds(120) == pytest.approx(PROCESS_SECONDS)
    assert row_seconds(4) == MOST_SECONDS
    assert row_seconds(0) == MOST_SECONDS
