"""Time of a gate on a pytest suite: rounds that fit, and a limit that is too short."""

import pytest

from jacobench.bench.gate.suite.time_plan import LONGEST, PLANNED_PAIRS, SHORTEST, SuiteTimes, check_time, round_seconds
from jacobench.graphs.errors import BadInput


def test_rounds_are_as_long_as_the_planned_pairs_allow():
    times = SuiteTimes(pair=4.0, n_benchmarks=20)
    seconds = round_seconds(times, 1, 60.0)
    assert PLANNED_PAIRS * times.with_rounds(seconds) == pytest.approx(60)
    assert SHORTEST < seconds < LONGEST[1]
    assert round_seconds(times, 1, 1e6) == LONGEST[1]
    assert round_seconds(times, 2, 1e6) == LONGEST[2]
    assert round_seconds(times, 1, 10.0) == SHORTEST
    assert round_seconds(SuiteTimes(0.0, 0), 1, 10.0) == LONGEST[1]


def test_six_pairs_that_do_not_fit_are_refused_with_the_time_needed():
    check_time(SuiteTimes(9.0, 5), used=5.0, max_seconds=60.0)
    said = r"^6 pairs of processes need 66 s \(11.0 s each\), and 5 s of 60 s have passed; allow at least --max-minutes 1.2, "
    with pytest.raises(BadInput, match=said):
        check_time(SuiteTimes(11.0, 5), used=5.0, max_seconds=60.0)
