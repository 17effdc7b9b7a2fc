"""Advice in words."""

import math

import pandas as pd
import pytest

from jacobench.reports.analysis.case_advice import STRATEGY_COLUMNS, Advice
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
    "away": 1.1,
    "at": "mlp-w60",
}


def advice(time, memory=None, *, pays=(), strategies=(), source="runs/first"):
    verdicts = [{"quantity": "seconds", **TIME, **time}, {"quantity": "bytes", **TIME, **(memory or time)}]
    return Advice(
        "mlp-w64",
        source,
        ["AMD EPYC", "controls tuned"],
        2**30,
        pd.DataFrame(verdicts, columns=["quantity", *COLUMNS]),
        pd.DataFrame(list(strategies), columns=[*STRATEGY_COLUMNS, "largest_batch"]),
        pd.DataFrame(list(pays), columns=["case", "strategy", "outcome", "uses", "low", "high", "n_passes"]),
    )


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ({"sure": "clear"}, "vjp, clearly: sparse, the runner-up, takes 2.00× as long [1.50, 2.70]"),
        (
            {"sure": "undecided", "low": 0.9},
            "undecided between vjp and sparse: sparse takes 2.00× as long [0.900, 2.70]",
        ),
        (
            {"sure": "one pass", "low": NAN},
            "undecided: vjp is ahead, sparse takes 2.00× as long, but one pass tells no interval",
        ),
        ({"sure": "alone"}, "vjp: no other comes into question"),
        ({"sure": "nothing"}, "undecided: no strategy is known to succeed within the memory there is"),
    ],
    ids=lambda value: value["sure"] if isinstance(value, dict) else "",
)
def test_a_winner_is_named_only_where_it_is_one(verdict, told):
    time, memory = advice_text.verdicts(advice(verdict))
    assert time == f"time    {told}"
    assert memory == f"memory  {told}".replace("takes", "needs").replace("as long", "as much")


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        ({"by": "measured", "n": 5}, "Time: measured at this very case in runs/first, 5 passes."),
        ({"by": "measured", "n": 1}, "in runs/first, 1 pass."),
        (
            {"by": "near", "n": 3, "differs": "width 60, not 64"},
            "measured near it, at mlp-w60 (width 60, not 64) in runs/first",
        ),
        ({"by": "near", "n": 3, "away": 1.1}, "the interval widened by 1.13 for that"),
        (
            {"by": "model"},
            "by the model, as no case near it was measured: predicted flops and bytes, at rates fitted to runs/first",
        ),
        ({"by": "model", "away": 8.14}, "lies 8.14× away"),
        ({"by": "model", "n": 21}, "95% of the 21 cases"),
        ({"by": "model", "n": 18}, "all the 18 cases"),
        ({"by": "model", "n": 0}, "could not be tested"),
        ({"by": NAN}, "nothing in runs/first tells rates"),
    ],
)
def test_what_time_rests_on_is_said(verdict, told):
    assert told in advice_text.grounds(advice({"sure": "clear", **verdict}))[0]


def test_what_was_measured_on_the_spot_is_called_so():
    assert "measured just now" in advice_text.grounds(advice({"sure": "clear", "by": "model"}, source=""))[0]


def test_what_memory_rests_on_and_what_measured_is_said():
    told = advice_text.grounds(advice({"sure": "clear", "by": "near"}, {"sure": "clear", "by": "model"}))
    assert told[1].startswith("Memory: predicted from the shapes; 95% of the 21 cases")
    assert told[-1] == "Measured on: AMD EPYC · controls tuned"


def test_where_nothing_fits_that_is_said():
    dense = {"strategy": "dense", "status": "over_budget", "needs_bytes": 3 * 2**30, "largest_batch": 0}
    told = advice_text.grounds(advice({"sure": "nothing", "by": NAN}, strategies=[dense]))
    assert told[:2] == [
        "Each strategy is predicted to need more memory than may be used.",
        "Largest batch: predicted to fit in 1.00 GiB.",
    ]


def test_when_a_jacobian_pays():
    line = {"case": "c", "strategy": "dense", "outcome": "after", "uses": 6.5, "low": 6.0, "high": 7.0, "n_passes": 3}
    never = {**line, "strategy": "sparse", "outcome": "never", "uses": NAN}
    told = advice_text.grounds(advice({"sure": "clear", "by": "measured"}, pays=[line, never]))
    assert "With K pullbacks for each linearization, cheaper than vjp: dense after 6.5 [6, 7]." in told
    assert any(
        "whatever K" in line for line in advice_text.grounds(advice({"sure": "clear", "by": "near"}, pays=[never]))
    )


def test_the_strategies_each_on_a_line():
    dense = {"strategy": "dense", "status": "over_budget", "needs_bytes": 3 * 2**30, "largest_batch": 0}
    vjp = {
        "strategy": "vjp",
        "status": "ok",
        "seconds": 1e-3,
        "seconds_off": 1.25,
        "bytes": 2**20,
        "largest_batch": 1234,
    }
    crashed = {"strategy": "sparse", "status": "crashed"}
    found = advice({"sure": "clear", "by": "near"}, strategies=[dense, vjp, crashed])
    assert advice_text.headings(found)[1] == "time there"
    assert advice_text.rows(found) == [
        ("dense", "over budget", "", "3.00 GiB", "", "none"),
        ("vjp", "1.00 ms", "1.25×", "1.00 MiB", "", "1,234"),
        ("sparse", "crashed", "", "–", "", "–"),
    ]
