"""How far a run's times can be trusted: what the machine did meanwhile, and how far the passes lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from jacobench.reports.data.run_data import Run

# Identical code in two fresh processes differs by 2-9 % (docs/measurement.md): within that a machine does what is usual.
STEADY, UNSTEADY = 0.05, 0.15
FEW_PASSES = 3


@dataclass(frozen=True)
class Trust:
    """A verdict on the circumstances of a run.

    Attributes
    ----------
    verdict : str
        ``"steady"``, ``"unsteady"``, ``"very unsteady"``, or ``"unknown"`` where nothing was recorded.
    findings : tuple of str
        What it rests on, and what else bears on it; a sentence each.
    """

    verdict: str
    findings: tuple[str, ...]


def trust(run: Run) -> Trust:
    """Judge how steady the machine was during a run.

    Parameters
    ----------
    run : Run
        With the facts that run.json records.

    Returns
    -------
    Trust
        By how far a fixed kernel, timed in every process, lies apart between processes: at most 5 % between the 5th and
        the 95th percentile is steady, more than 15 % very unsteady.
    """
    control = np.asarray(run.facts.get("control_seconds") or (), dtype=np.float64)
    findings, verdict = [], "unknown"
    if control.size >= 2:
        low, high = np.percentile(control, [5, 95])
        spread = float(high / low - 1)
        verdict = "steady" if spread <= STEADY else "unsteady" if spread <= UNSTEADY else "very unsteady"
        findings.append(
            f"A fixed kernel, timed once in each of {control.size} processes, took {spread:.1%} longer in the slow ones than in the quick "
            "ones (95th against 5th percentile)."
        )
    findings += [*_load(run), *_intervals(run.table), *_controls(run.table)]
    return Trust(verdict, tuple(findings))


def _load(run: Run) -> list[str]:
    machine = run.facts.get("machine") or {}
    before, after, cores = machine.get("load"), run.facts.get("load_after"), machine.get("cores")
    if before is None or after is None:
        return []
    others = (
        " Other work was waiting for the processors when it began." if cores is not None and before > cores / 2 else ""
    )
    return [
        f"On average {before:.1f} processes wanted to run in the minute before it, {after:.1f} in its last ({cores} cores).{others}"
    ]


def _intervals(table: pd.DataFrame) -> list[str]:
    ok = table[table["status"] == "ok"]
    passes = ok["passes"].dropna()
    if passes.empty:
        return []
    if passes.max() < 2:
        return ["Every cell was measured in one process: there are no intervals, and no winner in time is named."]
    half = (ok["seconds_high"] / ok["seconds_low"]).dropna() ** 0.5 - 1
    told = [
        f"Half of the times have a 95 % interval narrower than ±{half.median():.1%}, nine in ten one narrower than ±{half.quantile(0.9):.1%}."
    ]
    if passes.min() < FEW_PASSES:
        told.append(f"Some cells have fewer than {FEW_PASSES} passes: their intervals are wide.")
    return told


def _controls(table: pd.DataFrame) -> list[str]:
    found = set(table["controls"].dropna())
    if found == {"tuned"}:
        return [
            "Controls tuned: the same threads, BLAS kernel and malloc settings for all; a process of your own has none of it."
        ]
    if found == {"asis"}:
        return ["Controls asis: threads, BLAS kernel and malloc as the machine had them."]
    return []
