"""Style of every plot: a strategy has the same color, marker and line everywhere."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import matplotlib as mpl
from matplotlib.colors import to_hex, to_rgb, to_rgba_array

from jacobench.reports.data.pytest_benchmark_json import STRATEGY as BENCHMARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.figure import Figure

LineStyle = Literal["-", "--", "-.", ":", "none"] | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class StrategyStyle:
    """Color, marker and line of a strategy; marker and line distinguish strategies without color, too."""

    color: str
    marker: str
    line: LineStyle


# Okabe and Ito, "Color Universal Design" (2008): eight colors that remain distinct with every form of color blindness.
# Their yellow is too faint for a line on white; gray replaces it.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
GREY, BLUE, VERMILLION, PURPLE = "#7F7F7F", "#0072B2", "#D55E00", "#CC79A7"

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

BENCHMARK_STYLE = StrategyStyle(BLUE, "o", "-")  # of benchmarks that are no strategy: they share no plot with one

# Markers and colors of plug-ins, which no built-in strategy has. The colors are from Paul Tol's "muted" scheme (2021), also
# safe with color blindness.
PLUGIN_MARKERS = ("P", "X", "*", "p", "h")
PLUGIN_COLORS = ("#332288", "#882255", "#999933")
PLUGIN_LINES: tuple[LineStyle, ...] = ((0, (3, 1)), (0, (7, 2)), (0, (3, 1, 1, 1)))

PEER_COLORS = dict(zip(("jax", "torch", "autograd"), PLUGIN_COLORS, strict=True)) | {"asdex": PLUGIN_COLORS[2]}
PEER_MARKS = dict(zip(("vjp", "jacrev", "original"), zip(PLUGIN_MARKERS, PLUGIN_LINES, strict=False), strict=True))
"""Library → color, and method → marker and line: other libraries are often in one plot, where no two may look alike."""

# Text and axes, small print, grid, shading, background.
INK, FAINT, GRID, SHADE, PAPER = "#1A1A1A", "#606060", "#E3E3E3", "#F4F4F4", "#FFFFFF"

# Colors on a dark background.
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
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    ),
    "text.parse_math": False,  # a name chosen by a user may contain a dollar sign
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
    """Return the style of a strategy: that of a built-in one, or one that depends only on the name."""
    if strategy in STRATEGY_STYLES:
        return STRATEGY_STYLES[strategy]
    if strategy == BENCHMARK:
        return BENCHMARK_STYLE
    library, _, method = strategy.partition("-")
    if library in PEER_COLORS and (method in PEER_MARKS or strategy == "asdex"):
        return StrategyStyle(PEER_COLORS[library], *PEER_MARKS.get(method, (PLUGIN_MARKERS[-1], PLUGIN_LINES[0])))
    number = crc32(strategy.encode())
    number, marker = divmod(number, len(PLUGIN_MARKERS))
    number, color = divmod(number, len(PLUGIN_COLORS))
    return StrategyStyle(PLUGIN_COLORS[color], PLUGIN_MARKERS[marker], PLUGIN_LINES[number % len(PLUGIN_LINES)])


def dark(color: str) -> str:
    """Return the color (#RRGGBB) to use on a dark background: the same if it is bright enough for both."""
    return DARK.get(color.upper(), color)


def darken(figure: Figure) -> None:
    """Change the colors of a figure, in place, for a dark background."""
    for artist in figure.findobj():
        for what in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            read, write = getattr(artist, f"get_{what}", None), getattr(artist, f"set_{what}", None)
            if read and write:
                _recolor(read, write)


def _recolor(read: Callable[[], Any], write: Callable[[Any], None]) -> None:
    try:
        found = to_rgba_array(read())
    except (TypeError, ValueError):  # "auto", or a color that follows another
        return
    if len(found):
        changed = [(*to_rgb(dark(to_hex(color))), color[3]) for color in found]
        write(changed[0] if len(changed) == 1 else changed)


@contextmanager
def styled(more: Mapping[Any, Any] = MappingProxyType({})) -> Iterator[None]:
    """Draw and save in the style of jacobench, regardless of the user's matplotlibrc, which is restored afterwards.

    `more`: further settings of matplotlib.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        mpl.rcParams.update(more)
        yield
