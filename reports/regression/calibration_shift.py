"""The control kernel: no revision can change it, so where it moves between the sides, it was the machine that moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jacobench.reports.regression.outcome import CONTROL_ROW
from jacobench.reports.regression.paired_test import CONFIDENCE, MARGIN, differences
from jacobench.reports.regression.signed_rank import ranked

if TYPE_CHECKING:
    import pandas as pd

MOVED_LEVEL = 0.001
"""On each side. Ten pairs are the fewest that can tell: an error here would take a whole gate's verdict."""

STILL_LEVEL = 3 / 64


@dataclass(frozen=True)
class Control:
    """How the control kernel fared over all pairs of a gate.

    Attributes
    ----------
    ratio, low, high : float
        head / base, with its 95 % interval.
    n_pairs : int
        Pairs that have it on both sides.
    moved : bool
        It differs between the sides, significantly (0.001 on each side) and by half of the threshold of time or more: enough to lift
        a row over the threshold that is half way up, or to hide one that is as far above.
    still : bool
        A shift of 1.5 times the threshold is excluded on both sides: what is asked of a row that is unchanged.
    """

    ratio: float
    low: float
    high: float
    n_pairs: int
    moved: bool
    still: bool


def control(samples: pd.DataFrame, threshold: float) -> Control | None:
    """Compare the control kernel's times of both sides.

    Parameters
    ----------
    samples : DataFrame
        ``SAMPLE_COLUMNS``.
    threshold : float
        Of time, relative.

    Returns
    -------
    Control or None
        None where no pair has it on both sides.
    """
    own = samples[(samples["strategy"] == CONTROL_ROW[1]) & (samples["phase"] == CONTROL_ROW[2])]
    wide = differences(own)
    values = wide.to_numpy()[:1]
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    rows = ranked([values])
    estimate, margin = float(rows.estimate[0]), np.log1p(MARGIN * threshold)
    low, high = (float(end[0]) for end in rows.bounds((1 - CONFIDENCE) / 2))
    significant = min(rows.above(0)[0], rows.below(0)[0]) <= MOVED_LEVEL
    return Control(
        ratio=float(np.exp(estimate)),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        n_pairs=values.size,
        moved=bool(significant and abs(estimate) >= np.log1p(threshold / 2)),
        still=bool(max(rows.below(margin)[0], rows.above(-margin)[0]) <= STILL_LEVEL),
    )
