"""Sentences on limits: each function with values whose truth is known."""

from __future__ import annotations

import math

import pytest

from jacobench.reports.data import limit_sentences

NAN = math.nan

CASES = [
    ("could_win", ([],), ""),
    ("could_win", ([("sparse", 3.1, 3.1, 1)],), "sparse runs at 3.10× its limit and could win"),
    ("could_win", ([("sparse", NAN, NAN, 1)],), "the limit of sparse is not known"),
    (
        "could_win",
        ([("dense", 2.0, 3.0, 1), ("mine", NAN, NAN, 2)], 4),
        "dense runs at 2.00× to 3.00× its limit and could win in 1 of 4 cases, and the limit of mine is not known in 2 of 4 cases",
    ),
    ("could_win", ([("sparse", 2.0, 2.0, 1)], 9, "cell"), "sparse runs at 2.00× its limit and could win in 1 of 9 cells"),
    ("but", ("sparse runs",), ", but sparse runs"),
    ("but", ("",), ""),
    ("then", ("sparse runs",), "; sparse runs"),
    ("then", ("",), ""),
    (
        "no_floors",
        ("gradient",),
        "The limits of the strategies are not known, because the run has no floors for the phase gradient. So a slower strategy could win at its limit.",
    ),
    ("without_floor", ([("mine", 3, 3)],), "The limit of mine is not known: it has no floor."),
    (
        "without_floor",
        ([("dense", 1, 3), ("mine", 1, 1)],),
        "The limits of dense (1 of 3 cases) and mine are not known: they have no floor.",
    ),
]  # fmt: skip
"""Function, its arguments, and what it returns."""


def test_every_function_has_a_case(sentence_names):
    assert {name for name, _, _ in CASES} == sentence_names(limit_sentences)


@pytest.mark.parametrize(("name", "arguments", "expected"), CASES)
def test_a_sentence_states_its_values(name, arguments, expected, sentence_flaws):
    assert getattr(limit_sentences, name)(*arguments) == expected
    assert sentence_flaws(expected) == []
