"""All pictures that a run has in it, by name: one entry a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jacobench.bench.row.columns import PHASES
from jacobench.graphs.errors import unknown
from jacobench.reports.data.run_data import Run
from jacobench.reports.plots.crossing_plots import ratios
from jacobench.reports.plots.efficiency_plot import efficiencies
from jacobench.reports.plots.grid_maps import maps
from jacobench.reports.plots.op_breakdown import breakdowns
from jacobench.reports.plots.overview import overviews
from jacobench.reports.plots.pareto import fronts
from jacobench.reports.plots.phase_stacks import stacks
from jacobench.reports.plots.plot_data import NoData, PlotSet
from jacobench.reports.plots.sample_spreads import spreads
from jacobench.reports.plots.scaling_plots import scalings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from jacobench.reports.plots.plot_data import Plot

# From what the pictures show to the function that draws them: from a run and a phase to pictures by name. It raises
# NoData where the run has nothing to show.
PLOTS: Mapping[str, Callable[[Run, str], dict[str, Plot]]] = {
    "time and memory of every case": overviews,
    "growth with a knob": scalings,
    "crossovers along a knob": ratios,
    "crossovers over two knobs": maps,
    "phases": stacks,
    "cost of each op": breakdowns,
    "time against memory": fronts,
    "efficiency": efficiencies,
    "samples": spreads,
}


def all_plots(run: Run, phase: str = "gradient") -> PlotSet:
    """Draw everything that a run has in it.

    Parameters
    ----------
    run : Run
        What was measured.
    phase : str
        One of ``PHASES``, for the pictures that show one.

    Returns
    -------
    PlotSet
        The pictures, and of which kinds there is none, with the reason.

    Raises
    ------
    BadInput
        If the phase is unknown.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    pictures: dict[str, Plot] = {}
    missing = {}
    for kind, draw in PLOTS.items():
        try:
            pictures |= draw(run, phase)
        except NoData as why:
            missing[kind] = str(why)
    return PlotSet(pictures, missing)


def plots(run: Run | pd.DataFrame, phase: str = "gradient") -> dict[str, Figure]:
    """Draw everything that a run, or its table alone, has in it.

    Parameters
    ----------
    run : Run or DataFrame
        What was measured. The tidy table alone has no single passes and samples: fits have no interval then, and the
        pictures of the samples are left out.
    phase : str
        One of ``PHASES``.

    Returns
    -------
    dict of str to Figure
        By name; empty if there is nothing to draw.
    """
    found = all_plots(run if isinstance(run, Run) else Run(run), phase)
    return {name: picture.figure for name, picture in found.pictures.items()}
