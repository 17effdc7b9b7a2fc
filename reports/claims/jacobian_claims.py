"""Claims 2 to 6: the cost of a Jacobian, dense or sparse, compared with a product that stores none."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES, clearly_less
from jacobench.reports.analysis.growth import TOLERANCE, growth
from jacobench.reports.analysis.power_laws import fit
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.reports.claims import claim_sentences
from jacobench.reports.claims.claim_evidence import (
    BOUNDED,
    BY_INPUT,
    BY_WEIGHTS,
    HOLDS,
    LINKS,
    NOT_SHOWN,
    UNEQUAL,
    WRONG,
    ClaimFinding,
    finding,
    not_shown,
    peak_bound,
    peak_in_words,
    rows_of,
    time_ratio,
    value,
)
from jacobench.reports.data.units import format_bytes, format_percent, format_ratio, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jacobench.reports.data.run_data import Run

ITEM = 8
"""Bytes of a float64, the dtype of the suite's cases."""

NOTHING = 0.02
"""Largest share of W's bytes that a Jacobian may add and still count as free."""

SLOWER = 1.1
"""Largest factor in time that counts as harmless."""

HALF = 0.5

WAYS = {
    "dense": "explicit matrix",
    "sparse": "sparse matrix",
    "linear-operator": "LinearOperator",
    "vjp": "direct rule",
}


def weight_matrix_is_the_jacobian(run: Run) -> ClaimFinding:
    """Test claim 2: the bytes that the dense Jacobian with respect to z adds to vjp's, and the time of a gradient."""
    rows = rows_of(run, BY_INPUT, "linearize")
    lines = []
    for case, own in rows.groupby("case", sort=False):
        width, batch = float(own["width"].iloc[0]), float(own["batch"].iloc[0])
        added = _added(rows, str(case))
        time = time_ratio(run, str(case), ("dense", "vjp"))
        if added and time.has_interval:
            lines.append((width, batch, ITEM * width**2, added, time))
    if not lines:
        return not_shown(claim_sentences.by_input_not_timed())
    evidence = pd.DataFrame(
        [
            {
                "n = m": format_size(width),
                "batch": format_size(batch),
                "bytes of W": format_bytes(weight),
                "the Jacobian adds": _range(added, format_bytes),
                "as a share of W": _range([extra / weight for extra in added], format_percent),
                "gradient, dense / vjp": str(time),
            }
            for width, batch, weight, added, time in lines
        ]
    )
    singles = [(added, weight, time) for _, batch, weight, added, time in lines if batch == 1]
    batches = [(added[1] / weight, batch) for _, batch, weight, added, _ in lines if batch > 1]
    if not singles:
        return not_shown(claim_sentences.no_batch_of_one(), evidence)
    free = all(most <= NOTHING * weight + LEAST_BYTES for (_, most), weight, _ in singles)
    once = all(most <= (1 + NOTHING) * weight + LEAST_BYTES for (_, most), weight, _ in singles)
    more = any(least > (1 + NOTHING) * weight + LEAST_BYTES for (least, _), weight, _ in singles)
    adds = "nothing" if free else "one copy" if once else "more" if more else "unknown"
    slowest = max((time for *_, time in singles), key=lambda time: time.factor)
    sentence = claim_sentences.jacobian_by_input(adds, str(slowest), max(batches, default=None))
    harmless = free and all(most <= NOTHING for most, _ in batches) and slowest.low <= SLOWER
    if harmless:
        return ClaimFinding(HOLDS, sentence, evidence)
    verdict = BOUNDED if once else WRONG if more else NOT_SHOWN
    return finding(verdict, sentence, evidence, [time.could_win for *_, time in singles])


def _added(rows: pd.DataFrame, case: str) -> tuple[float, float] | None:
    """Return bounds of the bytes that dense needs more than vjp, or None: a peak below the resolution has bounds."""
    bounds = {name: (value(rows, case, name, "peak_bytes"), peak_bound(rows, case, name)) for name in ("dense", "vjp")}
    if any(math.isnan(high) for _, high in bounds.values()):
        return None
    (dense_low, dense_high), (vjp_low, vjp_high) = (
        (0.0 if math.isnan(peak) else peak, bound) for peak, bound in bounds.values()
    )
    return max(dense_low - vjp_high, 0.0), max(dense_high - vjp_low, 0.0)


def _range(bounds: Sequence[float], show: Callable[[float], str]) -> str:
    low, high = map(show, bounds)
    return low if low == high else f"{low} to {high}"


def weights_jacobian_is_expensive(run: Run) -> ClaimFinding:
    """Test claim 3: the exponents of the dense Jacobian's bytes and time in the width, and where it no longer fits."""
    rows = rows_of(run, BY_WEIGHTS)
    evidence = _sizes(run, rows)
    laws = growth(rows, run.passes)
    laws = laws[laws["knob"] == "width"]
    memory = laws[(laws["strategy"] == "dense") & (laws["quantity"] == "bytes")]
    if memory.empty:
        return not_shown(claim_sentences.too_few_widths("the bytes of the dense Jacobian were measured"), evidence)
    exponent = float(memory["exponent"].iloc[0])
    last = rows[(rows["strategy"] == "dense") & (rows["status"] == "ok")].sort_values("width").iloc[-1]
    vjp, vjp_in_words = peak_bound(rows, last["case"], "vjp"), peak_in_words(rows, last["case"], "vjp")
    time = time_ratio(run, last["case"], ("dense", "vjp"))
    largest = exponent, last["peak_bytes"], last["width"], vjp_in_words
    sentence = (
        claim_sentences.jacobian_by_weights(*largest, str(time))
        + claim_sentences.growth_of_times(_times(laws))
        + _constant_product(run)
        + _no_longer_fits(run, rows)
    )
    if abs(exponent - 3) > TOLERANCE:
        return not_shown(sentence + claim_sentences.not_as_in_theory(), evidence)
    if not time.has_interval:
        return not_shown(sentence + claim_sentences.no_interval(), evidence)
    larger = last["peak_bytes"] > 2 * vjp
    refuted = time.is_faster or last["peak_bytes"] <= 2 * vjp  # neither if the peak of vjp was not measured
    verdict = HOLDS if larger and time.is_slower else WRONG if refuted else NOT_SHOWN
    return finding(verdict, sentence, evidence, [time.could_win])


def _times(laws: pd.DataFrame) -> list[tuple[str, float, float, float]]:
    times = laws[laws["quantity"] == "seconds"]
    return [
        (line["strategy"], line["exponent"], line["exponent_low"], line["exponent_high"])
        for line in times.to_dict("records")
    ]


def _constant_product(run: Run) -> str:
    """Return how the bytes grow with n where n·m is constant."""
    rows = rows_of(run, UNEQUAL)
    rows = rows.assign(n=[_shape(case)[0] for case in rows["case"]])
    laws = {
        name: fit(own["n"], [own["peak_bytes"]])
        for name, own in rows[(rows["status"] == "ok") & rows["peak_bytes"].notna()]
        .sort_values("n")
        .groupby("strategy")
        if own["n"].is_unique
    }
    dense, vjp = laws.get("dense"), laws.get("vjp")
    if dense is None or vjp is None:
        return ""
    return claim_sentences.constant_product(dense.exponent, vjp.exponent)


def _shape(case: str) -> tuple[int, int]:
    """Return n and m of a case of one layer: its outputs and its inputs."""
    if found := re.match(r"mlp-(\d+)x(\d+)-", case):
        return int(found[2]), int(found[1])
    width = int(re.findall(r"mlp-w(\d+)-", case)[0])
    return width, width


def _no_longer_fits(run: Run, rows: pd.DataFrame) -> str:
    limit = (run.facts.get("machine") or {}).get("memory_bytes")
    if not limit:
        return ""
    fits = what_fits(rows, "width", "bytes", float(limit))
    dense = fits[fits["strategy"] == "dense"]
    if dense.empty or math.isnan(dense["size"].iloc[0]) or dense["basis"].iloc[0] == "more than":
        return ""
    return claim_sentences.no_longer_fits(float(dense["size"].iloc[0]), float(limit))


def _sizes(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    both = pd.concat([rows.sort_values("width"), rows_of(run, UNEQUAL)])
    for case, own in both.groupby("case", sort=False):
        n, m = _shape(str(case))
        peaks = {f"{name}, peak": peak_in_words(own, str(case), name) for name in ("dense", "sparse", "vjp")}
        time = {"time, dense / vjp": str(time_ratio(run, str(case), ("dense", "vjp")))}
        lines.append({"n": n, "m": m, "entries of dt/dW": f"{n * n * m:,}"} | peaks | time)
    return pd.DataFrame(lines)


def sparse_does_a_bunch_of_work(run: Run) -> ClaimFinding:
    """Test claim 4: time and peak of sparse compared with vjp, in every case of both."""
    rows = rows_of(run, "*")
    timed = [
        {"case": case, "time": time} | {name: peak_bound(rows, case, name) for name in ("sparse", "vjp")}
        for case in rows["case"].unique()
        if (time := time_ratio(run, case, ("sparse", "vjp"))).has_interval
    ]
    if not timed:
        return not_shown(claim_sentences.not_timed("sparse", "vjp"))
    found = pd.DataFrame(timed)
    slower, faster = (found["time"].map(lambda time: time.is_slower), found["time"].map(lambda time: time.is_faster))
    more = clearly_less(found["vjp"], found["sparse"])
    evidence = pd.DataFrame(
        {
            "case": found["case"],
            "time, sparse / vjp": found["time"].map(str),
            "sparse is": slower.map({True: "slower", False: "undecided"}).where(~faster, "faster"),
        }
        | {f"{name}, peak": [peak_in_words(rows, case, name) for case in found["case"]] for name in ("sparse", "vjp")}
    )
    factors = [time.factor for time in found.loc[slower, "time"]]
    not_worse = found.loc[~slower & ~more, "case"].tolist()
    sentence = claim_sentences.sparse_work(len(found), factors, int(faster.sum()), int(more.sum()), not_worse)
    refuted = (faster & ~more).mean() > HALF
    verdict = HOLDS if slower.all() else BOUNDED if slower.mean() > HALF else WRONG if refuted else NOT_SHOWN
    return finding(verdict, sentence, evidence, [time.could_win for time in found["time"]])


def outer_product_takes_n_operations(run: Run) -> ClaimFinding:
    """Test claim 5: the number of multiplications of the pullback compared with n·m, and the exponent of its time."""
    rows = rows_of(run, BY_WEIGHTS, "pullback")
    own = rows[(rows["strategy"] == "vjp") & (rows["status"] == "ok") & (rows["predicted_flops"] > 0)].sort_values(
        "width"
    )
    dense = rows[rows["strategy"] == "dense"].set_index("case")["predicted_flops"]
    if own["width"].nunique() < 3:
        return not_shown(claim_sentences.too_few_widths("the pullback with respect to W was measured"))
    per_entry = own["predicted_flops"] / own["width"] ** 2
    evidence = pd.DataFrame(
        {
            "n = m": own["width"].astype(int),
            "operations of the product": own["predicted_flops"].map("{:,.0f}".format),
            "per n·m": per_entry.map("{:.3f}".format),
            "per n": (own["predicted_flops"] / own["width"]).map("{:,.0f}".format),
            "operations through dt/dW": own["case"].map(dense).map("{:,.0f}".format),
        }
    )
    laws = growth(rows, run.passes)
    vjp = laws[(laws["strategy"] == "vjp") & (laws["knob"] == "width") & (laws["quantity"] == "seconds")]
    log_flops, log_width = (np.log(own[name].iloc[-2:].to_numpy(float)) for name in ("predicted_flops", "width"))
    exponent = float(np.diff(log_flops)[0] / np.diff(log_width)[0])  # between the two largest: a count has no noise
    time = claim_sentences.power("n", *_times(vjp)[0][1:]) if len(vjp) else ""
    last = own.iloc[-1]
    factor = float(dense.get(last["case"], math.nan)) / float(last["predicted_flops"])
    sentence = claim_sentences.outer_product(per_entry.iloc[-1], exponent, time, factor, last["width"])
    if exponent <= 1 + TOLERANCE:
        return ClaimFinding(HOLDS, sentence, evidence)
    return ClaimFinding(WRONG, sentence + claim_sentences.off_by_m(is_right=factor > 2), evidence)


def products_need_no_matrices(run: Run) -> ClaimFinding:
    """Test claim 6: time and peak of each way to compute g·A·B·C·D·e, for each kind of link and each size."""
    lines = [line for link in LINKS for line in _chain(run, link)]
    timed = [line for line in lines if line["time"].has_interval]
    if not timed:
        return not_shown(claim_sentences.no_chain())
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
    costs = [claim_sentences.link_cost(line["link"], line["time"].factor, *_memory(line)) for line in largest]
    sentence = claim_sentences.explicit_matrices(len(timed), len(slower), len(less), costs, faster)
    everywhere = len(slower) == len(timed) == len(less)
    at_last = all(line["time"].is_slower and line["matrix"] > line["direct"] for line in largest)
    lost = all(line["time"].is_faster for line in largest)
    verdict = HOLDS if everywhere else BOUNDED if at_last else WRONG if lost else NOT_SHOWN
    return finding(verdict, sentence, evidence, [line["time"].could_win for line in timed], "cell")


def _memory(line: dict[str, Any]) -> tuple[float, tuple[str, str]]:
    """Return the ratio of the peaks, NaN unless both are above the resolution, and both peaks in words."""
    known = min(line["matrix"], line["direct"]) > LEAST_BYTES
    return line["matrix"] / line["direct"] if known else math.nan, line["peaks"]


def _chain(run: Run, link: str) -> list[dict[str, Any]]:
    rows = rows_of(run, f"chain-{link}-w*")
    lines = []
    for case, own in rows.sort_values("width").groupby("case", sort=False):
        line: dict[str, Any] = {"link": link, "size": float(own["width"].iloc[0])}
        line["time"] = time_ratio(run, str(case), ("dense", "vjp"))
        line["matrix"], line["direct"] = (peak_bound(own, str(case), name) for name in ("dense", "vjp"))
        line["peaks"] = tuple(peak_in_words(own, str(case), name) for name in ("dense", "vjp"))
        for name in WAYS:
            ended = own.loc[own["strategy"] == name, "status"].tolist()
            peak = peak_in_words(own, str(case), name)
            factor = time_ratio(run, str(case), (name, "vjp")).factor
            line[name] = f"{format_ratio(factor)}, {peak}" if ended == ["ok"] else peak
        lines.append(line)
    return lines
