"""Cells without a number: hollow markers in a band at the edge of the axes, each with a letter for the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.reports.data.vocabulary import LETTERS
from jacobench.reports.plots.style import PAPER, SHADE, strategy_style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from jacobench.reports.plots.quantities import PlotQuantity
    from jacobench.reports.plots.style import StrategyStyle

# A predicted number up to this factor above the largest measured one is drawn at its place. Beyond two decades the
# measured numbers would be squeezed into a corner.
REACH = 100.0

# Shares of the axes: a strategy's row in the band, all rows together at most, and the space around them.
ROW, MAX_BAND, MARGIN = 0.055, 0.24, 0.025


@dataclass(frozen=True)
class Placed:
    """Positions of the rows of one phase on the axis of a quantity.

    ``measured``: NaN if there is none. ``hollow``: predicted number of a cell over budget within `REACH`, else NaN.
    ``edge``: whether the cell is drawn in the band. ``below``: whether its memory is below the resolution of the tool, so
    that it is not drawn. ``low``, ``high``: range of all numbers with a margin; without
    meaning if not ``any_number``.
    """

    measured: pd.Series[float]
    hollow: pd.Series[float]
    edge: pd.Series[bool]
    below: pd.Series[bool]
    low: float
    high: float
    any_number: bool

    @property
    def ends(self) -> tuple[float, float] | None:
        """The range of all numbers; None if there are none."""
        return (self.low, self.high) if self.any_number else None


def place(rows: pd.DataFrame, quantity: PlotQuantity) -> Placed:
    """Determine where each cell is drawn, from all rows of a plot, which are of one phase."""
    numbers = rows[quantity.column]
    measured = numbers.where((rows["status"] == "ok") & (numbers > 0) & np.isfinite(numbers))
    over = rows["predicted_bytes"].where((rows["status"] == "over_budget") & (quantity.column == "peak_bytes"))
    over = over.where(over > 0)
    hollow = over.where(over <= REACH * (measured.max() if measured.notna().any() else over.min()))
    columns = [column for column in (*(quantity.interval or ()), quantity.floor, quantity.predicted) if column]
    ends = _positive([measured, hollow, *(rows[column].where(measured.notna()) for column in columns)])
    if not ends.size:  # nothing was measured: draw what was predicted
        ends = _positive([rows[quantity.predicted]] if quantity.predicted else [])
    low, high = (float(ends.min()), float(ends.max())) if ends.size else (1.0, 1.0)
    margin = max(1.25, (high / low) ** 0.04, np.sqrt(8 * low / high))  # the axis spans at least three octaves
    below = _below_resolution(rows, quantity)
    edge = measured.isna() & hollow.isna() & ~below
    return Placed(measured, hollow, edge, below, low / margin, high * margin, bool(ends.size))


def _below_resolution(rows: pd.DataFrame, quantity: PlotQuantity) -> pd.Series[bool]:
    found: pd.Series[bool] = (rows["status"] == "ok") & rows[quantity.column].isna() & rows["memory_tool"].notna()
    return found & (quantity.column == "peak_bytes")


def place_ratios(ratio: pd.Series[float], *others: pd.Series[float]) -> Placed:
    """Return positions on an axis of ratios that also shows 1 and the other numbers; NaN is drawn in the band."""
    ends = np.append(_positive([ratio, *others]), 1.0)
    low, high = float(ends.min()), float(ends.max())
    margin = max(1.03, (high / low) ** 0.06)
    missing = ratio.isna()
    return Placed(
        ratio, ratio.where(missing), missing, missing & ~missing, low / margin, high * margin, any_number=True
    )


def _positive(numbers: list[pd.Series[float]]) -> NDArray[np.float64]:
    joined: NDArray[np.float64] = np.concatenate([np.empty(0), *(own.to_numpy(dtype=np.float64) for own in numbers)])
    return joined[np.isfinite(joined) & (joined > 0)]


@dataclass(frozen=True)
class Band:
    """Strip at the edge of the axes for cells without a number, with one row per strategy.

    ``end``: end of the axis in the quantity's unit, the band included. ``begins``: start of the band as a share of the
    axes, 1 without a band. ``rows``: strategy → its row, as a share of the axes.
    """

    end: float
    begins: float
    rows: Mapping[str, float]


def band(placed: Placed, strategies: Sequence[str]) -> Band:
    """Lay out the band for the strategies that have cells in it; the first is the outermost."""
    if not strategies:
        return Band(placed.high, 1.0, {})
    row = min(ROW, MAX_BAND / len(strategies))
    begins = 1 - row * len(strategies) - MARGIN
    end = placed.low * (placed.high / placed.low) ** (1 / begins)
    return Band(end, begins, {name: 1 - MARGIN / 2 - row * (index + 0.5) for index, name in enumerate(strategies)})


def draw_band(axes: Axes, edge: Band, cells: pd.DataFrame, *, vertical: bool) -> None:
    """Shade the band, on the right or at the top, and draw a hollow marker with a letter for each of its cells.

    Columns of the cells: ``strategy``, ``status`` and ``at``, the position along the band in data units.
    """
    if edge.begins < 1:
        span = axes.axvspan if vertical else axes.axhspan
        span(edge.begins, 1, color=SHADE, zorder=0.4).set_transform(axes.transAxes)
    transform = axes.get_yaxis_transform() if vertical else axes.get_xaxis_transform()
    for strategy, status, along in zip(cells["strategy"], cells["status"], cells["at"], strict=True):
        style, row = strategy_style(strategy), edge.rows[strategy]
        at = (row, along) if vertical else (along, row)
        axes.plot(*at, **hollow(style), transform=transform)
        label: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7.5, "color": style.color}
        axes.annotate(LETTERS[status][0], at, (4.5, 0), xycoords=transform, **label)


def hollow(style: StrategyStyle) -> dict[str, Any]:
    """Return how a cell without a measured number is drawn."""
    return {"linestyle": "none", "marker": style.marker, "mfc": PAPER, "mec": style.color, "markersize": 6}
