"""Sentences of a bisection: each function with values whose truth is known."""

from __future__ import annotations

import math

import pytest

from jacobench.reports.regression import bisect_sentences

CASES = {
    "found": {("release", "jax 0.4.32"): "the first regressed release is jax 0.4.32"},
    "not_confirmed": {
        ("commit", "b", "a"): (
            "b is the first commit that is slower than a by half of the change, but its own change is not confirmed: "
            "several small changes may add up"
        )
    },
    "one_of": {("commit", 3): "the first regressed commit is one of 3"},
    "not_searched": {("a", "b"): "a → b"},
    "one_remaining": {
        ("a", "cannot be built"): "a: cannot be built",
        ("b", ""): "b: the first that is known to be slower",
    },
    "compared_with_base": {
        ("a", "no wheel"): (
            "The rows are compared with a, because the candidate directly before it cannot be measured: no wheel"
        )
    },
    "whole_change": {
        ("a", "b", 1.5): "From a to b, the largest change is +50.0%.",
        ("a", "b", math.nan): "From a to b, a row is broken.",
    },
    "other_causes": {
        (1,): "1 row of the slower side has another cause. To search for it, name the row with --case.",
        (2,): "2 rows of the slower side have another cause. To search for it, name the row with --case.",
    },
    "effort": {(1, 61.4): "1 gate in 61 s.", (7, 600.0): "7 gates in 10 min."},
    "first_gate": {("a", "b", "commit", 1): "gate 1: a → b, 1 commit to search"},
    "step": {
        (2, "", "b", 5, 3, 61.4): "gate 2: b; 5 candidates left, about 3 gates (61 s)",
        (2, "a", "b", 2, 1, 600.0): "gate 2: a → b; 2 candidates left, about 1 gate (10 min)",
    },
    "last_gate": {(4, "a", "b"): "gate 4: a → b, to measure its own change"},
    "measured": {("b", "bad", 1.5): "b is bad: +50.0%", ("b", "bad", math.nan): "b is bad"},
    "skipped": {("b", "no wheel"): "b is skipped: no wheel"},
    "again": {(20.0,): "inconclusive; measuring again, for up to 20 minutes"},
    "inconclusive": {(3,): "inconclusive in 3 gates"},
    "no_common_row": {(): "what regressed cannot be measured there"},
    "to_continue": {("jacobench bisect",): "To continue: jacobench bisect"},
}
"""Function → its arguments → what it returns."""


def test_every_function_has_a_case(sentence_names):
    assert set(CASES) == sentence_names(bisect_sentences)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [(name, arguments, expected) for name, own in CASES.items() for arguments, expected in own.items()],
)
def test_a_sentence_states_its_values(name, arguments, expected, sentence_flaws):
    assert getattr(bisect_sentences, name)(*arguments) == expected
    assert sentence_flaws(expected) == []
