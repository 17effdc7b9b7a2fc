"""Wilcoxon's signed-rank test with its estimate and intervals, for many rows at once, exact for any number of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Floats = Any


@cache
def tail(n: int) -> NDArray[np.float64]:
    """Return the upper tail of the signed-rank sum of ``n`` differences that are symmetric around 0.

    Parameters
    ----------
    n : int
        How many.

    Returns
    -------
    ndarray, shape (n (n + 1) / 2 + 1,)
        At k, the probability that the ranks of the positive ones sum to k or more.

    Examples
    --------
    >>> tail(6)[-3:]  # all six positive, but for the smallest, but for the second
    array([0.046875, 0.03125 , 0.015625])
    """
    ways = np.ones(1)
    for rank in range(1, n + 1):
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    return np.cumsum(ways[::-1])[::-1] / 2.0**n


@dataclass(frozen=True)
class Ranked:
    """Differences of many rows, ready for every question that the test answers.

    Attributes
    ----------
    walsh : ndarray, shape (rows, n (n + 1) / 2)
        The averages of all pairs of differences, of each with itself too, ascending. The signed-rank sum around a shift is the
        number of them above it (Tukey 1949; Hollander, Wolfe and Chicken 2014, section 3.2), so that test, estimate and
        intervals all come from this one array and agree.
    n : int
        Differences of each row.
    """

    walsh: Floats
    n: int

    @property
    def estimate(self) -> Floats:
        """The pseudomedians (Hodges and Lehmann 1963), shape (rows,)."""
        return np.median(self.walsh, axis=1)

    def above(self, shift: ArrayLike) -> Floats:
        """Return the p-values of the hypothesis that a row's centre is at most its ``shift``, shape (rows,).

        Averages equal to the shift count as below it: with ties the p-value is too large rather than too small.
        """
        return tail(self.n)[(self.walsh > np.asarray(shift)[..., None]).sum(axis=1)]

    def below(self, shift: ArrayLike) -> Floats:
        """Return the p-values of the hypothesis that a row's centre is at least its ``shift``, shape (rows,)."""
        return tail(self.n)[(self.walsh < np.asarray(shift)[..., None]).sum(axis=1)]

    def bounds(self, level: float) -> tuple[Floats, Floats]:
        """Return what the centre is above, and what it is below, each with an error of at most ``level``.

        Returns
        -------
        low, high : ndarray, shape (rows,)
            Infinite where so few differences cannot tell.
        """
        spare = int((tail(self.n) <= level).sum())  # how many averages may be cut off each end
        if not spare:
            infinite = np.full(len(self.walsh), np.inf)
            return -infinite, infinite
        return self.walsh[:, spare - 1], self.walsh[:, -spare]


def ranked(differences: ArrayLike) -> Ranked:
    """Prepare the differences of many rows.

    Parameters
    ----------
    differences : array_like of float, shape (rows, n)
        Finite; of logarithms of paired times, say.
    """
    values = np.asarray(differences, dtype=np.float64)
    i, j = np.triu_indices(values.shape[1])
    return Ranked(np.sort((values[:, i] + values[:, j]) / 2, axis=1), values.shape[1])
