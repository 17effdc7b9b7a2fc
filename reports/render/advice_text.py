"""Text of the advice on a case, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jacobench.reports.analysis.doubts import spreads
from jacobench.reports.analysis.single_verdict import RATIO_EXPONENT
from jacobench.reports.data.limit_sentences import could_win
from jacobench.reports.data.units import MISSING, format_bytes, format_ratio, format_seconds
from jacobench.reports.data.vocabulary import words
from jacobench.reports.render import advice_sentences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.reports.analysis.case_advice import CaseAdvice

NAMES = {"seconds": "time", "bytes": "memory"}


def title(advice: CaseAdvice) -> str:
    """Return the title: the case and what is compared."""
    return advice_sentences.compared(advice.case, advice.task, advice.n_uses)


def verdicts(advice: CaseAdvice) -> list[str]:
    """Return one line on time and one on memory."""
    return [f"{NAMES[line['quantity']]:<7} {_verdict(line)}" for line in advice.verdicts.to_dict("records")]


def _verdict(verdict: Mapping[Any, Any]) -> str:
    decision = verdict["decision"]
    if decision == "nothing":
        return advice_sentences.no_candidate()
    if decision == "no passes":
        return advice_sentences.no_passes()
    return advice_sentences.alone(verdict["strategy"]) if decision == "alone" else _compared(verdict)


def _compared(verdict: Mapping[Any, Any]) -> str:
    """Return a verdict on several candidates."""
    best, decision, rival = verdict["strategy"], verdict["decision"], "".join(_names(verdict, "runner_up"))
    numbers = (verdict[name] for name in ("factor", "low", "high"))
    comparison = advice_sentences.comparison(verdict["quantity"], rival, *numbers)
    open_rivals = _names(verdict, "open_rivals")
    if decision == "ahead":
        return advice_sentences.winner(best, rival, comparison, _doubt([verdict]))
    if decision == "one pass":
        return advice_sentences.one_pass(best, comparison)
    if decision == "equal":
        return advice_sentences.equal([best, *open_rivals], comparison)
    return advice_sentences.undecided(best, open_rivals, _names(verdict, "without_estimate"), comparison)


def _names(verdict: Mapping[Any, Any], column: str) -> list[str]:
    names = verdict[column]
    return names.split(", ") if isinstance(names, str) else []


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
    if advice.all_over_budget:
        lines = [advice_sentences.all_over_budget()]
    else:
        lines = [
            _time_reason(advice, time),
            *_limits(advice),
            _memory_reason(memory, advice.source),
            *_reuse(advice, time),
        ]
    unknown = set(advice.strategies.loc[advice.strategies["status"] == "no estimate", "strategy"])
    lines += [advice_sentences.no_estimate(name, why) for name, why in advice.without_model.items() if name in unknown]
    if advice.strategies["largest_batch"].notna().any():
        lines.append(advice_sentences.largest_batches(advice.budget_bytes))
    if advice.command:
        lines.append(advice_sentences.measure_case(is_near=advice.basis in ("measured", "near")))
    if advice.n_machines > 1:
        lines.append(advice_sentences.one_of_machines(advice.n_machines, "" if advice.by_profile else advice.machine))
    if advice.measured_on:
        lines.append(advice_sentences.measured_on(advice.measured_on, by_profile=advice.by_profile))
    return lines


def _time_reason(advice: CaseAdvice, verdict: Mapping[Any, Any]) -> str:
    basis, n, distance, source = verdict["basis"], verdict["n"], verdict["distance_factor"], advice.source
    if basis == "measured":
        return advice_sentences.time_measured(source, n)
    if basis == "near":
        return advice_sentences.time_near(source, n, verdict["at"], verdict["differs"], distance**RATIO_EXPONENT)
    if advice.by_profile:
        errors = advice.model_errors
        tested = (errors["n"], errors["median"], errors["p90"]) if errors else (0, math.nan, math.nan)
        return advice_sentences.time_modelled(advice.profile_age, *tested)
    if basis == "model":
        return advice_sentences.time_from_rates(source, distance, n)
    return advice_sentences.time_unknown(source)


def _limits(advice: CaseAdvice) -> list[str]:
    """Return which limits are not known, if a strategy is called faster."""
    if advice.verdicts["decision"].iloc[0] != "ahead":
        return []
    note = advice_sentences.limits_not_measured() if advice.basis == "model" else advice.limits_unknown
    return [note] if note else []


def _memory_reason(verdict: Mapping[Any, Any], source: str) -> str:
    if verdict["basis"] == "measured":
        return advice_sentences.memory_measured(source)
    if verdict["basis"] in ("model", "near"):
        return advice_sentences.memory_predicted(verdict["n"])
    return advice_sentences.memory_unknown()


def _reuse(advice: CaseAdvice, time: Mapping[Any, Any]) -> list[str]:
    lines = advice.reuse.to_dict("records")
    if not lines:
        return []
    cheaper = [
        advice_sentences.reuse_of(
            line["strategy"], line["outcome"], (line["uses"], line["low"], line["high"]), _doubt([line])
        )
        for line in lines
        if line["outcome"] not in {"never", "undecided"}
    ]
    is_undecided = any(line["outcome"] == "undecided" for line in lines)
    where = time["at"] if time["basis"] == "near" else ""
    doubt = "" if cheaper else _doubt(lines)
    return [advice_sentences.reuse(where, cheaper, doubt, is_undecided=is_undecided)]


def _doubt(lines: Sequence[Mapping[Any, Any]]) -> str:
    """Return who could win at its own limit, over several lines; empty for nobody."""
    return could_win(spreads(line["could_win"] for line in lines))
