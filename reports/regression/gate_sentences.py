"""Sentences of `gate` and `compare`: reasons of rows, notes on the whole, advice and progress.

Each function returns one sentence or phrase, from values only. The test of this module fails if a function has no case.
"""

from __future__ import annotations

import math
from statistics import median

from jacobench.graphs.wording import counted
from jacobench.reports.data.units import MISSING, format_change, format_ratio
from jacobench.reports.data.vocabulary import words

LARGEST = 99.0  # relative size of the largest change that is stated, 100×


def threshold_text(share: float) -> str:
    """Return a relative size without a sign: in percent, or as a factor from 100 % on."""
    return f"{share:.1%}" if share < 1 else format_ratio(1 + share)


def detectable_text(share: float) -> str:
    """Return the smallest change that can be detected; beyond 100×, only that it is larger; a dash if it is unknown."""
    if not math.isfinite(share):
        return MISSING
    return f"> {threshold_text(LARGEST)}" if share > LARGEST else threshold_text(share)


def failure(status: str, reason: str) -> str:
    """Return how a process ended."""
    return f"{words(status)} ({reason})" if reason else words(status)


# Reasons of rows.


def too_few_pairs(n_pairs: float) -> str:
    """Return the reason of a row whose pairs cannot be significant; ``n_pairs`` is NaN if none had both sides."""
    if math.isnan(n_pairs):
        return "no pair in which both sides were ok"
    return f"only {counted(n_pairs, 'pair')} in which both sides were ok"


def too_noisy(n_pairs: float, detectable: float) -> str:
    """Return the reason of a row that the last look leaves open."""
    return f"noisy: {counted(n_pairs, 'pair')} can show only a slowdown of {threshold_text(min(detectable, LARGEST))} or more"


def candidate(ratio: float, confirmation: str) -> str:
    """Return the reason of a row that was slower in stage one, and what stage two found: a key of `CONFIRMATIONS`."""
    return f"{format_change(ratio)} in stage one; {CONFIRMATIONS[confirmation]}"


CONFIRMATIONS = {
    "no time": "no time was left to confirm it",
    "slower": "confirmed with fresh pairs",
    "open": "fresh pairs neither confirm nor exclude it",
    "unchanged": "not confirmed with fresh pairs",
}


def larger(ratio: float, confirmation: str) -> str:
    """Return the reason of bytes that one process per side found larger; ``ratio`` is NaN below the resolution."""
    first = "larger" if math.isnan(ratio) else format_change(ratio)
    return f"{first} in the first pair of processes; {CONFIRMATIONS[confirmation]}"


def within_threshold(ratio: float, threshold: float) -> str:
    """Return the reason of an unchanged row whose interval excludes 1."""
    return f"{format_change(ratio)}, within the threshold of {threshold_text(threshold)}"


def not_slower(ratio: float) -> str:
    """Return the reason of a faster row with too few pairs to call it improved."""
    return f"{format_change(ratio)}: not slower; too few pairs to confirm that it is faster"


def kernel_moved(ratio: float) -> str:
    """Return the reason of a row whose time has no verdict."""
    return f"the calibration kernel changed by {format_change(ratio)}"


def no_time_written() -> str:
    """Return the reason of a benchmark without a time."""
    return "pytest-benchmark wrote no time"


def source_differs() -> str:
    """Return the reason of a changed row."""
    return "its source differs between the sides"


def only_in(side: str) -> str:
    """Return the reason of a new or a gone row."""
    return f"only {side} has it"


def fails_from_the_start(why: str) -> str:
    """Return the reason of a row that only head has, and that fails there."""
    return f"{why} in head; base does not have it"


def failed_on_both(base: str, head: str) -> str:
    """Return the reason of a row that was measured on neither side, from the `failure` of each."""
    return f"{base} in base and head" if base == head else f"{base} in base, {head} in head"


def lost(why: str, n_lost: int, n_pairs: int) -> str:
    """Return the reason of a row that fails in head only, in several pairs."""
    return f"{why} in head in {n_lost} of {counted(n_pairs, 'pair')}, ok in base"


def wrong_in_head(why: str) -> str:
    """Return the reason of a row that is wrong in head only."""
    return f"{why} in head, ok in base"


def fixed(why: str) -> str:
    """Return the reason of a row that fails in base only."""
    return f"ok in head, {why} in base"


def none_in_base() -> str:
    """Return the reason of a count that was zero."""
    return "none in base"


def exponents(base: float, head: float, low: float, high: float) -> str:
    """Return the reason of a growth: both exponents and the interval of their difference, if it is finite."""
    interval = f" [{low:z.2f}, {high:z.2f}]" if low < high and math.isfinite(high - low) else ""
    return f"exponent {base:z.2f} → {head:z.2f}, a difference of {head - base:z.2f}{interval}"


def exponent_not_determined(exponents: str) -> str:
    """Return the reason of a growth that is decided by the times of its rows."""
    return f"{exponents}: not determined, but no size is slower"


def too_few_passes(n_passes: float, least: int) -> str:
    """Return the reason of a row of two runs with too few passes."""
    return f"{counted(n_passes, 'pass', 'passes')}: expected at least {least} per side"


def failed_on_one_side(base: str, head: str) -> str:
    """Return the reason of a row of two runs that failed in one, too seldom to be sure."""
    return f"{base} in base, {head} in head, in too few passes to be sure"


def no_times_per_pass() -> str:
    """Return the reason of a row of a run that has no passes."""
    return "no times per pass"


def time_of_zero() -> str:
    """Return the reason of a row whose time has no logarithm."""
    return "a time of 0 s: shorter than the clock can measure"


def undecided_interval() -> str:
    """Return the reason of a row of two runs that the test leaves open."""
    return "the interval neither confirms nor excludes a change beyond the threshold"


def slower_than_its_reference() -> str:
    """Return the reason of a row that is slower on another machine."""
    return "slower relative to its reference; the machine may be the cause"


# Notes on the whole.


def pairs_measured(n_pairs: int, seconds: float) -> str:
    """Return the size of a gate."""
    return f"{counted(n_pairs, 'pair')} of fresh processes in {seconds:.0f} s; base and head alternate."


def nothing_compared() -> str:
    """Return the note of a gate that compared nothing."""
    return "Nothing was measured on both sides, so there is no verdict."


def not_measured(n_rows: int, reason: str) -> str:
    """Return the common reason of rows that were measured on neither side."""
    return f"{counted(n_rows, 'row')} not measured: {reason}."


def strategy_not_measured(strategy: str, phases: tuple[str, ...], *, whole: bool) -> str:
    """Return the note on a strategy, or some of its phases, that no side could measure at any case."""
    what = f"Strategy {strategy}" if whole else f"Strategy {strategy}: {' and '.join(phases)}"
    return f"{what} could not be measured on either side, at any case."


def first_measured(n_rows: int) -> str:
    """Return the explanation of new rows."""
    are, them = ("is", "it") if n_rows == 1 else ("are", "them")
    return f"{counted(n_rows, 'row')} {are} new: head was verified, and base has nothing to compare {them} with."


def gone_from_head(n_rows: int) -> str:
    """Return the explanation of gone rows."""
    return f"{counted(n_rows, 'row')} {'is' if n_rows == 1 else 'are'} gone: base has {'it' if n_rows == 1 else 'them'}, and head does not."


def sources_changed(n_rows: int) -> str:
    """Return the explanation of changed rows."""
    return (
        f"{counted(n_rows, 'row')} changed: the source of the benchmark differs between the sides, so its times are not "
        "compared. To run one side's files on both, use --suite-from base or --suite-from head."
    )


def options_changed(n_rows: int, difference: str) -> str:
    """Return the explanation of rows of a suite whose options differ between the sides."""
    return (
        f"{counted(n_rows, 'row')} changed: {difference}, so times are not compared. To use one value on both sides, give "
        "the option in --pytest."
    )


def explained(verdict: str, n_rows: int, reason: str) -> str:
    """Return the reason of rows that their lines leave out."""
    return f"{counted(n_rows, 'row')} {verdict}: {reason}."


def skipped(side: str, n: int, reason: str) -> str:
    """Return the note on files and tests that pytest skips on a side, with the reason of the first."""
    return f"pytest skipped {counted(n, 'file or test', 'files or tests')} in {side}: {reason}."


def memory_unknown(reason: str) -> str:
    """Return the note on a suite whose memory cannot be measured."""
    return f"Memory was not measured: {reason}."


def memory_incomplete(n_benchmarks: int, reason: str) -> str:
    """Return the note on benchmarks whose memory some processes could not measure, with the reason of the first."""
    return f"Memory of {counted(n_benchmarks, 'benchmark')} was not measured, or not in all processes: {reason}."


def kernel_not_timed(*, runs: bool) -> str:
    """Return the note on a gate or on two runs without a calibration kernel."""
    where = " in both runs" if runs else ""
    return f"The calibration kernel was not timed{where}, so a change of the machine would not be detected."


def kernel_change(ratio: float, low: float, high: float) -> str:
    """Return a change of the calibration kernel, with its interval if it is finite."""
    is_finite = low > 0 and math.isfinite(high)
    return format_change(ratio) + (f" [{format_change(low)}, {format_change(high)}]" if is_finite else "")


def kernel_shifted(change: str) -> str:
    """Return the note on a gate whose calibration kernel moved."""
    return f"The calibration kernel changed by {change}: the machine changed, so times have no verdict. Measure again."


def kernel_stable(change: str) -> str:
    """Return the note on a gate whose calibration kernel did not move."""
    return f"The calibration kernel did not change: {change}."


def kernel_undecided(change: str, n_pairs: int) -> str:
    """Return the note on a gate whose calibration kernel may have moved."""
    return f"A change of the calibration kernel could not be excluded: {change} after {counted(n_pairs, 'pair')}."


def inconclusive_results(n: int, n_all: int) -> str:
    """Return the number of inconclusive results, and what to do."""
    return (
        f"{n} of {counted(n_all, 'result')} {'is' if n == 1 else 'are'} inconclusive. Use more time (--max-minutes), a "
        "quieter machine, or a higher threshold for noisy rows (rows under [tool.jacobench.gate])."
    )


def read_as(base: str, head: str) -> str:
    """Return how `compare` reads each side."""
    return f"Base: {base}. Head: {head}."


def run_read_as(n_passes: int, n_rows: int) -> str:
    """Return the size of a run."""
    return f"{counted(n_passes, 'pass', 'passes')} of {counted(n_rows, 'row')}"


def runs_not_paired(floor: float, least_passes: int) -> str:
    """Return what `compare` can detect."""
    return (
        f"The runs were made at different times and are not paired. Only changes of {threshold_text(floor)} or more are "
        f"detected, corrected over all rows, with at least {least_passes} passes per side."
    )


def ratios_across_machines() -> str:
    """Return what `compare --across-machines` compares."""
    return "Across machines: the table compares ratios to vjp, to the forward pass and to the floor, each within one process."


def runs_shifted(ratio: float) -> str:
    """Return the note on two runs between which the calibration kernel moved."""
    return f"The calibration kernel changed by {format_change(ratio)} between the runs, so times have no verdict."


def runs_drifted(ratio: float) -> str:
    """Return the note on two runs between which the calibration kernel moved by less than the threshold."""
    return f"The calibration kernel changed by {format_change(ratio)}; a change must exceed this, too."


def to_decide_rows(ways: tuple[str, ...]) -> str:
    """Return what decides the inconclusive rows of two runs: commands or instructions."""
    return f"To decide the inconclusive rows: {' · or '.join(ways)}"


def run_both_again(command: str) -> str:
    """Return the command with which both runs are made again."""
    return f"both again with: {command}"


def run_both_on_one_machine(command: str) -> str:
    """Return the command with which both runs are made again, if they come from different machines."""
    return f"both again on one machine with: {command}"


def record_again(n_runs: int) -> str:
    """Return how to record enough files of pytest-benchmark."""
    return (
        f"{n_runs} runs per side, alternating, each with --benchmark-json=FILE into one folder per side; then compare the "
        "folders"
    )


# Advice and progress on the screen; lines that a format leaves out.


def measure_again(command: str) -> str:
    """Return the command that measures failing rows again."""
    return f"To measure again: {command}"


def measure_undecided(command: str) -> str:
    """Return the command that measures undecided cases again."""
    return f"To measure the undecided cases again: {command}"


def raise_threshold() -> str:
    """Return what to do about an intended change."""
    return "If the change is intended, raise the threshold in pyproject.toml, [[tool.jacobench.gate.rows]]."


def verifying(n_strategies: int, n_cases: int) -> str:
    """Return the first step of a gate."""
    strategies = counted(n_strategies, "strategy", "strategies")
    return f"verifying {strategies} at {counted(n_cases, 'case')}, on both sides"


def stage_step(stage: int, n_pairs: int, n_cells: int | None) -> str:
    """Return a step of a stage; ``n_cells`` is None for all."""
    cells = "all cells" if n_cells is None else counted(n_cells, "cell")
    return f"stage {stage}: {counted(n_pairs, 'pair')} of processes, {cells}"


def memory_step(n_pairs: int, n_cells: int) -> str:
    """Return the step that confirms bytes."""
    return f"bytes: {counted(n_pairs, 'pair')} of processes, {counted(n_cells, 'cell')}"


def collecting() -> str:
    """Return the first step of a gate on a pytest suite."""
    return "collecting the benchmarks and running each once, on both sides"


def time_expected(n_benchmarks: int, n_pairs: int, pair_seconds: float, limit_seconds: float) -> str:
    """Return the expected time of a gate on a pytest suite, if no benchmark needs more pairs than the fewest."""
    benchmarks = counted(n_benchmarks, "benchmark")
    return (
        f"{benchmarks}: at least {n_pairs} pairs × {pair_seconds:.1f} s = {n_pairs * pair_seconds:.0f} s; at most "
        f"{limit_seconds / 60:g} min (--max-minutes)"
    )


def pairs_expected(stage: int, n_pairs: int, n_benchmarks: int, pair_seconds: float) -> str:
    """Return a step of a stage of a gate on a pytest suite, and the time that it is expected to take."""
    benchmarks = counted(n_benchmarks, "benchmark")
    seconds = n_pairs * pair_seconds
    return f"stage {stage}: {counted(n_pairs, 'pair')} of processes, {benchmarks}, about {seconds:.0f} s"


def self_test_step(number: int, *, changed: bool) -> str:
    """Return a step of a self-test."""
    return f"gate {number}: {'work and memory added to head' if changed else 'no changes'}"


def self_test_note(threshold: float) -> str:
    """Return how to read the table of a self-test."""
    return (
        f"Every regression with 0 % added is a false alarm. The time threshold is {threshold_text(threshold)}. "
        "The intervals (Clopper-Pearson) treat rows as independent; those of one gate are not."
    )


def self_test_load(loads: tuple[float, ...], cores: int, stolen: float) -> str:
    """Return the load of the machine during a self-test; ``loads`` may be empty, ``stolen`` is a share of all cores."""
    low, middle, high = (min(loads), median(loads), max(loads)) if loads else (math.nan,) * 3
    average = f"{middle:.1f} [{low:.1f}, {high:.1f}]" if loads else "unknown"
    return (
        f"Load average: {average} on {counted(cores, 'core')}, with the processes of the self-test. Other machines took "
        f"{min(max(stolen, 0.0), 1.0):.1%} of the CPU time (steal)."
    )


def rows_by_verdict(n_rows: int, counts: str) -> str:
    """Return the number of rows, and of each verdict."""
    return f"{counted(n_rows, 'row')}: {counts}"


def lines_left_out(n: int) -> str:
    """Return the number of lines that a size limit leaves out."""
    return f"{counted(n, 'more line')} {'does' if n == 1 else 'do'} not fit here."


def failing_lines_left_out(n: int) -> str:
    """Return the number of failing lines that have no annotation of their own."""
    return f"and {counted(n, 'more failing line')}"
