"""Which cases of a run are near enough to another one that what was measured there says something of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME = ("graph", "activation", "loss", "residual", "normalization", "dtype")
"""The knobs in which a near case is equal."""

WITHIN = math.sqrt(2)
"""The factor within which each size of a near case lies. Suites double their sizes: between the smallest and the largest of a
sweep there is then always a case near."""

SIZES = {"width": "width", "depth": "depth", "batch": "batch", "n_seeds": "seeds", "weight_density": "weight density"}
"""The sizes that a near case need not share, with the words for them."""

DRIFT = 1.3
"""How fast the ratio of two strategies' times moves: at most as this power of a size. The largest difference of two exponents
in docs/scaling.md is 1.26, of dense and vjp in width."""

COLUMNS = ("case", "factor", "drift", "differs")


def nearby(table: pd.DataFrame, knobs: Mapping[Any, Any]) -> pd.DataFrame:
    """Find the cases of a run that are near a case.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    knobs : mapping
        The case's own row, or the part of it that holds ``case``, the knobs and ``n_parameters``.

    Returns
    -------
    DataFrame
        One line a case that is equal in `SAME`, stores its weights alike (sparse or not), and lies within a factor √2 in each
        of `SIZES` and in the square root of the number of parameters, which tells apart nets of other shapes. The case itself
        first, then the nearest: ``case``; ``factor``, the product of those factors, 1 for the case itself; ``drift``, by how
        much the ratio of two strategies may differ there; ``differs``, in words.
    """
    lines = [
        line | {"case": case}
        for case, own in table.groupby("case", sort=False)
        if (line := _line(own.iloc[0].to_dict(), knobs)) is not None
    ]
    found = pd.DataFrame(lines, columns=list(COLUMNS))
    found["exact"] = found["case"] == knobs["case"]
    return found.sort_values(["exact", "factor"], ascending=[False, True], kind="stable").drop(columns="exact")


def _line(own: Mapping[Any, Any], knobs: Mapping[Any, Any]) -> dict[str, Any] | None:
    if any(not _equal(own[name], knobs[name]) for name in SAME):
        return None
    if (own["weight_density"] < 1) != (
        knobs["weight_density"] < 1
    ):  # other code, and other times, at one and the same size
        return None
    sizes = {name: _factor(own[name], knobs[name]) for name in SIZES}
    shape = math.sqrt(_factor(own["n_parameters"], knobs["n_parameters"]))
    if max(*sizes.values(), shape) > WITHIN * (1 + 1e-9):
        return None
    differs = [f"{SIZES[name]} {own[name]:g}, not {knobs[name]:g}" for name in SIZES if sizes[name] > 1]
    if not differs and shape > 1:
        differs = [f"{own['n_parameters']:,.0f} parameters, not {knobs['n_parameters']:,.0f}"]
    factor = math.prod(sizes.values()) / sizes["width"] * max(sizes["width"], shape)
    return {"factor": factor, "drift": factor**DRIFT, "differs": "; ".join(differs)}


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other or (pd.isna(one) and pd.isna(other)))


def _factor(one: Any, other: Any) -> float:
    """Return by what factor two sizes differ; one that only one of them has makes them incomparable."""
    if pd.isna(one) or pd.isna(other):
        return 1.0 if pd.isna(one) and pd.isna(other) else math.inf
    if one == other:
        return 1.0
    return float(max(one / other, other / one)) if one and other else math.inf
