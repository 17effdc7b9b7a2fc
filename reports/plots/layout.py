"""A plot: figure, data, caption and notes; and the elements around its panels: title, legend, source of the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from jacobench.reports.data.units import BELOW_RESOLUTION
from jacobench.reports.data.vocabulary import LETTERS, heading, in_order, provenance
from jacobench.reports.plots.small_multiples import folded
from jacobench.reports.plots.style import FAINT, INK, PAPER, strategy_style
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

CHARACTERS_PER_INCH = 15  # of the source
TITLE_PER_INCH = 8.5  # characters of the title
LEGEND = 2.6  # inches to the right of the title


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


def frame(figure: Figure, title: str, handles: Sequence[Artist], table: pd.DataFrame) -> None:
    """Add title and legend, and below the panels the machine and settings of the table.

    Of a run with several machines, the title names the one that the table is about.
    """
    surround(figure, title, handles, " · ".join(provenance(table)), heading(table))


def surround(figure: Figure, title: str, handles: Sequence[Artist], source: str, subtitle: str = "") -> None:
    """Add titles above the panels, the legend to their right, and the source below; long texts are wrapped."""
    width = max(20, int((figure.get_figwidth() - LEGEND) * TITLE_PER_INCH))
    title = "\n".join(fill(line, width) for line in (title, subtitle) if line)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    if handles:
        figure.legend(handles=handles, loc="outside right upper")
    source = fill(source, int(figure.get_figwidth() * CHARACTERS_PER_INCH))
    figure.supxlabel(source, fontsize=7.5, color=FAINT)


def legend_mark(label: str, **style: Any) -> Artist:
    """Return an entry of the legend: a marker without a line, in the color of the text unless `style` differs."""
    return Line2D([], [], **({"linestyle": "none", "color": INK} | style), label=label)


def strategy_handles(strategies: Iterable[str], *, lines: bool = True) -> list[Artist]:
    """Return the legend's entries for the distinct strategies in their usual order, with or without their lines."""
    styles = [(folded(name), strategy_style(name)) for name in in_order(strategies)]
    return [
        legend_mark(name, color=style.color, marker=style.marker, linestyle=style.line if lines else "none")
        for name, style in styles
    ]


def reference_handle() -> Artist:
    """Return the legend's entry for the reference strategy where it is a line at 1×."""
    style = strategy_style(REFERENCE)
    return Line2D([], [], color=style.color, linestyle=style.line, label=f"{REFERENCE}: 1×")


def glyph(text: str) -> Path:
    """Return a marker in the shape of a text."""
    drawn = TextPath((0, 0), text, size=10)
    return Path(drawn.vertices - drawn.get_extents().get_points().mean(axis=0), drawn.codes)


def below_handles(*, any_below: bool) -> list[Artist]:
    """Return the legend's entry for cells that are not drawn, because their memory is below the tool's resolution."""
    return [legend_mark(f"not drawn: {BELOW_RESOLUTION}")] if any_below else []


def no_ratio_handles(*, any_below: bool) -> list[Artist]:
    """Return the legend's entry for ratios of memory that are not drawn, because a peak is below the resolution."""
    return (
        [legend_mark(f"no memory ratio: its peak or\nthat of {REFERENCE} is {BELOW_RESOLUTION}")] if any_below else []
    )


def hollow_handles(statuses: Iterable[str], where: str, *, any_predicted: bool) -> list[Artist]:
    """Return the legend's entries for cells without a measured number.

    `where` locates the cells that have no position on an axis, whose statuses are given: ``"in the band on top"``.
    `any_predicted` adds the entry of cells at their predicted size.
    """
    found = set(statuses)
    handles: list[Artist] = []
    if any_predicted:
        handles.append(legend_mark("hollow: over budget, drawn\nat its predicted size", marker="o", mfc=PAPER))
    if found:
        handles.append(legend_mark(f"hollow, {where}:"))
    return handles + [
        legend_mark(label, marker=glyph(letter), mew=0, markersize=7)
        for status, (letter, label) in LETTERS.items()
        if status in found
    ]
