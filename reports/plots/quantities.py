"""The two things that are plotted, time and memory: from which columns, and in which units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from jacobench.reports.data.units import BYTES, SECONDS, Scale, format_bytes, format_seconds, format_tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axis import Axis

    from jacobench.reports.plots.missing_cells import Placed


@dataclass(frozen=True)
class Quantity:
    """Something measured that a plot shows.

    Attributes
    ----------
    word : str
        In titles and file names.
    axis : str
        On the axis.
    measured : str
        The column with the number.
    interval : tuple of str, or None
        The columns with the ends of its 95 % interval.
    predicted : str or None
        The column with the number expected, in the same unit.
    floor : str or None
        The column with what cannot be gone below.
    scale, format
        The units.
    base : float
        Of the axis: labels stand at its powers.
    """

    word: str
    axis: str
    measured: str
    interval: tuple[str, str] | None
    predicted: str | None
    floor: str | None
    scale: Scale
    format: Callable[[float], str]
    base: float


QUANTITIES = {
    "seconds": Quantity(
        word="time",
        axis="time per call",
        measured="seconds_median",
        interval=("seconds_low", "seconds_high"),
        predicted=None,
        floor="floor_seconds",
        scale=SECONDS,
        format=format_seconds,
        base=10.0,
    ),
    "bytes": Quantity(
        word="memory",
        axis="peak heap memory",
        measured="peak_bytes",
        interval=None,
        predicted="predicted_bytes",
        floor=None,
        scale=BYTES,
        format=format_bytes,
        base=2.0,
    ),
}


def label_values(axis: Axis, quantity: Quantity, placed: Placed, *, most: int = 8) -> None:
    """Put at most ``most`` labels with units at round values, none if nothing has a number; the axis must be logarithmic."""
    ticks = round_values(quantity.base, placed.low, placed.high, most) if placed.any_number else []
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_tick(value, quantity.scale)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def label_sizes(axis: Axis, sizes: list[float], *, most: int = 8) -> None:
    """Label the sizes that were measured, at most ``most`` of them; the axis must be logarithmic."""
    axis.set_major_locator(FixedLocator(thin(sizes, most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def thin(values: list[float], most: int) -> list[float]:
    """Keep every k-th value, the last one always, so that at most ``most`` are left."""
    step = -(-len(values) // most)
    return values[::-1][::step][::-1]


def round_values(base: float, low: float, high: float, most: int) -> list[float]:
    """Return at most ``most`` powers of the base within [low, high]; where decades are few, 2 and 5 times them as well."""
    first, last = np.floor(np.log(low) / np.log(base)), np.ceil(np.log(high) / np.log(base))
    powers = base ** np.arange(first, last + 1)
    within = powers[(powers >= low * (1 - 1e-9)) & (powers <= high * (1 + 1e-9))]
    if base == 10.0 and within.size < 3:
        finer = np.outer(powers, (1.0, 2.0, 5.0)).ravel()
        within = finer[(finer >= low * (1 - 1e-9)) & (finer <= high * (1 + 1e-9))]
    return thin([float(value) for value in within], most)
