"""How often a call is made: enough for the clock, within what a process may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacobench.bench.cell.timing import ROUND_SECONDS
from jacobench.bench.gate.paired_runner import (
    BLOCKS,
    LEAST_BLOCKS,
    LEAST_ROUNDS,
    MOST_SECONDS,
    PROCESS_SECONDS,
    block_schedule,
    row_seconds,
)

times = st.floats(1e-7, 10)


@given(
    st.dictionaries(st.sampled_from(["prepare", "linearize", "pullback", "gradient"]), times, min_size=1),
    st.floats(1e-3, 0.1),
)
def test_there_are_as_many_blocks_and_rounds_as_the_time_allows(seconds, each):
    calls = {phase: (s, max(1, round(ROUND_SECONDS / s))) for phase, s in seconds.items()}
    found = block_schedule(calls, each)
    assert 2 <= found.blocks <= BLOCKS
    for phase, (n_calls, rounds) in found.phases.items():
        assert n_calls == calls[phase][1]
        assert rounds >= 2, "a minimum of one round is not a minimum"
        spent = found.blocks * rounds * n_calls * seconds[phase]
        least = LEAST_BLOCKS * LEAST_ROUNDS * max(seconds[phase], 1.5 * ROUND_SECONDS)
        assert spent <= 2 * max(each, least * BLOCKS / LEAST_BLOCKS)


def test_fast_calls_get_their_share_of_the_process():
    found = block_schedule({"gradient": (2e-5, 50)}, 0.03)
    n_calls, rounds = found.phases["gradient"]
    assert found.blocks == BLOCKS
    assert found.blocks * n_calls * rounds * 2e-5 == pytest.approx(0.03, rel=0.1)


def test_a_process_of_many_rows_takes_what_it_may_and_one_of_few_is_short():
    assert 120 * row_seconds(120) == pytest.approx(PROCESS_SECONDS)
    assert row_seconds(4) == MOST_SECONDS
    assert row_seconds(0) == MOST_SECONDS
