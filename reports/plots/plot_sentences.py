"""Captions and notes of plots: how to read each plot, and its conclusions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.graphs.wording import counted
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.data.limit_sentences import then
from jacobench.reports.data.units import format_bytes, format_ratio, format_size
from jacobench.reports.data.vocabulary import words
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

HOLLOW = "A hollow marker has no measured number; its letter gives the reason."


def cases(phase: str) -> str:
    """Explain the dots of every case."""
    return (
        f"Time per call and peak heap memory of the phase {phase} for every case, on logarithmic axes. Further left is "
        f"better. {HOLLOW}"
    )


def summary(phase: str) -> str:
    """Explain the ratios to the reference."""
    return (
        f"Time and peak memory of the phase {phase} divided by those of {REFERENCE}, the line at 1×. Further left is "
        f"better. Bars are 95 % intervals. A memory ratio needs peaks of {format_bytes(LEAST_BYTES)} or more. {HOLLOW}"
    )


def machines(phase: str) -> str:
    """Explain the ratios to the reference on each machine."""
    return (
        f"Time of the phase {phase} divided by that of {REFERENCE} on the same machine, the line at 1×. Further left is "
        f"better. Bars are 95 % intervals. Times of different machines are not compared. {HOLLOW}"
    )


def efficiency(phase: str) -> str:
    """Explain the floor over the measured time."""
    return (
        f"Efficiency of the phase {phase}: the floor, a lower bound for the time of the same work on this machine, "
        "divided by the measured time. Further right is better. The gap to 100 % is the largest possible speed-up."
    )


def scaling(label: str, phase: str, knob: str) -> str:
    """Explain a quantity against a knob; `label` names the quantity in lower case."""
    return (
        f"{label[0].upper()}{label[1:]} of the phase {phase} against {KNOBS[knob]}, on logarithmic axes, where a power "
        "law is a straight line. Filled markers are measured. Lines are fitted laws, or join the markers if no law fits "
        "within 25 %."
    )


def pareto(phase: str) -> str:
    """Explain time against memory."""
    return (
        f"Time per call and peak heap memory of the phase {phase}, one panel per case. Closer to the lower left corner "
        "is better. The line is the Pareto front: the strategies that no other beats in time and memory."
    )


def phase_shares() -> str:
    """Explain the shares of the phases."""
    return (
        "Shares of a first gradient's time. Prepare is called once per graph, linearize once per point: the forward pass "
        "and any Jacobians. Pullback is called once per batch of seeds. Where linearization dominates, reuse of it saves most of "
        "the time."
    )


def op_shares() -> str:
    """Explain the shares of the ops."""
    return (
        "Predicted arithmetic and bytes of a gradient by op and differentiated argument. Bytes are what the op keeps for "
        "the pullback (its Jacobian, or the values that its rule reads) and the cotangents that it returns. Bars are "
        "shares of the strategy's total."
    )


def patterns(pixels: int) -> str:
    """Explain the patterns of Jacobians; `pixels` is the largest number of rows that are drawn."""
    return (
        "Each local Jacobian to scale, outputs down, inputs to the right; entries that can be non-zero are dark. A side "
        f"with more than about {pixels} rows or columns is thinned: then a dark point contains at least one such entry."
    )


def jacobian_bytes() -> str:
    """Explain the bytes of Jacobians."""
    return (
        "Predicted bytes of each local Jacobian as a dense array and as a sparse matrix, and of what its VJP keeps and "
        "allocates in addition to its result, on a logarithmic scale. The last line is the largest memory that a whole "
        "gradient holds at once, patterns included."
    )


def comparison(phase: str) -> str:
    """Explain the comparison of two runs."""
    return (
        f"Time per call and peak heap memory of the phase {phase} in the new run, relative to the old one, on "
        "logarithmic axes. Left of 1 is less than before. Bars are 95 % intervals from the passes of both runs. Full "
        "color marks the cells that `jacobench compare` calls regressed or improved."
    )


def differing(what: str, old: str, new: str) -> str:
    """State that two runs differ in a setting."""
    return f"The runs have different {what}, {old!r} and {new!r}: times are relative to {REFERENCE}."


def verdicts(counts: Mapping[str, int]) -> str:
    """Return how many times have each verdict."""
    parts = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    return f"Of {counted(sum(counts.values()), 'time')}: {parts}."


def changed_status(case: str, strategy: str, before: str, now: str) -> str:
    """State that a cell has another status than before."""
    return f"{case}, {strategy}: {words(before)} before, {words(now)} now."


def samples(phase: str) -> str:
    """Explain the rounds of every process."""
    return (
        f"Every timed round of the phase {phase}, one line per process, relative to the time of the cell, the "
        "median of the processes' fastest rounds (left, below the strategy). If the bars of a strategy differ more than the rounds of a line, processes "
        "differ more than repetitions."
    )


def spread_of_rounds(within: float, between: float) -> str:
    """Return the spread of rounds within a process and between processes; `between` is NaN for one process per cell."""
    sentence = (
        f"The middle half of the rounds of a process spans {_spread(within)} (median over all cells of the phase)"
    )
    if math.isnan(between):
        return f"{sentence}. The run has one process per cell, so it cannot show how much processes differ."
    return f"{sentence}. The fastest rounds of the slowest and the fastest process differ by {_spread(between)}."


def grid_map(phase: str, knobs: str) -> str:
    """Explain the map of the fastest strategy."""
    return (
        f"Fastest strategy of the phase {phase} over {knobs}. The number is the time of the runner-up divided by that of "
        "the fastest. Hatched squares have no winner: the passes do not decide, or the times are equal. A hollow marker "
        "has no number; its letter gives the reason."
    )


def ahead_in(strategy: str, n_ahead: int, n_squares: int, factors: tuple[float, float]) -> str:
    """State in how many squares of a map a strategy is ahead, and by which smallest and largest factor."""
    low, high = map(format_ratio, factors)
    factor = low if low == high else f"{low} to {high}"
    return f"{strategy} is ahead in {n_ahead} of {counted(n_squares, 'square')}, by {factor}."


def in_doubt(doubt: str) -> str:
    """Return which slower strategy of a map could win at its own limit; `doubt` names it."""
    return f"In doubt (question mark): {doubt}."


def no_winner_in(n_open: int, n_squares: int) -> str:
    """State in how many squares of a map no strategy is ahead."""
    return f"No winner in {n_open} of {counted(n_squares, 'square')}."


def crossings(phase: str, knob: str) -> str:
    """Explain the times relative to the reference against a knob."""
    return (
        f"Time of the phase {phase} divided by that of {REFERENCE} in the same process, with 95 % intervals, against "
        f"{KNOBS[knob]}. Below 1×, a strategy is faster than {REFERENCE}. Where two lines cross, both strategies take "
        "the same time."
    )


def crossover(line: Mapping[Any, Any], doubt: str) -> str:
    """Return a line of `crossovers` as a sentence; empty if two strategies do not approach each other.

    `doubt` states who could win at its own limit; empty for nobody.
    """
    first, second, knob = line["first"], line["second"], KNOBS[line["knob"]]
    interval = "" if math.isnan(line["low"]) else f" [{format_size(line['low'])}, {format_size(line['high'])}]"
    at = f"{knob} {format_size(line['size'])}"
    near = "" if math.isnan(line["size"]) else f" near {at}"
    decided = isinstance(line["cheaper"], str)
    winner = f"{line['cheaper']} is ahead by {format_ratio(line['factor'])}" if decided else "neither is clearly ahead"
    ahead = f"at the largest size, {winner}{then(doubt)}"
    return {
        "crosses": f"{first} and {second} cross at {at}{interval}; {ahead}.",
        "undecided": f"The measurements do not decide whether {first} and {second} cross{near}.",
        "crosses again": f"{first} and {second} cross more than once.",
        "never in the range": (
            f"{first} and {second} do not cross within the measured sizes. Extrapolated, they cross at {at}{interval}; "
            f"{ahead}."
        ),
    }.get(line["outcome"], "")


def _spread(share: float) -> str:
    """Return a spread in percent; from 100 % on, as a factor."""
    return f"{share:.1%}" if share < 1 else f"{format_ratio(1 + share)} (slowest over fastest)"
