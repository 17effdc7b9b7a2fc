"""Small drawings of a series: a sparkline of characters, and an inline SVG of a few kilobytes."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from jacobench.reports.history.outliers import hampel_filter, noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
LENGTH = 24
HEIGHT = 100
LEAST_SPAN = log(1.05)  # a span below 5 % does not fill the height, so that noise looks like noise
LEAST = 1e-12  # smaller values are drawn here, because the scale is logarithmic


def sparkline(values: Sequence[float] | NDArray[np.float64], length: int = LENGTH) -> str:
    """Draw a series as blocks on a logarithmic scale. In a longer series, each block is the median of several runs.

    >>> sparkline([1.0, 1.0, 1.0, 1.3, 1.3]), sparkline([1.0, 1.001])
    ('▁▁▁██', '▄▅')
    """
    parts = np.array_split(np.asarray(values, float), min(length, len(values)))
    heights = np.log(np.maximum([float(np.median(part)) for part in parts], LEAST))
    middle, span = (heights.max() + heights.min()) / 2, max(float(np.ptp(heights)), LEAST_SPAN)
    steps = ((heights - middle) / span + 0.5) * len(BLOCKS)
    return "".join(BLOCKS[min(int(step), len(BLOCKS) - 1)] for step in steps)


def line_svg(values: NDArray[np.float64], marks: Sequence[tuple[int, int, str, str]], label: str) -> Markup:
    """Draw a series as SVG on a logarithmic scale, one unit per run; outliers are drawn at the edge.

    A mark has the runs before and after a change, its verdict (the CSS class) and its title.
    """
    last = max(values.size - 1, 1)
    drawn = Markup("").join(_mark(mark, last) for mark in marks)
    svg = Markup(
        '<svg class="line" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '{}<path d="{}"/></svg>'
    )
    return svg.format(last, HEIGHT, label, drawn, _path(values))


def _path(values: NDArray[np.float64]) -> str:
    """Return the line in steps of whole units from run to run."""
    heights = _heights(values).tolist()
    if len(heights) == 1:
        return f"M0 {heights[0]}h1"
    steps = "".join(f"1{'' if after < before else ' '}{after - before} " for before, after in pairwise(heights))
    return f"M0 {heights[0]}l{steps.strip()}"


def _heights(values: NDArray[np.float64]) -> NDArray[np.int64]:
    logs = np.log(np.maximum(values, LEAST))
    ordinary = hampel_filter(logs, noise(logs, 0.002))
    low, high = float(ordinary.min()), float(ordinary.max())
    middle, span = (low + high) / 2, max(1.1 * (high - low), LEAST_SPAN)
    shares = np.clip(0.5 - (logs - middle) / span, 0.0, 1.0)
    return np.rint(shares * HEIGHT).astype(np.int64)


def _mark(mark: tuple[int, int, str, str], last: int) -> Markup:
    start, end, verdict, title = mark
    if end > start + 1:
        shape: Any = Markup('<rect x="{}" width="{}" height="{}"/>').format(start, end - start, HEIGHT)
    else:
        at = min(start + 0.5, float(last))
        shape = Markup('<line x1="{0}" x2="{0}" y2="{1}"/>').format(at, HEIGHT)
    return Markup('<g class="mark {}"><title>{}</title>{}</g>').format(escape(verdict), title, shape)
