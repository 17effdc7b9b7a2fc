"""Sentences and phrases of the page: each function with values whose truth is known."""

from __future__ import annotations

import math

import pytest

from jacobench.reports.page import answer_sentences, page_sentences, quality_sentences, table_phrases

NAN, INF = math.nan, math.inf
DOUBT = "sparse runs at 3.10× its limit and could win"

ANSWERS = [
    ("no_phase", ("pullback",), "No answer: no cell of this run has the phase pullback."),
    ("verdict", (0, 0, 3), "Undecided"),
    ("verdict", (3, 0, 3), "Through products"),
    ("verdict", (0, 3, 3), "Through materialized Jacobians"),
    ("verdict", (2, 1, 3), "Mostly through products"),
    ("verdict", (1, 2, 3), "Mostly through materialized Jacobians"),
    ("verdict", (2, 0, 3), "Mostly through products"),
    ("verdict", (1, 1, 2), "It depends"),
    ("verdict", (1, 1, 3), "It depends"),
    ("verdict", (1, 0, 20), "Mostly undecided"),
    (
        "on_time",
        ("Undecided", "gradient", [], [("one pass", 1)], 1, [], ""),
        "Undecided: in the time of the phase gradient, 1 case is undecided because one pass cannot decide.",
    ),
    (
        "on_time",
        (
            "Mostly through products",
            "gradient",
            [("vjp", 3), ("dense", 1)],
            [("undecided", 1), ("nothing", 2)],
            7,
            [("dense", 0.5, 4.0), ("sparse", 2.0, 2.0)],
            DOUBT,
        ),
        (
            "Mostly through products: in the time of the phase gradient, vjp is clearly the fastest in 3 of 7 cases, dense 1, "
            "1 case is undecided and 2 cases have no timed strategy; dense took 0.500× to 4.00× and sparse took 2.00× as long "
            f"as vjp; {DOUBT}."
        ),
    ),
    (
        "on_memory",
        ("gradient", [("vjp", 2)], 2, 2, [("dense", 3.0, 3.0)], []),
        (
            "In peak memory of the phase gradient, vjp clearly needs the least in both cases; dense took 3.00× as much as "
            "vjp."
        ),
    ),
    (
        "on_memory",
        ("gradient", [("vjp", 1)], 3, 4, [], [("dense", "over_budget", 1)]),
        (
            "In peak memory of the phase gradient, vjp clearly needs the least in 1 of 4 cases, no strategy clearly needs the "
            "least in 2 of 4 cases and too few peaks were measured to compare strategies in 1 of 4 cases; dense was over "
            "budget in 1 case."
        ),
    ),
    (
        "on_memory",
        ("gradient", [], 0, 1, [], []),
        "In peak memory of the phase gradient, too few peaks were measured to compare strategies in 1 of 1 case.",
    ),
    (
        "no_jacobian",
        (),
        "No strategy that materializes a Jacobian was measured, so this run does not show when one pays off.",
    ),
    (
        "no_jacobian_with_reference",
        (),
        "No Jacobian was timed together with vjp in linearize and pullback, so this run does not show when one pays off.",
    ),
    (
        "on_reuse",
        (["dense"], {"after": 1}, "1", ""),
        "Materializing (dense) pays off after 1 product with one Jacobian in 1 of 1 case.",
    ),
    (
        "on_reuse",
        (["dense", "sparse"], {"after": 3, "never": 1, "undecided": 2}, "3 to 12", ""),
        (
            "Materializing (dense and sparse) pays off after 3 to 12 products with one Jacobian in 3 of 6 cells and never in "
            "1 of 6 cells; undecided in 2 of 6 cells (a cell is one strategy in one case)."
        ),
    ),
    (
        "on_reuse",
        (["dense"], {"undecided": 3}, "", ""),
        "Whether materializing (dense) pays off is undecided in all 3 cases.",
    ),
    (
        "on_reuse",
        (["dense"], {"never": 3}, "", ""),
        "Materializing (dense) pays off in no case of this run, for any number of products.",
    ),
    (
        "on_reuse",
        (["dense"], {"from the first": 1, "until": 1}, "", ""),
        "Materializing (dense) pays off from the first product in 1 of 2 cases and only for few products in 1 of 2 cases.",
    ),
    (
        "on_reuse",
        (["dense", "sparse"], {"undecided": 2}, "", ""),
        "Whether materializing (dense and sparse) pays off is undecided in both cells (a cell is one strategy in one case).",
    ),
    (
        "on_reuse",
        (["dense", "sparse"], {"never": 4}, "", ""),
        (
            "Materializing (dense and sparse) pays off in no cell of this run (a cell is one strategy in one case), for any "
            "number of products."
        ),
    ),
    ("of_reuse", (["dense"],), "case"),
    (
        "on_reuse",
        (["dense"], {"never": 3}, "", DOUBT),
        f"Materializing (dense) pays off in no case of this run, for any number of products; {DOUBT}.",
    ),
    (
        "on_reuse",
        (["dense"], {"from the first": 2}, "", DOUBT),
        f"Materializing (dense) pays off from the first product in both cases; {DOUBT}.",
    ),
]

QUALITY = [
    ("no_case", ("gradient",), "No case of this run has the phase gradient."),
    ("nothing_timed", (), "No cell was timed."),
    ("no_passes", (), "The run does not record single passes, so undecided and disturbed cells are unknown."),
    ("undecided_cases", ("gradient", 1, 1), "Undecided in the phase gradient: 1 of 1 case."),
    (
        "disturbed_cells",
        (0, 9, 1.2),
        "Disturbed: 0 of 9 cells. The slowest pass of a disturbed cell took at least 20% longer than its fastest.",
    ),
    ("disturbed_cells", (0, 0, 1.2), "No cell was timed in two passes or more, so disturbed cells are unknown."),
    (
        "calibration",
        (1.099, 101),
        "The time of the calibration kernel varied by 9.9% over 101 processes (95th against 5th percentile).",
    ),
    (
        "calibration",
        (5.0, 2),
        "The time of the calibration kernel varied by 5.00× over 2 processes (95th against 5th percentile).",
    ),
    ("load", (0.4, 1.0, 1), "Load average: 0.4 before the run, 1.0 at the end (1 core)."),
    (
        "load",
        (3.0, 2.5, 2),
        "Load average: 3.0 before the run, 2.5 at the end (2 cores). Other processes may have slowed the first passes.",
    ),
    ("load", (3.0, 2.5, None), "Load average: 3.0 before the run, 2.5 at the end."),
    (
        "intervals",
        (0.031, 0.86),
        "The 95 % interval of the time is at most ±3.1% for half of the cells, and at most ±86% for 90 % of the cells.",
    ),
    (
        "intervals",
        (0.5, INF),
        (
            "The 95 % interval of the time is at most ±50% for half of the cells, and at most any factor for 90 % of the "
            "cells."
        ),
    ),
    (
        "one_process",
        (),
        "Every cell was measured in one process, so there are no intervals and no clear winner in time.",
    ),
    (
        "hosts",
        ([("node3", 1.25), ("node1", 1.01)], 3),
        "Slowest of 3 hosts by the calibration kernel, relative to the median host: node3 1.25× and node1 1.01×.",
    ),
    (
        "repetition",
        (2, "3 of 4 cells were more than 10% slower than usual"),
        ("Pass 2 was repeated, and only the repetition counts: 3 of 4 cells were more than 10% slower than usual."),
    ),
    (
        "controls",
        ("tuned",),
        (
            "Controls tuned: all strategies used the same threads, BLAS kernel and malloc settings. Your own processes may "
            "use others."
        ),
    ),
    ("controls", ("other",), ""),
]

PHRASES = [
    ("decision", ("ahead", "sparse", [], ""), "clearly"),
    ("decision", ("ahead", "sparse", [], DOUBT), f"clearly, but {DOUBT}"),
    ("decision", ("equal", "sparse", ["sparse"], ""), "equal within 5 %"),
    ("decision", ("undecided", "sparse", ["dense", "sparse"], ""), "undecided"),
    ("decision", ("undecided", "sparse", ["dense", "mine"], ""), "undecided: dense and mine"),
    ("decision", ("one pass", "sparse", ["sparse"], ""), "undecided: one pass cannot decide"),
    ("decision", ("alone", "", [], ""), "no other strategy was timed"),
    ("decision", ("nothing", "", [], ""), "no strategy was timed"),
    ("decision", ("no passes", "", [], ""), "undecided: the run has no single passes"),
    ("runner_up", ("sparse", "vjp", "ahead"), "sparse"),
    ("runner_up", ("sparse", "vjp", "undecided"), "sparse, compared with vjp"),
    ("runner_up", ("", "vjp", "alone"), ""),
    ("limit", ("width", 1000.0, "model"), "width 1,000"),
    ("limit", ("width", 1000.0, "more than"), "more than width 1,000"),
    ("limit", ("width", NAN, "none"), "–"),
    ("limit_basis", ("none",), "the smallest checked size does not fit"),
    ("limit_basis", ("more than",), "fits at every checked size"),
    ("crossover", ("crosses",), "crosses"),
    ("crossover", ("never at all",), "none in the measured sizes"),
    ("crossover", ("never in the range",), "beyond the measured sizes"),
    ("crossover_place", ("width", 48.0, 40.0, 60.0, False), "width 48 [40, 60]"),
    ("crossover_place", ("width", 4800.0, NAN, NAN, True), "width 4,800, extrapolated"),
    ("crossover_place", ("width", NAN, NAN, NAN, False), "–"),
    (
        "crossover_with_range",
        ("crosses", "width 48 [40, 60]", "vjp, 2.00×", "width", 16.0, 64.0),
        "width 48 [40, 60], measured from 16 to 64; at 64: vjp, 2.00×",
    ),
    (
        "crossover_with_range",
        ("never at all", "–", "sparse, 82.9×", "width", 64.0, 128.0),
        "none from width 64 to 128; at 128: sparse, 82.9×",
    ),
    (
        "crossover_with_range",
        ("undecided", "–", "undecided", "batch", 1.0, 4.0),
        "undecided from batch 1 to 4; at 4: undecided",
    ),
    (
        "crossover_with_range",
        ("undecided", "width 80", "undecided", "width", 64.0, 128.0),
        "undecided: width 80, measured from 64 to 128; at 128: undecided",
    ),
    (
        "crossover_with_range",
        ("crosses again", "–", "vjp, 2.00×", "width", 64.0, 128.0),
        "crosses more than once from width 64 to 128; at 128: vjp, 2.00×",
    ),
    ("winner", ("vjp", "2.00×", "clearly", ""), "vjp, 2.00×"),
    ("winner", ("vjp", "2.00×", "clearly", DOUBT), f"vjp, 2.00×; {DOUBT}"),
    ("winner", ("vjp", "", "no other strategy was timed", ""), "vjp (no other strategy was timed)"),
    ("winner", ("", "", "equal within 5 %", ""), "equal within 5 %"),
    (
        "passes_on_hosts",
        ([(1, "12.3 µs", "node1"), (2, "13.0 µs", "node2")],),
        "pass 1: 12.3 µs on node1; pass 2: 13.0 µs on node2",
    ),
    ("passes_on_hosts", ([],), ""),
    ("cheaper", ("vjp", 2.0, ""), "vjp, 2.00×"),
    ("cheaper", ("vjp", 2.0, DOUBT), f"vjp, 2.00×; {DOUBT}"),
    ("cheaper", ("", NAN, ""), "undecided"),
    ("status_counts", ([("ok", 59), ("over_budget", 1)],), "59 ok, 1 over budget"),
]

AROUND = [
    ("subject", ("smoke", "gradient", "first", ""), "Suite smoke, phase gradient, run first"),
    ("subject", ("smoke", "gradient", "first", "a laptop"), "Suite smoke, phase gradient, run first, on a laptop"),
    ("subject", ("", "gradient", "", ""), "Suite without a name, phase gradient, run without a name"),
    (
        "machines",
        ("gradient",),
        (
            "Crossovers and clear winners in the phase gradient on each machine. Times of different machines are not "
            "compared with each other. In a run on several machines, each case is measured on one of them, so a sweep has "
            "different sizes on each."
        ),
    ),
    (
        "crossovers_of_machines",
        (),
        (
            "Size at which two strategies cost the same, the measured sizes, and the strategy that costs less at the largest "
            "of them. A dash: both were measured at fewer than two sizes; for memory, with peaks of 8 KiB or more."
        ),
    ),
    (
        "winners_of_machines",
        (),
        (
            "Fastest strategy of each case, and how many times as long the second one takes, with its 95 % interval. "
            "A dash: not measured on this machine."
        ),
    ),
    ("slowest_pass", (2, "node1"), ", slowest: pass 2 on node1"),
    (
        "recommendation_rule",
        (),
        (
            "Time: a strategy is named only if it is clearly faster than every other one, or if no other one was timed. "
            "A slower strategy could win at its limit if its floor is below the time of the fastest one. "
            "Memory: only if its peak is at least 1 % and 8 KiB below the next one. In brackets: the 95 % interval."
        ),
    ),
    (
        "limits",
        ("gradient", 2.0**34),
        (
            "Largest size of each sweep at which the peak memory of the phase gradient fits in this machine's memory, "
            "16.0 GiB."
        ),
    ),
    (
        "limits",
        ("gradient", NAN),
        "Largest size of each sweep at which the peak memory of the phase gradient fits in this machine's memory.",
    ),
    ("other_limits", (), "Limits far beyond the measured sizes, or beyond every checked size"),
    (
        "crossovers",
        ("pullback",),
        (
            "Size at which two strategies cost the same in the phase pullback. In brackets: the 95 % interval over passes. "
            "Memory is measured once and has no interval."
        ),
    ),
    ("other_crossovers", (), "Pairs of strategies without a crossover near the measured sizes"),
    ("no_limits", (), "This run has no limits and no crossovers: they need cases that differ in one size only."),
    ("no_machine", (), "The run does not record the machine."),
    (
        "uncertain_cells",
        (),
        (
            "Undecided: ratio of the runner-up to the fastest strategy. Disturbed: ratio of the slowest to the fastest pass, "
            "and interval of the time."
        ),
    ),
    ("not_drawn", (), "Not drawn, because the run lacks the data:"),
    ("all_cells", ("59 ok, 1 over budget",), "All cells: 59 ok, 1 over budget."),
    ("all_cells", ("",), "All cells: none."),
    ("no_failure", (), "No cell failed."),
    ("no_reason", (), "no reason recorded"),
    (
        "all_rows",
        {"with_hosts": False},
        "One row per case, strategy and phase. Times are per call. Hover over a heading for the meaning of the column.",
    ),
    (
        "all_rows",
        {"with_hosts": True},
        (
            "One row per case, strategy and phase. Times are per call. Hover over a heading for the meaning of the "
            "column, and over a median for the time and the host of each pass."
        ),
    ),
    ("check_out", ("",), "check out the measured code, in the repository where the run was started"),
    (
        "check_out",
        ("dirty",),
        (
            "check out the measured code, in the repository where the run was started; its uncommitted changes are not "
            "recorded"
        ),
    ),
    ("install", (), "install the same numerical libraries"),
    ("repeat", (), "repeat the measurements on your machine"),
    ("write_page", (), "write this page from the results"),
]

CASES = {answer_sentences: ANSWERS, page_sentences: AROUND, quality_sentences: QUALITY, table_phrases: PHRASES}
"""Module of sentences → function, its arguments, and what it returns."""


@pytest.mark.parametrize("module", CASES)
def test_every_function_has_a_case(module, sentence_names):
    assert {name for name, _, _ in CASES[module]} == sentence_names(module)


@pytest.mark.parametrize(
    ("module", "name", "arguments", "expected"), [(module, *case) for module, own in CASES.items() for case in own]
)
def test_a_sentence_states_its_values(module, name, arguments, expected, sentence_flaws):
    given = ((), arguments) if isinstance(arguments, dict) else (arguments, {})
    assert getattr(module, name)(*given[0], **given[1]) == expected
    assert sentence_flaws(expected) == []
