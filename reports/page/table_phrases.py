"""Phrases in the tables of the page: decisions, memory limits, crossovers and counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jacobench.graphs.wording import listed
from jacobench.reports.data.limit_sentences import but, then
from jacobench.reports.data.units import MISSING, format_ratio, format_size
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MORE_THAN = "more than"

DECISIONS = {
    "ahead": "clearly",
    "equal": "equal within 5 %",
    "undecided": "undecided",
    "one pass": "undecided: one pass cannot decide",
    "alone": "no other strategy was timed",
    "nothing": "no strategy was timed",
    "no passes": "undecided: the run has no single passes",
}
BASES = {  # of a limit, as in `what_fits`
    "interpolation": "between sizes of the run",
    "extrapolation": "beyond the sizes of the run",
    "model": "predicted bytes",
    MORE_THAN: "fits at every checked size",
    "bound": "largest possible value",
    "none": "the smallest checked size does not fit",
}
OUTCOMES = {
    "crosses": "crosses",
    "crosses again": "crosses more than once",
    "undecided": "undecided",
    "never in the range": "beyond the measured sizes",
    "never at all": "none in the measured sizes",
}
WITHOUT_SIZE = OUTCOMES | {"never at all": "none"}  # if the phrase goes on with the measured sizes


def decision(name: str, runner_up: str, open_rivals: Sequence[str], doubt: str) -> str:
    """Return a decision on time, with its doubt, and with the rivals that leave it open if the runner-up is not one."""
    unnamed = name == "undecided" and open_rivals and runner_up not in open_rivals
    return f"{DECISIONS[name]}: {listed(open_rivals)}" if unnamed else f"{DECISIONS[name]}{but(doubt)}"


def runner_up(name: str, best: str, decision: str) -> str:
    """Return the runner-up; the strategy that it is compared with is named unless it is the winner."""
    return name if decision == "ahead" or not name else f"{name}, compared with {best}"


def limit(knob: str, size: float, basis: str) -> str:
    """Return the largest size of a knob that fits in memory; a dash if none fits."""
    if math.isnan(size):
        return MISSING
    return f"{f'{MORE_THAN} ' if basis == MORE_THAN else ''}{knob} {format_size(size)}"


def limit_basis(basis: str) -> str:
    """Return why a limit is known."""
    return BASES[basis]


def crossover(outcome: str) -> str:
    """Return whether the costs of two strategies cross."""
    return OUTCOMES[outcome]


def crossover_place(knob: str, size: float, low: float, high: float, extrapolated: bool) -> str:
    """Return the size at which two strategies cost the same, with its interval; a dash where there is none."""
    if math.isnan(size):
        return MISSING
    interval = "" if math.isnan(low) else f" [{format_size(low)}, {format_size(high)}]"
    return f"{knob} {format_size(size)}{interval}{', extrapolated' if extrapolated else ''}"


def crossover_with_range(outcome: str, place: str, ahead: str, knob: str, smallest: float, largest: float) -> str:
    """Return a crossover as one phrase that names the measured sizes; `place` and `ahead` are phrases of this module.

    >>> crossover_with_range("never at all", MISSING, "sparse, 82.9×", "width", 64, 128)
    'none from width 64 to 128; at 128: sparse, 82.9×'
    >>> crossover_with_range("undecided", "width 80", "undecided", "width", 64, 128)
    'undecided: width 80, measured from 64 to 128; at 128: undecided'
    """
    sizes = f"{format_size(smallest)} to {format_size(largest)}; at {format_size(largest)}: {ahead}"
    if place == MISSING:
        return f"{WITHOUT_SIZE[outcome]} from {knob} {sizes}"
    return f"{'undecided: ' if outcome == 'undecided' else ''}{place}, measured from {sizes}"


def winner(name: str, factor: str, decision: str, doubt: str) -> str:
    """Return the fastest strategy of a case, and how many times as long the second takes, or else the decision."""
    return f"{name}{f', {factor}' if factor else f' ({decision})'}{then(doubt)}" if name else decision


def cheaper(name: str, factor: float, doubt: str) -> str:
    """Return which strategy clearly costs less at the largest size, and the doubt; an empty name means that none does."""
    return f"{name}, {format_ratio(factor)}{then(doubt)}" if name else f"undecided{then(doubt)}"


def passes_on_hosts(passes: Iterable[tuple[int, str, str]]) -> str:
    """Return number, time and host of each pass.

    >>> passes_on_hosts([(1, "12.3 µs", "node1"), (2, "12.9 µs", "node1")])
    'pass 1: 12.3 µs on node1; pass 2: 12.9 µs on node1'
    """
    return "; ".join(f"pass {number}: {seconds} on {host}" for number, seconds, host in passes)


def status_counts(found: Iterable[tuple[str, int]]) -> str:
    """Return the number of cells of each status.

    >>> status_counts([("ok", 59), ("over_budget", 1)])
    '59 ok, 1 over budget'
    """
    return ", ".join(f"{count} {words(status)}" for status, count in found)
