"""Sentences of the answer: made from counts and factors, without any calculation on rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.graphs.wording import counted, listed
from jacobench.reports.data.limit_sentences import then
from jacobench.reports.data.units import format_ratio
from jacobench.reports.data.vocabulary import words
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Counts = Sequence[tuple[str, int]]  # name and number of cases
    Factors = Sequence[tuple[str, float, float]]  # strategy, and its smallest and largest factor to the reference

# Verbs for one case and for several, and what a decision says of them.
IS, HAS = ("is", "are"), ("has", "have")
NOT_AHEAD = {
    "equal": (IS, "equal within 5 %"),
    "undecided": (IS, "undecided"),
    "one pass": (IS, "undecided because one pass cannot decide"),
    "alone": (HAS, "only one timed strategy"),
    "nothing": (HAS, "no timed strategy"),
    "no passes": (IS, "undecided because the run has no single passes"),
}


def no_phase(phase: str) -> str:
    """State that the run has no cell of the phase."""
    return f"No answer: no cell of this run has the phase {phase}."


def verdict(n_products: int, n_materialized: int, n_cases: int) -> str:
    """Answer the question by the numbers of cases won by products, and by materialized Jacobians."""
    if not n_products + n_materialized:
        return "Undecided"
    if n_products == n_cases:
        return "Through products"
    if n_materialized == n_cases:
        return "Through materialized Jacobians"
    if 2 * n_products > n_cases:
        return "Mostly through products"
    if 2 * n_materialized > n_cases:
        return "Mostly through materialized Jacobians"
    return "It depends" if 2 * (n_products + n_materialized) > n_cases else "Mostly undecided"


def on_time(
    verdict: str, phase: str, winners: Counts, others: Counts, n_cases: int, factors: Factors, doubt: str
) -> str:
    """State who is clearly the fastest in how many cases, the other decisions, the factors, and who could win."""
    parts = [
        f"{name} {count}" if number else f"{name} is clearly the fastest in {_of(count, n_cases)}"
        for number, (name, count) in enumerate(winners)
    ]
    for decision, count in others:
        verbs, words_of_it = NOT_AHEAD[decision]
        parts.append(f"{counted(count, 'case')} {verbs[count > 1]} {words_of_it}")
    return f"{verdict}: in the time of the phase {phase}, {listed(parts)}{_spread(factors, 'as long as')}{then(doubt)}."


def on_memory(
    phase: str,
    winners: Counts,
    n_compared: int,
    n_cases: int,
    factors: Factors,
    too_large: Sequence[tuple[str, str, int]],
) -> str:
    """State who clearly needs the least memory in how many cases, the factors, and what did not fit.

    ``n_compared``: cases with the peaks of two strategies or more. ``too_large``: strategy, status, number of cases.
    """
    parts = [f"{name} clearly needs the least in {_of(count, n_cases)}" for name, count in winners]
    if undecided := n_compared - sum(count for _, count in winners):
        parts.append(f"no strategy clearly needs the least in {_of(undecided, n_cases)}")
    if unknown := n_cases - n_compared:
        parts.append(f"too few peaks were measured to compare strategies in {_of(unknown, n_cases)}")
    ended = [f"{strategy} was {words(status)} in {counted(count, 'case')}" for strategy, status, count in too_large]
    end = f"; {listed(ended)}" if ended else ""
    return f"In peak memory of the phase {phase}, {listed(parts)}{_spread(factors, 'as much as')}{end}."


def no_jacobian() -> str:
    """State that nothing was materialized."""
    return "No strategy that materializes a Jacobian was measured, so this run does not show when one pays off."


def no_jacobian_with_reference() -> str:
    """State that no Jacobian can be compared over several products."""
    return (
        f"No Jacobian was timed together with {REFERENCE} in linearize and pullback, "
        "so this run does not show when one pays off."
    )


def of_reuse(strategies: Sequence[str]) -> str:
    """Return what the numbers of `on_reuse` count: cases or, for several strategies, strategies in cases."""
    return "case" if len(strategies) == 1 else "cell"


def on_reuse(strategies: Sequence[str], cells: Mapping[str, int], uses: str, doubt: str) -> str:
    """State after how many products with one Jacobian it pays off, and who could win at its own limit.

    ``cells``: outcome of `reuse` → number of strategies in cases. ``uses``: the numbers of products of the outcome
    "after", in words.
    """
    n_cells, materializing = sum(cells.values()), f"aterializing ({listed(strategies)}) pays off"
    noun = of_reuse(strategies)
    meaning = " (a cell is one strategy in one case)" if noun == "cell" else ""
    if cells.get("undecided") == n_cells:
        return f"Whether m{materializing} is undecided in {_of(n_cells, n_cells, noun)}{meaning}."
    if cells.get("never") == n_cells:
        return f"M{materializing} in no {noun} of this run{meaning}, for any number of products{then(doubt)}."
    phrases = {
        "from the first": "from the first product",
        "after": f"after {counted(uses, 'product')} with one Jacobian",
        "until": "only for few products",
        "never": "never",
    }
    parts = [f"{text} in {_of(cells[name], n_cells, noun)}" for name, text in phrases.items() if name in cells]
    unknown = f"; undecided in {_of(cells['undecided'], n_cells, noun)}" if "undecided" in cells else ""
    return f"M{materializing} {listed(parts)}{unknown}{meaning}{then(doubt)}."


def _spread(factors: Factors, comparison: str) -> str:
    parts = []
    for strategy, low, high in factors:
        shown = [format_ratio(low), format_ratio(high)]
        parts.append(f"{strategy} took {' to '.join(dict.fromkeys(shown))}")
    return f"; {listed(parts)} {comparison} {REFERENCE}" if parts else ""


def _of(count: int, total: int, noun: str = "case") -> str:
    if count == total > 1:
        return f"both {noun}s" if total == 2 else f"all {total} {noun}s"
    return f"{count} of {counted(total, noun)}"
