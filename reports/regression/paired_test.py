"""Rows measured in pairs of processes: slower, faster, unchanged or still open, look after look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.reports.regression.outcome import BASE, HEAD, ROW
from jacobench.reports.regression.signed_rank import Ranked, ranked

if TYPE_CHECKING:
    from jacobench.reports.regression.thresholds import Limits

SLOWER, IMPROVED, UNCHANGED, OPEN = "slower", "improved", "unchanged", "open"

# A change of this many times the threshold must be excluded before a row is unchanged; at the last look, of that many times.
MARGIN, LAST_MARGIN = 1.5, 2.5

FASTER = 0.002
"""The level at which a row is faster: as good news is not measured again, it must be surer than a first suspicion."""

CONFIDENCE = 0.95

FINDING_COLUMNS = ("verdict", "ratio", "low", "high", "p_value", "threshold", "detectable", "n_pairs")


@dataclass(frozen=True)
class Stage:
    """When to look, and the error that each look may spend.

    Attributes
    ----------
    number : int
        1 or 2.
    interim_looks : tuple of int
        Pairs at each look; even, so that each side ran first equally often.
    slower : tuple of float
        The level of each look at which a row is slower. Their sum bounds the error of the whole stage, however the
        interim_looks depend on each other (Boole's inequality).
    unchanged : tuple of float
        The level of each look at which a larger change is excluded, on each side; their sum bounds that error.
    """

    number: int
    interim_looks: tuple[int, ...]
    slower: tuple[float, ...]
    unchanged: tuple[float, ...]

    def up_to(self, pairs: int) -> Stage:
        """Return the stage with its last look at ``pairs`` at the latest."""
        interim_looks = (*(look for look in self.interim_looks if look < pairs), min(pairs, self.interim_looks[-1]))
        return Stage(self.number, interim_looks, self.slower, self.unchanged)


# Six pairs are the fewest that can tell anything at 1/64, and enough to clear a quiet row at 3/64. The levels were tuned on
# the first half of the recording behind docs/gate.md, which reports the second.
SCREEN = Stage(1, (6, 10, 16, 22, 30), (1 / 64, 0.004, 0.004, 0.003, 0.003), (3 / 64, 0.04, 0.03, 0.02, 0.02))
CONFIRM = Stage(2, (8, 12, 16, 22, 30), (1 / 256, 0.0015, 0.0015, 0.0015, 0.0015), (0.02, 0.02, 0.015, 0.01, 0.01))


def differences(samples: pd.DataFrame) -> pd.DataFrame:
    """Return log(head / base) of each row and pair.

    Parameters
    ----------
    samples : DataFrame
        ``SAMPLE_COLUMNS``.

    Returns
    -------
    DataFrame
        Indexed by case, strategy and phase, a column a pair; NaN where a side has no time. Only rows with any.
    """
    timed = samples[(samples["status"] == "ok") & samples["seconds"].notna()]
    sides = {
        side: own.drop_duplicates([*ROW, "pair"]).set_index([*ROW, "pair"])["seconds"].astype(np.float64)
        for side, own in timed.groupby("side")
    }
    if set(sides) != {BASE, HEAD}:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], [], []], names=ROW))
    ratios = (sides[HEAD] / sides[BASE]).dropna().rename("ratio").reset_index()
    return ratios.pivot_table(index=list(ROW), columns="pair", values="ratio", sort=False).transform(np.log)


def look(wide: pd.DataFrame, limits: Limits, stage: Stage, number: int, *, last: bool) -> pd.DataFrame:
    """Judge rows by the pairs that there are.

    Parameters
    ----------
    wide : DataFrame
        As `differences` returns it.
    limits : Limits
        The thresholds.
    stage : Stage
        Whose levels hold.
    number : int
        Of the look, from 0.
    last : bool
        Whether no more pairs will be taken.

    Returns
    -------
    DataFrame
        Indexed as ``wide``, ``FINDING_COLUMNS``; ``verdict`` is slower, improved, unchanged or open. Ratios are head / base.
    """
    parts = []
    for n, rows in wide.groupby(wide.notna().sum(axis=1)):
        values = rows.to_numpy()
        own = values[~np.isnan(values)].reshape(len(rows), int(n))
        floors = np.array([limits.of(case, strategy).time for case, strategy, _ in rows.index])
        parts.append(_judge(ranked(own), floors, stage, number, last=last).set_index(rows.index))
    found = pd.concat(parts) if parts else pd.DataFrame(index=wide.index)
    return found.reindex(index=wide.index, columns=list(FINDING_COLUMNS))


def _judge(rows: Ranked, floors: Any, stage: Stage, number: int, *, last: bool) -> pd.DataFrame:
    floor, margin = np.log1p(floors), np.log1p(floors * (LAST_MARGIN if last else MARGIN))
    estimate, p_value = rows.estimate, rows.above(0)
    slower = (p_value <= stage.slower[number]) & (estimate >= floor)
    faster = (rows.below(0) <= FASTER) & (estimate <= -floor)
    level = stage.unchanged[number]
    not_slower, not_faster = rows.below(margin) <= level, rows.above(-margin) <= level
    # Of a row that may be faster no more is asked at the end than that it is not slower.
    unchanged = not_slower & (not_faster | last)
    low, high = rows.bounds((1 - CONFIDENCE) / 2)
    return pd.DataFrame(
        {
            "verdict": np.select([slower, faster, unchanged], [SLOWER, IMPROVED, UNCHANGED], OPEN),
            "ratio": np.exp(estimate),
            "low": np.exp(low),
            "high": np.exp(high),
            "p_value": p_value,
            "threshold": floors,
            "detectable": _detectable((high - low) / 2, floor),
            "n_pairs": rows.n,
        }
    )


def _detectable(half: Any, floor: Any) -> Any:
    """Return the smallest slowdown that four in five repetitions with this interval would find.

    The estimate must lie above the threshold, and be significant at 0.004: 2.65 standard errors from nothing.
    """
    error = half / 1.96
    return np.expm1(np.maximum(floor + 0.84 * error, (2.65 + 0.84) * error))
