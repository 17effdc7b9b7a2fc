"""Claims 1, 7 and 8: equal gradients, the order of multiplication, and when a Jacobian pays off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from jacobench.graphs.wording import counted
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.growth import growth
from jacobench.reports.analysis.power_laws import fit
from jacobench.reports.analysis.recommendation import materializing, recommend
from jacobench.reports.analysis.reuse import reuse, uses_in_words
from jacobench.reports.analysis.sweeps import find_sweeps
from jacobench.reports.claims.claim_evidence import (
    BOUNDED,
    HOLDS,
    NOT_SHOWN,
    ORDER,
    WRONG,
    ClaimFinding,
    not_shown,
    peak_in_words,
    rows_of,
    time_ratio,
)
from jacobench.reports.data.units import format_interval, format_ratio, format_size
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

FIRST, LAST = "forward-dense", "vjp"
"""Jacobians multiplied first, then the vector; the vector first, without Jacobians."""


def same_gradients(run: Run) -> ClaimFinding:
    """Test claim 1: the largest difference of every other strategy's gradients from those of vjp."""
    rows = rows_of(run, "*")
    wrong = rows[rows["status"] == "wrong"]
    if (wrong["strategy"] == REFERENCE).any():
        first = wrong[wrong["strategy"] == REFERENCE].iloc[0]
        return ClaimFinding(WRONG, f"vjp disagrees with central differences in {first['case']}: {first['reason']}")
    if len(wrong):  # an error of that strategy, not of products
        first = wrong.iloc[0]
        return not_shown(f"{first['strategy']} is wrong in {first['case']}: {first['reason']}")
    compared = rows[(rows["status"] == "ok") & rows["max_relative_error"].notna()]
    if compared.empty:
        return not_shown("no strategy was compared with vjp in this run")
    groups = compared.groupby(["strategy", "dtype"], sort=False)["max_relative_error"]
    evidence = groups.agg(["count", "max"]).reset_index()
    evidence["max"] = evidence["max"].map("{:.2g}".format)
    evidence.columns = pd.Index(["strategy", "dtype", "cases", "largest relative difference from vjp"])
    largest = [
        f"{own['max_relative_error'].max():.1g} in {dtype}"
        for dtype in ("float64", "float32")
        if len(own := compared[compared["dtype"] == dtype])
    ]
    failed = int((rows["status"] != "ok").sum())
    return ClaimFinding(
        HOLDS,
        f"in {counted(len(compared), 'cell')} over {counted(compared['case'].nunique(), 'graph')}, gradients through Jacobians differ from those of vjp by "
        f"at most {' and '.join(largest)}, relative to the largest entry{f' ({failed} cells failed)' if failed else ''}",
        evidence,
    )


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
        return not_shown(f"{FIRST} was not timed together with {LAST} in two passes or more")
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
    low, high = (format_ratio(end(time.mean for _, time in timed)) for end in (min, max))
    sentence = (
        f"for one vector, multiplying the Jacobians first takes {low} to {high} as long as starting with the vector"
    )
    sentence += _exponents(run, one)
    if all(time.is_faster for _, time in timed):
        return ClaimFinding(WRONG, sentence, evidence)
    if not all(time.is_slower for _, time in timed):
        return not_shown(sentence, evidence)
    if pays_off := _pays_off(run, rows):
        return ClaimFinding(BOUNDED, f"{sentence}; it pays off {pays_off}", evidence)
    return ClaimFinding(HOLDS, f"{sentence}; this run shows no number of vectors at which it pays off", evidence)


def _exponents(run: Run, one: pd.DataFrame) -> str:
    """Return the exponents of operations and time in the width, over the longest sweep."""
    sweeps = find_sweeps(one, "width", min_sizes=3)
    if not sweeps:
        return ""
    rows = sweeps[0].rows
    laws = growth(rows, run.passes)
    laws = laws[laws["quantity"] == "seconds"]
    times: dict[str, float] = dict(zip(laws["strategy"], laws["exponent"], strict=True))
    parts = []
    for name in (FIRST, LAST):
        own = rows[rows["strategy"] == name]
        counted = fit(own["width"], [own["predicted_flops"]])
        if counted is not None and name in times:
            parts.append(f"{name} width^{counted.exponent:.2f} and width^{times[name]:.2f}")
    return f" (operations and time grow as {', '.join(parts)})" if parts else ""


def _pays_off(run: Run, rows: pd.DataFrame) -> str:
    """Return the number of seeds, and of uses of one Jacobian, from which multiplying first is cheaper."""
    found = crossovers(rows, run.passes)
    found = found[(found["knob"] == "n_seeds") & (found["quantity"] == "seconds") & (found["phase"] == "gradient")]
    pair = found[(found["first"].isin([FIRST, LAST])) & (found["second"].isin([FIRST, LAST]))]
    parts = [
        f"from {format_size(line['size'])} [{format_size(line['low'])}, {format_size(line['high'])}] seeds at once"
        for line in pair[(pair["outcome"] == "crosses") & (pair["cheaper"] == FIRST)].to_dict("records")
    ]
    uses = reuse(run.passes)
    single = rows.loc[rows["n_seeds"] == 1, "case"]
    uses = uses[(uses["strategy"] == FIRST) & uses["case"].isin(single) & (uses["outcome"] == "after")]
    if len(uses):
        parts.append(
            f"after {uses_in_words(uses['uses'])} uses of one Jacobian by one vector each ({counted(len(uses), 'case')})"
        )
    return " and ".join(parts)


def sometimes_worth_it(run: Run) -> ClaimFinding:
    """Test claim 8: the cases in which a stored Jacobian is clearly the fastest, at once or after some uses."""
    stored = materializing(run.table)
    if not stored:
        return not_shown("no strategy that stores a Jacobian was measured")
    best = recommend(run.table, run.passes)
    ahead = best[best["decision"] == "ahead"]
    wins = ahead[ahead["strategy"].isin(stored)].to_dict("records")
    uses = reuse(run.passes)
    uses = uses[uses["strategy"].isin(stored)]
    lines = {
        (line["case"], line["strategy"]): f"at once: {line['runner_up']} takes "
        + format_interval(line["factor"], line["low"], line["high"])
        for line in wins
    }
    for line in uses[uses["outcome"].isin(["after", "from the first"])].to_dict("records"):
        after = f"after {format_size(line['uses'])} [{format_size(line['low'])}, {format_size(line['high'])}] products with it"
        lines.setdefault(
            (line["case"], line["strategy"]), "from the first product" if line["outcome"] == "from the first" else after
        )
    evidence = pd.DataFrame([(*cell, when) for cell, when in lines.items()], columns=["case", "strategy", "pays off"])
    by_reuse = evidence["case"].nunique() - len({line["case"] for line in wins})
    sentence = (
        f"a stored Jacobian is clearly the fastest way to one gradient in {len(wins)} of {counted(len(best), 'case')}; "
        f"in {by_reuse} more it becomes cheaper than {LAST} if it is used again"
    )
    refuted = len(ahead) == len(best) > 0 and not (uses["outcome"] == "undecided").any()
    return ClaimFinding(HOLDS if lines else WRONG if refuted else NOT_SHOWN, sentence, evidence)
