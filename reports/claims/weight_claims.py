"""Claims 2, 3 and 5: what t = Wz costs when it is differentiated by z, and when by W."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.reports.analysis.growth import TOLERANCE, growth
from jacobench.reports.analysis.power_laws import fit
from jacobench.reports.analysis.size_limits import what_fits
from jacobench.reports.claims.claim_cases import BY_INPUT, BY_WEIGHTS, UNEQUAL, in_words, ratio, rows_of, value
from jacobench.reports.claims.claim_finding import BOUNDED, HOLDS, WRONG, Finding, not_shown
from jacobench.reports.data.units import format_bytes, format_ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jacobench.reports.data.run_data import Run

ITEM = 8
"""Bytes of a float64, in which the suite's cases are."""

NOTHING = 0.02
"""What a Jacobian may add to the memory of the product, as a share of W's own bytes, and still count as nothing."""

SLOWER = 1.1
"""Below this factor two times are the same for a reader who asks what is harmless."""


def weight_matrix_is_the_jacobian(run: Run) -> Finding:
    """Judge claim 2 by what the dense Jacobian by z adds to what vjp holds, in bytes of W, and by the time of a gradient."""
    rows = rows_of(run, BY_INPUT, "linearize")
    lines = []
    for case, own in rows.groupby("case", sort=False):
        width, batch = float(own["width"].iloc[0]), float(own["batch"].iloc[0])
        dense, vjp = (value(rows, str(case), name, "peak_bytes") for name in ("dense", "vjp"))
        time = ratio(run, str(case), ("dense", "vjp"))
        if math.isnan(dense) or math.isnan(vjp) or math.isnan(time[1]):
            continue
        extra = max(dense - vjp, 0.0)
        lines.append((width, batch, ITEM * width**2, extra, time))
    if not lines:
        return not_shown(
            "no case with t = Wz differentiated by z was measured with dense beside vjp in two passes or more"
        )
    evidence = pd.DataFrame(
        [
            {
                "n = m": int(width),
                "batch": int(batch),
                "bytes of W": format_bytes(weight),
                "the Jacobian adds": format_bytes(extra),
                "as a share of W": f"{extra / weight:.1%}",
                "gradient, dense over vjp": in_words(*time),
            }
            for width, batch, weight, extra, time in lines
        ]
    )
    singles = [(extra, weight, time) for _, batch, weight, extra, time in lines if batch == 1]
    batches = [(extra / weight, batch) for _, batch, weight, extra, _ in lines if batch > 1]
    if not singles:
        return not_shown("no case of batch 1 was measured", evidence)
    free = all(extra <= NOTHING * weight + LEAST_BYTES for extra, weight, _ in singles)
    once = all(extra <= (1 + NOTHING) * weight + LEAST_BYTES for extra, weight, _ in singles)
    adds = (
        "nothing"
        if free
        else "as much memory as W once more, as it is stored as a copy"
        if once
        else "more than a copy of W"
    )
    slowest = max((time for *_, time in singles), key=lambda time: time[0])
    said = f"at batch 1 the Jacobian by z adds {adds}, and a gradient through it takes at most {in_words(*slowest)} as long as vjp"
    if batches:
        most, batch = max(batches)
        said += f"; for {batch:g} samples at once, as one matrix, it adds {most:.3g} times the bytes of W"
    if not once:
        return Finding(WRONG, said, evidence)
    harmless = free and all(most <= NOTHING for most, _ in batches) and slowest[1] <= SLOWER
    return Finding(HOLDS if harmless else BOUNDED, said, evidence)


def weights_jacobian_is_expensive(run: Run) -> Finding:
    """Judge claim 3 by the exponents of the dense Jacobian's bytes and time in width, and by where it no longer fits."""
    rows = rows_of(run, BY_WEIGHTS)
    laws = growth(rows, run.passes)
    laws = laws[laws["knob"] == "width"]
    memory = laws[(laws["strategy"] == "dense") & (laws["quantity"] == "bytes")]
    if memory.empty:
        return not_shown(
            "the bytes of the dense Jacobian by W were measured at fewer than three widths", _sizes(run, rows)
        )
    exponent = float(memory["exponent"].iloc[0])
    evidence = _sizes(run, rows)
    ok = rows[(rows["strategy"] == "dense") & (rows["status"] == "ok")].sort_values("width")
    last = ok.iloc[-1]
    vjp = value(rows, last["case"], "vjp", "peak_bytes")
    time = ratio(run, last["case"], ("dense", "vjp"))
    said = (
        f"with n = m the bytes grow as n^{exponent:.2f} (theory: 3), {format_bytes(last['peak_bytes'])} at n = {last['width']:g}, where vjp takes "
        f"{format_bytes(vjp)}; a gradient takes {in_words(*time)} as long{_time_exponents(laws)}{_against_n(run)}{_no_longer_fits(run, rows)}"
    )
    if abs(exponent - 3) > TOLERANCE:
        return not_shown(f"{said}; the exponent found is not that of theory", evidence)
    if math.isnan(time[1]):
        return not_shown(f"{said}; one pass gives no interval", evidence)
    larger = last["peak_bytes"] > 2 * vjp
    if larger and time[1] > 1:
        return Finding(HOLDS, said, evidence)
    return Finding(WRONG, said, evidence) if time[2] < 1 or not larger else not_shown(said, evidence)


def _time_exponents(laws: pd.DataFrame) -> str:
    times = laws[laws["quantity"] == "seconds"]
    parts = [f"{line['strategy']} n^{_exponent(line)}" for line in times.to_dict("records")]
    return f" (time grows as {', '.join(parts)})" if parts else ""


def _against_n(run: Run) -> str:
    """Say how the bytes grow with n where n·m is held."""
    rows = rows_of(run, UNEQUAL)
    rows = rows.assign(n=[_shape(case)[0] for case in rows["case"]])
    laws = {
        name: fit(own["n"], [own["peak_bytes"]])
        for name, own in rows[rows["status"] == "ok"].sort_values("n").groupby("strategy")
        if own["n"].is_unique
    }
    dense, vjp = laws.get("dense"), laws.get("vjp")
    if dense is None or vjp is None:
        return ""
    return f"; where n·m is held the bytes grow as n^{dense.exponent:.2f}, those of vjp as n^{vjp.exponent:.2f}"


def _shape(case: str) -> tuple[int, int]:
    """Return n and m of a case of one layer: its outputs and its inputs."""
    if found := re.match(r"mlp-(\d+)x(\d+)-", case):
        return int(found[2]), int(found[1])
    width = int(re.findall(r"mlp-w(\d+)-", case)[0])
    return width, width


def _exponent(law: Mapping[Any, Any] | pd.Series[Any]) -> str:
    interval = "" if math.isnan(law["exponent_low"]) else f" [{law['exponent_low']:.2f}, {law['exponent_high']:.2f}]"
    return f"{law['exponent']:.2f}{interval}"


def _no_longer_fits(run: Run, rows: pd.DataFrame) -> str:
    limit = (run.facts.get("machine") or {}).get("memory_bytes")
    if not limit:
        return ""
    fits = what_fits(rows, "width", "bytes", float(limit))
    dense = fits[fits["strategy"] == "dense"]
    if dense.empty or math.isnan(dense["size"].iloc[0]):
        return ""
    return f"; beyond n = {dense['size'].iloc[0]:,.0f} it no longer fits in this machine's {format_bytes(float(limit))}"


def _sizes(run: Run, rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    both = pd.concat([rows.sort_values("width"), rows_of(run, UNEQUAL)])
    for case, own in both.groupby("case", sort=False):
        n, m = _shape(str(case))
        line: dict[str, object] = {"n": n, "m": m, "entries of dt/dW": f"{n * n * m:,}"}
        for name in ("dense", "sparse", "vjp"):
            peak = value(own, str(case), name, "peak_bytes")
            status = own.loc[own["strategy"] == name, "status"]
            line[f"{name}, peak"] = (
                format_bytes(peak) if len(status) and status.iloc[0] == "ok" else ", ".join(status).replace("_", " ")
            )
        line["time, dense over vjp"] = in_words(*ratio(run, str(case), ("dense", "vjp")))
        lines.append(line)
    return pd.DataFrame(lines)


def outer_product_takes_n_operations(run: Run) -> Finding:
    """Judge claim 5 by the count of multiplications of the pullback against n·m, and by the slope of its time."""
    rows = rows_of(run, BY_WEIGHTS, "pullback")
    own = rows[(rows["strategy"] == "vjp") & (rows["status"] == "ok")].sort_values("width")
    dense = rows[rows["strategy"] == "dense"].set_index("case")["predicted_flops"]
    if own["width"].nunique() < 3:
        return not_shown("the pullback by W was measured at fewer than three widths")
    per_entry = own["predicted_flops"] / own["width"] ** 2
    evidence = pd.DataFrame(
        {
            "n = m": own["width"].astype(int),
            "operations of the product": own["predicted_flops"].map("{:,.0f}".format),
            "over n·m": per_entry.map("{:.3f}".format),
            "over n": (own["predicted_flops"] / own["width"]).map("{:,.0f}".format),
            "operations through dt/dW": own["case"].map(dense).map("{:,.0f}".format),
        }
    )
    laws = growth(rows, run.passes)
    vjp = laws[(laws["strategy"] == "vjp") & (laws["knob"] == "width") & (laws["quantity"] == "seconds")]
    counted = _slope(own["width"], own["predicted_flops"])
    time = ""
    if len(vjp):
        law = vjp.iloc[0]
        time = f", its time as n^{_exponent(law)}"
    last = own.iloc[-1]
    factor = float(dense.get(last["case"], math.nan)) / float(last["predicted_flops"])
    saved = (
        "" if math.isnan(factor) else f"; through dt/dW it is {format_ratio(factor)} as many at n = {last['width']:g}"
    )
    said = f"counted, the product takes {per_entry.iloc[-1]:.2f} operations (a multiplication, and an addition over the batch) for each of the n·m entries of W and grows as n^{counted:.2f} with n = m{time}{saved}"
    if counted <= 1 + TOLERANCE:
        return Finding(HOLDS, said, evidence)
    conclusion = ": off by a factor of m, the conclusion stands" if factor > 2 else ": off by a factor of m"
    return Finding(WRONG, said + conclusion, evidence)


def _slope(sizes: pd.Series[float], counts: pd.Series[float]) -> float:
    """Return the exponent between the two largest sizes of a count, which has no noise."""
    return math.log(counts.iloc[-1] / counts.iloc[-2]) / math.log(sizes.iloc[-1] / sizes.iloc[-2])
