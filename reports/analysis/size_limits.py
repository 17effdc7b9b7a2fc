"""Largest size of a knob at which each strategy stays within a limit of time or memory.

Memory: the case is built again at other sizes. The byte model predicts the peak, within 5 %; leaves, inputs, targets,
seeds and patterns are added. The search ends at `RANGE_FACTOR` times the measured sizes and at `LARGEST_TESTED_BYTES`.
Time: between measured sizes, and by the fitted law up to `TIME_RANGE_FACTOR` times the largest. At the end of these
ranges the answer is "more than X", where X was checked.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.floor.predicted_rows import held_bytes, n_seeds_of, needed_bytes, one_case, phases_of
from jacobench.bench.row.columns import FORWARD, in_phase
from jacobench.bench.row.statistics import plausible
from jacobench.bench.suites.case import graph_of
from jacobench.bench.suites.wrt_selection import wrt_of_text
from jacobench.graphs.architectures import ARCHITECTURES
from jacobench.graphs.errors import BadInput, unknown
from jacobench.graphs.ops import OPS
from jacobench.reports.analysis.growth import GROWING
from jacobench.reports.analysis.power_laws import fit
from jacobench.reports.analysis.sweeps import Sweep, find_sweeps
from jacobench.strategies.registry import is_built_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from jacobench.bench.suites.case import Case

COLUMNS = ("knob", "held", "strategy", "size", "basis", "machine")

# Memory of the largest machine on which the byte model was tested. There, peaks of 7.5 GiB (dense), 5.3 GiB (sparse)
# and 6.9 GiB (vjp) were predicted within 0.5 %.
LARGEST_TESTED_BYTES = 24 * 2**30
MOST_BYTES = 2**63  # no measurement
RANGE_FACTOR = 64  # largest factor beyond the measured sizes that is searched
LARGEST_DEPTH = 512  # largest depth that is searched beyond the measured ones: predicting 1,600 layers takes seconds
LARGEST_STORED = 1_500_000
"""Largest number of sparse weights that is searched beyond the measured ones: drawing the positions of 1.5e6 took 0.6 s,
of 3e7 14 s and 1.6 GiB."""

KEPT_GRAPHS = 4  # graphs of a sweep that are kept for the next strategy

GROWTH_OF_WEIGHTS = {"width": 2, "depth": 1, "weight_density": 1}  # knob → its power in the number of weights

TIME_RANGE_FACTOR = 2  # largest factor beyond the measured sizes for which the fitted law of time is used
LARGEST_DENSITY = 1.0
SAME_BYTES = 0.01  # relative difference of predicted bytes below which a rebuilt case is that of the run


@dataclass(frozen=True)
class SizeLimit:
    """The largest size within a limit.

    `size` is a whole number for every knob but ``weight_density``; NaN if no size is within the limit. `basis` is one
    of:

    - ``"model"``: predicted bytes are within the limit at this size, and over it at the next.
    - ``"interpolation"``: between two sizes of the table. ``"extrapolation"``: by the fitted law of time.
    - ``"more than"``: this size is within the limit, and larger sizes were not checked.
    - ``"bound"``: the largest possible value. ``"none"``: even the smallest size is over the limit.
    """

    size: float
    basis: str


def what_fits(table: pd.DataFrame, knob: str, quantity: str, limit: float, phase: str = "gradient") -> pd.DataFrame:
    """Find the largest size of a knob at which each strategy stays within a limit.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run, or of `predict`.
    knob : str
        A key of ``KNOBS``.
    quantity : {"seconds", "bytes"}
        The limited quantity.
    limit : float
        Seconds per call, or bytes in total: leaves, inputs, targets, seeds, and the peak of the call; positive.
    phase : str
        The limited phase.

    Returns
    -------
    DataFrame
        One line per sweep over the knob and strategy with a number: ``knob``, ``held`` (the fixed knobs in words),
        ``strategy``, the fields of `SizeLimit`, and ``machine``. For bytes there is no line if the graph cannot be built again, as
        one of the user's own, because the bytes of its leaves are unknown.

    Raises
    ------
    BadInput
        If knob or quantity are unknown, or the limit is not positive.
    """
    if quantity not in GROWING:
        raise unknown("quantity", quantity, GROWING)
    if not 0 < limit < math.inf:
        raise BadInput(f"the limit is {limit!r}: expected a positive number of {quantity}")
    rows = table[in_phase(table, phase) & table["strategy"].ne(FORWARD)]
    lines: list[dict[str, Any]] = []
    for sweep in find_sweeps(rows, knob):
        case_of = _case_of(sweep) if quantity == "bytes" else None
        for strategy, own in sweep.rows.groupby("strategy", sort=False):
            found = _time_limit(knob, own, limit) if quantity == "seconds" else _memory_limit(knob, own, limit, case_of)
            if found is not None:
                place = {"knob": knob, "held": sweep.held, "machine": sweep.machine}
                lines.append({**place, "strategy": strategy, **vars(found)})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _time_limit(knob: str, own: pd.DataFrame, limit: float) -> SizeLimit | None:
    seconds = own["seconds_median"].where((own["status"] == "ok") & plausible(own["seconds_median"]))
    if seconds.isna().all():
        return None
    found = between_sizes(own[knob], seconds, limit)
    law = fit(own.loc[seconds.notna(), knob], [seconds.dropna()]) if found.basis == "more than" else None
    if law is not None and law.exponent > 0 and limit > law.fixed:
        size = math.exp(min(math.log((limit - law.fixed) / law.scale) / law.exponent, 700.0))
        if found.size < size <= TIME_RANGE_FACTOR * found.size:
            found = SizeLimit(size, "extrapolation")
    return _possible(knob, found)


def _memory_limit(
    knob: str, own: pd.DataFrame, limit: float, case_of: Callable[[float], Case] | None
) -> SizeLimit | None:
    peaks = (
        own["peak_bytes"].where(own["status"] == "ok").fillna(own["predicted_bytes"]).where(lambda b: b < MOST_BYTES)
    )
    if case_of is None or not (peaks > 0).any():
        return None
    own = own.assign(total=peaks + [_held(case_of(size)) for size in own[knob]]).sort_values(knob)
    cost = _cost_of(case_of, knob, own)
    stop = _largest_searched(knob, own.iloc[-1].to_dict())
    if cost is not None:
        with suppress(BadInput):  # some sizes are impossible, such as a cross product of 16 numbers
            found = largest_within(cost, limit, stop, own[knob].tolist(), whole=knob != "weight_density")
            return _possible(knob, found)
    return _possible(knob, between_sizes(own[knob], own["total"], limit))


def largest_within(
    cost: Callable[[float], float], limit: float, stop: float, measured: Sequence[float] = (), *, whole: bool = True
) -> SizeLimit:
    """Find the largest size up to `stop` whose predicted bytes are within a limit, and within `LARGEST_TESTED_BYTES`.

    The measured sizes are computed first.
    """
    bytes_within = min(limit, LARGEST_TESTED_BYTES)
    size = _search(cost, bytes_within, {size: cost(size) for size in measured}, stop, whole=whole)
    if not size:
        return SizeLimit(math.nan, "none")
    return SizeLimit(size, "more than" if size == stop or bytes_within < limit else "model")


def largest_batch(case_of: Callable[[int], Case], spec: str, budget_bytes: float, measured: float) -> SizeLimit | None:
    """Find the largest batch whose predicted bytes are within a budget in every phase; None without a byte model.

    `measured` is the largest measured batch; `RANGE_FACTOR` times this is the largest one that is searched.
    """

    def cost(batch: float) -> float:
        return float(needed_bytes(case_of(int(batch)), [spec]).get(spec, math.nan))

    return None if math.isnan(cost(1)) else largest_within(cost, budget_bytes, math.floor(RANGE_FACTOR * measured))


def _largest_searched(knob: str, row: Mapping[Any, Any]) -> float:
    """Return the largest size that is searched; `row` is one of the largest measured size."""
    largest = float(row[knob])
    found = LARGEST_DENSITY if knob == "weight_density" else RANGE_FACTOR * largest
    if knob == "depth":
        found = min(found, LARGEST_DEPTH)
    if row["weight_density"] < 1 and knob in GROWTH_OF_WEIGHTS:
        factor = (LARGEST_STORED / row["n_parameters"]) ** (1 / GROWTH_OF_WEIGHTS[knob])
        found = min(found, largest * factor)
    return max(largest, found if knob == "weight_density" else float(math.floor(found)))


def _possible(knob: str, found: SizeLimit) -> SizeLimit:
    """Return a limit as a possible value of the knob."""
    if math.isnan(found.size):
        return found
    if knob == "weight_density":
        return SizeLimit(LARGEST_DENSITY, "bound") if found.size >= LARGEST_DENSITY else found
    return SizeLimit(float(math.floor(found.size + 1e-9)), found.basis)


def between_sizes(sizes: ArrayLike, values: ArrayLike, limit: float) -> SizeLimit:
    """Find the largest size whose cost is within a limit, by a line in logarithms between two known sizes.

    `sizes`, shape (n,), are positive and ascending; `values` are their costs, NaN where unknown.
    """
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(values, dtype=np.float64)
    checked, known = x[np.isfinite(y)], np.isfinite(y) & (y > 0)
    x, y = x[known], y[known]
    over = np.flatnonzero(y > limit)
    if over.size == 0:
        return SizeLimit(float(checked[-1]), "more than") if checked.size else SizeLimit(math.nan, "none")
    k = int(over[0])
    if k == 0:
        return SizeLimit(math.nan, "none")
    share = math.log(limit / y[k - 1]) / math.log(y[k] / y[k - 1])
    return SizeLimit(float(x[k - 1] * (x[k] / x[k - 1]) ** share), "interpolation")


def _search(
    cost: Callable[[float], float], limit: float, known: Mapping[float, float], stop: float, *, whole: bool
) -> float:
    """Return the largest size up to `stop` whose cost is within the limit; 0 if there is none.

    The bracket starts with the known costs. Each step goes to where a line in logarithms meets the limit, and slightly
    beyond the last such point, so that both ends move: about six costs are computed, where bisection takes twenty. Densities are bisected: their costs are steps.
    """
    within = {size: value for size, value in known.items() if value <= limit}
    over = {size: value for size, value in known.items() if value > limit}
    low, high = max(within, default=0.0), min(over, default=math.inf)
    f_low, f_high = known.get(low, math.nan), known.get(high, math.nan)
    smallest = 1.0 if whole else min(known) / RANGE_FACTOR
    if low == 0.0:
        f_low = cost(smallest)
        if f_low > limit:
            return 0.0
        low = smallest
    if high == math.inf:
        f_high = cost(stop)
        if f_high <= limit:
            return stop
        high = stop
    beyond = 0
    while high - low > (step := 1.0 if whole else 1e-3 * low):
        share = math.log(limit / f_low) / math.log(f_high / f_low) if whole and f_low > 0 else 0.5
        guess = low * (high / low) ** min(max(share, 0.0), 1.0) * (1 + whole * beyond / 256)
        guess = min(max(math.floor(guess) if whole else guess, low + step), high - step)
        value = cost(guess)
        if value <= limit:
            low, f_low, beyond = guess, value, 1
        else:
            high, f_high, beyond = guess, value, -1
    return low


def _case_of(sweep: Sweep) -> Callable[[float], Case] | None:
    """Return size → case; None if the case cannot be built again, or its leaves differ from the run's."""
    knob, row = sweep.knob, sweep.rows.iloc[-1].to_dict()
    try:
        knobs = _knobs_of(row)
    except ValueError:  # a size is missing: another generator's graph of this name
        return None
    if knobs is None:
        return None
    key = "size" if knob == "width" and "size" in knobs else knob

    @lru_cache(KEPT_GRAPHS)
    def case_of(size: float) -> Case:
        case = one_case({**knobs, key: size if key == "weight_density" else int(size)})
        return replace(case, make=cache(case.make))

    try:
        same = graph_of(case_of(row[knob])).n_parameters == row["n_parameters"]
    except BadInput:  # likewise
        return None
    return case_of if same else None


def _held(case: Case) -> int:
    return held_bytes(graph_of(case), n_seeds_of(case))


def _cost_of(case_of: Callable[[float], Case], knob: str, own: pd.DataFrame) -> Callable[[float], float] | None:
    """Return size → predicted bytes; None without a model, or if its peak differs from the one in the run."""
    predicted = own[own["predicted_bytes"].notna()].sort_values("predicted_bytes").to_dict("records")
    if not predicted or not is_built_in(predicted[-1]["strategy"]):
        return None
    row = predicted[-1]
    spec, phase = row["strategy"], row["phase"]
    rebuilt = case_of(row[knob])
    peak = phases_of(spec, graph_of(rebuilt), n_seeds_of(rebuilt), rebuilt.task)[phase].peak_bytes
    if abs(peak - row["predicted_bytes"]) > SAME_BYTES * row["predicted_bytes"]:
        return None
    return cache(lambda size: float(needed_bytes(case_of(size), [spec], phase)[spec]))


def _knobs_of(row: Mapping[Any, Any]) -> dict[str, Any] | None:
    """Return the keys of a ``[[sweep]]`` that describe the case of a row; None for graphs of other generators."""
    knobs: dict[str, Any] = {name: int(row[name]) for name in ("batch", "n_seeds") if row[name] == row[name]}
    knobs |= {key: row[key] for key in ("dtype", "wrt", "task") if isinstance(row[key], str)}
    knobs |= {"wrt": wrt_of_text(knobs["wrt"])} if "wrt" in knobs else {}
    names = {key: row[key] if isinstance(row[key], str) else "none" for key in ("activation", "loss", "normalization")}
    graph = row["graph"]
    if graph in ARCHITECTURES:
        return {"graph": "architecture", "name": graph, "loss": names["loss"], **knobs}
    if graph in OPS:
        return {"graph": "op", "name": graph, "size": int(row["width"]), **knobs}
    if graph.startswith("chain-"):
        ops = graph.removeprefix("chain-").split("-")
        return {"graph": "chain", "ops": [ops], "size": int(row["width"]), "depth": int(row["depth"]), **knobs}
    if graph != "mlp":
        return None
    shape = re.match(r"mlp-(\d+(?:x\d+)+)-", row["case"])
    sizes = {"widths": [int(n) for n in shape[1].split("x")]} if shape else {n: int(row[n]) for n in ("width", "depth")}
    knobs |= {"residual": row["residual"] is True, "weight_density": min(LARGEST_DENSITY, row["weight_density"])}
    return {"graph": "mlp", **sizes, **names, **knobs}
