"""Claim 1: vector-Jacobian products give the same gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from jacobench.reports.claims.claim_finding import HOLDS, WRONG, Finding, not_shown
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from jacobench.reports.data.run_data import Run


def same_gradients(run: Run) -> Finding:
    """Judge by how far the gradients of every other strategy lie from those of vjp, in every cell."""
    rows = run.table[(run.table["phase"] == "gradient") & (run.table["strategy"] != "forward")]
    wrong = rows[rows["status"] == "wrong"]
    if (wrong["strategy"] == REFERENCE).any():
        first = wrong[wrong["strategy"] == REFERENCE].iloc[0]
        return Finding(WRONG, f"vjp disagrees with central differences in {first['case']}: {first['reason']}")
    if len(wrong):  # which says something of that strategy, and nothing of products
        first = wrong.iloc[0]
        return not_shown(f"{first['strategy']} is wrong in {first['case']}: {first['reason']}")
    compared = rows[(rows["status"] == "ok") & rows["max_relative_error"].notna()]
    if compared.empty:
        return not_shown("no strategy was held against vjp in this run")
    worst = (
        compared.groupby(["strategy", "dtype"], sort=False)["max_relative_error"].agg(["max", "count"]).reset_index()
    )
    evidence = pd.DataFrame(
        {
            "strategy": worst["strategy"],
            "in": worst["dtype"],
            "cases": worst["count"],
            "largest relative difference from vjp": worst["max"].map("{:.2g}".format),
        }
    )
    doubles = compared[compared["dtype"] == "float64"]
    singles = compared[compared["dtype"] == "float32"]
    parts = [
        f"{own['max_relative_error'].max():.1g} in {dtype}"
        for own, dtype in ((doubles, "float64"), (singles, "float32"))
        if len(own)
    ]
    untried = int((rows["status"] != "ok").sum())
    left = f" ({untried} cells ended without gradients)" if untried else ""
    return Finding(
        HOLDS,
        f"in {len(compared)} cells over {compared['case'].nunique()} graphs, gradients through Jacobians differ from those of vjp by "
        f"at most {' and '.join(parts)}, relative to the largest entry{left}",
        evidence,
    )
