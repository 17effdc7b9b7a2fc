"""A series in a few characters."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
LENGTH = 24
LEAST_SPAN = log(1.05)
"""A span below 5 % is not stretched to the full height: noise is to look like noise."""


def sparkline(values: Sequence[float] | NDArray[np.float64], length: int = LENGTH) -> str:
    """Draw a series as blocks, on a logarithmic scale.

    Parameters
    ----------
    values : sequence of float
        Not negative.
    length : int
        The most characters; of a longer series each is the median of neighbours.

    Examples
    --------
    >>> sparkline([1.0, 1.0, 1.0, 1.3, 1.3]), sparkline([1.0, 1.001])
    ('▁▁▁██', '▄▅')
    """
    parts = np.array_split(np.asarray(values, float), min(length, len(values)))
    heights = np.log(np.maximum([float(np.median(part)) for part in parts], 1e-12))
    middle, span = (heights.max() + heights.min()) / 2, max(float(np.ptp(heights)), LEAST_SPAN)
    steps = ((heights - middle) / span + 0.5) * len(BLOCKS)
    return "".join(BLOCKS[min(int(step), len(BLOCKS) - 1)] for step in steps)
