"""Quality of the time model: its errors in measured cells, and the facts of a machine profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.floor.predicted_rows import validation_rows
from jacobench.bench.row.columns import FORWARD, in_phase
from jacobench.reports.analysis.estimates import model_errors

if TYPE_CHECKING:
    from jacobench.bench.floor.stored_profile import StoredProfile

WITHIN = 0.3  # relative error within which nine of ten predictions should be


def relative_errors(table: pd.DataFrame) -> pd.Series[float]:
    """Return |predicted / measured − 1| of each successful cell that has both, with the table's index."""
    errors = model_errors(table)
    return pd.Series(np.abs(np.expm1(errors.to_numpy())), errors.index)


def quality(table: pd.DataFrame, phase: str = "gradient") -> pd.DataFrame:
    """Return the errors of the time model in a phase: a line per strategy with predictions, and ``"all"`` last.

    The columns are ``strategy``, ``n_cells``, ``median_error``, ``p90_error`` and ``within``, the share within 30 %.
    """
    rows = table[in_phase(table, phase) & table["strategy"].ne(FORWARD)]
    errors = relative_errors(rows)
    groups = {str(name): errors[rows.loc[errors.index, "strategy"] == name] for name in rows["strategy"].unique()}
    lines = [_line(name, own) for name, own in {**groups, "all": errors}.items() if len(own)]
    return pd.DataFrame(lines, columns=["strategy", "n_cells", "median_error", "p90_error", "within"])


def _line(strategy: str, errors: pd.Series[float]) -> dict[str, Any]:
    return {
        "strategy": strategy,
        "n_cells": len(errors),
        "median_error": float(errors.median()),
        "p90_error": float(errors.quantile(0.9)),
        "within": float((errors <= WITHIN).mean()),
    }


def profile_facts(stored: StoredProfile) -> dict[str, Any]:
    """Return the bandwidths of a profile (footprint, read and written bytes per second), and the errors of its model."""
    profile = stored.profile
    overall = quality(validation_rows(stored)).iloc[-1]
    band = zip(profile.bandwidth.footprints, profile.bandwidth.read, profile.bandwidth.write, strict=True)
    return {
        "dtype": profile.dtype,
        "difference_of_measurements": stored.difference,
        "bandwidth": [(footprint, 1 / read, 1 / write) for footprint, read, write in band],
        "n_rules": len({rule.rule for rule in profile.rules}),
        "n_tested": int(overall["n_cells"]),
        "median_error": float(overall["median_error"]),
        "p90_error": float(overall["p90_error"]),
    }
