"""Crossovers: the size at which one strategy overtakes another, in time or in memory. The number of uses is that of `reuse`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from jacobench.bench.row.statistics import CONFIDENCE
from jacobench.reports.analysis.growth import GROWING, LEAST_BYTES
from jacobench.reports.analysis.sweeps import KNOBS, Sweep, find_sweeps
from jacobench.reports.analysis.winners import CLEARLY_LESS
from jacobench.reports.data.vocabulary import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

# Two sizes a doubling apart whose ratios draw together by less than this do not head for a crossing: over the twenty
# doublings that take a width of 16 to sixteen million it would not make up two per cent.
LEAST_TREND = 0.001
FURTHEST = 1024.0
"""An extrapolation to more than this many times the largest size is none."""

COLUMNS = (
    "knob",
    "held",
    "phase",
    "quantity",
    "first",
    "second",
    "outcome",
    "size",
    "low",
    "high",
    "extrapolated",
    "ahead",
    "factor",
    "n_passes",
)


@dataclass(frozen=True)
class Crossing:
    """Where two strategies cost the same.

    Attributes
    ----------
    outcome : str
        ``"crosses"``: within the sizes measured, and its interval lies within them too; ``"undecided"``: the means change
        order, but on one side of it no size tells which is ahead, or the interval leaves the range; ``"crosses again"``: sizes that tell
        who is ahead change order more than once; ``"never in the range"``: no crossing, but the ratio heads for one;
        ``"never at all"``: no crossing, and the ratio does not head for one.
    size, low, high : float
        The crossing and its 95 % interval; NaN where there is none.
    extrapolated : bool
        Whether ``size`` lies beyond what was measured, as it does for ``"never in the range"`` and for nothing else.
    factor : float
        How many times as much the first costs as the second at the largest size.
    told : bool
        Whether that factor differs from one by more than its interval, or than ``least``; of one pass nothing is known.
    """

    outcome: str
    size: float
    low: float
    high: float
    extrapolated: bool
    factor: float
    told: bool


def cross(sizes: ArrayLike, ratios: ArrayLike, least: float = 1.0) -> Crossing:
    """Find where a ratio passes through one.

    Parameters
    ----------
    sizes : array_like of float, shape (n,)
        At least two, positive, ascending.
    ratios : array_like of float, shape (passes, n)
        Cost of the first over cost of the second, each pair from one process; positive.
    least : float
        Costs that differ by no more than this factor are the same.

    Returns
    -------
    Crossing
        By straight lines between the sizes, in logarithms. Each pass has a crossing of its own: the fitted one, moved by
        how far the pass's ratio lies from one there over the slope (first order); the interval is Student's over the
        passes, in logarithms, and NaN for one pass.
    """
    x, y = np.log(np.asarray(sizes, dtype=np.float64)), np.log(np.atleast_2d(np.asarray(ratios, dtype=np.float64)))
    mean, clear = y.mean(axis=0), _clear(y, math.log(least))
    factor, told = math.exp(mean[-1]), bool(clear[-1])
    changes = np.flatnonzero(np.diff(mean >= 0))
    if np.count_nonzero(np.diff(mean[clear] >= 0)) > 1:
        return Crossing("crosses again", math.nan, math.nan, math.nan, False, factor, told)
    if changes.size > 1 or not clear.any():
        return Crossing("undecided", math.nan, math.nan, math.nan, False, factor, told)
    if changes.size == 0:
        return _outside(x, y, factor, told)
    k = int(changes[0])
    size, low, high = _at(x[k : k + 2], y[:, k : k + 2])
    inside = math.isnan(low) or (x[0] <= math.log(low) and math.log(high) <= x[-1])
    decided = inside and clear[: k + 1].any() and clear[k + 1 :].any()
    return Crossing("crosses" if decided else "undecided", size, low, high, False, factor, told)


def _clear(y: Any, least: float) -> Any:
    """Say of each size whether it leaves no doubt who is ahead; of one pass no noise is known."""
    reach = [0.0 if len(y) < 2 else _reach(own) for own in y.T]
    return np.abs(y.mean(axis=0)) > np.maximum(reach, least)


def _outside(x: Any, y: Any, factor: float, told: bool) -> Crossing:
    """Tell a ratio that heads for one from one that does not, by its last two sizes."""
    never = Crossing("never at all", math.nan, math.nan, math.nan, False, factor, told)
    trend = -np.sign(y.mean(axis=0)[-1]) * np.diff(y[:, -2:])[:, 0] / (x[-1] - x[-2])
    least = LEAST_TREND if len(trend) < 2 else max(LEAST_TREND, _reach(trend))
    if float(trend.mean()) <= least:
        return never
    reached = x[-1] + abs(float(y.mean(axis=0)[-1])) / float(trend.mean())
    if reached - x[-1] > math.log(FURTHEST):
        return never
    size, low, high = _at(x[-2:], y[:, -2:])
    return Crossing("never in the range", size, low, high, True, factor, told)


def _at(x: Any, y: Any) -> tuple[float, float, float]:
    """Return where the line through two sizes is zero, and the interval of that over the passes."""
    mean = y.mean(axis=0)
    slope = (mean[1] - mean[0]) / (x[1] - x[0])
    share = -mean[0] / (mean[1] - mean[0])
    own = x[0] + share * (x[1] - x[0]) - (y[:, 0] + share * (y[:, 1] - y[:, 0])) / slope
    centre = float(own.mean())
    reach = _reach(own)
    return math.exp(centre), _exp(centre - reach), _exp(centre + reach)


def _exp(value: float) -> float:
    return math.nan if math.isnan(value) else math.exp(min(value, 700.0))


def _reach(values: Any) -> float:
    n = len(values)
    if n < 2:
        return math.nan
    return float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * float(np.std(values, ddof=1)) / math.sqrt(n)


def crossovers(table: pd.DataFrame, passes: pd.DataFrame) -> pd.DataFrame:
    """Find where one strategy overtakes another in time and in memory.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    passes : DataFrame
        What each pass measured, as `runs.load_passes` returns it.

    Returns
    -------
    DataFrame
        One line a sweep, phase, quantity (``"seconds"`` or ``"bytes"``) and pair of strategies with two common sizes or
        more, for bytes two at which both took 8 KiB or more: ``knob``, ``held`` (what the sweep
        holds fixed), ``phase``, ``quantity``, ``first``, ``second``, then the fields of `Crossing`; ``ahead`` is the strategy that costs
        less at the largest common size, missing where it cannot be told, ``factor`` by how many times. Memory is measured once: it has
        no interval, and peaks within one per cent are the same.
    """
    lines = []
    for knob in KNOBS:
        for sweep in find_sweeps(table, knob):
            ok = sweep.rows[sweep.rows["status"] == "ok"]
            for phase, rows in ok.groupby("phase", sort=False):
                own = passes[(passes["phase"] == phase) & passes["case"].isin(rows["case"])]
                for pair in combinations(in_order(rows["strategy"]), 2):
                    start = {"knob": knob, "held": sweep.held, "phase": phase, "first": pair[0], "second": pair[1]}
                    lines += [start | line for line in _lines(sweep, rows, own, pair)]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _lines(sweep: Sweep, rows: pd.DataFrame, passes: pd.DataFrame, pair: tuple[str, str]) -> Iterator[dict[str, Any]]:
    found = {
        "seconds": (_paired_seconds(rows, passes, pair, sweep.knob), 1.0),
        "bytes": (_paired_bytes(rows, pair, sweep.knob), 1 / CLEARLY_LESS),
    }
    for quantity, (ratios, least) in found.items():
        if ratios.empty or ratios.shape[1] < 2:
            continue
        crossing = cross(ratios.columns.to_numpy(), ratios.to_numpy(), least)
        less = pair[1] if crossing.factor > 1 else pair[0]
        yield {name: value for name, value in vars(crossing).items() if name != "told"} | {
            "quantity": quantity,
            "ahead": less if crossing.told else math.nan,
            "factor": max(crossing.factor, 1 / crossing.factor),
            "n_passes": len(ratios),
        }


def _paired_seconds(rows: pd.DataFrame, passes: pd.DataFrame, pair: tuple[str, str], knob: str) -> pd.DataFrame:
    """Return the ratios of each pass, a line each, at the sizes at which both were timed, each from one process."""
    one, other = (passes[passes["strategy"] == name].set_index(["case", "pass", "worker"])["seconds"] for name in pair)
    ratios = (one / other).dropna().reset_index()
    sizes = rows.drop_duplicates("case").set_index("case")[knob]
    sized = ratios.assign(size=ratios["case"].map(sizes)).dropna()
    return sized.pivot_table(index="pass", columns="size", values="seconds").dropna()


def _paired_bytes(rows: pd.DataFrame, pair: tuple[str, str], knob: str) -> pd.DataFrame:
    """Return the ratios of the peaks, one line, at the sizes at which both are known."""
    column = GROWING["bytes"][0]
    known = rows[rows[column] >= LEAST_BYTES]
    one, other = (known[known["strategy"] == name].set_index(knob)[column] for name in pair)
    return (one / other).dropna().sort_index().to_frame().T
