"""Claims 4 and 6: what a Jacobian costs that is stored sparse, or stored at all, beside a product that stores none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.reports.claims.claim_cases import LINKS, in_words, ratio, rows_of, value
from jacobench.reports.claims.claim_finding import BOUNDED, HOLDS, WRONG, Finding, not_shown
from jacobench.reports.data.units import format_bytes, format_ratio

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

MOST = 0.5
SAME = 1.01
"""Peaks within one per cent of each other are the same (see `winners.CLEARLY_LESS`)."""


def sparse_does_a_bunch_of_work(run: Run) -> Finding:
    """Judge claim 4 by the ratio of sparse to vjp in time, interval and all, and in peak bytes, over every case of both."""
    rows = rows_of(run, "*")
    lines = []
    for case, own in rows.groupby("case", sort=False):
        time = ratio(run, str(case), ("sparse", "vjp"))
        peaks = value(own, str(case), "sparse", "peak_bytes"), value(own, str(case), "vjp", "peak_bytes")
        if not math.isnan(time[1]):
            lines.append((str(case), *time, *peaks))
    if not lines:
        return not_shown("sparse was not timed beside vjp in two passes or more")
    found = pd.DataFrame(lines, columns=["case", "mean", "low", "high", "sparse", "vjp"])
    slower, quicker = found["low"] > 1, found["high"] < 1
    more = (found["sparse"] > SAME * found["vjp"]) & (found["sparse"] - found["vjp"] >= LEAST_BYTES)
    verdicts = {True: "slower", False: "cannot be told"}
    evidence = pd.DataFrame(
        {
            "case": found["case"],
            "time, sparse over vjp": [
                in_words(*line) for line in found[["mean", "low", "high"]].itertuples(index=False)
            ],
            "sparse is": slower.map(verdicts).where(~quicker, "quicker"),
            "sparse, peak": found["sparse"].map(format_bytes),
            "vjp, peak": found["vjp"].map(format_bytes),
        }
    )
    not_worse = found[~slower & ~more]
    said = (
        f"of {len(found)} cases sparse takes clearly longer than vjp in {int(slower.sum())} (up to {format_ratio(found['mean'].max())}), clearly less in "
        f"{int(quicker.sum())}, and more memory in {int(more.sum())}"
    )
    if len(not_worse):
        said += f"; it is worse in neither time nor memory in {_named(not_worse['case'].tolist())}"
    if slower.all():
        return Finding(HOLDS, said, evidence)
    if slower.mean() > MOST:
        return Finding(BOUNDED, said, evidence)
    return Finding(WRONG, said, evidence) if (quicker & ~more).mean() > MOST else not_shown(said, evidence)


def _named(cases: list[str]) -> str:
    return ", ".join(cases) if len(cases) <= 3 else f"{', '.join(cases[:3])} and {len(cases) - 3} more"


WAYS = {
    "dense": "explicit matrix",
    "sparse": "sparse matrix",
    "linear-operator": "LinearOperator",
    "vjp": "direct rule",
}


def products_need_no_matrices(run: Run) -> Finding:
    """Judge claim 6 by time and peak bytes of each way to take g·A·B·C·D·e, for each kind of link at each size."""
    lines = [line for link in LINKS for line in _chain(run, link)]
    timed = [line for line in lines if not math.isnan(line["low"])]
    if not timed:
        return not_shown("no chain was timed by the direct rules beside an explicit matrix in two passes or more")
    evidence = pd.DataFrame(
        [
            {"link": line["link"], "size": line["size"]} | {f"{WAYS[name]}: time, peak": line[name] for name in WAYS}
            for line in lines
        ]
    )
    less = [line for line in timed if line["matrix"] - line["direct"] >= LEAST_BYTES]
    quicker, slower = [line for line in timed if line["low"] > 1], [line for line in timed if line["high"] < 1]
    largest = {line["link"]: line for line in sorted(timed, key=lambda line: line["size"])}
    said = (
        f"through explicit matrices a gradient takes clearly longer in {len(quicker)} of {len(timed)} cells and more memory in "
        f"{len(less)}; at the largest size {', '.join(_factors(line) for line in largest.values())}"
    )
    if slower:
        places = [f"{line['link']} at {line['size']:g}" for line in slower]
        said += f"; a matrix is quicker for {_named(places)}"
    if len(quicker) == len(timed) == len(less):
        return Finding(HOLDS, said, evidence)
    wins = [line["low"] > 1 and line["matrix"] > line["direct"] for line in largest.values()]
    if all(wins):
        return Finding(BOUNDED, said, evidence)
    lost = all(line["high"] < 1 for line in largest.values())
    return Finding(WRONG, said, evidence) if lost else not_shown(said, evidence)


def _factors(line: dict[str, Any]) -> str:
    memory = line["matrix"] / max(line["direct"], 1.0)
    return f"{line['link']} {format_ratio(line['mean'])} the time and {format_ratio(memory)} the memory"


def _chain(run: Run, link: str) -> list[dict[str, Any]]:
    rows = rows_of(run, f"chain-{link}-w*")
    lines = []
    for case, own in rows.sort_values("width").groupby("case", sort=False):
        mean, low, high = ratio(run, str(case), ("dense", "vjp"))
        cells = {}
        for name in WAYS:
            peak, time = value(own, str(case), name, "peak_bytes"), ratio(run, str(case), (name, "vjp"))[0]
            status = own.loc[own["strategy"] == name, "status"]
            ended = status.iloc[0].replace("_", " ") if len(status) else "not measured"
            cells[name] = f"{format_ratio(time)}, {format_bytes(peak)}" if ended == "ok" else ended
        lines.append(
            {"link": link, "size": float(own["width"].iloc[0]), "mean": mean, "low": low, "high": high}
            | {
                "matrix": value(own, str(case), "dense", "peak_bytes"),
                "direct": value(own, str(case), "vjp", "peak_bytes"),
            }
            | cells
        )
    return lines
