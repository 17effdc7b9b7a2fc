"""Advice in words, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.statistics import CONFIDENCE
from jacobench.reports.analysis.nearby import DRIFT
from jacobench.reports.data.units import MISSING, format_bytes, format_ratio, format_seconds
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.analysis.case_advice import Advice

# quantity → what it is called, and how much more of it another strategy takes
QUANTITIES = {"seconds": ("time", "takes {} as long"), "bytes": ("memory", "needs {} as much")}


def title(advice: Advice) -> str:
    """Return what is advised on."""
    return f"{advice.case}: one gradient, forward and backward"


def verdicts(advice: Advice) -> list[str]:
    """Return a line on time and one on memory."""
    lines = []
    for verdict in advice.verdicts.to_dict("records"):
        name, more = QUANTITIES[verdict["quantity"]]
        lines.append(f"{name:<7} {_verdict(verdict, more)}")
    return lines


def _verdict(verdict: Mapping[Any, Any], more: str) -> str:
    best, rival = verdict["strategy"], verdict["runner_up"]
    if verdict["sure"] == "nothing":
        return "undecided: no strategy is known to succeed within the memory there is"
    if verdict["sure"] == "alone":
        return f"{best}: no other comes into question"
    interval = "" if math.isnan(verdict["low"]) else f" [{_short(verdict['low'])}, {_short(verdict['high'])}]"
    factor = more.format(format_ratio(verdict["factor"])) + interval
    if verdict["sure"] == "clear":
        return f"{best}, clearly: {rival}, the runner-up, {factor}"
    if verdict["sure"] == "one pass":
        return f"undecided: {best} is ahead, {rival} {factor}, but one pass tells no interval"
    return f"undecided between {best} and {rival}: {rival} {factor}"


def _short(number: float) -> str:
    return format_ratio(number).removesuffix("×")


def headings(advice: Advice) -> tuple[str, ...]:
    """Return what stands over the columns of `rows`."""
    time = "time there" if advice.by == "near" else "time"
    return "strategy", time, "off by ≤", "peak", "off by ≤", "largest batch"


def rows(advice: Advice) -> list[tuple[str, ...]]:
    """Return a line a strategy: time and peak, how far off an estimate of them may be, the largest batch it can take."""
    return [_row(line) for line in advice.strategies.to_dict("records")]


def _row(line: Mapping[Any, Any]) -> tuple[str, ...]:
    batch = line["largest_batch"]
    fits = MISSING if math.isnan(batch) else "none" if batch == 0 else f"{batch:,.0f}"
    peak = (format_bytes(line["bytes"]), _off(line["bytes_off"]))
    if line["status"] == "over_budget":
        return line["strategy"], "over budget", "", format_bytes(line["needs_bytes"]), "", fits
    if line["status"] != "ok":
        return line["strategy"], words(line["status"]), "", *peak, fits
    return line["strategy"], format_seconds(line["seconds"]), _off(line["seconds_off"]), *peak, fits


def _off(factor: float) -> str:
    return "" if math.isnan(factor) else format_ratio(factor)


def grounds(advice: Advice) -> list[str]:
    """Return what the verdicts rest on, a paragraph each."""
    time, memory = advice.verdicts.to_dict("records")
    source = advice.source or "small perceptrons measured just now"
    if advice.all_over_budget:
        lines = ["Each strategy is predicted to need more memory than may be used."]
    else:
        lines = [_time_grounds(time, source), _memory_grounds(memory, source), *_pays(advice)]
    lines.append(f"Largest batch: predicted to fit in {format_bytes(advice.budget_bytes)}.")
    if advice.measured_on:
        lines.append("Measured on: " + " · ".join(advice.measured_on))
    return lines


def _time_grounds(verdict: Mapping[Any, Any], source: str) -> str:
    by, n = verdict["by"], verdict["n"]
    if by == "measured":
        return f"Time: measured at this very case in {source}, {n} {'pass' if n == 1 else 'passes'}."
    if by == "near":
        away = verdict["away"]
        differs = verdict["differs"] or "of the same sizes"
        widened = f", and the interval widened by {away**DRIFT:.3g} for that" if away > 1 else ""
        return f"Time: measured near it, at {verdict['at']} ({differs}) in {source}, {n} {'pass' if n == 1 else 'passes'}{widened}."
    if by == "model":
        return (
            f"Time: by the model, as no case near it was measured: predicted flops and bytes, at rates fitted to {source}. "
            f"The nearest cell there lies {verdict['away']:.3g}× away in flops, bytes or a size; {_tested(n)}."
        )
    return f"Time: nothing in {source} tells rates for this case."


def _memory_grounds(verdict: Mapping[Any, Any], source: str) -> str:
    if verdict["by"] == "measured":
        return f"Memory: measured at this very case in {source}."
    return f"Memory: predicted from the shapes; {_tested(verdict['n'])}."


def _tested(n: int) -> str:
    if not n:
        return "how far off that may be could not be tested"
    told = f"{CONFIDENCE:.0%} of" if n >= 1 / (1 - CONFIDENCE) - 1 else "all"
    return f"{told} the {n} cases there that it could be tested on lay within what is given"


def _pays(advice: Advice) -> list[str]:
    pays = advice.pays.to_dict("records")
    told = [f"{line['strategy']} {_uses(line)}" for line in pays if line["outcome"] not in {"never", "undecided"}]
    if told:
        return [f"With K pullbacks for each linearization, cheaper than vjp: {'; '.join(told)}."]
    if not pays:
        return []
    if any(line["outcome"] == "undecided" for line in pays):
        return ["With K pullbacks for each linearization, it cannot be told whether another becomes cheaper than vjp."]
    return ["With K pullbacks for each linearization, none becomes cheaper than vjp, whatever K."]


def _uses(line: Mapping[Any, Any]) -> str:
    if math.isnan(line["uses"]):
        return str(line["outcome"])
    interval = "" if math.isnan(line["low"]) else f" [{line['low']:.3g}, {line['high']:.3g}]"
    return f"{line['outcome']} {line['uses']:.3g}{interval}"
