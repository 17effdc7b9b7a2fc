"""Wilcoxon's signed-rank test with estimate and intervals, for many rows at once, exact for any number of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats = Any


@cache
def upper_tail(n: int) -> NDArray[np.float64]:
    """Return at k the probability that the ranks of the positive ones of ``n`` symmetric differences sum to k or more.

    >>> upper_tail(6)[-3:]  # all six positive; all but the smallest; all but the second smallest
    array([0.046875, 0.03125 , 0.015625])
    """
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    return np.cumsum(ways[::-1])[::-1] / 2.0**n


@dataclass(frozen=True)
class SignedRanks:
    """Differences of many rows, ``n`` per row, prepared for the test. Results have the shape (rows,).

    ``walsh``, shape (rows, n (n + 1) / 2): averages of all pairs of differences, including each with itself, ascending.
    The signed-rank sum around a shift is the number of averages above it (Tukey 1949; Hollander, Wolfe and Chicken
    2014, section 3.2). Test, estimate and intervals use this one array, so they agree.
    """

    walsh: Floats
    n: int

    @property
    def estimate(self) -> Floats:
        """Pseudomedians (Hodges and Lehmann 1963)."""
        return np.median(self.walsh, axis=1)

    def above(self, shift: ArrayLike) -> Floats:
        """Return the p-values of the hypothesis that a row's centre is at most ``shift``.

        Averages equal to the shift count as below it, so with ties the p-value is too large rather than too small.
        """
        return upper_tail(self.n)[(self.walsh > np.asarray(shift)[..., None]).sum(axis=1)]

    def below(self, shift: ArrayLike) -> Floats:
        """Return the p-values of the hypothesis that a row's centre is at least ``shift``."""
        return upper_tail(self.n)[(self.walsh < np.asarray(shift)[..., None]).sum(axis=1)]

    def bounds(self, level: float) -> tuple[Floats, Floats]:
        """Return bounds of the centre, each with an error of at most ``level``; infinite with too few differences."""
        spare = int((upper_tail(self.n) <= level).sum())  # averages that may be cut off at each end
        if not spare:
            infinite = np.full(len(self.walsh), np.inf)
            return -infinite, infinite
        return self.walsh[:, spare - 1], self.walsh[:, -spare]


def signed_ranks(differences: ArrayLike) -> SignedRanks:
    """Prepare the differences of many rows: finite floats, shape (rows, n)."""
    values = np.asarray(differences, dtype=np.float64)
    i, j = np.triu_indices(values.shape[1])
    return SignedRanks(np.sort((values[:, i] + values[:, j]) / 2, axis=1), values.shape[1])
