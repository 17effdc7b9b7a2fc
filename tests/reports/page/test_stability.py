"""Measurement quality, from passes and kernel times with known answers."""

import numpy as np

from jacobench.bench.row.columns import tidy
from jacobench.reports.data.run_data import Run
from jacobench.reports.page.run_facts import Stability, stability

from .conftest import passes_of


def test_undecided_and_disturbed_cells_are_counted_and_listed(standard):
    passes = passes_of(standard)
    case = standard["case"].iloc[0]
    own = (passes["case"] == case) & (passes["phase"] == "gradient")
    slow = own & (passes["strategy"] == "vjp")
    passes.loc[slow, "seconds"] *= passes.loc[slow, "pass"].map({0: 4.0, 1: 2.0, 2: 1.0})
    found = stability(Run(standard, passes))
    assert {(cell.case, cell.problem) for cell in found.cells} == {(case, "undecided"), (case, "disturbed")}
    assert "Undecided in the phase gradient: 1 of 21 cases. Disturbed: 1 of 58 cells." in found.summary
    undecided, disturbed = sorted(found.cells, key=lambda cell: cell.problem, reverse=True)
    assert "[" in undecided.values
    assert disturbed.strategies == "vjp"
    assert disturbed.values.startswith("3.92×, time [")


def test_a_quiet_run_lists_nothing(standard):
    found = stability(Run(standard, passes_of(standard)))
    assert found.cells == []
    assert "Undecided in the phase gradient: 0 of 21 cases. Disturbed: 0 of 58 cells." in found.summary


def test_one_pass_leaves_every_comparison_undecided(standard):
    passes = passes_of(standard)
    run = Run(standard.assign(passes=1.0), passes[passes["pass"] == 0])
    assert "no clear winner in time" in " ".join(stability(run).findings)


def test_the_spread_of_the_calibration_kernel_is_between_percentiles(standard):
    control = (6e-5 * np.linspace(1, 1 + 0.1 / 0.9, 101)).tolist()
    (finding,) = stability(Run(tidy([]), facts={"calibration_seconds": control})).findings
    assert "varied by 9.9% over 101 processes" in finding
    assert stability(Run(tidy([]), facts={"calibration_seconds": [6e-5] * 99 + [6e-4]})).findings[0].count("0.0%") == 1


def test_a_run_without_records_states_that(standard):
    assert stability(Run(tidy([]))) == Stability("No case of this run has the phase gradient.", [], [])
    assert "does not record" in stability(Run(standard)).summary


def test_missing_counts_name_their_cause(standard):
    passes = passes_of(standard)
    once = stability(Run(standard.assign(passes=1.0), passes[passes["pass"] == 0]))
    assert once.summary == (
        "Undecided in the phase gradient: 20 of 21 cases. "  # the other case has one strategy
        "No cell was timed in two passes or more, so disturbed cells are unknown."
    )
    assert stability(Run(standard.assign(status="error"))).summary == "No cell was timed."


def test_an_interval_below_zero_does_not_count_as_narrow(standard):
    wide = standard.assign(seconds_low=standard["seconds_median"] / 5, seconds_high=standard["seconds_median"] * 5)
    (text,) = [text for text in stability(Run(wide)).findings if "interval" in text]
    assert "at most a factor of 5 for half of the cells" in text
    assert not [text for text in stability(Run(wide.assign(seconds_low=-1.0))).findings if "interval" in text]


def test_load_and_controls_are_stated(standard):
    facts = {"machine": {"load": 3.0, "cores": 2}, "load_after": 2.5}
    text = " ".join(stability(Run(standard, facts=facts)).findings)
    assert "Load average: 3.0 before the run, 2.5 at the end (2 cores). Other processes" in text
    assert "95 % interval" in text
    assert "Controls tuned" in text


def test_the_word_steady_is_gone(standard_run):
    found = stability(standard_run)
    assert "steady" not in " ".join([found.summary, *found.findings]).lower()


def test_variables_that_were_unset_or_inherited_are_listed():
    variables = {"unset": ["MALLOC_PERTURB_"], "kept": ["OMP_PROC_BIND"], "preloaded_allocator": "libjemalloc.so.2"}
    found = stability(Run(tidy([]), facts={"machine": {"variables": variables}})).findings
    assert len(found) == 3
    assert all(any(word in line for line in found) for word in ("MALLOC_PERTURB_", "OMP_PROC_BIND", "libjemalloc.so.2"))
