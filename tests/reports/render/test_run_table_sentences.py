"""Notes under the table of a run: each function with values whose truth is known."""

from __future__ import annotations

import pytest

from jacobench.reports.render import run_table_sentences

CASES = [
    ("title", ("smoke, gate", "gradient", ""), {}, "smoke, gate · gradient · time per call and peak heap memory"),
    ("title", ("", "pullback", ""), {}, "pullback · time per call and peak heap memory"),
    ("title", ("", "pullback", "a laptop"), {}, "a laptop · pullback · time per call and peak heap memory"),
    ("measured_on", (["AMD EPYC", "1 thread"],), {}, "Measured on: AMD EPYC · 1 thread"),
    (
        "of_jacobians",
        (),
        {},
        "Of cases whose name ends in -jacobian, the table shows the phase jacobian: the whole matrix.",
    ),
    ("no_cell", ("prepare",), {}, "No cell has the phase prepare."),
    ("cells", ({"ok": 1, "out_of_memory": 2},), {}, "Cells: 1 ok · 2 out of memory"),
    (
        "winner",
        (),
        {},
        (
            "* clear winner of its case. Time: faster than every other strategy, at a total error of 1 %. "
            "Memory: at least 1 % and 8 KiB less."
        ),
    ),
    (
        "efficiency",
        (),
        {},
        (
            "eff.: efficiency, the floor as a share of the time. Far above 100 %, the floor is wrong or was disturbed. "
            "See docs/floor.md."
        ),
    ),
    ("one_pass", (), {}, "No winner in time is marked because one pass cannot decide."),
    (
        "in_doubt",
        ("sparse runs at 3.10× its limit and could win",),
        {},
        (
            "? slower than the winner, but in doubt: sparse runs at 3.10× its limit and could win. The limit is the floor; "
            "see docs/floor.md."
        ),
    ),
    ("reason", (["vjp"], "ok", ["a"], "3 of 8 seeds verified"), {}, "  vjp, ok: a: 3 of 8 seeds verified"),
    (
        "reason",
        (["dense", "vjp"], "ok", ["a", "b"], "pass 2 was repeated"),
        {},
        "  dense and vjp, ok: a and 1 more: pass 2 was repeated",
    ),
    ("reason", (["dense"], "over_budget", ["a", "b", "c"], ""), {}, "  dense, over budget: a and 2 more"),
]


@pytest.mark.parametrize(("name", "arguments", "options", "text"), CASES)
def test_text(name, arguments, options, text, sentence_flaws):
    found = getattr(run_table_sentences, name)(*arguments, **options)
    assert found == text
    assert sentence_flaws(found.removeprefix("  ")) == []


def test_every_function_has_a_case(sentence_names):
    assert {name for name, *_ in CASES} == sentence_names(run_table_sentences)
