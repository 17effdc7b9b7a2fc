"""Sentences of the gate and of compare: each function with values whose truth is known."""

from __future__ import annotations

import math
from functools import partial

import pytest

from jacobench.reports.regression import gate_sentences

NAN, INF = math.nan, math.inf

CASES = {
    "threshold_text": {(0.02,): "2.0%", (1.34,): "2.34×"},
    "detectable_text": {(0.02,): "2.0%", (98.0,): "99.0×", (1e237,): "> 100×", (NAN,): "–", (INF,): "–"},
    "failure": {("out_of_memory", "3 GiB"): "out of memory (3 GiB)", ("timeout", ""): "timeout"},
    "too_few_pairs": {
        (NAN,): "no pair in which both sides were ok",
        (1.0,): "only 1 pair in which both sides were ok",
        (4.0,): "only 4 pairs in which both sides were ok",
    },
    "too_noisy": {
        (30.0, 0.123): "noisy: 30 pairs can show only a slowdown of 12.3% or more",
        (6.0, 9.0): "noisy: 6 pairs can show only a slowdown of 10.0× or more",
        (6.0, 1e237): "noisy: 6 pairs can show only a slowdown of 100× or more",
    },
    "candidate": {
        (1.1, "slower"): "+10.0% in stage one; confirmed with fresh pairs",
        (25.0, "no time"): "25.00× in stage one; no time was left to confirm it",
        (1.5, "open"): "+50.0% in stage one; fresh pairs neither confirm nor exclude it",
        (1.03, "unchanged"): "+3.0% in stage one; not confirmed with fresh pairs",
    },
    "larger": {
        (1.125, "slower"): "+12.5% in the first pair of processes; confirmed with fresh pairs",
        (NAN, "unchanged"): "larger in the first pair of processes; not confirmed with fresh pairs",
    },
    "within_threshold": {(1.012, 0.02): "+1.2%, within the threshold of 2.0%"},
    "not_slower": {(0.7,): "-30.0%: not slower; too few pairs to confirm that it is faster"},
    "kernel_moved": {(1.05,): "the calibration kernel changed by +5.0%"},
    "only_in": {("head",): "only head has it"},
    "fails_from_the_start": {("wrong (off by 2)",): "wrong (off by 2) in head; base does not have it"},
    "failed_on_both": {
        ("error (why)", "error (why)"): "error (why) in base and head",
        ("timeout", "crashed"): "timeout in base, crashed in head",
    },
    "lost": {
        ("timeout", 6, 7): "timeout in head in 6 of 7 pairs, ok in base",
        ("timeout", 1, 1): "timeout in head in 1 of 1 pair, ok in base",
    },
    "wrong_in_head": {("wrong",): "wrong in head, ok in base"},
    "fixed": {("wrong",): "ok in head, wrong in base"},
    "none_in_base": {(): "none in base"},
    "exponents": {
        (2.0, 2.5, 0.3, 0.7): "exponent 2.00 → 2.50, a difference of 0.50 [0.30, 0.70]",
        (2.0, 1.999, NAN, NAN): "exponent 2.00 → 2.00, a difference of 0.00",
        (2.0, 2.5, -INF, INF): "exponent 2.00 → 2.50, a difference of 0.50",
    },
    "exponent_not_determined": {("exponent 1 → 2",): "exponent 1 → 2: not determined, but no size is slower"},
    "too_few_passes": {
        (1.0, 8): "1 pass: expected at least 8 per side",
        (7.0, 8): "7 passes: expected at least 8 per side",
    },
    "failed_on_one_side": {("ok", "crashed"): "ok in base, crashed in head, in too few passes to be sure"},
    "no_times_per_pass": {(): "no times per pass"},
    "time_of_zero": {(): "a time of 0 s: shorter than the clock can measure"},
    "undecided_interval": {(): "the interval neither confirms nor excludes a change beyond the threshold"},
    "slower_than_its_reference": {(): "slower relative to its reference; the machine may be the cause"},
    "pairs_measured": {(14, 61.4): "14 pairs of fresh processes in 61 s; base and head alternate."},
    "nothing_compared": {(): "Nothing was measured on both sides, so there is no verdict."},
    "not_measured": {
        (1, "timeout in base and head"): "1 row not measured: timeout in base and head.",
        (4, "timeout in base and head"): "4 rows not measured: timeout in base and head.",
    },
    "strategy_not_measured": {
        ("mine", ("prepare",), True): "Strategy mine could not be measured on either side, at any case.",
        ("mine", ("pullback", "gradient"), False): (
            "Strategy mine: pullback and gradient could not be measured on either side, at any case."
        ),
    },
    "first_measured": {
        (1,): "1 row is new: head was verified, and base has nothing to compare it with.",
        (4,): "4 rows are new: head was verified, and base has nothing to compare them with.",
    },
    "kernel_not_timed": {
        (False,): "The calibration kernel was not timed, so a change of the machine would not be detected.",
        (True,): "The calibration kernel was not timed in both runs, so a change of the machine would not be detected.",
    },
    "kernel_change": {
        (1.004, 0.999, 1.009): "+0.4% [-0.1%, +0.9%]",
        (1.004, 0.0, INF): "+0.4%",
        (3.0, 2.9, 3.1): "3.00× [2.90×, 3.10×]",
    },
    "kernel_shifted": {
        (
            "+5.0%",
        ): "The calibration kernel changed by +5.0%: the machine changed, so times have no verdict. Measure again."
    },
    "kernel_stable": {("+0.1%",): "The calibration kernel did not change: +0.1%."},
    "kernel_undecided": {
        ("+2.0%", 6): "A change of the calibration kernel could not be excluded: +2.0% after 6 pairs.",
    },
    "inconclusive_results": {
        (1, 8): (
            "1 of 8 results is inconclusive. Use more time (--max-minutes), a quieter machine, or a higher threshold for "
            "noisy rows (rows under [tool.jacobench.gate])."
        ),
        (2, 8): (
            "2 of 8 results are inconclusive. Use more time (--max-minutes), a quieter machine, or a higher threshold for "
            "noisy rows (rows under [tool.jacobench.gate])."
        ),
    },
    "read_as": {("3 files", "1 file"): "Base: 3 files. Head: 1 file."},
    "run_read_as": {(1, 1): "1 pass of 1 row", (3, 8): "3 passes of 8 rows"},
    "runs_not_paired": {
        (0.05, 8): (
            "The runs were made at different times and are not paired. Only changes of 5.0% or more are detected, corrected "
            "over all rows, with at least 8 passes per side."
        )
    },
    "ratios_across_machines": {
        (): (
            "Across machines: the table compares ratios to vjp, to the forward pass and to the floor, each within one "
            "process."
        )
    },
    "runs_shifted": {(1.1,): "The calibration kernel changed by +10.0% between the runs, so times have no verdict."},
    "runs_drifted": {(1.02,): "The calibration kernel changed by +2.0%; a change must exceed this, too."},
    "to_decide_rows": {(("a", "b"),): "To decide the inconclusive rows: a · or b"},
    "run_both_again": {("jacobench run",): "both again with: jacobench run"},
    "run_both_on_one_machine": {("jacobench run",): "both again on one machine with: jacobench run"},
    "record_again": {
        (8,): (
            "8 runs per side, alternating, each with --benchmark-json=FILE into one folder per side; then compare the "
            "folders"
        )
    },
    "measure_again": {("jacobench gate",): "To measure again: jacobench gate"},
    "measure_undecided": {("jacobench gate",): "To measure the undecided cases again: jacobench gate"},
    "raise_threshold": {
        (): "If the change is intended, raise the threshold in pyproject.toml, [[tool.jacobench.gate.rows]]."
    },
    "verifying": {
        (1, 1): "verifying 1 strategy at 1 case, on both sides",
        (2, 10): "verifying 2 strategies at 10 cases, on both sides",
    },
    "stage_step": {
        (1, 6, None): "stage 1: 6 pairs of processes, all cells",
        (2, 8, 1): "stage 2: 8 pairs of processes, 1 cell",
    },
    "memory_step": {(6, 2): "bytes: 6 pairs of processes, 2 cells"},
    "collecting": {(): "collecting the benchmarks and running each once, on both sides"},
    "time_expected": {
        (1, 6, 2.5, 600.0): "1 benchmark: at least 6 pairs × 2.5 s = 15 s; at most 10 min (--max-minutes)",
        (40, 6, 0.04, 90.0): "40 benchmarks: at least 6 pairs × 0.0 s = 0 s; at most 1.5 min (--max-minutes)",
    },
    "pairs_expected": {
        (1, 6, 1, 2.5): "stage 1: 6 pairs of processes, 1 benchmark, about 15 s",
        (2, 1, 3, 2.5): "stage 2: 1 pair of processes, 3 benchmarks, about 2 s",
    },
    "no_time_written": {(): "pytest-benchmark wrote no time"},
    "source_differs": {(): "its source differs between the sides"},
    "gone_from_head": {
        (1,): "1 row is gone: base has it, and head does not.",
        (2,): "2 rows are gone: base has them, and head does not.",
    },
    "options_changed": {
        (
            2,
            "--benchmark-timer is a in base, b in head",
        ): "2 rows changed: --benchmark-timer is a in base, b in head, so "
        "times are not compared. To use one value on both sides, give the option in --pytest."
    },
    "sources_changed": {
        (2,): (
            "2 rows changed: the source of the benchmark differs between the sides, so its times are not compared. To run "
            "one side's files on both, use --suite-from base or --suite-from head."
        )
    },
    "explained": {("broken", 2, "error (why)"): "2 rows broken: error (why)."},
    "memory_unknown": {("base: no memray",): "Memory was not measured: base: no memray."},
    "memory_incomplete": {
        (
            1,
            "it crashed in head",
        ): "Memory of 1 benchmark was not measured, or not in all processes: it crashed in head.",
        (2, "why"): "Memory of 2 benchmarks was not measured, or not in all processes: why.",
    },
    "skipped": {
        ("head", 1, "no numpy"): "pytest skipped 1 file or test in head: no numpy.",
        ("base", 2, "no numpy"): "pytest skipped 2 files or tests in base: no numpy.",
    },
    "self_test_step": {(1, False): "gate 1: no changes", (2, True): "gate 2: work and memory added to head"},
    "self_test_load": {
        ((1.0, 2.5, 1.2), 2, 0.0123): (
            "Load average: 1.2 [1.0, 2.5] on 2 cores, with the processes of the self-test. Other machines took 1.2% of "
            "the CPU time (steal)."
        ),
        ((), 1, -1e-9): (
            "Load average: unknown on 1 core, with the processes of the self-test. Other machines took 0.0% of the CPU "
            "time (steal)."
        ),
    },
    "self_test_note": {
        (0.02,): (
            "Every regression with 0 % added is a false alarm. The time threshold is 2.0%. The intervals "
            "(Clopper-Pearson) treat rows as independent; those of one gate are not."
        )
    },
    "rows_by_verdict": {(1, "1 new"): "1 row: 1 new", (2, "2 new"): "2 rows: 2 new"},
    "lines_left_out": {(1,): "1 more line does not fit here.", (3,): "3 more lines do not fit here."},
    "failing_lines_left_out": {(1,): "and 1 more failing line", (3,): "and 3 more failing lines"},
}
"""Function → its arguments → what it returns."""

FLAGS = {
    "strategy_not_measured": "whole",
    "kernel_not_timed": "runs",
    "self_test_step": "changed",
}
"""Function → its last argument, which is given by name."""


def test_every_function_has_a_case(sentence_names):
    assert set(CASES) == sentence_names(gate_sentences)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [(name, arguments, expected) for name, own in CASES.items() for arguments, expected in own.items()],
)
def test_a_sentence_states_its_values(name, arguments, expected, sentence_flaws):
    sentence = getattr(gate_sentences, name)
    if name in FLAGS:
        *arguments, last = arguments
        sentence = partial(sentence, **{FLAGS[name]: last})
    assert sentence(*arguments) == expected
    assert sentence_flaws(expected) == []


@pytest.mark.parametrize(
    "text",
    ["1 rows", "2 row", "a share of 106 %", "250.0% slower", "nan%", "[-inf, inf]", "-0.0%", "1 strategies at 1 cases"],
)
def test_flaws_are_found(text, sentence_flaws):
    assert sentence_flaws(text)
