"""Text of the advice on a case, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.statistics import CONFIDENCE
from jacobench.graphs.wording import counted, listed
from jacobench.reports.analysis.single_verdict import RATIO_EXPONENT
from jacobench.reports.analysis.size_limits import RANGE_FACTOR
from jacobench.reports.data.units import MISSING, format_bytes, format_ratio, format_seconds, format_size
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.analysis.case_advice import CaseAdvice

# Quantity → its word, and the comparison of another strategy.
QUANTITIES = {"seconds": ("time", "takes {} as long"), "bytes": ("memory", "needs {} as much")}


def title(advice: CaseAdvice) -> str:
    """Return the title: the case and what is compared."""
    return f"{advice.case}: one gradient, forward and backward"


def verdicts(advice: CaseAdvice) -> list[str]:
    """Return one line on time and one on memory."""
    quantities = ((line, *QUANTITIES[line["quantity"]]) for line in advice.verdicts.to_dict("records"))
    return [f"{name:<7} {_verdict(line, more)}" for line, name, more in quantities]


def _verdict(verdict: Mapping[Any, Any], more: str) -> str:
    best, rival, decision = verdict["strategy"], verdict["runner_up"], verdict["decision"]
    if decision in ("nothing", "no passes"):
        return "undecided: no strategy is known to succeed within the memory budget"
    if decision == "alone":
        return f"{best}: no other candidate"
    comparison = _comparison(verdict, more)
    if decision == "ahead":
        return f"{best}: {comparison.replace(rival, f'{rival}, the runner-up,', 1)}"
    if decision == "one pass":
        return f"undecided: {best} is ahead and {comparison}, but one pass gives no interval"
    if decision == "equal":
        return f"equal within 5 %: {listed([best, *_names(verdict, 'open_rivals')])}; {comparison}"
    return f"undecided: {'; '.join(_open_ends(verdict, comparison))}"


def _comparison(verdict: Mapping[Any, Any], more: str) -> str:
    """Return how much more the runner-up costs; empty without one."""
    if not isinstance(verdict["runner_up"], str):
        return ""
    interval = "" if math.isnan(verdict["low"]) else f" [{_short(verdict['low'])}, {_short(verdict['high'])}]"
    return f"{verdict['runner_up']} {more.format(format_ratio(verdict['factor']))}{interval}"


def _open_ends(verdict: Mapping[Any, Any], comparison: str) -> list[str]:
    """Return the parts of an undecided verdict: who is not separated, the runner-up, and who has no estimate."""
    best, open_, unknown = verdict["strategy"], _names(verdict, "open_rivals"), _names(verdict, "without_estimate")
    have = "have" if len(unknown) > 1 else "has"
    return [
        f"no clear winner among {listed([best, *open_])}" if open_ else f"{best} is the lowest known",
        *([comparison] if comparison else []),
        *([f"{listed(unknown)} {have} no estimate"] if unknown else []),
    ]


def _names(verdict: Mapping[Any, Any], column: str) -> list[str]:
    names = verdict[column]
    return names.split(", ") if isinstance(names, str) else []


def _short(number: float) -> str:
    return format_ratio(number).removesuffix("×")


def headings(advice: CaseAdvice) -> tuple[str, ...]:
    """Return the column headings of `rows`."""
    time = "time of near case" if advice.basis == "near" else "time"
    return "strategy", time, "error ≤", "peak", "error ≤", "largest batch"


def rows(advice: CaseAdvice) -> list[tuple[str, ...]]:
    """Return one row per strategy: time and peak with the error of their estimates, and the largest batch."""
    return [_row(line) for line in advice.strategies.to_dict("records")]


def _row(line: Mapping[Any, Any]) -> tuple[str, ...]:
    fits = _batch(line)
    peak = (format_bytes(line["bytes"]), _error(line["bytes_error_factor"]))
    if line["status"] == "over_budget":
        return line["strategy"], "over budget", "", format_bytes(line["needs_bytes"]), "", fits
    if line["status"] != "ok":
        return line["strategy"], words(line["status"]), "", *peak, fits
    return line["strategy"], format_seconds(line["seconds"]), _error(line["seconds_error_factor"]), *peak, fits


def _batch(line: Mapping[Any, Any]) -> str:
    batch = line["largest_batch"]
    if math.isnan(batch):
        return MISSING
    more = "more than " if line["largest_batch_basis"] == "more than" else ""
    return "none" if batch == 0 else f"{more}{batch:,.0f}"


def _error(factor: float) -> str:
    return "" if math.isnan(factor) else format_ratio(factor)


def reasons(advice: CaseAdvice) -> list[str]:
    """Return the basis of the verdicts, one paragraph each."""
    time, memory = advice.verdicts.to_dict("records")
    source = advice.source or "small perceptrons measured now"
    if advice.all_over_budget:
        lines = ["Each strategy is predicted to need more memory than the budget."]
    else:
        lines = [_time_reason(time, source), _memory_reason(memory, source), *_reuse(advice)]
    lines.append(
        f"Largest batch: predicted to fit in {format_bytes(advice.budget_bytes)}, with its inputs and targets. "
        f"Larger batches than {RANGE_FACTOR} times the measured ones are not checked."
    )
    if advice.command:
        lines.append("This case is not near a measured one. To measure it with all candidates, run the command below.")
    if advice.measured_on:
        lines.append("Measured on: " + " · ".join(advice.measured_on))
    return lines


def _time_reason(verdict: Mapping[Any, Any], source: str) -> str:
    basis, n = verdict["basis"], verdict["n"]
    passes = counted(n, "pass", "passes")
    if basis == "measured":
        return f"Time: measured for this case in {source}, {passes}."
    if basis == "near":
        distance = verdict["distance_factor"]
        differs = verdict["differs"] or "of the same sizes"
        widened = f". The interval is widened by {distance**RATIO_EXPONENT:.3g} for this" if distance > 1 else ""
        return f"Time: measured for a near case, {verdict['at']} ({differs}), in {source}, {passes}{widened}."
    if basis == "model":
        return (
            f"Time: by the time model, because no near case was measured. It uses predicted flops and bytes, and rates "
            f"fitted to {source}. The nearest cell differs by a factor of {verdict['distance_factor']:.3g} in flops, bytes "
            f"or a size. {_predicted(n)}"
        )
    return f"Time: {source} has too few measurements of such cases."


def _memory_reason(verdict: Mapping[Any, Any], source: str) -> str:
    if verdict["basis"] == "measured":
        return f"Memory: measured for this case in {source}."
    return f"Memory: predicted from the shapes. {_tested(verdict['n'])}"


def _predicted(n: int) -> str:
    if not n:
        return "The error of such estimates is not known."
    cases = counted(n, "case")
    return f"The errors are {CONFIDENCE:.0%} prediction intervals from {cases} of the run, widened for this distance."


def _tested(n: int) -> str:
    if not n:
        return "The error of such estimates is not known."
    share = f"{CONFIDENCE:.0%}" if n >= 1 / (1 - CONFIDENCE) - 1 else "all"
    return f"In cross-validation on {counted(n, 'case')}, {share} were within this error."


def _reuse(advice: CaseAdvice) -> list[str]:
    start = "With K pullbacks per linearization"
    lines = advice.reuse.to_dict("records")
    cheaper = [f"{line['strategy']} {_uses(line)}" for line in lines if line["outcome"] not in {"never", "undecided"}]
    if cheaper:
        return [f"{start}, cheaper than vjp: {'; '.join(cheaper)}."]
    if not lines:
        return []
    if any(line["outcome"] == "undecided" for line in lines):
        return [f"{start}, it is undecided whether another strategy becomes cheaper than vjp."]
    return [f"{start}, no other strategy becomes cheaper than vjp for any K."]


def _uses(line: Mapping[Any, Any]) -> str:
    if math.isnan(line["uses"]):
        return str(line["outcome"])
    interval = "" if math.isnan(line["low"]) else f" [{format_size(line['low'])}, {format_size(line['high'])}]"
    return f"{line['outcome']} {format_size(line['uses'])}{interval}"
