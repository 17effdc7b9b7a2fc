"""What a look finds of each row: by its times where it has them, else by how its processes ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from jacobench.reports.regression.outcome import CONTROL_ROW, ROW
from jacobench.reports.regression.paired_test import FINDING_COLUMNS, OPEN, Stage, differences, look
from jacobench.reports.regression.status_changes import fates

if TYPE_CHECKING:
    from jacobench.reports.regression.thresholds import Limits

NO_FINDINGS = pd.DataFrame(
    index=pd.MultiIndex.from_arrays([[], [], []], names=ROW), columns=[*FINDING_COLUMNS, "reason"]
)
"""Of no row."""


def without_control(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the samples of all rows but the control kernel's."""
    return samples[samples["strategy"] != CONTROL_ROW[1]]


def findings(samples: pd.DataFrame, limits: Limits, stage: Stage, number: int, *, last: bool) -> pd.DataFrame:
    """Judge all rows of a stage's samples.

    Parameters
    ----------
    samples : DataFrame
        ``SAMPLE_COLUMNS``, of one stage.
    limits, stage, number, last
        As for `paired.look`.

    Returns
    -------
    DataFrame
        Indexed by case, strategy and phase in the order of the samples, ``FINDING_COLUMNS`` and ``reason``. The verdict is
        one of `paired.look`'s or `fates.fates`'s; a row that has neither times nor a fate is open.
    """
    samples = without_control(samples)
    if samples.empty:
        return NO_FINDINGS
    rows = pd.MultiIndex.from_frame(samples[list(ROW)].drop_duplicates())
    found = look(differences(samples), limits, stage, number, last=last).reindex(rows)
    found["verdict"] = found["verdict"].astype(object).fillna(OPEN)
    found["reason"] = ""
    for row, (verdict, reason) in fates(samples).items():
        found.loc[row, ["verdict", "reason"]] = [verdict, reason]
    return found
