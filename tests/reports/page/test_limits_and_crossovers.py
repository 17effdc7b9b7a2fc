"""What fits and where lines cross, in words, on costs that are exact powers."""

from jacobench.bench.row.columns import tidy
from jacobench.reports.data.run_data import Run
from jacobench.reports.page.limits_and_crossovers import crossings, fitting


def test_what_fits_in_the_machines_memory_follows_the_law(standard_run):
    found = {(line.sweep.split(" (")[0], line.strategy): line for line in fitting(standard_run)}
    dense = found["width", "dense"]  # 24 width³ bytes are 24 GiB at width 1024
    assert (dense.largest, dense.known_by) == ("width 1,024", "extrapolated by the fitted law")
    assert found["width", "vjp"].largest == "width 32,768"


def test_where_time_crosses_is_said_with_its_interval(make_case, make_cell, run_of):
    rows = []
    for width in (16, 32, 64, 128):
        for name, seconds in (("dense", 1e-9 * width**3), ("vjp", 64e-9 * width**2)):
            rows.append(
                make_cell(make_case(width=width), name) | {"seconds_median": seconds, "peak_bytes": 1e6 * width}
            )
    time, memory = crossings(run_of(rows))
    assert (time.quantity, time.strategies, time.outcome) == ("time", "dense, vjp", "crosses")
    assert time.at.startswith("width 64 [")
    assert time.ahead == "vjp, 2.00×"
    assert (memory.quantity, memory.outcome, memory.ahead) == ("memory", "undecided", "cannot be told")


def test_a_run_without_a_sweep_or_facts_has_none(standard):
    assert fitting(Run(standard)) == []
    assert crossings(Run(tidy([]))) == []
