"""One look for every plot: a strategy keeps its colour, its marker and its line wherever it appears."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import matplotlib as mpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LineStyle = Literal["-", "--", "-.", ":"] | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """How one strategy is drawn: told apart by colour, and by marker and line where colour does not help."""

    color: str
    marker: str
    line: LineStyle


# Okabe and Ito, "Color Universal Design" (2008): eight colours that all forms of colour blindness tell apart. Their yellow
# is too faint for a line on white; grey stands in for it.
BLACK, ORANGE, SKY, GREEN, GREY, BLUE, VERMILLION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#7F7F7F",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)

LOOKS: dict[str, Look] = {
    "dense": Look(VERMILLION, "s", "-"),
    "dense-blocks": Look(ORANGE, "D", "--"),
    "sparse": Look(BLUE, "^", "--"),
    "vjp": Look(GREEN, "o", "-"),
    "forward-dense": Look(PURPLE, "v", "-."),
    "forward-sparse": Look(SKY, "<", "-."),
    "linear-operator": Look(BLACK, ">", (0, (5, 1, 1, 1, 1, 1))),
    "forward": Look(GREY, "x", (0, (1, 1))),
}

# For plug-ins: markers and colours that no built-in strategy has, so that none is taken for one of ours. The colours are from
# Paul Tol's "muted" scheme (2021), chosen for the same readers.
PLUGIN_MARKERS = ("P", "X", "*", "p", "h")
PLUGIN_COLORS = ("#332288", "#882255", "#999933")
PLUGIN_LINES: tuple[LineStyle, ...] = ((0, (3, 1)), (0, (7, 2)), (0, (3, 1, 1, 1)))

RC: dict[Any, Any] = {  # Any: matplotlib types its keys as a literal of all their names
    "figure.dpi": 100,
    "savefig.facecolor": "white",
    "svg.hashsalt": "jacobench",  # otherwise the ids in an SVG are random
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "lines.markersize": 6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def look(strategy: str) -> Look:
    """Return how a strategy is drawn.

    Parameters
    ----------
    strategy : str
        Any strategy's name.

    Returns
    -------
    Look
        The built-in's own; for any other name one that depends on nothing but the name.
    """
    if strategy in LOOKS:
        return LOOKS[strategy]
    number = crc32(strategy.encode())
    number, marker = divmod(number, len(PLUGIN_MARKERS))
    number, color = divmod(number, len(PLUGIN_COLORS))
    return Look(PLUGIN_COLORS[color], PLUGIN_MARKERS[marker], PLUGIN_LINES[number % len(PLUGIN_LINES)])


def in_order(strategies: Iterable[str]) -> list[str]:
    """Return the distinct names, built-in strategies first in their own order, then the others as they came."""
    distinct = list(dict.fromkeys(strategies))
    return [name for name in LOOKS if name in distinct] + [name for name in distinct if name not in LOOKS]


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save in the house's look, whatever the reader's own matplotlibrc says, and leave theirs as it was."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield
