"""Which cases of the suite ``claims`` a claim looks at, and their rows side by side."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from jacobench.bench.row.statistics import geometric_mean, log_t_interval
from jacobench.reports.data.units import format_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from jacobench.reports.data.run_data import Run

# t = W z: differentiated by W, and by z.
BY_WEIGHTS, BY_INPUT = "mlp-w*-d1-b1-noloss", "chain-affine-w*"

# The same with n and m apart, n·m equal.
UNEQUAL = "mlp-*x*-b1-noloss"

# g = A B C D e, four links of one kind; a net of layers, for the order of multiplication.
LINKS = ("neg", "permute", "cross", "conv1d")
ORDER = "chain-affine-tanh-w*"


def rows_of(run: Run, cases: str, phase: str = "gradient") -> pd.DataFrame:
    """Return the rows of a phase whose cases match a glob, without those of the forward pass."""
    table = run.table
    matching = table["case"].map(lambda case: fnmatchcase(case, cases)).astype(bool)
    return table[matching & (table["phase"] == phase) & (table["strategy"] != "forward")]


def value(rows: pd.DataFrame, case: str, strategy: str, column: str) -> float:
    """Return one number of one cell that is ok; NaN where there is none."""
    found = rows[(rows["case"] == case) & (rows["strategy"] == strategy) & (rows["status"] == "ok")][column]
    return float(found.iloc[0]) if len(found) else float("nan")


def ratio(run: Run, case: str, pair: Sequence[str], phase: str = "gradient") -> tuple[float, float, float]:
    """Return how many times as long the first of two strategies takes, with its 95 % interval, over pairs from one process.

    Returns
    -------
    float, float, float
        The geometric mean and the ends of the interval; NaN where they were not timed together, the ends also for one pass.
    """
    own = run.passes[(run.passes["case"] == case) & (run.passes["phase"] == phase)]
    first, second = (own[own["strategy"] == name].set_index(["pass", "worker"])["seconds"] for name in pair)
    ratios = (first / second).dropna().tolist()
    if not ratios:
        return float("nan"), float("nan"), float("nan")
    return geometric_mean(ratios), *log_t_interval(ratios)


def in_words(mean: float, low: float, high: float) -> str:
    """Return a ratio with its interval, such as ``"2.00× [1.96×, 2.04×]"``."""
    if math.isnan(low):
        return format_ratio(mean)
    return f"{format_ratio(mean)} [{format_ratio(low)}, {format_ratio(high)}]"
