"""The question and its answer: three sentences made from a run's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.row.columns import FORWARD
from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.graphs.wording import counted, listed
from jacobench.reports.analysis.recommendation import least_memory, materializing, recommend
from jacobench.reports.analysis.reuse import reuse, uses_in_words
from jacobench.reports.data.units import format_ratio
from jacobench.reports.data.vocabulary import in_order, words
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

HALF = 0.5
QUESTION = "Should these graphs be backpropagated through materialized Jacobians, or through vector-Jacobian products?"

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


def answers(run: Run, phase: str = "gradient") -> list[str]:
    """Answer the question in three sentences: on time and memory of the phase, and on reuse of a Jacobian.

    A sentence without an answer states what is missing.
    """
    rows = run.table[(run.table["phase"] == phase) & (run.table["strategy"] != FORWARD)]
    if rows.empty:
        return [f"No answer: no cell of this run has the phase {phase}."]
    return [_on_time(run, rows, phase), _on_memory(run, rows, phase), _on_reuse(run)]


def _on_time(run: Run, rows: pd.DataFrame, phase: str) -> str:
    found = recommend(run.table, run.passes, phase)
    is_ahead = found["decision"] == "ahead"
    winners = found.loc[is_ahead, "strategy"]
    parts = [
        f"{name} {count}" if number else f"{name} is clearly the fastest in {_of(count, len(found))}"
        for number, (name, count) in enumerate(_counts(winners))
    ]
    for decision, count in _counts(found.loc[~is_ahead, "decision"]):
        verbs, words_of_it = NOT_AHEAD[decision]
        parts.append(f"{counted(count, 'case')} {verbs[count > 1]} {words_of_it}")
    spread = _spread(rows, "ratio_to_vjp", "as long as")
    return f"{_verdict(run.table, winners)}: in the time of the phase {phase}, {listed(parts)}{spread}."


def _verdict(table: pd.DataFrame, winners: pd.Series[str]) -> str:
    """Answer the question by the share of winners that materialize Jacobians."""
    if winners.empty:
        return "Undecided"
    share = float(winners.isin(materializing(table)).mean())
    return (
        "Through products" if share == 0
        else "Mostly through products" if share < HALF
        else "It depends" if share == HALF
        else "Mostly through materialized Jacobians" if share < 1
        else "Through materialized Jacobians"
    )  # fmt: skip


def _on_memory(run: Run, rows: pd.DataFrame, phase: str) -> str:
    winners = least_memory(run.table, phase)
    n_cases = rows["case"].nunique()
    by_name = _counts(pd.Series(list(winners.values()), dtype=object))
    parts = [f"{name} needs the least in {_of(count, n_cases)}" for name, count in by_name]
    if undecided := n_cases - len(winners):
        parts.append(f"no strategy needs clearly the least{f' in {_of(undecided, n_cases)}' if parts else ''}")
    ok = rows[(rows["status"] == "ok") & (rows["peak_bytes"] >= LEAST_BYTES)]
    reference = ok[ok["strategy"] == REFERENCE].set_index("case")["peak_bytes"]
    ratios = rows.assign(ratio=ok["peak_bytes"] / ok["case"].map(reference))
    spread = _spread(ratios, "ratio", "as much as")
    return f"In peak memory of the phase {phase}, {listed(parts)}{spread}{_over_budget(rows)}."


def _over_budget(rows: pd.DataFrame) -> str:
    ended = rows[rows["status"].isin(["over_budget", "out_of_memory"])]
    parts = [
        f"{strategy} was {words(str(status))} in {counted(len(own), 'case')}"
        for (strategy, status), own in ended.groupby(["strategy", "status"], sort=False)
    ]
    return f"; {listed(parts)}" if parts else ""


def _spread(rows: pd.DataFrame, column: str, comparison: str) -> str:
    """Return the smallest and the largest factor of each strategy to the reference."""
    ok = rows[(rows["status"] == "ok") & (rows["strategy"] != REFERENCE) & rows[column].notna()]
    parts = []
    for strategy in in_order(ok["strategy"]):
        ratios = ok.loc[ok["strategy"] == strategy, column]
        low, high = format_ratio(float(ratios.min())), format_ratio(float(ratios.max()))
        parts.append(f"{strategy} takes {low if low == high else f'{low} to {high}'}")
    return f"; {listed(parts)} {comparison} {REFERENCE}" if parts else ""


def _on_reuse(run: Run) -> str:
    stored = materializing(run.table)
    if not stored:
        return "No strategy that materializes a Jacobian was measured, so this run does not show when one pays off."
    found = reuse(run.passes)
    found = found[found["strategy"].isin(stored)]
    if found.empty:
        return (
            f"No Jacobian was timed together with {REFERENCE} in linearize and pullback, "
            "so this run does not show when one pays off."
        )
    names, n_cells = listed(in_order(found["strategy"])), len(found)
    by_outcome = dict(_counts(found["outcome"]))
    cells = {outcome: _of(count, n_cells, "cell") for outcome, count in by_outcome.items()}
    uses = uses_in_words(found.loc[found["outcome"] == "after", "uses"]) if "after" in cells else ""
    phrases = {
        "from the first": "from the first product",
        "after": f"after {uses} products with one Jacobian",
        "until": "only for few products",
        "never": "never",
    }
    parts = [f"{phrase} in {cells[outcome]}" for outcome, phrase in phrases.items() if outcome in cells]
    unknown = f"; undecided in {cells['undecided']}" if "undecided" in cells else ""
    if not parts:
        return f"Whether materializing ({names}) pays off is undecided in {cells['undecided']}."
    if by_outcome.get("never") == n_cells:
        return f"Materializing ({names}) pays off in no cell of this run, for any number of products."
    return f"Materializing ({names}) pays off {listed(parts)}{unknown}."


def _counts(values: pd.Series[str]) -> list[tuple[str, int]]:
    return [(str(name), int(count)) for name, count in values.value_counts().items()]


def _of(count: int, total: int, noun: str = "case") -> str:
    return f"all {total} {noun}s" if count == total > 1 else f"{count} of {counted(total, noun)}"
