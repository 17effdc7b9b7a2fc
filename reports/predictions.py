"""What the shapes alone let one expect of a cell, in the unit in which it is measured."""

from __future__ import annotations

import pandas as pd


def predicted_bytes(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the predicted peak of each row, in bytes; NaN where there is none."""
    return rows["predicted_bytes"].where(rows["predicted_bytes"] > 0)


def predicted_seconds(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the time that each row would take if its strategy always worked at the best rate that it reached.

    Parameters
    ----------
    rows : DataFrame
        Rows of one phase.

    Returns
    -------
    Series of float
        Seconds, with the rows' index: predicted flops times the smallest of the strategy's measured seconds per predicted
        flop. Where a fixed cost rules, at small sizes, the measured time lies above. NaN where nothing of the strategy was timed, or no flops are predicted.
    """
    flops = rows["predicted_flops"].where(rows["predicted_flops"] > 0)
    seconds = rows["seconds_median"].where((rows["status"] == "ok") & (rows["seconds_median"] > 0))
    rate = (seconds / flops).groupby(rows["strategy"]).transform("min")
    return pd.Series(flops * rate, index=rows.index, dtype="float64")
