"""What stands around the panels of every plot: title, legend, and where the numbers come from."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from jacobench.reports.data.provenance import provenance
from jacobench.reports.data.vocabulary import LETTERS
from jacobench.reports.plots.small_multiples import folded
from jacobench.reports.plots.style import FAINT, INK, PAPER, strategy_style

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

CHARACTERS_PER_INCH = 15  # of the small print
TITLE_PER_INCH = 8.5  # characters of the title
LEGEND = 2.6  # inches beside it


def frame(figure: Figure, title: str, handles: list[Artist], table: pd.DataFrame) -> None:
    """Put title and legend around the panels, and below them what measured the table."""
    surround(figure, title, handles, " · ".join(provenance(table)))


def surround(figure: Figure, title: str, handles: list[Artist], source: str) -> None:
    """Put the title above the panels, the legend on their right, where it covers none, and the source below."""
    title = fill(title, max(20, int((figure.get_figwidth() - LEGEND) * TITLE_PER_INCH)))
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    if handles:
        figure.legend(handles=handles, loc="outside right upper")
    source = fill(source, int(figure.get_figwidth() * CHARACTERS_PER_INCH))
    figure.supxlabel(source, fontsize=7.5, color=FAINT)


def strategy_handles(strategies: list[str], *, lines: bool = True) -> list[Artist]:
    """Return the legend's entries for the strategies, with or without their lines."""
    looks = [(name, strategy_style(name)) for name in strategies]
    return [
        Line2D(
            [],
            [],
            color=style.color,
            marker=style.marker,
            linestyle=style.line if lines else "none",
            label=folded(name),
        )
        for name, style in looks
    ]


def glyph(text: str) -> Path:
    """Return a marker of the text's shape, for a legend."""
    drawn = TextPath((0, 0), text, size=10)
    return Path(drawn.vertices - drawn.get_extents().get_points().mean(axis=0), drawn.codes)


def hollow_handles(statuses: Iterable[str], where: str, *, any_predicted: bool) -> list[Artist]:
    """Return the legend's entries for cells without a measured number.

    Parameters
    ----------
    statuses : iterable of str
        Those that have no place on an axis.
    where : str
        Where those stand: ``"in the band on top"``, ``"in the corner"``.
    any_predicted : bool
        Whether some are drawn at their predicted size.
    """
    found = set(statuses)
    handles: list[Artist] = []
    if any_predicted:
        label = "hollow: over budget, drawn\nat its predicted size"
        handles.append(Line2D([], [], linestyle="none", marker="o", mfc=PAPER, mec=INK, label=label))
    if found:
        handles.append(Line2D([], [], linestyle="none", label=f"hollow, {where}:"))
    return handles + [
        Line2D([], [], linestyle="none", marker=glyph(letter), color=INK, mew=0, markersize=7, label=label)
        for status, (letter, label) in LETTERS.items()
        if status in found
    ]
