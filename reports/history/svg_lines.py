"""A series as an inline SVG: as light as a thousand runs in four kilobytes, so that hundreds stand on a page."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from jacobench.reports.history.outliers import noise, tame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEIGHT = 100
LEAST_SPAN = log(1.05)
"""A span below 5 % is not stretched to the full height: noise is to look like noise."""


def line_svg(values: NDArray[np.float64], marks: Sequence[tuple[int, int, str, str]], label: str) -> Markup:
    """Draw a series.

    Parameters
    ----------
    values : array, shape (n_runs,)
        Not negative; on a logarithmic scale, runs far outside at the edge.
    marks : sequence of (int, int, str, str)
        Of each change the runs between which it is, its verdict, which is the mark's class, and its title.
    label : str
        What it shows, for those who do not see it.

    Returns
    -------
    Markup
        One unit a run along, stretched by the page to its width; colours are the page's.
    """
    last = max(values.size - 1, 1)
    drawn = Markup("").join(_mark(mark, last) for mark in marks)
    return Markup(
        '<svg class="line" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}<path d="{}"/></svg>'
    ).format(last, HEIGHT, label, drawn, _path(values))


def _path(values: NDArray[np.float64]) -> str:
    """Return the line in steps of whole units from run to run."""
    heights = _heights(values).tolist()
    if len(heights) == 1:
        return f"M0 {heights[0]}h1"
    moves = "".join(f"1{'' if after < before else ' '}{after - before} " for before, after in pairwise(heights))
    return f"M0 {heights[0]}l{moves.strip()}"


def _heights(values: NDArray[np.float64]) -> NDArray[np.int64]:
    logs = np.log(np.maximum(values, 1e-12))
    ordinary = tame(logs, max(noise(logs, 0.002), 0.002))
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
