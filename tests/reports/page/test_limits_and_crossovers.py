"""Limits and crossovers in words, on costs that are exact powers: relevant rows first."""

import pytest

from jacobench.bench.floor.predicted_rows import one_case, predicted_rows
from jacobench.bench.row.columns import tidy
from jacobench.reports.data.run_data import Run
from jacobench.reports.page.page_tables import crossover_rows, memory_limits


def lines_of(groups):
    return {(sweep.split(" (")[0], line.strategy): line for sweep, lines in groups for line in lines}


def test_limits_near_the_measured_sizes_are_relevant_and_others_are_not(run_of):
    cases = [one_case({"width": width, "depth": 3}) for width in (16, 32, 64)]
    relevant, other = memory_limits(run_of([row for case in cases for row in predicted_rows(case)]))
    dense = lines_of(relevant)["width", "dense"]
    assert (dense.largest, dense.known_by) == ("width 1,022", "predicted bytes")  # 24 width³ bytes, and the cotangents
    assert not set(lines_of(relevant)) & set(lines_of(other))
    assert lines_of(other)["width", "vjp"].largest == "more than width 4,096"


def test_a_sweep_is_described_once(standard_run):
    for groups in (*memory_limits(standard_run), *crossover_rows(standard_run)):
        sweeps = [sweep for sweep, _ in groups]
        assert len(sweeps) == len(set(sweeps))
        assert all(lines for _, lines in groups)


@pytest.fixture
def crossing(make_case, make_cell, run_of):
    rows = []
    for width in (16, 32, 64, 128):
        for name, seconds in (("dense", 1e-9 * width**3), ("vjp", 64e-9 * width**2), ("sparse", 1e-5 * width**2)):
            peak = {"sparse": 5e6}.get(name, 1e6) * width
            rows.append(make_cell(make_case(width=width), name) | {"seconds_median": seconds, "peak_bytes": peak})
    return run_of(rows)


def test_a_crossover_is_shown_with_its_interval(crossing):
    ((sweep, (far, time)),), _ = crossover_rows(crossing)
    assert sweep.startswith("width (mlp, depth 3")
    assert (time.quantity, time.strategies, time.outcome) == ("time", "dense, vjp", "crosses")
    assert time.at == "width 64 [60.6, 67.5]"
    assert time.ahead == "vjp, 2.00×"
    assert (far.strategies, far.outcome) == ("dense, sparse", "beyond the measured sizes")
    assert far.at.startswith("width 10,000 [")
    assert far.at.endswith(", extrapolated")


def test_pairs_that_do_not_cross_are_in_the_second_list(crossing):
    _, ((_, others),) = crossover_rows(crossing)
    found = {(line.quantity, line.strategies): (line.outcome, line.at, line.ahead) for line in others}
    assert found["time", "sparse, vjp"] == ("none in the measured sizes", "–", "vjp, 156×")
    assert found["memory", "dense, vjp"] == ("undecided", "–", "undecided")
    assert found["memory", "dense, sparse"] == ("none in the measured sizes", "–", "dense, 5.00×")


def test_a_run_without_a_sweep_or_facts_has_none(standard):
    assert memory_limits(Run(standard)) == ([], [])
    assert crossover_rows(Run(tidy([]))) == ([], [])
