"""All plots of a run: the table of kinds, and a loop over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jacobench.bench.row.columns import PHASES, shown_phase
from jacobench.graphs.errors import unknown
from jacobench.reports.data.machine_parts import by_machine, short_names
from jacobench.reports.data.run_data import Run
from jacobench.reports.plots import case_plots, crossing_plots, grid_maps, sample_spreads, scaling_plots, share_bars
from jacobench.reports.plots.layout import NoData
from jacobench.reports.plots.machine_plots import machine_plots
from jacobench.reports.plots.pareto import fronts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from jacobench.reports.plots.layout import Plot

# Kind → function (run, phase) → plots by name. It raises NoData if the run has no data for this kind.
PLOTS: Mapping[str, Callable[[Run, str], dict[str, Plot]]] = {
    "time and memory of every case": case_plots.overviews,
    "growth with a knob": scaling_plots.scalings,
    "crossovers along a knob": crossing_plots.ratios,
    "crossovers over two knobs": grid_maps.maps,
    "phases": share_bars.stacks,
    "cost of each op": share_bars.breakdowns,
    "time against memory": fronts,
    "efficiency": case_plots.efficiencies,
    "samples": sample_spreads.spreads,
}


@dataclass(frozen=True)
class PlotSet:
    """All plots of a run by file name without extension, and the reason for each kind that could not be drawn."""

    plots: dict[str, Plot]
    missing: dict[str, str]


def all_plots(run: Run, phase: str = "gradient") -> PlotSet:
    """Draw every plot for which a run has data, separately for each of its machines.

    If there are several, the first plots are those of `machine_plots`, and the names of the others end in the digits of
    the machine's key, such as ``cases-1a2b3c4d``. Raises BadInput if the phase is unknown.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    parts = by_machine(run)
    if len(parts) == 1:
        return _plots(next(iter(parts.values())), phase)
    plots = machine_plots([run], phase)
    missing: dict[str, str] = {}
    for name, part in zip(short_names(parts), parts.values(), strict=True):
        found = _plots(part, phase)
        plots |= {f"{kind}-{name}": plot for kind, plot in found.plots.items()}
        missing |= {f"{kind} ({name})": reason for kind, reason in found.missing.items()}
    return PlotSet(plots, missing)


def _plots(run: Run, phase: str) -> PlotSet:
    """Draw every plot for which a run of one machine has data."""
    phase = shown_phase(run.table, phase)
    plots: dict[str, Plot] = {}
    missing = {}
    for kind, draw in PLOTS.items():
        try:
            plots |= draw(run, phase)
        except NoData as reason:
            missing[kind] = str(reason)
    return PlotSet(plots, missing)


def all_figures(run: Run | pd.DataFrame, phase: str = "gradient") -> dict[str, Figure]:
    """Draw every plot for which a run, or its table, has data; return the figures by name.

    A tidy table has no passes and no samples: then fits have no interval, and samples are not plotted.
    """
    plots = all_plots(run if isinstance(run, Run) else Run(run), phase).plots
    return {name: plot.figure for name, plot in plots.items()}
