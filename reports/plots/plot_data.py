"""A plot: the figure, its data, its caption and its notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class NoData(Exception):  # noqa: N818  (not an error: a finding about the run)
    """A run has no data for a kind of plot; the text gives the reason and how to get the data."""


@dataclass(frozen=True)
class Plot:
    """One plot of a run.

    Attributes
    ----------
    figure : Figure
        In the light colors; `style.darken` converts it.
    data : DataFrame
        One row per mark, in the units of the column names.
    caption : str
        What the plot shows and how to read it, in one to three sentences of plain text.
    notes : tuple of str
        Conclusions from the data, such as a fitted law or a crossover; one sentence each, plain text.
    """

    figure: Figure
    data: pd.DataFrame
    caption: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlotSet:
    """All plots of a run.

    Attributes
    ----------
    plots : dict of str to Plot
        File name without extension → plot.
    missing : dict of str to str
        Kind of plot that could not be drawn → reason.
    """

    plots: dict[str, Plot]
    missing: dict[str, str]
