"""The question and its answer: three sentences made from a run's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.row.columns import FORWARD, in_phase
from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.reports.analysis.doubts import spreads
from jacobench.reports.analysis.recommendation import comparable_peaks, least_memory, materializing, recommend
from jacobench.reports.analysis.reuse import reuse, uses_in_words
from jacobench.reports.data.limit_sentences import could_win
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.page import answer_sentences
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

QUESTION = "Should these graphs be backpropagated through materialized Jacobians, or through vector-Jacobian products?"


def answers(run: Run, phase: str = "gradient") -> list[str]:
    """Answer the question in three sentences: on time and memory of the phase, and on reuse of a Jacobian.

    A sentence without an answer states what is missing.
    """
    rows = run.table[in_phase(run.table, phase) & (run.table["strategy"] != FORWARD)]
    if rows.empty:
        return [answer_sentences.no_phase(phase)]
    return [_on_time(run, rows, phase), _on_memory(run, rows, phase), _on_reuse(run)]


def _on_time(run: Run, rows: pd.DataFrame, phase: str) -> str:
    found = recommend(run.table, run.passes, phase)
    is_ahead = found["decision"] == "ahead"
    winners = found.loc[is_ahead, "strategy"]
    n_materialized = int(winners.isin(materializing(run.table)).sum())
    verdict = answer_sentences.verdict(len(winners) - n_materialized, n_materialized, len(found))
    open_ = _counts(found.loc[~is_ahead, "decision"])
    factors = _factors(rows, "ratio_to_vjp")
    doubt = could_win(spreads(found["could_win"]), len(found))
    return answer_sentences.on_time(verdict, phase, _counts(winners), open_, len(found), factors, doubt)


def _on_memory(run: Run, rows: pd.DataFrame, phase: str) -> str:
    winners = _counts(pd.Series(list(least_memory(run.table, phase).values()), dtype=object))
    n_compared, n_cases = len(comparable_peaks(run.table, phase)), rows["case"].nunique()
    ok = rows[(rows["status"] == "ok") & (rows["peak_bytes"] >= LEAST_BYTES)]
    reference = ok[ok["strategy"] == REFERENCE].set_index("case")["peak_bytes"]
    factors = _factors(rows.assign(ratio=ok["peak_bytes"] / ok["case"].map(reference)), "ratio")
    ended = rows[rows["status"].isin(["over_budget", "out_of_memory"])]
    too_large = [
        (str(strategy), str(status), len(own))
        for (strategy, status), own in ended.groupby(["strategy", "status"], sort=False)
    ]
    return answer_sentences.on_memory(phase, winners, n_compared, n_cases, factors, too_large)


def _factors(rows: pd.DataFrame, column: str) -> list[tuple[str, float, float]]:
    """Return the smallest and the largest factor of each strategy to the reference."""
    ok = rows[(rows["status"] == "ok") & (rows["strategy"] != REFERENCE) & rows[column].notna()]
    by_strategy = {name: ok.loc[ok["strategy"] == name, column] for name in in_order(ok["strategy"])}
    return [(name, float(ratios.min()), float(ratios.max())) for name, ratios in by_strategy.items()]


def _on_reuse(run: Run) -> str:
    stored = materializing(run.table)
    if not stored:
        return answer_sentences.no_jacobian()
    found = reuse(run.passes, table=run.table)
    found = found[found["strategy"].isin(stored)]
    if found.empty:
        return answer_sentences.no_jacobian_with_reference()
    uses = found.loc[found["outcome"] == "after", "uses"]
    in_words = uses_in_words(uses) if len(uses) else ""
    strategies = in_order(found["strategy"])
    doubt = could_win(spreads(found["could_win"]), len(found), answer_sentences.of_reuse(strategies))
    return answer_sentences.on_reuse(strategies, dict(_counts(found["outcome"])), in_words, doubt)


def _counts(values: pd.Series[str]) -> list[tuple[str, int]]:
    return [(str(name), int(count)) for name, count in values.value_counts().items()]
