"""The three sentences, on runs with known answers."""

import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.data.run_data import Run
from jacobench.reports.page.answers import answers


def cells(make_case, make_cell, seconds, *, widths=(16, 32), peaks=None, nonzeros=None):
    """Return rows of gradients in which each strategy took so long, in every case."""
    return [
        make_cell(make_case(width=width), name)
        | {
            "seconds_median": value,
            "ratio_to_vjp": value / seconds.get("vjp", value),
            "peak_bytes": (peaks or {}).get(name, 1e6),
            "n_nonzeros": (nonzeros or {"dense": 64.0, "sparse": 8.0}).get(name, 0.0),
        }
        for width in widths
        for name, value in seconds.items()
    ]


def told(run_of, rows):
    return answers(run_of(rows))


def test_vjp_is_the_fastest_everywhere(make_case, make_cell, run_of):
    rows = cells(make_case, make_cell, {"dense": 8.0, "vjp": 2.0}, peaks={"dense": 3e6, "vjp": 1e6})
    time, memory, _ = told(run_of, rows)
    assert time == (
        "Through products: in the time of the phase gradient, vjp is clearly the fastest in both cases; "
        "dense took 4.00× as long as vjp."
    )
    assert memory == (
        "In peak memory of the phase gradient, vjp clearly needs the least in both cases; dense took 3.00× as much as vjp."
    )


@pytest.mark.parametrize(
    ("dense", "verdict"),
    [
        ((4.0, 4.0, 4.0), "Through products"),
        ((0.5, 4.0, 4.0), "Mostly through products"),
        ((0.5, 0.5, 4.0), "Mostly through materialized Jacobians"),
        ((0.5, 0.5, 0.5), "Through materialized Jacobians"),
    ],
)
def test_the_verdict_goes_by_who_is_clearly_the_fastest(make_case, make_cell, run_of, dense, verdict):
    rows = []
    for width, seconds in zip((16, 32, 64), dense, strict=True):
        rows += cells(make_case, make_cell, {"dense": seconds, "vjp": 1.0}, widths=(width,))
    assert told(run_of, rows)[0].startswith(f"{verdict}: ")


def test_a_tie_of_cases_depends(make_case, make_cell, run_of):
    rows = cells(make_case, make_cell, {"dense": 0.5, "vjp": 1.0}, widths=(16,))
    rows += cells(make_case, make_cell, {"dense": 2.0, "vjp": 1.0}, widths=(32,))
    assert told(run_of, rows)[0].startswith("It depends: ")


def test_nothing_is_named_of_one_pass(make_case, make_cell, run_of):
    run = run_of(cells(make_case, make_cell, {"dense": 8.0, "vjp": 2.0}))
    once = Run(run.table, run.passes[run.passes["pass"] == 0])
    assert answers(once)[0].startswith("Undecided: ")
    assert "one pass cannot decide" in answers(once)[0]


def test_a_jacobian_that_pays_after_some_uses(make_case, make_cell, run_of):
    rows = []
    for name, linearize, pullback in (("dense", 11.0, 1.0), ("vjp", 1.0, 2.0)):
        for phase, seconds in (("linearize", linearize), ("pullback", pullback), ("gradient", linearize + pullback)):
            own = cells(make_case, make_cell, {name: seconds}, widths=(16,))
            rows += [row | {"phase": phase} for row in own]
    assert told(run_of, rows)[2] == (
        "Materializing (dense) pays off after 10 products with one Jacobian in 1 of 1 case."
    )


def test_a_jacobian_that_never_pays(make_case, make_cell, run_of):
    rows = []
    for name, seconds in (("dense", 3.0), ("vjp", 1.0)):
        for phase in ("linearize", "pullback", "gradient"):
            rows += [row | {"phase": phase} for row in cells(make_case, make_cell, {name: seconds}, widths=(16,))]
    assert "pays off in no case of this run" in told(run_of, rows)[2]


def test_a_run_that_cannot_answer_says_what_is_missing(make_case, make_cell, run_of):
    alone = told(run_of, cells(make_case, make_cell, {"vjp": 1.0}))
    assert "2 cases have only one timed strategy" in alone[0]
    assert "too few peaks were measured to compare strategies in both cases" in alone[1]
    assert alone[2].startswith("No strategy that materializes a Jacobian was measured")
    assert answers(run_of(tidy([]))) == ["No answer: no cell of this run has the phase gradient."]


def test_what_was_over_the_budget_is_said(standard_run):
    assert "dense was over budget in " in answers(standard_run)[1]


def test_memory_below_the_tools_resolution_gives_no_ratio(make_case, make_cell, run_of):
    rows = cells(make_case, make_cell, {"dense": 8.0, "vjp": 2.0}, widths=(16,), peaks={"dense": 3e4, "vjp": 1e4})
    rows += cells(make_case, make_cell, {"dense": 8.0, "vjp": 2.0}, widths=(32,), peaks={"dense": 1e4, "vjp": 120.0})
    assert "dense took 3.00× as much as vjp" in told(run_of, rows)[1]
