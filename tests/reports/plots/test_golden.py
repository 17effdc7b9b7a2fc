"""Compare the marks of the main plots with small images that were checked by eye: tests/reports/plots/golden/.

The images have no text and no layout that depends on it, because letters differ with every version of FreeType and move the axes.
test_every_plot.py checks that text is readable. After an intended change, remake the images, and look at each before you commit it:

    JACOBENCH_REMAKE_GOLDEN=1 pytest tests/reports/plots/test_golden.py
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from matplotlib.text import Text

from jacobench.reports.plots.all_plots import all_plots
from jacobench.reports.plots.comparison_plot import comparison
from jacobench.reports.plots.style import styled

GOLDEN = Path(__file__).parent / "golden"
DPI = 50

# As a share of the ink. Another font, hinting or smoothing of it changed nothing (0.000); another colour, line or marker for one
# strategy gave 0.087 and more wherever it is drawn.
TOLERANCE = 0.05

NAMES = (
    "summary",
    "cases",
    "time-vs-width",
    "ratio-vs-width",
    "map-width-batch",
    "phases",
    "ops",
    "time-against-memory",
    "efficiency",
    "samples",
)


@pytest.fixture(scope="module")
def drawn():
    """Return a store for what all tests of this module draw once."""
    return {}


@pytest.fixture
def plots(everything, make_run, drawn):
    if not drawn:
        run = make_run(everything, name="new")
        slower = everything.assign(seconds_median=everything["seconds_median"] * everything["depth"] / 3.1)
        drawn |= all_plots(run).plots | comparison(make_run(slower, name="old"), run)
    return drawn


def marks(figure) -> bytes:
    """Return a figure as a PNG without text and legend, its axes where matplotlib puts them if nothing else is asked."""
    file = BytesIO()
    with styled():
        figure.set_layout_engine("none")
        for artist in (*figure.findobj(Text), *figure.legends):
            artist.set_visible(False)
        figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def distance(one: bytes, other: bytes) -> float:
    """Return the root mean square of the difference over that of the ink; infinite for other sizes."""
    a, b = (1.0 - imread(BytesIO(image))[..., :3] for image in (one, other))
    if a.shape != b.shape:
        return float("inf")
    return float(np.sqrt(((a - b) ** 2).mean() / ((a**2).mean() + (b**2).mean()) * 2))


@pytest.mark.parametrize("name", [*NAMES, "comparison"])
def test_a_plot_looks_as_it_did(name, plots):
    found, golden = marks(plots[name].figure), GOLDEN / f"{name}.png"
    if os.environ.get("JACOBENCH_REMAKE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(found)
    off = distance(found, golden.read_bytes())
    assert off <= TOLERANCE, f"{name} is off by {off:.3f}; if this is intended, see the head of {Path(__file__).name}"
