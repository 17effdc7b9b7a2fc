"""A plot: the figure, its data, its caption and its notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class NoData(Exception):  # noqa: N818  (not an error: a finding about the run)
    """A run has no data for a kind of plot. The text gives the reason and how to get the data."""


@dataclass(frozen=True)
class Plot:
    """One plot of a run.

    ``figure`` is in the light colors; `style.darken` converts it. ``data`` has one row per mark, in the units of the
    column names. ``caption`` and ``notes`` are plain text: how to read the plot, and conclusions, one sentence each.
    """

    figure: Figure
    data: pd.DataFrame
    caption: str
    notes: tuple[str, ...] = ()
