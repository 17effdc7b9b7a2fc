"""Advice on a case, as text."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from jacobench.reports.analysis.case_advice import STRATEGY_COLUMNS, CaseAdvice
from jacobench.reports.analysis.reuse import COLUMNS as REUSE_COLUMNS
from jacobench.reports.analysis.single_verdict import COLUMNS
from jacobench.reports.render import advice_text

NAN = math.nan
TIME = {
    "strategy": "vjp",
    "runner_up": "sparse",
    "factor": 2.0,
    "low": 1.5,
    "high": 2.7,
    "n": 21,
    "distance_factor": 1.1,
    "at": "mlp-w60",
    "could_win": {},
}

TOO_LARGE = {
    "strategy": "dense",
    "status": "over_budget",
    "needs_bytes": 3 * 2**30,
    "largest_batch": 0,
    "largest_batch_basis": "none",
}
"""A strategy that does not fit in the budget."""


def advice(time, memory=None, *, reuse=(), strategies=()):
    verdicts = [{"quantity": "seconds", **TIME, **time}, {"quantity": "bytes", **TIME, **(memory or time)}]
    return CaseAdvice(
        "mlp-w64",
        "gradient",
        "runs/first",
        ["AMD EPYC", "controls tuned"],
        2**30,
        pd.DataFrame(verdicts, columns=["quantity", *COLUMNS]),
        pd.DataFrame(list(strategies), columns=list(STRATEGY_COLUMNS)),
        pd.DataFrame(list(reuse), columns=list(REUSE_COLUMNS)),
    )


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ({"decision": "ahead"}, "vjp: sparse, the runner-up, takes 2.00× as long [1.50, 2.70]"),
        (
            {"decision": "undecided", "low": 0.9, "open_rivals": "sparse"},
            "undecided: no clear winner among vjp and sparse; sparse takes 2.00× as long [0.900, 2.70]",
        ),
        (
            {"decision": "undecided", "open_rivals": "dense, mine"},
            "undecided: no clear winner among vjp, dense and mine; sparse takes 2.00× as long [1.50, 2.70]",
        ),
        (
            {"decision": "undecided", "without_estimate": "dense"},
            "undecided: vjp is the lowest known; sparse takes 2.00× as long [1.50, 2.70]; dense has no estimate",
        ),
        (
            {"decision": "undecided", "without_estimate": "dense, mine", "runner_up": NAN, "factor": NAN},
            "undecided: vjp is the lowest known; dense and mine have no estimate",
        ),
        (
            {"decision": "equal", "open_rivals": "sparse"},
            "equal within 5 %: vjp and sparse; sparse takes 2.00× as long [1.50, 2.70]",
        ),
        (
            {"decision": "one pass", "low": NAN},
            "undecided: one pass gives no interval; vjp took the least time, sparse takes 2.00× as long",
        ),
        ({"decision": "alone"}, "vjp: no other candidate"),
        ({"decision": "nothing"}, "undecided: no strategy is known to succeed within the memory budget"),
    ],
    ids=lambda value: value["decision"] if isinstance(value, dict) else "",
)
def test_a_winner_is_named_only_where_it_is_one(verdict, expected):
    time, memory = advice_text.verdicts(advice(verdict))
    assert time == f"time    {expected}"
    assert memory == f"memory  {expected}".replace("takes", "needs").replace("as long", "as much")


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ({"basis": "measured", "n": 5}, "Time: measured for this case in runs/first, 5 passes."),
        ({"basis": "measured", "n": 1}, "in runs/first, 1 pass."),
        (
            {"basis": "near", "n": 3, "differs": "width 60, not 64"},
            "measured for a near case, mlp-w60 (width 60, not 64), in runs/first",
        ),
        ({"basis": "near", "n": 3, "distance_factor": 1.1}, "The interval is widened by a factor of 1.16 for this"),
        (
            {"basis": "model", "distance_factor": NAN},
            "Time: by the time model, because no near case was measured. The error of such estimates is not known.",
        ),
        (
            {"basis": "model"},
            "the time model does not know this strategy. They are fitted to runs/first.",
        ),
        ({"basis": "model", "distance_factor": 8.14}, "differs by a factor of 8.14"),
        ({"basis": "model", "n": 21}, "The errors are 95% prediction intervals from 21 measured cases"),
        ({"basis": "model", "n": 1}, "from 1 measured case"),
        ({"basis": "model", "n": 0}, "is not known"),
        ({"basis": NAN}, "runs/first has too few measurements"),
    ],
)
def test_what_time_rests_on_is_said(verdict, expected):
    assert expected in advice_text.reasons(advice({"decision": "ahead", **verdict}))[0]


def test_what_memory_rests_on_and_what_measured_is_said():
    lines = advice_text.reasons(advice({"decision": "ahead", "basis": "near"}, {"decision": "ahead", "basis": "model"}))
    assert lines[1].startswith(
        "Memory: the peak of the call, predicted from the shapes. In cross-validation on 21 cases"
    )
    assert lines[-1] == "Measured on: AMD EPYC · controls tuned"


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (NAN, ["The times are predicted for this machine.", "Tested on: AMD EPYC"]),
        (2.0, ["This is the answer for a server.", "Measured on: AMD EPYC"]),
    ],
)
def test_the_machine_of_the_times_is_named(distance, expected):
    found = advice({"decision": "ahead", "basis": "model", "distance_factor": distance})
    lines = advice_text.reasons(replace(found, machine="a server", n_machines=2))[-2:]
    assert lines == [f"The measurements are from 2 machines. {expected[0]}", f"{expected[1]} · controls tuned"]


def test_where_nothing_fits_that_is_said():
    lines = advice_text.reasons(advice({"decision": "nothing", "basis": NAN}, strategies=[TOO_LARGE]))
    assert lines[:2] == [
        "Each strategy is predicted to need more memory than the budget.",
        (
            "Largest batch: predicted to fit in 1.00 GiB, with its inputs and targets. "
            "Larger batches than 64 times the measured ones are not checked."
        ),
    ]


def test_when_a_jacobian_pays():
    line = {
        "case": "c",
        "strategy": "dense",
        "outcome": "after",
        "uses": 6.5,
        "low": 6.0,
        "high": 7.0,
        "n_passes": 3,
        "could_win": {},
    }
    never = {**line, "strategy": "sparse", "outcome": "never", "uses": NAN}
    lines = advice_text.reasons(advice({"decision": "ahead", "basis": "measured"}, reuse=[line, never]))
    assert "With K pullbacks per linearization, cheaper than vjp: dense after 6.5 [6, 7]." in lines
    assert any(
        "for any K" in line
        for line in advice_text.reasons(advice({"decision": "ahead", "basis": "near"}, reuse=[never]))
    )


def test_the_strategies_each_on_a_line():
    vjp = {
        "strategy": "vjp",
        "status": "ok",
        "seconds": 1e-3,
        "seconds_error_factor": 1.25,
        "bytes": 2**20,
        "largest_batch": 1234,
        "largest_batch_basis": "model",
    }
    crashed = {"strategy": "sparse", "status": "crashed"}
    found = advice({"decision": "ahead", "basis": "near"}, strategies=[TOO_LARGE, vjp, crashed])
    assert advice_text.headings(found)[1] == "time of near case"
    assert advice_text.rows(found) == [
        ("dense", "over budget", "", "3.00 GiB", "", "none"),
        ("vjp", "1.00 ms", "1.25×", "1.00 MiB", "", "1,234"),
        ("sparse", "crashed", "", "–", "", "–"),
    ]


def test_reuse_of_a_near_case_names_it():
    line = {
        "case": "c",
        "strategy": "dense",
        "outcome": "after",
        "uses": 6.5,
        "low": 6.0,
        "high": 7.0,
        "n_passes": 3,
        "could_win": {},
    }
    lines = advice_text.reasons(advice({"decision": "ahead", "basis": "near", "n": 3}, reuse=[line]))
    assert "With K pullbacks per linearization of mlp-w60, cheaper than vjp: dense after 6.5 [6, 7]." in lines
