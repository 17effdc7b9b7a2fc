"""The plotted quantities, time and memory, and the labels of logarithmic axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from jacobench.reports.data.units import BYTES, SECONDS, Scale, format_size, format_tick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from jacobench.reports.plots.style import StrategyStyle


@dataclass(frozen=True)
class PlotQuantity:
    """A measured quantity that plots show.

    ``word`` is its name in titles and file names, ``label`` that of the axis. ``column``, ``interval`` (both ends of the
    95 %), ``predicted`` and ``floor`` (lower bound) are columns in one unit. Labels of the axis are powers of ``base``.
    """

    word: str
    label: str
    column: str
    scale: Scale
    base: float
    interval: tuple[str, str] | None = None
    predicted: str | None = None
    floor: str | None = None


QUANTITIES = {
    "seconds": PlotQuantity(
        "time", "time per call", "seconds_median", SECONDS, 10.0, ("seconds_low", "seconds_high"), floor="floor_seconds"
    ),
    "bytes": PlotQuantity("memory", "peak heap memory", "peak_bytes", BYTES, 2.0, predicted="predicted_bytes"),
}


def draw_measured(
    axes: Axes,
    sizes: pd.Series[float],
    values: pd.Series[float],
    ends: Sequence[pd.Series[float]],
    style: StrategyStyle,
) -> None:
    """Draw values at sizes, joined by the style's line, with bars to the ends of their intervals, if there are any."""
    # Earlier versions stored an interval that may not contain the median, and a bar has no negative length.
    sides = (values - ends[0], ends[1] - values) if ends else ()
    bars: Any = [side.clip(lower=0).fillna(0).tolist() for side in sides] or None
    marks: dict[str, Any] = {"color": style.color, "marker": style.marker, "linestyle": style.line}
    axes.errorbar(sizes, values, yerr=bars, capsize=2.5, elinewidth=1, **marks)


def label_values(axis: Axis, quantity: PlotQuantity, ends: tuple[float, float] | None, *, most: int = 8) -> None:
    """Put at most ``most`` labels with units at round values of a logarithmic axis from ends[0] to ends[1], if any."""
    ticks = round_values(quantity.base, *ends, most) if ends else []
    set_ticks(axis, ticks, lambda value: format_tick(value, quantity.scale))


def label_sizes(axis: Axis, sizes: list[float], *, most: int = 8) -> None:
    """Label the measured sizes of a logarithmic axis, at most ``most`` of them."""
    set_ticks(axis, thin(sizes, most), format_size)


def label_ratios(axis: Axis, low: float, high: float) -> None:
    """Label a logarithmic axis of ratios from `low` to `high`: at powers of 10 or 2, or evenly in a short range."""
    if high < 4 * low:
        found = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = [float(tick) for tick in found if low <= tick <= high]
    else:
        ticks = round_values(2.0 if high < 50 * low else 10.0, low, high, 7)
    set_ticks(axis, ticks, lambda ratio: f"{ratio:.4g}×")


def set_ticks(axis: Axis, ticks: Sequence[float], show: Callable[[float], str]) -> None:
    """Set the labels of a logarithmic axis, and nothing between them."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: show(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def thin(values: list[float], most: int) -> list[float]:
    """Keep every k-th value and always the last, so that at most ``most`` remain."""
    step = -(-len(values) // most)
    return values[::-1][::step][::-1]


def round_values(base: float, low: float, high: float, most: int) -> list[float]:
    """Return at most ``most`` powers of the base within [low, high]; for few decades also 2 and 5 times them."""
    first, last = np.floor(np.log(low) / np.log(base)), np.ceil(np.log(high) / np.log(base))
    powers = base ** np.arange(first, last + 1)
    within = powers[(powers >= low * (1 - 1e-9)) & (powers <= high * (1 + 1e-9))]
    if base == 10.0 and within.size < 3:
        finer = np.outer(powers, (1.0, 2.0, 5.0)).ravel()
        within = finer[(finer >= low * (1 - 1e-9)) & (finer <= high * (1 + 1e-9))]
    return thin([float(value) for value in within], most)
