"""Crossovers: the size at which one strategy becomes cheaper than another. For the number of uses, see `reuse`."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES, bounded_exp, clearly_less, decide, plausible, robust_bounds
from jacobench.reports.analysis.doubts import could_win_in
from jacobench.reports.analysis.growth import GROWING
from jacobench.reports.analysis.sweeps import KNOBS, Sweep, find_sweeps
from jacobench.reports.data.vocabulary import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

LEAST_TREND = 0.001
"""Smallest change of log(ratio) per log(size) that counts as approaching one. Over twenty doublings, from a width of 16
to sixteen million, it changes the ratio by less than 2 %."""

FURTHEST = 1024.0  # largest factor beyond the largest size to which a crossing is extrapolated

COLUMNS = (
    "knob", "held", "machine", "phase", "quantity", "first", "second", "smallest", "largest", "outcome", "size", "low",
    "high", "extrapolated", "cheaper", "factor", "n_passes", "could_win",
)  # fmt: skip


@dataclass(frozen=True)
class Crossing:
    """Size at which two strategies cost the same.

    `outcome` is one of:

    - ``"crosses"``: within the measured sizes, and so is its interval.
    - ``"crosses again"``: sizes that decide change order more than once.
    - ``"never in the range"``: no crossing, one is clearly cheaper at the largest size, but the ratio approaches one.
    - ``"never at all"``: no crossing, one is clearly cheaper at the largest size, and the ratio does not clearly
      approach one.
    - ``"undecided"``: all else. The means change order, but on one side no size decides who is cheaper, or the interval
      leaves the range; or they do not, but the largest size does not decide.

    `factor` is the cost of the first over that of the second at the largest size; `decided` is true if one is clearly
    cheaper there. `size`, `low` and `high` are the crossing and its 95 % interval, NaN where there is none;
    `extrapolated` is true if it is beyond the measured sizes, as for ``"never in the range"`` only.
    """

    outcome: str
    factor: float
    decided: bool
    size: float = math.nan
    low: float = math.nan
    high: float = math.nan
    extrapolated: bool = False


def cross(sizes: ArrayLike, ratios: ArrayLike, decided: ArrayLike | None = None) -> Crossing:
    """Find the size at which a ratio is one.

    `sizes`, shape (n,), are positive and ascending, two or more. `ratios`, shape (passes, n), are the cost of the first
    over the cost of the second, each pair from one process; NaN where a pass did not measure a size. `decided`, shape
    (n,), marks the sizes at which one is clearly cheaper; default: by `decide`, so none for one pass.

    The crossing is interpolated linearly between the logarithms of the medians. Each pass has its own: the fitted one,
    moved by the distance of the pass's ratio from one there, divided by the slope (first order). The interval is that
    of `robust_bounds` over the passes; NaN for one pass.
    """
    x, y = np.log(np.asarray(sizes, dtype=np.float64)), np.log(np.atleast_2d(np.asarray(ratios, dtype=np.float64)))
    middle = np.nanmedian(y, axis=0)
    clear = np.asarray([_is_clear(own[~np.isnan(own)]) for own in y.T] if decided is None else decided, dtype=bool)
    last = math.exp(middle[-1]), bool(clear[-1])
    changes = np.flatnonzero(np.diff(middle >= 0))
    if np.count_nonzero(np.diff(middle[clear] >= 0)) > 1:
        return Crossing("crosses again", *last)
    if changes.size > 1 or (changes.size == 0 and not clear[-1]):
        return Crossing("undecided", *last)
    if changes.size == 0:
        return _outside(x, y, last)
    k = int(changes[0])
    size, low, high = _at(x[k : k + 2], y[:, k : k + 2])
    inside = math.isnan(low) or (x[0] <= math.log(low) and math.log(high) <= x[-1])
    found = inside and clear[: k + 1].any() and clear[k + 1 :].any()
    return Crossing("crosses" if found else "undecided", *last, size, low, high)


def _is_clear(logs: Any) -> bool:
    """Return whether one of two strategies is clearly faster."""
    return any(decide({"rival": np.exp(side).tolist()}).status == "ahead" for side in (logs, -logs))


def _complete(y: Any) -> Any:
    """Return the passes that measured all sizes."""
    return y[~np.isnan(y).any(axis=1)]


def _outside(x: Any, y: Any, last: tuple[float, bool]) -> Crossing:
    """Extrapolate from the last two sizes, if the ratio clearly approaches one."""
    never = Crossing("never at all", *last)
    middle = np.nanmedian(y[:, -2:], axis=0)
    sign, step = -np.sign(middle[1]), x[-1] - x[-2]
    nearer = sign * np.diff(_complete(y[:, -2:]))[:, 0]
    low, trend = robust_bounds(nearer.tolist())[0], sign * (middle[1] - middle[0]) / step
    if low <= 0 or trend <= LEAST_TREND or abs(middle[1]) / trend > math.log(FURTHEST):
        return never
    return Crossing("never in the range", *last, *_at(x[-2:], y[:, -2:]), extrapolated=True)


def _at(x: Any, y: Any) -> tuple[float, float, float]:
    """Return where the line through two sizes is zero, and the interval of that over the passes."""
    middle, own = np.nanmedian(y, axis=0), _complete(y)
    slope = (middle[1] - middle[0]) / (x[1] - x[0])
    share = -middle[0] / (middle[1] - middle[0])
    centre = x[0] + share * (x[1] - x[0])
    low, high = robust_bounds((centre - (own[:, 0] + share * (own[:, 1] - own[:, 0])) / slope).tolist())
    return math.exp(centre), bounded_exp(low), bounded_exp(high)


def crossovers(table: pd.DataFrame, passes: pd.DataFrame) -> pd.DataFrame:
    """Find the sizes at which one strategy becomes cheaper than another, in time and in memory.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    passes : DataFrame
        Seconds of each pass, as returned by `load_passes`.

    Returns
    -------
    DataFrame
        One line per sweep, phase, quantity (``"seconds"`` or ``"bytes"``) and pair of strategies with at least two
        common sizes; for bytes, sizes at which both took 8 KiB or more:

        - ``knob``, ``held`` (what the sweep holds fixed), ``machine``, ``phase``, ``quantity``, ``first``, ``second``, and the
          fields of `Crossing`;
        - ``smallest``, ``largest``: the ends of the common sizes;
        - ``cheaper``: the strategy that costs clearly less at the largest common size, by `decide` for time and
          `clearly_less` for memory; missing where undecided, and for one pass;
        - ``factor``: how many times as much the other one costs there;
        - ``could_win``: which of the two is slower next to the crossover, or at the largest size, but could be faster
          there at its own limit, as in `recommend`.

        Memory is measured once and has no interval.
    """
    lines = []
    for knob in KNOBS:
        for sweep in find_sweeps(table, knob):
            ok = sweep.rows[sweep.rows["status"] == "ok"]
            for phase, rows in ok.groupby("phase", sort=False):
                own = passes[(passes["phase"] == phase) & passes["case"].isin(rows["case"])]
                for pair in combinations(in_order(rows["strategy"]), 2):
                    start = {"knob": knob, "held": sweep.held, "machine": sweep.machine, "phase": phase}
                    start |= {"first": pair[0], "second": pair[1]}
                    lines += [start | line for line in _lines(sweep, rows, own, pair)]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _lines(sweep: Sweep, rows: pd.DataFrame, passes: pd.DataFrame, pair: tuple[str, str]) -> Iterator[dict[str, Any]]:
    found = {
        "seconds": (_paired_seconds(rows, passes, pair, sweep.knob), None),
        "bytes": _paired_bytes(rows, pair, sweep.knob),
    }
    for quantity, (ratios, decided) in found.items():
        if ratios.empty or ratios.shape[1] < 2:
            continue
        crossing = cross(ratios.columns.to_numpy(), ratios.to_numpy(), decided)
        less = pair[1] if crossing.factor > 1 else pair[0]
        yield {name: value for name, value in vars(crossing).items() if name != "decided"} | {
            "quantity": quantity,
            "smallest": ratios.columns[0],
            "largest": ratios.columns[-1],
            "cheaper": less if crossing.decided else math.nan,
            "factor": max(crossing.factor, 1 / crossing.factor),
            "n_passes": len(ratios),
            "could_win": _could_win(rows, sweep.knob, pair, ratios, crossing) if quantity == "seconds" else {},
        }


def _could_win(
    rows: pd.DataFrame, knob: str, pair: tuple[str, str], ratios: pd.DataFrame, crossing: Crossing
) -> dict[str, float]:
    """Return who loses, but could win at its limit, at the sizes next to the crossover and at the largest one."""
    sizes = ratios.columns.tolist()
    places = [sizes[-1]] if crossing.decided else []
    if crossing.outcome == "crosses":
        places += sizes[max(0, bisect_right(sizes, crossing.size) - 1) :][:2]
    cases = rows.drop_duplicates(knob).set_index(knob)["case"]
    found: dict[str, float] = {}
    for size in places:
        winner = pair[0] if np.log(ratios[size]).mean() < 0 else pair[1]
        found |= could_win_in(rows, cases[size], winner, pair)
    return found


def _paired_seconds(rows: pd.DataFrame, passes: pd.DataFrame, pair: tuple[str, str], knob: str) -> pd.DataFrame:
    """Return the ratios, a line per pass and a column per size, each from one process; NaN where it was not measured."""
    passes = passes[plausible(passes["seconds"])]
    one, other = (passes[passes["strategy"] == name].set_index(["case", "pass", "worker"])["seconds"] for name in pair)
    ratios = (one / other).dropna().reset_index()
    sizes = rows.drop_duplicates("case").set_index("case")[knob]
    sized = ratios.assign(size=ratios["case"].map(sizes)).dropna()
    return sized.pivot_table(index="pass", columns="size", values="seconds")


def _paired_bytes(rows: pd.DataFrame, pair: tuple[str, str], knob: str) -> tuple[pd.DataFrame, list[bool]]:
    """Return the ratios of the peaks, one line, at the sizes at which both are known; and which sizes decide."""
    column = GROWING["bytes"][0]
    known = rows[rows[column] >= LEAST_BYTES]
    one, other = (known[known["strategy"] == name].set_index(knob)[column] for name in pair)
    both = pd.DataFrame({"one": one, "other": other}).dropna().sort_index()
    decided = clearly_less(both["one"], both["other"]) | clearly_less(both["other"], both["one"])
    return (both["one"] / both["other"]).to_frame().T, decided.tolist()
