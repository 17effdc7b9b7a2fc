"""Sentences of the advice: each function with values whose truth is known."""

from __future__ import annotations

import math
from functools import partial

import pytest

from jacobench.reports.render import advice_sentences

NAN = math.nan
PREDICTED = "Memory: the peak of the call, predicted from the shapes."
NO_PATTERNS = "The peak does not include patterns, which are made once, before the call."
DOUBT = "sparse runs at 3.10× its limit and could win"
SLOWER = "sparse takes 2.00× as long [1.50, 2.70]"
RATES = "Time: by rates per flop, byte and call, because no near case was measured and the time model does not know this strategy. They are fitted to r. The nearest cell differs by a factor of 8.14 in flops, bytes or a size."

CASES = [
    ("no_candidate", (), "undecided: no strategy is known to succeed within the memory budget"),
    ("no_passes", (), "undecided: the run does not record single passes"),
    ("alone", ("vjp",), "vjp: no other candidate"),
    ("comparison", ("seconds", "sparse", 2.0, 1.5, 2.7), SLOWER),
    ("comparison", ("bytes", "sparse", 2.0, NAN, NAN), "sparse needs 2.00× as much"),
    ("comparison", ("bytes", "", NAN, NAN, NAN), ""),
    ("winner", ("vjp", "sparse", SLOWER, ""), "vjp: sparse, the runner-up, takes 2.00× as long [1.50, 2.70]"),
    (
        "winner",
        ("vjp", "sparse", SLOWER, DOUBT),
        f"vjp: sparse, the runner-up, takes 2.00× as long [1.50, 2.70]; {DOUBT}",
    ),
    (
        "one_pass",
        ("vjp", "sparse takes 2.00× as long"),
        "undecided: one pass gives no interval; vjp took the least time, sparse takes 2.00× as long",
    ),
    ("equal", (["vjp", "sparse"], SLOWER), f"equal within 5 %: vjp and sparse; {SLOWER}"),
    (
        "undecided",
        ("vjp", ["dense", "mine"], [], SLOWER),
        f"undecided: no clear winner among vjp, dense and mine; {SLOWER}",
    ),
    ("undecided", ("vjp", [], ["dense"], ""), "undecided: vjp is the lowest known; dense has no estimate"),
    (
        "undecided",
        ("vjp", [], ["dense", "mine"], SLOWER),
        f"undecided: vjp is the lowest known; {SLOWER}; dense and mine have no estimate",
    ),
    ("all_over_budget", (), "Each strategy is predicted to need more memory than the budget."),
    ("time_measured", ("r", 1), "Time: measured for this case in r, 1 pass."),
    (
        "time_near",
        ("r", 3, "mlp-w60", "width 60, not 64", 1.125),
        "Time: measured for a near case, mlp-w60 (width 60, not 64), in r, 3 passes. The interval is widened by a factor of 1.12 for this.",
    ),
    (
        "time_near",
        ("r", 3, "mlp-w64", "", 1.0),
        "Time: measured for a near case, mlp-w64 (of the same sizes), in r, 3 passes.",
    ),
    (
        "time_from_rates",
        ("r", 8.14, 1),
        f"{RATES} The errors are 95% prediction intervals from 1 measured case, widened for this distance.",
    ),
    ("time_from_rates", ("r", 8.14, 0), f"{RATES} The error of such estimates is not known."),
    (
        "time_modelled",
        ("2 hours ago", 24, 0.08, 0.27),
        "Time: by the time model with the profile of this machine, measured 2 hours ago, because no near case was measured. In 24 measured cells, its median error is 8%, and 90% of the errors are at most 27%.",
    ),
    (
        "time_modelled",
        ("", 0, NAN, NAN),
        "Time: by the time model, because no near case was measured. The error of such estimates is not known.",
    ),
    ("compared", ("mlp-w4", "gradient", 0), "mlp-w4: one gradient, forward and backward"),
    ("compared", ("mlp-w4", "gradient", 1), "mlp-w4: one linearization and 1 pullback"),
    ("compared", ("mlp-w4-jacobian", "jacobian", 0), "mlp-w4-jacobian: the whole Jacobian"),
    ("compared", ("mlp-w4", "gradient", 30), "mlp-w4: one linearization and 30 pullbacks"),
    ("time_unknown", ("r",), "Time: r has too few measurements of such cases."),
    (
        "limits_not_measured",
        (),
        "The limits of the strategies are not known: floors are measured together with the case.",
    ),
    ("memory_measured", ("r",), f"Memory: the peak of the call, measured for this case in r. {NO_PATTERNS}"),
    (
        "memory_predicted",
        (5,),
        f"{PREDICTED} In cross-validation on 5 cases, all were within this error. {NO_PATTERNS}",
    ),
    (
        "memory_predicted",
        (21,),
        f"{PREDICTED} In cross-validation on 21 cases, 95% were within this error. {NO_PATTERNS}",
    ),
    (
        "memory_predicted",
        (4,),
        f"{PREDICTED} The error of the built-in strategies is at most 5% plus 200 KiB. {NO_PATTERNS}",
    ),
    ("memory_unknown", (), "Memory: neither measured nor predicted."),
    ("unknown_error", (), "The error of such estimates is not known."),
    ("no_estimate", ("mine", "it has no method predict"), "mine has no estimate: it has no method predict."),
    (
        "largest_batches",
        (2.0**30,),
        "Largest batch: predicted to fit in 1.00 GiB, with its inputs and targets. Larger batches than 64 times the measured ones are not checked.",
    ),
    (
        "measure_case",
        (False,),
        "This case is not near a measured one. To measure it with all candidates, run the command below.",
    ),
    (
        "measure_case",
        (True,),
        "Not all candidates were measured for this case. To measure it with all candidates, run the command below.",
    ),
    ("measured_on", (["AMD EPYC", "1 pass"], False), "Measured on: AMD EPYC · 1 pass"),
    ("measured_on", (["AMD EPYC", "1 pass"], True), "Tested on: AMD EPYC · 1 pass"),
    (
        "one_of_machines",
        (2, "AMD EPYC, a (1a2b3c4d)"),
        "The measurements are from 2 machines. This is the answer for AMD EPYC, a (1a2b3c4d).",
    ),
    (
        "one_of_machines",
        (3, ""),
        "The measurements are from 3 machines. The times are predicted for this machine.",
    ),
    (
        "reuse",
        ("", ["dense after 6.5 [6, 7]"], "", True),
        "With K pullbacks per linearization, cheaper than vjp: dense after 6.5 [6, 7].",
    ),
    (
        "reuse",
        ("mlp-w60", [], "", True),
        "With K pullbacks per linearization of mlp-w60, it is undecided whether another strategy becomes cheaper than vjp.",
    ),
    (
        "reuse",
        ("", [], "", False),
        "With K pullbacks per linearization, no other measured strategy becomes cheaper than vjp for any K.",
    ),
    (
        "reuse",
        ("", [], DOUBT, False),
        f"With K pullbacks per linearization, no other measured strategy becomes cheaper than vjp for any K, but {DOUBT}.",
    ),
    ("reuse_of", ("dense", "after", (6.5, 6.0, 7.0), ""), "dense after 6.5 [6, 7]"),
    ("reuse_of", ("dense", "after", (6.5, NAN, NAN), DOUBT), f"dense after 6.5, but {DOUBT}"),
    ("reuse_of", ("dense", "from the first", (NAN, NAN, NAN), DOUBT), f"dense from the first, but {DOUBT}"),
]
"""Function, its arguments, and what it returns."""

FLAGS = {"measure_case": "is_near", "reuse": "is_undecided", "measured_on": "by_profile"}
"""Function → its last argument, which is given by name."""


def test_every_function_has_a_case(sentence_names):
    assert {name for name, _, _ in CASES} == sentence_names(advice_sentences)


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_a_sentence_states_its_values(name, arguments, expected, sentence_flaws):
    sentence = getattr(advice_sentences, name)
    if name in FLAGS:
        *arguments, last = arguments
        sentence = partial(sentence, **{FLAGS[name]: last})
    assert sentence(*arguments) == expected
    assert sentence_flaws(expected) == []
