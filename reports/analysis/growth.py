"""Growth of cost: the power law of each strategy over each sweep, and the exponent that the model predicts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.bench.row.statistics import LEAST_BYTES
from jacobench.reports.analysis.power_laws import PowerLaw, fit
from jacobench.reports.analysis.sweeps import KNOBS, Sweep, find_sweeps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Quantity → measured column, and prediction whose exponent over the same sizes is compared.
GROWING = {"seconds": ("seconds_median", "predicted_seconds"), "bytes": ("peak_bytes", "predicted_bytes")}

WIDEST = 1.0  # width of the interval of an exponent beyond which it agrees with nearly every theory
TOLERANCE = 0.1  # difference of exponents that the errors of the models cause

COLUMNS = (
    "knob", "held", "machine", "strategy", "phase", "quantity", "exponent", "exponent_low", "exponent_high", "exponent_predicted",
    "verdict", "fixed", "scale", "dominates_from", "r_squared", "residual", "smallest", "largest", "n_sizes",
    "n_passes",
)  # fmt: skip


def growth(table: pd.DataFrame, passes: pd.DataFrame | None = None) -> pd.DataFrame:
    """Fit the growth of time and memory with each swept knob.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.
    passes : DataFrame, optional
        Seconds of each pass, as returned by `load_passes`. Without it, the exponents of time have no interval.

    Returns
    -------
    DataFrame
        One line per sweep, strategy, phase and quantity (``"seconds"`` or ``"bytes"``) with three successful sizes or
        more; for bytes, sizes that took 8 KiB or more:

        - ``knob``, ``machine``, and ``held``: what the sweep holds fixed, in words;
        - ``exponent`` with its 95 % interval ``exponent_low``, ``exponent_high`` over the passes (NaN for memory, which
          is measured once);
        - ``exponent_predicted``: exponent of the same form of law, fitted to the predicted bytes or seconds of the same
          sizes; missing if a size has no prediction; ``verdict``: ``"agrees"`` if it is within 0.1 of the interval, else
          ``"disagrees"``; ``"undecided"`` if the interval is wider than 1; missing without a prediction;
        - ``fixed`` and ``scale`` of the law ``fixed + scale * size ** exponent``, in seconds or bytes, and
          ``dominates_from``, the size from which the second term is larger;
        - ``r_squared``, ``residual`` (largest factor between a value and the law), ``smallest``, ``largest``,
          ``n_sizes`` and ``n_passes``.
    """
    lines = [
        line
        for knob in KNOBS
        for sweep in find_sweeps(table, knob, min_sizes=3)
        for quantity in GROWING
        for _, line in laws_of(sweep, quantity, passes)
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def laws_of(sweep: Sweep, quantity: str, passes: pd.DataFrame | None) -> Iterator[tuple[PowerLaw, dict[str, Any]]]:
    """Yield the law of each phase and strategy of a sweep that has three sizes to fit, and its line of `growth`.

    The sweep may hold rows of several phases; `quantity` is ``"seconds"`` or ``"bytes"``; `passes` are those of
    `growth`.
    """
    for (phase, strategy), own in sweep.rows.groupby(["phase", "strategy"], sort=False):
        least = LEAST_BYTES if quantity == "bytes" else 0
        rows = own[(own["status"] == "ok") & (own[GROWING[quantity][0]] >= least)]
        law = None if rows.empty else fit(rows[sweep.knob], _values(rows, GROWING[quantity][0], passes))
        if law is not None:
            yield law, _line(sweep, rows, quantity, law) | {"strategy": strategy, "phase": phase}


def _line(sweep: Sweep, rows: pd.DataFrame, quantity: str, law: PowerLaw) -> dict[str, Any]:
    sizes = rows[sweep.knob].to_numpy()
    theory = fit(sizes, rows[GROWING[quantity][1]].to_numpy(), with_fixed=law.fixed > 0)
    return {
        "knob": sweep.knob,
        "held": sweep.held,
        "machine": sweep.machine,
        "quantity": quantity,
        "exponent": law.exponent,
        "exponent_low": law.low,
        "exponent_high": law.high,
        "exponent_predicted": theory.exponent if theory else math.nan,
        "verdict": _verdict(law, theory),
        **{name: getattr(law, name) for name in ("fixed", "scale", "dominates_from", "r_squared", "residual")},
        "smallest": sizes.min(),
        "largest": sizes.max(),
        "n_sizes": law.n_sizes,
        "n_passes": law.n_passes,
    }


def _values(rows: pd.DataFrame, measured: str, passes: pd.DataFrame | None) -> NDArray[np.float64]:
    """Return the values to fit, a line per pass: times of the passes that have every size, else the merged number."""
    if passes is not None and measured == "seconds_median":
        first = rows.iloc[0]
        own = passes[(passes["strategy"] == first["strategy"]) & (passes["phase"] == first["phase"])]
        times = own.pivot_table(index="pass", columns="case", values="seconds").reindex(columns=rows["case"]).dropna()
        if len(times):
            return np.asarray(times, dtype=np.float64)
    return np.asarray(rows[[measured]], dtype=np.float64).T


def _verdict(law: PowerLaw, theory: PowerLaw | None) -> str | float:
    if theory is None:
        return math.nan
    low, high = (law.exponent if math.isnan(end) else end for end in (law.low, law.high))
    if high - low > WIDEST:
        return "undecided"
    return "agrees" if low - TOLERANCE <= theory.exponent <= high + TOLERANCE else "disagrees"
