"""Claims 4 and 6: the cost of a Jacobian stored sparse, or stored at all, compared with a product that stores none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES, clearly_less
from jacobench.reports.claims.claim_evidence import (
    BOUNDED,
    HOLDS,
    LINKS,
    WRONG,
    ClaimFinding,
    listed,
    not_shown,
    peak_in_words,
    rows_of,
    time_ratio,
    value,
)
from jacobench.reports.data.units import format_ratio, format_size

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run

HALF = 0.5

WAYS = {
    "dense": "explicit matrix",
    "sparse": "sparse matrix",
    "linear-operator": "LinearOperator",
    "vjp": "direct rule",
}


def sparse_does_a_bunch_of_work(run: Run) -> ClaimFinding:
    """Test claim 4: time and peak of sparse compared with vjp, in every case of both."""
    rows = rows_of(run, "*")
    timed = [
        {
            "case": case,
            "time": time,
            "sparse": value(rows, case, "sparse", "peak_bytes"),
            "vjp": value(rows, case, "vjp", "peak_bytes"),
        }
        for case in rows["case"].unique()
        if (time := time_ratio(run, case, ("sparse", "vjp"))).has_interval
    ]
    if not timed:
        return not_shown("sparse was not timed together with vjp in two passes or more")
    found = pd.DataFrame(timed)
    slower, faster = (found["time"].map(lambda time: time.is_slower), found["time"].map(lambda time: time.is_faster))
    more = clearly_less(found["vjp"], found["sparse"])
    evidence = pd.DataFrame(
        {
            "case": found["case"],
            "time, sparse / vjp": found["time"].map(str),
            "sparse is": slower.map({True: "slower", False: "undecided"}).where(~faster, "faster"),
            "sparse, peak": [peak_in_words(rows, case, "sparse") for case in found["case"]],
            "vjp, peak": [peak_in_words(rows, case, "vjp") for case in found["case"]],
        }
    )
    largest = format_ratio(max(line["time"].mean for line in timed))
    sentence = (
        f"in {len(found)} cases, sparse is clearly slower than vjp in {int(slower.sum())} (up to {largest}), clearly faster in "
        f"{int(faster.sum())}, and needs more memory in {int(more.sum())}"
    )
    if len(not_worse := found[~slower & ~more]):
        sentence += f"; it is worse in neither time nor memory in {listed(not_worse['case'].tolist())}"
    if slower.all():
        return ClaimFinding(HOLDS, sentence, evidence)
    if slower.mean() > HALF:
        return ClaimFinding(BOUNDED, sentence, evidence)
    refuted = (faster & ~more).mean() > HALF
    return ClaimFinding(WRONG, sentence, evidence) if refuted else not_shown(sentence, evidence)


def products_need_no_matrices(run: Run) -> ClaimFinding:
    """Test claim 6: time and peak of each way to compute g·A·B·C·D·e, for each kind of link and each size."""
    lines = [line for link in LINKS for line in _chain(run, link)]
    timed = [line for line in lines if line["time"].has_interval]
    if not timed:
        return not_shown("no chain was timed with direct rules and with an explicit matrix in two passes or more")
    evidence = pd.DataFrame(
        [
            {"link": line["link"], "size": format_size(line["size"])}
            | {f"{WAYS[name]}: time / direct rule, peak": line[name] for name in WAYS}
            for line in lines
        ]
    )
    less = [line for line in timed if line["matrix"] - line["direct"] >= LEAST_BYTES]
    slower = [line for line in timed if line["time"].is_slower]
    faster = [f"{line['link']} at {format_size(line['size'])}" for line in timed if line["time"].is_faster]
    largest = {line["link"]: line for line in sorted(timed, key=lambda line: line["size"])}.values()
    sentence = (
        f"with explicit matrices a gradient is clearly slower in {len(slower)} of {len(timed)} cells and needs more memory in "
        f"{len(less)}; at the largest size {', '.join(_factors(line) for line in largest)}"
    )
    if faster:
        sentence += f"; a matrix is faster for {listed(faster)}"
    if len(slower) == len(timed) == len(less):
        return ClaimFinding(HOLDS, sentence, evidence)
    if all(line["time"].is_slower and line["matrix"] > line["direct"] for line in largest):
        return ClaimFinding(BOUNDED, sentence, evidence)
    lost = all(line["time"].is_faster for line in largest)
    return ClaimFinding(WRONG, sentence, evidence) if lost else not_shown(sentence, evidence)


def _factors(line: dict[str, Any]) -> str:
    memory = line["matrix"] / max(line["direct"], 1.0)
    return f"{line['link']} {format_ratio(line['time'].mean)} the time and {format_ratio(memory)} the memory"


def _chain(run: Run, link: str) -> list[dict[str, Any]]:
    rows = rows_of(run, f"chain-{link}-w*")
    lines = []
    for case, own in rows.sort_values("width").groupby("case", sort=False):
        line: dict[str, Any] = {
            "link": link,
            "size": float(own["width"].iloc[0]),
            "time": time_ratio(run, str(case), ("dense", "vjp")),
            "matrix": value(own, str(case), "dense", "peak_bytes"),
            "direct": value(own, str(case), "vjp", "peak_bytes"),
        }
        for name in WAYS:
            ended = own.loc[own["strategy"] == name, "status"].tolist()
            peak = peak_in_words(own, str(case), name)
            mean = time_ratio(run, str(case), (name, "vjp")).mean
            line[name] = f"{format_ratio(mean)}, {peak}" if ended == ["ok"] else peak
        lines.append(line)
    return lines
