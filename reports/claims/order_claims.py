"""Claims 7 and 8: all Jacobians first or the vector first, and when a Jacobian is worth its price."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.growth import growth
from jacobench.reports.analysis.power_laws import fit
from jacobench.reports.analysis.recommendation import materializing, recommend
from jacobench.reports.analysis.reuse import reuse
from jacobench.reports.analysis.sweeps import find_sweeps
from jacobench.reports.claims.claim_cases import ORDER, in_words, ratio, rows_of, value
from jacobench.reports.claims.claim_finding import BOUNDED, HOLDS, WRONG, Finding, not_shown
from jacobench.reports.data.units import format_bytes, format_ratio

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

FIRST, LAST = "forward-dense", "vjp"
"""All Jacobians multiplied, then the vector; the vector first, and no Jacobian."""


def vector_first_is_cheaper(run: Run) -> Finding:
    """Judge claim 7 by the time of one product in either order, and by the number of seeds or uses at which the other pays."""
    rows = rows_of(run, ORDER)
    one = rows[rows["n_seeds"] == 1]
    lines = []
    for case, own in one.groupby("case", sort=False):
        time = ratio(run, str(case), (FIRST, LAST))
        if not math.isnan(time[1]):
            lines.append((own.iloc[0], time, [value(own, str(case), name, "peak_bytes") for name in (FIRST, LAST)]))
    if not lines:
        return not_shown(f"{FIRST} was not timed beside {LAST} in two passes or more")
    flops = one.pivot_table(index="case", columns="strategy", values="predicted_flops")
    evidence = pd.DataFrame(
        [
            {
                "width": int(row["width"]),
                "depth": int(row["depth"]),
                "operations, Jacobians over vector first": format_ratio(
                    float(flops.loc[row["case"], FIRST] / flops.loc[row["case"], LAST])
                ),
                "time, Jacobians over vector first": in_words(*time),
                "Jacobians first, peak": format_bytes(peaks[0]),
                "vector first, peak": format_bytes(peaks[1]),
            }
            for row, time, peaks in lines
        ]
    )
    slower, quicker = (all(test(time) for _, time, _ in lines) for test in (_slower, _quicker))
    low, high = min(time[0] for _, time, _ in lines), max(time[0] for _, time, _ in lines)
    said = f"for one vector, multiplying the Jacobians first takes {format_ratio(low)} to {format_ratio(high)} as long{_exponents(run, one)}"
    pays = _pays(run, rows)
    if quicker:
        return Finding(WRONG, said, evidence)
    if not slower:
        return not_shown(said, evidence)
    if pays:
        return Finding(BOUNDED, f"{said}; {pays}", evidence)
    return Finding(HOLDS, f"{said}, and is not seen to pay in this run", evidence)


def _slower(time: tuple[float, float, float]) -> bool:
    return time[1] > 1


def _quicker(time: tuple[float, float, float]) -> bool:
    return time[2] < 1


def _exponents(run: Run, one: pd.DataFrame) -> str:
    """Say how operations and time grow with width, over the longest sweep."""
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


def _pays(run: Run, rows: pd.DataFrame) -> str:
    """Say from how many seeds at once, and from how many uses of one Jacobian, multiplying first is the cheaper order."""
    found = crossovers(rows, run.passes)
    found = found[(found["knob"] == "n_seeds") & (found["quantity"] == "seconds") & (found["phase"] == "gradient")]
    pair = found[(found["first"].isin([FIRST, LAST])) & (found["second"].isin([FIRST, LAST]))]
    parts = [
        f"from {line['size']:.3g} [{line['low']:.3g}, {line['high']:.3g}] seeds at once"
        for line in pair[(pair["outcome"] == "crosses") & (pair["cheaper"] == FIRST)].to_dict("records")
    ]
    uses = reuse(run.passes)
    single = rows.loc[rows["n_seeds"] == 1, "case"]
    uses = uses[(uses["strategy"] == FIRST) & uses["case"].isin(single) & (uses["outcome"] == "after")]
    if len(uses):
        low, high = (math.ceil(number - 1e-9) for number in (uses["uses"].min(), uses["uses"].max()))
        times = f"{low}" if low == high else f"{low} to {high}"
        parts.append(f"after {times} uses of one Jacobian by one vector each ({len(uses)} cases)")
    return f"it pays {' and '.join(parts)}" if parts else ""


def sometimes_worth_it(run: Run) -> Finding:
    """Judge claim 8 by the cases in which a strategy that stores Jacobians is clearly the fastest, or gets so by reuse."""
    stored = materializing(run.table)
    if not stored:
        return not_shown("no strategy that stores a Jacobian was measured")
    best = recommend(run.table, run.passes)
    clear = best[best["decision"] == "ahead"]
    wins = clear[clear["strategy"].isin(stored)]
    uses = reuse(run.passes)
    pays = uses[uses["strategy"].isin(stored) & uses["outcome"].isin(["after", "from the first"])]
    lines = [
        {
            "case": line["case"],
            "strategy": line["strategy"],
            "worth it": f"at once: {line['runner_up']} takes {in_words(line['factor'], line['low'], line['high'])}",
        }
        for line in wins.to_dict("records")
    ]
    lines += [
        {
            "case": line["case"],
            "strategy": line["strategy"],
            "worth it": "from the first product with it on"
            if line["outcome"] == "from the first"
            else f"after {line['uses']:.3g} [{line['low']:.3g}, {line['high']:.3g}] products with it",
        }
        for line in pays.to_dict("records")
        if not ((wins["case"] == line["case"]) & (wins["strategy"] == line["strategy"])).any()
    ]
    evidence = pd.DataFrame(lines, columns=["case", "strategy", "worth it"])
    said = (
        f"a stored Jacobian is clearly the fastest way to one gradient in {len(wins)} of {len(best)} cases, and gets cheaper than {LAST} by being used again in "
        f"{evidence['case'].nunique() - wins['case'].nunique()} more"
    )
    if len(lines):
        return Finding(HOLDS, said, evidence)
    open_ = uses["strategy"].isin(stored) & (uses["outcome"] == "undecided")
    refuted = len(clear) == len(best) > 0 and not open_.any()
    return Finding(WRONG, said, evidence) if refuted else not_shown(said, evidence)
