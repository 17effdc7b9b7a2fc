"""Claims 1, 7 and 8: equal gradients, the order of multiplication, and when a Jacobian pays off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.growth import growth
from jacobench.reports.analysis.power_laws import fit
from jacobench.reports.analysis.recommendation import materializing, recommend
from jacobench.reports.analysis.reuse import reuse, uses_in_words
from jacobench.reports.analysis.sweeps import find_sweeps
from jacobench.reports.claims import claim_sentences
from jacobench.reports.claims.claim_evidence import (
    BOUNDED,
    HOLDS,
    NOT_SHOWN,
    ORDER,
    WRONG,
    ClaimFinding,
    finding,
    not_shown,
    peak_in_words,
    rows_of,
    time_ratio,
)
from jacobench.reports.data.units import format_ratio, format_size
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.data.run_data import Run

FIRST, LAST = "forward-dense", "vjp"
"""Jacobians multiplied first, then the vector; the vector first, without Jacobians."""

PAIR = "comparison"  # of two strategies, in one case, or over several cases or uses


def same_gradients(run: Run) -> ClaimFinding:
    """Test claim 1: the largest difference of every other strategy's gradients from those of vjp."""
    rows = rows_of(run, "*")
    wrong = rows[rows["status"] == "wrong"]
    if (wrong["strategy"] == REFERENCE).any():
        first = wrong[wrong["strategy"] == REFERENCE].iloc[0]
        return ClaimFinding(WRONG, claim_sentences.differs(first["case"], first["reason"]))
    if len(wrong):  # an error of that strategy, not of products
        first = wrong.iloc[0]
        return not_shown(claim_sentences.is_wrong(first["strategy"], first["case"], first["reason"]))
    compared = rows[(rows["status"] == "ok") & rows["max_relative_error"].notna()]
    if compared.empty:
        return not_shown(claim_sentences.nothing_compared())
    groups = compared.groupby(["strategy", "dtype"], sort=False)["max_relative_error"]
    evidence = groups.agg(["count", "max"]).reset_index()
    evidence["max"] = evidence["max"].map("{:.2g}".format)
    evidence.columns = pd.Index(["strategy", "dtype", "cases", "largest relative difference from vjp"])
    largest = [
        (dtype, float(own["max_relative_error"].max()))
        for dtype in ("float64", "float32")
        if len(own := compared[compared["dtype"] == dtype])
    ]
    n_failed = int((rows["status"] != "ok").sum())
    sentence = claim_sentences.same_gradients(len(compared), compared["case"].nunique(), largest, n_failed)
    return ClaimFinding(HOLDS, sentence, evidence)


def vector_first_is_cheaper(run: Run) -> ClaimFinding:
    """Test claim 7: the time of one product in either order, and when the other order pays off."""
    rows = rows_of(run, ORDER)
    one = rows[rows["n_seeds"] == 1]
    timed = [
        (own.iloc[0], time)
        for case, own in one.groupby("case", sort=False)
        if (time := time_ratio(run, str(case), (FIRST, LAST))).has_interval
    ]
    if not timed:
        return not_shown(claim_sentences.not_timed(FIRST, LAST))
    flops = one.pivot_table(index="case", columns="strategy", values="predicted_flops")
    factors = flops[FIRST] / flops[LAST]
    evidence = pd.DataFrame(
        [
            {
                "width": format_size(row["width"]),
                "depth": format_size(row["depth"]),
                "operations, Jacobians / vector first": format_ratio(float(factors[row["case"]])),
                "time, Jacobians / vector first": str(time),
                "Jacobians first, peak": peak_in_words(one, row["case"], FIRST),
                "vector first, peak": peak_in_words(one, row["case"], LAST),
            }
            for row, time in timed
        ]
    )
    low, high = (end(time.factor for _, time in timed) for end in (min, max))
    sentence = claim_sentences.jacobians_first(low, high) + claim_sentences.growth_of_orders(_exponents(run, one))
    doubts = [time.could_win for _, time in timed]
    if all(time.is_faster for _, time in timed):
        return finding(WRONG, sentence, evidence, doubts, PAIR)
    if not all(time.is_slower for _, time in timed):
        return not_shown(sentence, evidence)
    pays_off, more_doubts = _pays_off(run, rows)
    verdict = BOUNDED if pays_off else HOLDS
    return finding(verdict, sentence + claim_sentences.pays_off(pays_off), evidence, doubts + more_doubts, PAIR)


def _exponents(run: Run, one: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Return the exponents of operations and time in the width, over the longest sweep."""
    sweeps = find_sweeps(one, "width", min_sizes=3)
    if not sweeps:
        return []
    rows = sweeps[0].rows
    laws = growth(rows, run.passes)
    laws = laws[laws["quantity"] == "seconds"]
    times: dict[str, float] = dict(zip(laws["strategy"], laws["exponent"], strict=True))
    found = []
    for name in (FIRST, LAST):
        own = rows[rows["strategy"] == name]
        flops = fit(own["width"], [own["predicted_flops"]])
        if flops is not None and name in times:
            found.append((name, flops.exponent, times[name]))
    return found


def _pays_off(run: Run, rows: pd.DataFrame) -> tuple[list[str], list[Mapping[str, float]]]:
    """Return from how many seeds, and uses of one Jacobian, multiplying first is cheaper, and the doubts about each."""
    found = crossovers(rows, run.passes)
    found = found[(found["knob"] == "n_seeds") & (found["quantity"] == "seconds") & (found["phase"] == "gradient")]
    pair = found[(found["first"].isin([FIRST, LAST])) & (found["second"].isin([FIRST, LAST]))]
    seeds = pair[(pair["outcome"] == "crosses") & (pair["cheaper"] == FIRST)]
    parts = [claim_sentences.from_seeds(line["size"], line["low"], line["high"]) for line in seeds.to_dict("records")]
    uses = reuse(run.passes, table=run.table)
    single = rows.loc[rows["n_seeds"] == 1, "case"]
    uses = uses[(uses["strategy"] == FIRST) & uses["case"].isin(single) & (uses["outcome"] == "after")]
    if len(uses):
        parts.append(claim_sentences.after_uses(uses_in_words(uses["uses"]), len(uses)))
    return parts, [*seeds["could_win"], *uses["could_win"]]


def sometimes_worth_it(run: Run) -> ClaimFinding:
    """Test claim 8: the cases in which a stored Jacobian is clearly the fastest, at once or after some uses."""
    stored = materializing(run.table)
    if not stored:
        return not_shown(claim_sentences.nothing_stored())
    best = recommend(run.table, run.passes)
    ahead = best[best["decision"] == "ahead"]
    wins = ahead[ahead["strategy"].isin(stored)].to_dict("records")
    uses = reuse(run.passes, table=run.table)
    uses = uses[uses["strategy"].isin(stored)]
    lines = {
        (line["case"], line["strategy"]): (
            claim_sentences.at_once(line["runner_up"], line["factor"], line["low"], line["high"]),
            {name: factor for name, factor in line["could_win"].items() if name not in stored},
        )
        for line in wins
    }
    for line in uses[uses["outcome"].isin(["after", "from the first"])].to_dict("records"):
        after = claim_sentences.after_products(line["uses"], line["low"], line["high"])
        lines.setdefault((line["case"], line["strategy"]), (after, line["could_win"]))
    evidence = pd.DataFrame(
        [(*cell, when) for cell, (when, _) in lines.items()], columns=["case", "strategy", "pays off"]
    )
    by_reuse = evidence["case"].nunique() - len({line["case"] for line in wins})
    sentence = claim_sentences.stored_jacobians(len(wins), len(best), by_reuse)
    refuted = len(ahead) == len(best) > 0 and not (uses["outcome"] == "undecided").any()
    if lines:
        return finding(HOLDS, sentence, evidence, [doubts for _, doubts in lines.values()], PAIR)
    lost = [{name: factor for name, factor in found.items() if name in stored} for found in ahead["could_win"]]
    return finding(WRONG if refuted else NOT_SHOWN, sentence, evidence, [*lost, *uses["could_win"]], PAIR)
