"""The shapes that a change can have: from one level to another, at once (a step) or over several runs (a drift)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from jacobench.bench.row.statistics import CONFIDENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SEGMENT = 3
"""Runs that a level needs: one or two that stand out are outliers."""

GRID = 24
"""Positions tried for each end of a drift."""

EVIDENCE = 2.0
"""By how much a drift's BIC must be below that of steps: "positive" in Kass and Raftery, Bayes Factors (1995)."""

PLAUSIBLE = 7.4
"""Twice the logarithm of the likelihood that a step's place may lose: 95 %, after Siegmund, Confidence sets in
change-point problems (1988): 2 log 40."""


@dataclass(frozen=True)
class Change:
    """A change of a series, between two levels.

    Attributes
    ----------
    low, high : int
        The runs that were compared: from ``low``, before ``high``.
    start, end : int
        The old level reaches up to run ``start``, the new one begins with run ``end``; a step has ``end == start + 1``.
    """

    low: int
    high: int
    start: int
    end: int

    @property
    def is_drift(self) -> bool:
        """Whether it took several runs."""
        return self.end > self.start + 1


@dataclass(frozen=True)
class Size:
    """How large a change is: new over old, with its 95 % t-interval, and how many standard errors that is.

    Attributes
    ----------
    ratio, low, high : float
        1 is no change.
    t : float
        The logarithm of the ratio over its standard error.
    """

    ratio: float
    low: float
    high: float
    t: float


def shape(change: Change) -> NDArray[np.float64]:
    """Return 0 for runs on the old level, 1 for runs on the new one, and what lies between for a drift's own runs."""
    runs = np.arange(change.low, change.high)
    return np.clip((runs - change.start) / (change.end - change.start), 0.0, 1.0)


def measure(values: NDArray[np.float64], change: Change, sigma: float, freedom: int) -> Size:
    """Measure a change by least squares.

    Parameters
    ----------
    values : array, shape (n_runs,)
        Logarithms, outliers tamed.
    change : Change
        Where it is.
    sigma : float
        Standard deviation of one run around its level.
    freedom : int
        Degrees of freedom of ``sigma``.
    """
    form = shape(change)
    form -= form.mean()
    spread = float(form @ form)
    slope = float(form @ values[change.low : change.high]) / spread
    error = sigma / sqrt(spread)
    reach = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
    return Size(exp(slope), exp(slope - reach), exp(slope + reach), slope / error)


def place(values: NDArray[np.float64], change: Change, sigma: float) -> tuple[int, int]:
    """Return the last run that is surely before a change, and the first that is surely after it.

    Of a step: the splits whose likelihood is within `PLAUSIBLE` of the best (95 %). Of a drift: where it begins and ends.
    """
    if change.is_drift:
        return change.start, change.end
    explained = between(values[change.low : change.high], margin=1) / sigma**2
    splits = np.flatnonzero(explained >= explained.max() - PLAUSIBLE) + 1 + change.low
    return min(int(splits[0]) - 1, change.start), max(int(splits[-1]), change.end)


def between(values: NDArray[np.float64], margin: int = MIN_SEGMENT) -> NDArray[np.float64]:
    """Return the sum of squares that each split explains, along the last axis; ``margin`` runs stay on either side."""
    n = values.shape[-1]
    sums = np.cumsum(values - values.mean(axis=-1, keepdims=True), axis=-1)
    k = np.arange(margin, n - margin + 1)
    chosen = sums[..., margin - 1 : n - margin]
    chosen *= chosen
    chosen *= n / (k * (n - k))
    return chosen


def join(values: NDArray[np.float64], edges: list[int], sigma: float) -> list[Change]:
    """Turn the edges between levels into changes: steps, or a drift where steps in one direction are better one.

    Parameters
    ----------
    values : array, shape (n_runs,)
        Logarithms, outliers tamed.
    edges : list of int
        From 0 to n_runs: where each level begins, and the end.
    sigma : float
        Standard deviation of one run around its level.
    """
    steps = [Change(edges[i - 1], edges[i + 1], edges[i] - 1, edges[i]) for i in range(1, len(edges) - 1)]
    found: list[Change] = []
    for _, run in groupby(steps, key=lambda step: _rises(values, step)):
        alike = list(run)
        drift = _drift_instead(values, alike, sigma)
        found += [drift] if drift else alike
    return found


def _rises(values: NDArray[np.float64], step: Change) -> bool:
    return bool(values[step.end : step.high].mean() > values[step.low : step.end].mean())


def _drift_instead(values: NDArray[np.float64], steps: list[Change], sigma: float) -> Change | None:
    """Return the drift that is better than neighbouring steps in one direction; None where none is.

    By the Bayesian information criterion: a drift has two ends and two levels, a step one place and one level more.
    """
    low, high = steps[0].low, steps[-1].high
    edges = [low, *(step.end for step in steps), high]
    parts = [values[begin:end] for begin, end in pairwise(edges)]
    rest = sum(float(np.sum((part - part.mean()) ** 2)) for part in parts)
    drift, rest_drift = _best_drift(values[low:high], low)
    gained = (rest - rest_drift) / sigma**2 + (2 * len(steps) - 3) * log(high - low)
    return drift if gained > EVIDENCE else None


def _best_drift(own: NDArray[np.float64], low: int) -> tuple[Change | None, float]:
    """Return the drift with the least sum of squares over a grid of its ends, and that sum."""
    grid = np.unique(np.linspace(0, own.size - 1, GRID).round().astype(int))
    starts, ends = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    long_enough = ends - starts >= 2 * MIN_SEGMENT
    starts, ends = starts[long_enough], ends[long_enough]
    if not starts.size:
        return None, np.inf
    forms = np.clip((np.arange(own.size) - starts[:, None]) / (ends - starts)[:, None], 0.0, 1.0)
    forms -= forms.mean(axis=1, keepdims=True)
    centred = own - own.mean()
    explained = (forms @ centred) ** 2 / np.sum(forms**2, axis=1)
    best = int(explained.argmax())
    change = Change(low, low + own.size, low + int(starts[best]), low + int(ends[best]))
    return change, float(centred @ centred - explained[best])
