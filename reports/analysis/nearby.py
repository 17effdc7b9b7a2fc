"""Cases of a run that are near another case, so that times measured there are valid for it within a factor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.reports.analysis.sweeps import KNOBS

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME = ("graph", "activation", "loss", "residual", "normalization", "dtype")  # knobs in which near cases are equal

WITHIN = math.sqrt(2)
"""Factor within which the sizes of near cases agree. Suites double their sizes, so every size between the smallest and
the largest of a sweep has a near case."""

RATIO_EXPONENT = 1.3
"""Power of a size with which the ratio of two strategies' times changes at most. The largest difference of two
exponents in docs/scaling.md is 1.26, of dense and vjp in width."""


@dataclass(frozen=True)
class NearCase:
    """A measured case near another one, or the same; `distance_factor` is the product of the factors of sizes."""

    case: str
    exact: bool
    distance_factor: float
    differs: str

    @property
    def ratio_uncertainty(self) -> float:
        """Factor by which the ratio of two strategies' times may differ between the two cases."""
        return float(self.distance_factor**RATIO_EXPONENT)


def nearby(table: pd.DataFrame, knobs: Mapping[Any, Any]) -> list[NearCase]:
    """Find the cases of a run's tidy table that are near a case, given as its row.

    They are equal in `SAME`, store their weights alike (sparse or not), and agree within √2 in each of `KNOBS` and in
    the square root of the number of parameters, which separates networks of other shapes. The case itself comes first,
    then the nearest.
    """
    found = [_near(own.iloc[0].to_dict(), knobs) for _, own in table.groupby("case", sort=False)]
    return sorted((near for near in found if near), key=lambda near: (not near.exact, near.distance_factor))


def _near(own: Mapping[Any, Any], knobs: Mapping[Any, Any]) -> NearCase | None:
    if any(not _equal(own[name], knobs[name]) for name in SAME):
        return None
    if (own["weight_density"] < 1) != (knobs["weight_density"] < 1):  # other code: other times at equal sizes
        return None
    sizes = {name: _factor(own[name], knobs[name]) for name in KNOBS}
    shape = math.sqrt(_factor(own["n_parameters"], knobs["n_parameters"]))
    if max(*sizes.values(), shape) > WITHIN * (1 + 1e-9):
        return None
    differs = [f"{KNOBS[name]} {own[name]:g}, not {knobs[name]:g}" for name in KNOBS if sizes[name] > 1]
    if not differs and shape > 1:
        differs = [f"{own['n_parameters']:,.0f} parameters, not {knobs['n_parameters']:,.0f}"]
    factor = math.prod(sizes.values()) / sizes["width"] * max(sizes["width"], shape)
    return NearCase(own["case"], own["case"] == knobs["case"], factor, "; ".join(differs))


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other or (pd.isna(one) and pd.isna(other)))


def _factor(one: Any, other: Any) -> float:
    """Return the factor between two sizes; infinite if only one of the cases has this size."""
    if pd.isna(one) or pd.isna(other):
        return 1.0 if pd.isna(one) and pd.isna(other) else math.inf
    if one == other:
        return 1.0
    return float(max(one / other, other / one)) if one and other else math.inf
