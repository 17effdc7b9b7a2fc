import math

import pytest

from jacobench.reports.analysis.winners import memory_winner, time_winner

NAN = math.nan


def cell(strategy, low=NAN, high=NAN, peak=NAN, status="ok"):
    return {"strategy": strategy, "status": status, "ratio_low": low, "ratio_high": high, "peak_bytes": peak}


VJP = cell("vjp", peak=1000.0)


@pytest.mark.parametrize(
    ("others", "winner"),
    [
        ([cell("dense", 2.0, 3.0), cell("sparse", 1.1, 1.3)], "vjp"),
        ([cell("dense", 0.5, 0.6), cell("sparse", 1.1, 1.3)], "dense"),
        ([cell("dense", 0.5, 0.6), cell("sparse", 0.61, 0.7)], "dense"),
        ([cell("dense", 0.5, 0.65), cell("sparse", 0.6, 0.7)], None),  # they overlap
        ([cell("dense", 0.5, 0.6), cell("sparse", 0.6, 0.7)], None),  # they touch
        ([cell("dense", 0.9, 1.1)], None),  # the reference lies inside
        ([cell("dense", 0.4, 0.9), cell("sparse", 0.95, 0.99)], "dense"),
        ([cell("dense", 0.5, 0.6), cell("sparse")], None),  # one interval is missing
        ([cell("dense")], None),  # one pass
        ([], None),  # nothing to be ahead of
        ([cell("dense", status="over_budget")], None),
        ([cell("dense", status="timeout"), cell("sparse", 2.0, 3.0)], "vjp"),
        ([cell("dense", 0.1, 0.2, status="wrong"), cell("sparse", 2.0, 3.0)], "vjp"),
    ],
)
def test_time_winner(others, winner):
    assert time_winner([*others, VJP]) == winner
    assert time_winner([VJP, *others]) == winner


def test_no_reference_no_winner():
    for cells in ([cell("dense", 0.5, 0.6, 10.0), cell("sparse", 2, 3, 99.0)], []):
        assert time_winner(cells) is None
        assert memory_winner(cells) is None
    timed_out = cell("vjp", status="timeout")
    assert time_winner([timed_out, cell("dense", 0.5, 0.6), cell("sparse", 2, 3)]) is None


@pytest.mark.parametrize(
    ("peaks", "winner"),
    [
        ({"dense": 5000.0, "sparse": 1011.0}, "vjp"),
        ({"dense": 5000.0, "sparse": 1010.0}, None),  # 990.1 / 1000 is within one per cent
        ({"dense": 5000.0, "sparse": 989.0}, "sparse"),
        ({"dense": 5000.0, "sparse": NAN}, None),
        ({"dense": 1000.0}, None),
    ],
)
def test_memory_winner(peaks, winner):
    vjp = cell("vjp", peak=1000.0 * 1024)
    assert memory_winner([vjp, *(cell(name, peak=peak * 1024) for name, peak in peaks.items())]) == winner


def test_no_winner_where_peaks_differ_by_what_numpy_keeps_in_its_own_cache():
    assert memory_winner([VJP, cell("sparse", peak=120.0)]) is None
    assert memory_winner([VJP, cell("dense", peak=1000.0 + 8192)]) == "vjp"
    assert memory_winner([VJP, cell("dense", peak=1000.0 + 8191)]) is None
