"""The question and the answer: three sentences made from a run's rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.reports.analysis.recommendation import recommend
from jacobench.reports.analysis.reuse import reuse
from jacobench.reports.analysis.winners import memory_winner
from jacobench.reports.data.units import format_ratio
from jacobench.reports.data.vocabulary import in_order, words
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jacobench.reports.data.run_data import Run

HALF = 0.5
QUESTION = "Should these graphs be backpropagated through materialized Jacobians, or through vector-Jacobian products?"


def answers(run: Run, phase: str = "gradient") -> list[str]:
    """Answer the question in three sentences: on time, on memory, and on when a Jacobian pays.

    Parameters
    ----------
    run : Run
        What was measured.
    phase : str
        The phase that counts for time and memory.

    Returns
    -------
    list of str
        Three sentences of plain text; where the rows do not answer, they say what is missing.
    """
    rows = run.table[(run.table["phase"] == phase) & (run.table["strategy"] != "forward")]
    if rows.empty:
        return [f"No cell of this run has the phase {phase}, so there is nothing to answer with."]
    return [_on_time(run, rows, phase), _on_memory(rows, phase), _on_reuse(run)]


def materializing(table: pd.DataFrame) -> list[str]:
    """Return the strategies that stored entries of a Jacobian in any row, as the column ``n_nonzeros`` has it."""
    return in_order(table.loc[table["n_nonzeros"] > 0, "strategy"])


def _on_time(run: Run, rows: pd.DataFrame, phase: str) -> str:
    found = recommend(run.table, run.passes, phase)
    n_cases = len(found)
    clear = found[found["sure"] == "clear"]
    parts = [
        f"{name} {'' if number else 'is clearly the fastest '}in {_of(count, n_cases) if not number else count}"
        for number, (name, count) in enumerate(_counts(clear["strategy"]))
    ]
    left = found[found["sure"] != "clear"]["sure"]
    parts += [f"{_cases(count)} {_undecided(str(sure), count)}" for sure, count in _counts(left)]
    spread = _spread(rows, "ratio_to_vjp", "as long as")
    return f"{_verdict(run.table, clear['strategy'])}: in the time of the phase {phase} {_listed(parts)}{spread}."


def _verdict(table: pd.DataFrame, winners: pd.Series[str]) -> str:
    """Answer the question by the strategies that are clearly the fastest in their cases."""
    if winners.empty:
        return "This run does not tell"
    share = float(winners.isin(materializing(table)).mean())
    return (
        "Through products" if share == 0
        else "Mostly through products" if share < HALF
        else "It depends" if share == HALF
        else "Mostly through materialized Jacobians" if share < 1
        else "Through materialized Jacobians"
    )  # fmt: skip


def _undecided(sure: str, count: int) -> str:
    is_, has = ("is", "has") if count == 1 else ("are", "have")
    return {
        "undecided": f"{is_} undecided, as intervals overlap",
        "one pass": f"{is_} undecided, as one pass gives no interval",
        "alone": f"{has} only one strategy that was timed",
        "nothing": f"{has} none that was timed",
        "no passes": f"{is_} undecided, as the run recorded no single passes",
    }[sure]


def _on_memory(rows: pd.DataFrame, phase: str) -> str:
    winners: list[str] = []
    for _, own in rows.groupby("case", sort=False):
        winners.append(memory_winner([{str(k): v for k, v in row.items()} for row in own.to_dict("records")]) or "")
    n_cases = len(winners)
    counted = _counts(pd.Series([name for name in winners if name], dtype=object))
    parts = [f"{name} needs least in {_of(count, n_cases)}" for name, count in counted]
    if undecided := winners.count(""):
        parts.append(f"none needs clearly least in {_of(undecided, n_cases)}" if parts else "none needs clearly least")
    ok = rows[(rows["status"] == "ok") & (rows["peak_bytes"] > 0)]  # 0: in NumPy's own cache, see growth.LEAST_BYTES
    reference = ok[ok["strategy"] == REFERENCE].set_index("case")["peak_bytes"]
    ratios = rows.assign(ratio=ok["peak_bytes"] / ok["case"].map(reference))
    over = _over_budget(rows)
    return f"In peak memory of the phase {phase} {_listed(parts)}{_spread(ratios, 'ratio', 'as much as')}{over}."


def _over_budget(rows: pd.DataFrame) -> str:
    ended = rows[rows["status"].isin(["over_budget", "out_of_memory"])]
    parts = [
        f"{strategy} was {words(str(status))} in {_cases(len(own))}"
        for (strategy, status), own in ended.groupby(["strategy", "status"], sort=False)
    ]
    return f"; {_listed(parts)}" if parts else ""


def _spread(rows: pd.DataFrame, column: str, comparison: str) -> str:
    """Say from what to what factor each strategy takes of the reference."""
    ok = rows[(rows["status"] == "ok") & (rows["strategy"] != REFERENCE) & rows[column].notna()]
    parts = []
    for strategy in in_order(ok["strategy"]):
        ratios = ok.loc[ok["strategy"] == strategy, column]
        low, high = format_ratio(float(ratios.min())), format_ratio(float(ratios.max()))
        parts.append(f"{strategy} takes {low if low == high else f'{low} to {high}'}")
    return f"; {_listed(parts)} {comparison} {REFERENCE}" if parts else ""


def _on_reuse(run: Run) -> str:
    stored = materializing(run.table)
    if not stored:
        return "No strategy that materializes a Jacobian was measured, so this run does not say when one pays."
    found = reuse(run.passes)
    found = found[found["strategy"].isin(stored)]
    if found.empty:
        return f"No Jacobian was timed beside {REFERENCE} in both linearize and pullback, so this run does not say when one pays."
    names, n_cells = _listed(in_order(found["strategy"])), len(found)
    first, after = found[found["outcome"] == "from the first"], found[found["outcome"] == "after"]
    parts = []
    if len(first):
        parts.append(f"from the first product on in {_of(len(first), n_cells, 'cell')}")
    if len(after):
        low, high = (math.ceil(uses - 1e-9) for uses in (after["uses"].min(), after["uses"].max()))
        uses = f"{low}" if low == high else f"{low} to {high}"
        parts.append(f"after {uses} products with one Jacobian in {_of(len(after), n_cells, 'cell')}")
    until, undecided = (int((found["outcome"] == outcome).sum()) for outcome in ("until", "undecided"))
    if until:
        parts.append(f"for few products only in {_of(until, n_cells, 'cell')}")
    told = f"; it cannot be told in {_of(undecided, n_cells, 'cell')}" if undecided else ""
    if not parts and undecided:
        return f"Whether materializing ({names}) pays{told[1:].replace(' it', '')}."
    if not parts:
        return f"Materializing ({names}) pays in none of the {n_cells} cells, however often a Jacobian is used again."
    return (
        f"Materializing ({names}) pays {_listed(parts)}, and in no other, however often a Jacobian is used again{told}."
    )


def _counts(values: pd.Series[str]) -> list[tuple[str, int]]:
    return [(str(name), int(count)) for name, count in values.value_counts().items()]


def _of(count: int, total: int, noun: str = "case") -> str:
    return f"all {total} {noun}s" if count == total > 1 else f"{count} of {total} {noun}{'' if total == 1 else 's'}"


def _cases(count: int) -> str:
    return f"{count} case{'' if count == 1 else 's'}"


def _listed(parts: Sequence[str]) -> str:
    """Join with commas and a last "and"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
