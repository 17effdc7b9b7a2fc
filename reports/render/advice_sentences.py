"""Sentences of the advice on a case: verdicts, and the reasons for them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jacobench.bench.row.statistics import CONFIDENCE
from jacobench.graphs.wording import counted, listed
from jacobench.reports.analysis.estimates import BYTES_BUFFERS, BYTES_ERROR, FEWEST_ERRORS
from jacobench.reports.analysis.size_limits import RANGE_FACTOR
from jacobench.reports.data.limit_sentences import but, then
from jacobench.reports.data.units import format_bytes, format_ratio, format_size
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

# Quantity → the verb and the comparison of a strategy that costs more.
MORE = {"seconds": ("takes", "as long"), "bytes": ("needs", "as much")}

NO_PATTERNS = "The peak does not include patterns, which are made once, before the call."


def compared(case: str, task: str, n_uses: int) -> str:
    """Return what is compared for a case: its task, or a linearization with its pullbacks."""
    if task == "jacobian":
        return f"{case}: the whole Jacobian"
    pullbacks = counted(n_uses, "pullback") if n_uses else ""
    return f"{case}: {f'one linearization and {pullbacks}' if n_uses else 'one gradient, forward and backward'}"


def no_candidate() -> str:
    """State that nothing can be recommended."""
    return "undecided: no strategy is known to succeed within the memory budget"


def no_passes() -> str:
    """State that times of an earlier version cannot decide."""
    return "undecided: the run does not record single passes"


def alone(best: str) -> str:
    """Return the only candidate."""
    return f"{best}: no other candidate"


def comparison(quantity: str, rival: str, factor: float, low: float, high: float) -> str:
    """Return how much more a rival costs, with the interval if there is one; empty without a rival."""
    if not rival:
        return ""
    verb, more = MORE[quantity]
    ends = [format_ratio(end).removesuffix("×") for end in (low, high)]
    interval = "" if math.isnan(low) or math.isnan(high) else f" [{', '.join(ends)}]"
    return f"{rival} {verb} {format_ratio(factor)} {more}{interval}"


def winner(best: str, runner_up: str, comparison: str, doubt: str) -> str:
    """Return a clear winner, with the `comparison` of the runner-up, and who could win at its own limit."""
    return f"{best}: {runner_up}, the runner-up,{comparison.removeprefix(runner_up)}{then(doubt)}"


def one_pass(best: str, comparison: str) -> str:
    """State why the strategy with the least time is no winner."""
    return f"undecided: one pass gives no interval; {best} took the least time, {comparison}"


def equal(names: Sequence[str], comparison: str) -> str:
    """Return the strategies that cost the same."""
    return f"equal within 5 %: {listed(names)}; {comparison}"


def undecided(best: str, open_rivals: Sequence[str], without_estimate: Sequence[str], comparison: str) -> str:
    """State who is not separated, what the runner-up costs, and who has no estimate."""
    have = "have" if len(without_estimate) > 1 else "has"
    parts = [
        f"no clear winner among {listed([best, *open_rivals])}" if open_rivals else f"{best} is the lowest known",
        comparison,
        f"{listed(without_estimate)} {have} no estimate" if without_estimate else "",
    ]
    return f"undecided: {'; '.join(filter(None, parts))}"


def all_over_budget() -> str:
    """State why nothing is recommended."""
    return "Each strategy is predicted to need more memory than the budget."


def time_measured(source: str, n_passes: int) -> str:
    """Return where the times of the case itself come from."""
    return f"Time: measured for this case in {source}, {counted(n_passes, 'pass', 'passes')}."


def time_near(source: str, n_passes: int, case: str, differs: str, widened: float) -> str:
    """Return where the times of a near case come from; ``widened``: factor of its interval."""
    wider = f" The interval is widened by a factor of {widened:.3g} for this." if widened > 1 else ""
    passes = counted(n_passes, "pass", "passes")
    return f"Time: measured for a near case, {case} ({differs or 'of the same sizes'}), in {source}, {passes}.{wider}"


def time_modelled(age: str, n_cells: int, median: float, p90: float) -> str:
    """Return how times are predicted; ``age`` of the machine profile, ``median`` and ``p90`` errors in measured cells."""
    tested = f"In {counted(n_cells, 'measured cell')}, its median error is {median:.0%}, and 90% of the errors are at most {p90:.0%}."
    profile = f" with the profile of this machine, measured {age}" if age else ""
    return (
        f"Time: by the time model{profile}, because no near case was measured. {tested if n_cells else unknown_error()}"
    )


def time_from_rates(source: str, distance: float, n_cases: int) -> str:
    """Return how times are estimated from a run; ``distance``: factor to the nearest cell, ``n_cases`` tested this."""
    error = (
        f"The errors are {CONFIDENCE:.0%} prediction intervals from {counted(n_cases, 'measured case')}, widened for this "
        "distance."
    )
    return (
        "Time: by rates per flop, byte and call, because no near case was measured and the time model does not know this "
        f"strategy. They are fitted to {source}. The nearest cell differs by a factor of {distance:.3g} in flops, bytes or a "
        f"size. {error if n_cases else unknown_error()}"
    )


def time_unknown(source: str) -> str:
    """State why there is no time."""
    return f"Time: {source} has too few measurements of such cases."


def limits_not_measured() -> str:
    """State that no floors are known."""
    return "The limits of the strategies are not known: floors are measured together with the case."


def memory_measured(source: str) -> str:
    """Return where the peaks of the case itself come from."""
    return f"Memory: the peak of the call, measured for this case in {source}. {NO_PATTERNS}"


def memory_predicted(n_cases: int) -> str:
    """Return how peaks are predicted; ``n_cases`` tested the predictions."""
    share = f"{CONFIDENCE:.0%}" if n_cases >= 1 / (1 - CONFIDENCE) - 1 else "all"
    tested = f"In cross-validation on {counted(n_cases, 'case')}, {share} were within this error."
    if n_cases < FEWEST_ERRORS:
        tested = (
            f"The error of the built-in strategies is at most {BYTES_ERROR:.0%} plus {format_bytes(BYTES_BUFFERS)}."
        )
    return f"Memory: the peak of the call, predicted from the shapes. {tested} {NO_PATTERNS}"


def memory_unknown() -> str:
    """State that there is neither a measurement nor a prediction."""
    return "Memory: neither measured nor predicted."


def unknown_error() -> str:
    """State that estimates were not tested."""
    return "The error of such estimates is not known."


def no_estimate(strategy: str, reason: str) -> str:
    """Return why a strategy has no estimate."""
    return f"{strategy} has no estimate: {reason}."


def largest_batches(budget_bytes: float) -> str:
    """Return what the largest batches mean."""
    return (
        f"Largest batch: predicted to fit in {format_bytes(budget_bytes)}, with its inputs and targets. "
        f"Larger batches than {RANGE_FACTOR} times the measured ones are not checked."
    )


def measure_case(*, is_near: bool) -> str:
    """State why the case should be measured; the command follows."""
    why = "Not all candidates were measured for this case." if is_near else "This case is not near a measured one."
    return f"{why} To measure it with all candidates, run the command below."


def one_of_machines(n_machines: int, machine: str) -> str:
    """State for which of several machines the answer is; empty: for this one, by its profile."""
    answer = f"This is the answer for {machine}" if machine else "The times are predicted for this machine"
    return f"The measurements are from {n_machines} machines. {answer}."


def measured_on(phrases: Sequence[str], *, by_profile: bool) -> str:
    """Return the machine and the settings; of predicted times, those of the cells that tested the time model."""
    return f"{'Tested' if by_profile else 'Measured'} on: {' · '.join(phrases)}"


def reuse(where: str, cheaper: Sequence[str], doubt: str, *, is_undecided: bool) -> str:
    """Return for how many pullbacks other strategies are cheaper, or who could be at its own limit.

    ``where``: the near case, empty for the case itself.
    """
    start = f"With K pullbacks per linearization{f' of {where}' if where else ''}"
    if cheaper:
        return f"{start}, cheaper than {REFERENCE}: {'; '.join(cheaper)}."
    if is_undecided:
        return f"{start}, it is undecided whether another strategy becomes cheaper than {REFERENCE}."
    return f"{start}, no other measured strategy becomes cheaper than {REFERENCE} for any K{but(doubt)}."


def reuse_of(strategy: str, outcome: str, uses_and_interval: tuple[float, float, float], doubt: str) -> str:
    """Return from when on, or until when, a strategy is cheaper, and who could win at its own limit."""
    uses, low, high = uses_and_interval
    if math.isnan(uses):
        return f"{strategy} {outcome}{but(doubt)}"
    interval = "" if math.isnan(low) else f" [{format_size(low)}, {format_size(high)}]"
    return f"{strategy} {outcome} {format_size(uses)}{interval}{but(doubt)}"
