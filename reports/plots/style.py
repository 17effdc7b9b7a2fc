"""One look for every plot: a strategy keeps its colour, its marker and its line wherever it appears."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb, to_rgba_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure

LineStyle = Literal["-", "--", "-.", ":"] | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class StrategyStyle:
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

STRATEGY_STYLES: dict[str, StrategyStyle] = {
    "dense": StrategyStyle(VERMILLION, "s", "-"),
    "dense-blocks": StrategyStyle(ORANGE, "D", "--"),
    "sparse": StrategyStyle(BLUE, "^", "--"),
    "vjp": StrategyStyle(GREEN, "o", "-"),
    "forward-dense": StrategyStyle(PURPLE, "v", "-."),
    "forward-sparse": StrategyStyle(SKY, "<", "-."),
    "linear-operator": StrategyStyle(BLACK, ">", (0, (5, 1, 1, 1, 1, 1))),
    "forward": StrategyStyle(GREY, "x", (0, (1, 1))),
}

# For plug-ins: markers and colours that no built-in strategy has, so that none is taken for one of ours. The colours are from
# Paul Tol's "muted" scheme (2021), chosen for the same readers.
PLUGIN_MARKERS = ("P", "X", "*", "p", "h")
PLUGIN_COLORS = ("#332288", "#882255", "#999933")
PLUGIN_LINES: tuple[LineStyle, ...] = ((0, (3, 1)), (0, (7, 2)), (0, (3, 1, 1, 1)))

# What every picture draws with beside the strategies' colours: text and axes, small print, grid, shading, paper.
INK, FAINT, GRID, SHADE, PAPER = "#1A1A1A", "#606060", "#E3E3E3", "#F4F4F4", "#FFFFFF"

# The counterparts on dark paper: light where the others are dark, and brighter where a colour would sink into it.
DARK: dict[str, str] = {
    INK: "#E8E8E8",
    FAINT: "#A8A8A8",
    GRID: "#3A3D42",
    SHADE: "#26292E",
    PAPER: "#17191C",
    BLACK: "#FFFFFF",
    GREY: "#9A9A9A",
    BLUE: "#4AA8E8",
    VERMILLION: "#F07B34",
    GREEN: "#1FC296",
    "#332288": "#A59AF0",
    "#882255": "#E07BB0",
    "#999933": "#C9C95A",
}

RC: dict[Any, Any] = {  # Any: matplotlib types its keys as a literal of all their names
    "figure.dpi": 100,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": "auto",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # names are plug-ins' and readers' own: a dollar in one is a dollar
    "svg.hashsalt": "jacobench",  # otherwise the ids in an SVG are random
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "lines.markersize": 6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def strategy_style(strategy: str) -> StrategyStyle:
    """Return how a strategy is drawn.

    Parameters
    ----------
    strategy : str
        Any strategy's name.

    Returns
    -------
    StrategyStyle
        The built-in's own; for any other name one that depends on nothing but the name.
    """
    if strategy in STRATEGY_STYLES:
        return STRATEGY_STYLES[strategy]
    number = crc32(strategy.encode())
    number, marker = divmod(number, len(PLUGIN_MARKERS))
    number, color = divmod(number, len(PLUGIN_COLORS))
    return StrategyStyle(PLUGIN_COLORS[color], PLUGIN_MARKERS[marker], PLUGIN_LINES[number % len(PLUGIN_LINES)])


def dark(color: str) -> str:
    """Return the counterpart of a colour (#RRGGBB) on dark paper: itself where it is bright enough for both."""
    return DARK.get(color.upper(), color)


def darken(figure: Figure) -> None:
    """Recolour a figure for dark paper, in place."""
    for artist in figure.findobj():
        for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            read, write = getattr(artist, f"get_{what}", None), getattr(artist, f"set_{what}", None)
            if read and write:
                _recolour(read, write)


def _recolour(read: Callable[[], Any], write: Callable[[Any], None]) -> None:
    try:
        found = to_rgba_array(read())
    except (TypeError, ValueError):  # "auto", or a colour that follows another
        return
    if len(found):
        changed = [(*to_rgb(dark(to_hex(color))), color[3]) for color in found]
        write(changed[0] if len(changed) == 1 else changed)


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save in the house's look, whatever the reader's own matplotlibrc says, and leave theirs as it was."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        yield
