"""Shapes of a change between two levels: a step at one run, or a drift over several runs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from jacobench.bench.row.statistics import half_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SEGMENT = 3  # runs that a level needs; fewer are outliers
GRID = 24  # number of positions tried for each end of a drift

EVIDENCE = 2.0
"""Required difference between the BIC of steps and of a drift: "positive" in Kass and Raftery, Bayes Factors (1995)."""

PLAUSIBLE = 7.4
"""Log-likelihood ratio, times two, that bounds the 95 % confidence set of a step's position: 2 log 40, after Siegmund,
Confidence sets in change-point problems (1988)."""


@dataclass(frozen=True)
class Change:
    """Position of a change in a series.

    low, high: the compared runs, from ``low`` to before ``high``. start, end: last run on the old level and first run
    on the new one; a step has ``end == start + 1``.
    """

    low: int
    high: int
    start: int
    end: int

    @property
    def is_drift(self) -> bool:
        """Whether the change took several runs."""
        return self.end > self.start + 1


@dataclass(frozen=True)
class ChangeSize:
    """Ratio of the new to the old level with its 95 % t-interval; `t` is its logarithm over the standard error."""

    ratio: float
    low: float
    high: float
    t: float


def measure(values: NDArray[np.float64], change: Change, sigma: float, freedom: int) -> ChangeSize:
    """Measure the size of a change by least squares, from logarithms without outliers.

    ``sigma``: standard deviation of one run around its level, with ``freedom`` degrees of freedom.
    """
    # 0 for runs on the old level, 1 on the new one, and values in between for the runs of a drift
    runs = np.arange(change.low, change.high)
    form = np.clip((runs - change.start) / (change.end - change.start), 0.0, 1.0)
    form -= form.mean()
    spread = float(form @ form)
    slope = float(form @ values[change.low : change.high]) / spread
    error = sigma / sqrt(spread)
    reach = float(half_width(error, freedom))
    return ChangeSize(exp(slope), exp(slope - reach), exp(slope + reach), slope / error)


def position_bounds(values: NDArray[np.float64], change: Change, sigma: float) -> tuple[int, int]:
    """Return the last run that is before a change, and the first that is after it, with 95 % confidence.

    For a step these are the outermost splits whose likelihood is within `PLAUSIBLE` of the best; for a drift, its ends.
    """
    if change.is_drift:
        return change.start, change.end
    gains = split_gains(values[change.low : change.high], margin=1) / sigma**2
    splits = np.flatnonzero(gains >= gains.max() - PLAUSIBLE) + 1 + change.low
    return min(int(splits[0]) - 1, change.start), max(int(splits[-1]), change.end)


def split_gains(values: NDArray[np.float64], margin: int = MIN_SEGMENT) -> NDArray[np.float64]:
    """Return the sum of squares that each split along the last axis explains. A side has at least ``margin`` runs."""
    n = values.shape[-1]
    sums = np.cumsum(values - values.mean(axis=-1, keepdims=True), axis=-1)
    k = np.arange(margin, n - margin + 1)
    gains = sums[..., margin - 1 : n - margin]
    gains *= gains
    gains *= n / (k * (n - k))
    return gains


def changes_between(values: NDArray[np.float64], edges: list[int], sigma: float) -> list[Change]:
    """Convert the edges of levels (first run of each, and n_runs) to changes.

    Neighboring steps in one direction become a drift if it fits better.
    """
    steps = [Change(edges[i - 1], edges[i + 1], edges[i] - 1, edges[i]) for i in range(1, len(edges) - 1)]
    found: list[Change] = []
    for _, run in groupby(steps, lambda step: values[step.end : step.high].mean() > values[step.low : step.end].mean()):
        alike = list(run)
        drift = _drift_instead(values, alike, sigma)
        found += [drift] if drift else alike
    return found


def _drift_instead(values: NDArray[np.float64], steps: list[Change], sigma: float) -> Change | None:
    """Return the drift that fits better than neighboring steps in one direction, or None.

    The Bayesian information criterion decides. A drift has two ends and two levels; each step, a position and a level.
    """
    low, high = steps[0].low, steps[-1].high
    edges = [low, *(step.end for step in steps), high]
    parts = [values[begin:end] for begin, end in pairwise(edges)]
    rest = sum(float(np.sum((part - part.mean()) ** 2)) for part in parts)
    drift, rest_drift = _best_drift(values[low:high], low)
    gained = (rest - rest_drift) / sigma**2 + (2 * len(steps) - 3) * log(high - low)
    return drift if gained > EVIDENCE else None


def _best_drift(own: NDArray[np.float64], low: int) -> tuple[Change | None, float]:
    """Return the drift with the smallest residual sum of squares over a grid of ends, and that sum."""
    grid = np.unique(np.linspace(0, own.size - 1, GRID).round().astype(int))
    starts, ends = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    long_enough = ends - starts >= 2 * MIN_SEGMENT
    starts, ends = starts[long_enough], ends[long_enough]
    if not starts.size:
        return None, np.inf
    forms = np.clip((np.arange(own.size) - starts[:, None]) / (ends - starts)[:, None], 0.0, 1.0)
    forms -= forms.mean(axis=1, keepdims=True)
    centered = own - own.mean()
    explained = (forms @ centered) ** 2 / np.sum(forms**2, axis=1)
    best = int(explained.argmax())
    change = Change(low, low + own.size, low + int(starts[best]), low + int(ends[best]))
    return change, float(centered @ centered - explained[best])
