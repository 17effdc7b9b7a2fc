"""Sentence of a fitted law, with values whose truth is known."""

from __future__ import annotations

import math

import pytest

from jacobench.reports.analysis import growth_sentences

NAN = math.nan

LAW = {
    "strategy": "dense",
    "knob": "width",
    "quantity": "seconds",
    "fixed": 0.0,
    "scale": 2e-6,
    "exponent": 2.0,
    "exponent_low": NAN,
    "exponent_high": NAN,
    "exponent_predicted": NAN,
    "verdict": NAN,
    "dominates_from": NAN,
    "residual": 1.03,
}

CASES = [
    ("in_words", LAW, "dense: 2.00 µs × width^2.00; largest deviation 3%"),
    ("in_words", LAW | {"exponent": -0.001, "residual": 4.0}, "dense: 2.00 µs × width^0.00; largest deviation 4.00×"),
    (
        "in_words",
        LAW
        | {"quantity": "bytes", "fixed": 2048.0, "scale": 16.0, "dominates_from": 11.3, "exponent_low": 1.9}
        | {"exponent_high": 2.1, "exponent_predicted": 1.99, "verdict": "agrees"},
        (
            "dense: 2.00 KiB + 16 B × width^2.00 [1.90, 2.10], predicted exponent 1.99: agrees; the growing term dominates "
            "from width 11.3; largest deviation 3%"
        ),
    ),
]


@pytest.mark.parametrize(("name", "line", "text"), CASES)
def test_text(name, line, text, sentence_flaws):
    found = getattr(growth_sentences, name)(line)
    assert found == text
    assert sentence_flaws(found) == []


def test_every_function_has_a_case(sentence_names):
    assert {name for name, *_ in CASES} == sentence_names(growth_sentences)
