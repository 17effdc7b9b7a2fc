"""Cells without a number: drawn as hollow markers in a band at the edge of the picture, with a letter that says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.reports.data.vocabulary import LETTERS
from jacobench.reports.plots.style import PAPER, SHADE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from jacobench.reports.plots.quantities import Quantity
    from jacobench.reports.plots.style import StrategyStyle

# How far above the largest measured number a predicted one is still drawn at its place. Beyond two decades what was measured
# would be squeezed into a corner.
REACH = 100.0

# As shares of the axes: a strategy's row in the band, all rows together at most, and the room around them.
ROW, MOST, MARGIN = 0.055, 0.24, 0.025


@dataclass(frozen=True)
class Placed:
    """Rows of one phase, told apart by where they are drawn.

    Attributes
    ----------
    measured : Series of float
        The number to draw as measured; NaN where there is none.
    hollow : Series of float
        The predicted number at which a cell over budget is drawn; NaN elsewhere.
    edge : Series of bool
        Where only the edge is left.
    low, high : float
        The range of all numbers, in the quantity's unit, with room around it.
    any_number : bool
        Whether there is a number at all; if not, the range means nothing.
    """

    measured: pd.Series[float]
    hollow: pd.Series[float]
    edge: pd.Series[bool]
    low: float
    high: float
    any_number: bool


def place(rows: pd.DataFrame, quantity: Quantity) -> Placed:
    """Decide where each cell is drawn.

    Parameters
    ----------
    rows : DataFrame
        All rows of a picture, of one phase.
    quantity : Quantity
        What is drawn.

    Returns
    -------
    Placed
        With the rows' index.
    """
    numbers = rows[quantity.measured]
    measured = numbers.where((rows["status"] == "ok") & (numbers > 0) & np.isfinite(numbers))
    over = rows["predicted_bytes"].where((rows["status"] == "over_budget") & (quantity.measured == "peak_bytes"))
    over = over.where(over > 0)
    reach = REACH * (measured.max() if measured.notna().any() else over.min())
    hollow = over.where(over <= reach)
    beside = [column for column in (*(quantity.interval or ()), quantity.floor, quantity.predicted) if column]
    seen = [measured, hollow, *(rows[column].where(measured.notna()) for column in beside)]
    ends = _positive(seen)
    if not ends.size:  # nothing was measured: what was predicted still makes a picture
        ends = _positive([rows[quantity.predicted]] if quantity.predicted else [])
    low, high = (float(ends.min()), float(ends.max())) if ends.size else (1.0, 1.0)
    room = max(1.25, (high / low) ** 0.04, np.sqrt(8 * low / high))  # never less than three octaves
    return Placed(measured, hollow, measured.isna() & hollow.isna(), low / room, high * room, bool(ends.size))


def _positive(numbers: list[pd.Series[float]]) -> NDArray[np.float64]:
    joined: NDArray[np.float64] = np.concatenate(
        [np.empty(0), *(series.to_numpy(dtype=np.float64) for series in numbers)]
    )
    return joined[np.isfinite(joined) & (joined > 0)]


@dataclass(frozen=True)
class Band:
    """The strip at the edge of the axes where cells without a number stand, a row a strategy.

    Attributes
    ----------
    end : float
        Where the axis ends, in the quantity's unit, so that there is room for the band.
    begins : float
        Where the band begins, as a share of the axes; 1 if there is none.
    rows : mapping
        From each strategy in the band to its row, as a share of the axes.
    """

    end: float
    begins: float
    rows: Mapping[str, float]


def band(placed: Placed, strategies: Sequence[str]) -> Band:
    """Lay out the band for the strategies that have cells at the edge; the first is the outermost."""
    if not strategies:
        return Band(placed.high, 1.0, {})
    row = min(ROW, MOST / len(strategies))
    begins = 1 - row * len(strategies) - MARGIN
    end = placed.low * (placed.high / placed.low) ** (1 / begins)
    return Band(end, begins, {name: 1 - MARGIN / 2 - row * (index + 0.5) for index, name in enumerate(strategies)})


def draw_band(axes: Axes, begins: float, *, vertical: bool) -> None:
    """Shade the band, across the top or (vertical) down the right."""
    if begins < 1:
        span = axes.axvspan if vertical else axes.axhspan
        shade = span(begins, 1, color=SHADE, zorder=0.4)
        shade.set_transform(axes.transAxes)


def draw_at_edge(
    axes: Axes, style: StrategyStyle, places: Sequence[float], statuses: Sequence[str], *, row: float, vertical: bool
) -> None:
    """Draw hollow markers in a strategy's row of the band, each with its status's letter.

    Parameters
    ----------
    axes : Axes
        Where.
    style : StrategyStyle
        The strategy's.
    places : sequence of float
        Along the band, in the data's units.
    statuses : sequence of str
        As many, keys of ``LETTERS``.
    row : float
        Across the band, as a share of the axes.
    vertical : bool
        Whether the band runs down the right rather than across the top.
    """
    transform = axes.get_yaxis_transform() if vertical else axes.get_xaxis_transform()
    for along, status in zip(places, statuses, strict=True):
        at = (row, along) if vertical else (along, row)
        axes.plot(*at, **hollow(style), transform=transform)
        axes.annotate(
            LETTERS[status][0],
            at,
            xycoords=transform,
            xytext=(4.5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
            color=style.color,
        )


def hollow(style: StrategyStyle) -> dict[str, Any]:
    """Return how a cell without a measured number is drawn."""
    return {"linestyle": "none", "marker": style.marker, "mfc": PAPER, "mec": style.color, "markersize": 6}
