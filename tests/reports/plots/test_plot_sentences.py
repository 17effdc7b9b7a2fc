"""Captions and notes of plots: each function with values whose truth is known."""

from __future__ import annotations

import math

import pytest

from jacobench.reports.plots import plot_sentences

NAN = math.nan
DOUBT = "dense runs at 3.10× its limit and could win"

CROSSING = {
    "first": "dense",
    "second": "vjp",
    "knob": "width",
    "size": 40.0,
    "low": NAN,
    "high": NAN,
    "cheaper": NAN,
    "factor": NAN,
    "outcome": "crosses",
}

READ = {
    "cases": ("pullback", "Time per call and peak heap memory of the phase pullback for every case"),
    "summary": ("gradient", "Time and peak memory of the phase gradient divided by those of vjp, the line at 1×."),
    "machines": ("gradient", "Time of the phase gradient divided by that of vjp on the same machine, the line at 1×."),
    "efficiency": ("linearize", "Efficiency of the phase linearize: the floor, a lower bound"),
    "pareto": ("gradient", "Time per call and peak heap memory of the phase gradient, one panel per case."),
    "comparison": ("gradient", "Time per call and peak heap memory of the phase gradient in the new run"),
    "samples": ("gradient", "Every timed round of the phase gradient, one line per process"),
}
"""Captions of a phase: function → the phase, and how the caption starts."""

CASES = [
    *((name, (phase,), start) for name, (phase, start) in READ.items()),
    (
        "scaling",
        ("peak heap memory", "gradient", "n_seeds"),
        "Peak heap memory of the phase gradient against seeds, on",
    ),
    ("phase_shares", (), "Shares of a first gradient's time. Prepare is called once"),
    ("op_shares", (), "Predicted arithmetic and bytes of a gradient by op"),
    ("patterns", (160,), "Each local Jacobian to scale, outputs down, inputs to the right"),
    ("jacobian_bytes", (), "Predicted bytes of each local Jacobian as a dense array"),
    (
        "differing",
        ("machines", "a", "b"),
        "The runs have different machines, 'a' and 'b': times are relative to vjp.",
    ),
    ("verdicts", ({"regressed": 1, "improved": 0},), "Of 1 time: 1 regressed, 0 improved."),
    ("verdicts", ({"regressed": 2, "improved": 3},), "Of 5 times: 2 regressed, 3 improved."),
    ("changed_status", ("c", "dense", "ok", "out_of_memory"), "c, dense: ok before, out of memory now."),
    (
        "spread_of_rounds",
        (0.012, NAN),
        (
            "The middle half of the rounds of a process spans 1.2% (median over all cells of the phase). The run has one "
            "process per cell, so it cannot show how much processes differ."
        ),
    ),
    (
        "spread_of_rounds",
        (0.5, 2.0),
        (
            "The middle half of the rounds of a process spans 50.0% (median over all cells of the phase). The fastest rounds "
            "of the slowest and the fastest process differ by 3.00× (slowest over fastest)."
        ),
    ),
    ("grid_map", ("gradient", "width and batch"), "Fastest strategy of the phase gradient over width and batch."),
    ("ahead_in", ("vjp", 1, 1, (2.0, 2.0)), "vjp is ahead in 1 of 1 square, by 2.00×."),
    ("ahead_in", ("vjp", 3, 9, (1.5, 20.0)), "vjp is ahead in 3 of 9 squares, by 1.50× to 20.0×."),
    ("in_doubt", (DOUBT,), f"In doubt (question mark): {DOUBT}."),
    ("no_winner_in", (1, 9), "No winner in 1 of 9 squares."),
    ("crossings", ("gradient", "width"), "Time of the phase gradient divided by that of vjp in the same process"),
    (
        "crossover",
        (CROSSING, ""),
        "dense and vjp cross at width 40; at the largest size, neither is clearly ahead.",
    ),
    (
        "crossover",
        (CROSSING | {"low": 30.0, "high": 50.0, "cheaper": "vjp", "factor": 3.0}, ""),
        "dense and vjp cross at width 40 [30, 50]; at the largest size, vjp is ahead by 3.00×.",
    ),
    (
        "crossover",
        (CROSSING | {"cheaper": "vjp", "factor": 3.0}, DOUBT),
        f"dense and vjp cross at width 40; at the largest size, vjp is ahead by 3.00×; {DOUBT}.",
    ),
    (
        "crossover",
        (CROSSING | {"outcome": "undecided"}, ""),
        "The measurements do not decide whether dense and vjp cross near width 40.",
    ),
    (
        "crossover",
        (CROSSING | {"outcome": "undecided", "size": NAN}, ""),
        "The measurements do not decide whether dense and vjp cross.",
    ),
    ("crossover", (CROSSING | {"outcome": "crosses again"}, ""), "dense and vjp cross more than once."),
    (
        "crossover",
        (CROSSING | {"outcome": "never in the range", "cheaper": "vjp", "factor": 3.0}, ""),
        (
            "dense and vjp do not cross within the measured sizes. Extrapolated, they cross at width 40; at the largest size, "
            "vjp is ahead by 3.00×."
        ),
    ),
    ("crossover", (CROSSING | {"outcome": "never", "size": NAN}, ""), ""),
]
"""Function, its arguments, and the text; the start of a caption, which explains the plot and has no other numbers."""


@pytest.mark.parametrize(("name", "arguments", "text"), CASES)
def test_text(name, arguments, text, sentence_flaws):
    found = getattr(plot_sentences, name)(*arguments)
    assert found.startswith(text) if text else not found
    assert sentence_flaws(found) == []


def test_every_function_has_a_case(sentence_names):
    assert {name for name, *_ in CASES} == sentence_names(plot_sentences)
