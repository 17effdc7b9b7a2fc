"""A picture: the figure, what is drawn in it as a table, and what to say under it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class NoData(Exception):  # noqa: N818  (no error: a finding about the run)
    """A run has nothing in it that a kind of picture could show; the text says what is missing, and how to get it."""


@dataclass(frozen=True)
class Plot:
    """What one kind of picture shows of a run.

    Attributes
    ----------
    figure : Figure
        For light paper; `style.darken` makes it one for dark paper.
    data : DataFrame
        What is drawn, one line a mark, numbers in the units of their columns' names.
    caption : str
        What is shown and how to read it, in a sentence or two; plain text.
    notes : tuple of str
        What follows from the data: a fitted law, a crossing; one sentence each, plain text.
    """

    figure: Figure
    data: pd.DataFrame
    caption: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlotSet:
    """All pictures of a run.

    Attributes
    ----------
    pictures : dict of str to Plot
        By name: the file's name without its ending.
    missing : dict of str to str
        From each kind of which there is none to the sentence that says why.
    """

    pictures: dict[str, Plot]
    missing: dict[str, str]
