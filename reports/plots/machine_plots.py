"""Small multiples of machines: a column of panels per machine, with the same cases or sweeps in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.row.columns import FORWARD, in_phase, tidy
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.sweeps import KNOBS
from jacobench.reports.data.machine_parts import names_of_parts
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.case_plots import RATIOS, draw_ratios
from jacobench.reports.plots.crossing_plots import drawn_sweeps, has_ratio, sweep_handles, sweep_panel
from jacobench.reports.plots.dot_plot import dot_figure, paged
from jacobench.reports.plots.layout import Plot, hollow_handles, reference_handle, strategy_handles, surround
from jacobench.reports.plots.quantities import label_ratios
from jacobench.reports.plots.small_multiples import name_along, panel_grid, share
from jacobench.reports.plots.style import FAINT, styled
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from jacobench.reports.analysis.sweeps import Sweep
    from jacobench.reports.data.run_data import Run

MAX_SWEEPS = 3  # rows of panels
PANEL = (3.7, 3.3)  # inches
NAME_WIDTH = 34  # characters of a line of a machine's name above its panels


def machine_plots(parts: Sequence[Run], phase: str = "gradient") -> dict[str, Plot]:
    """Draw the ratios to the reference on each machine: ``machines``, and ``machines-vs-width`` for each knob.

    The parts are runs of one machine each, as `machine_parts.parts_of` returns them. A plot without data is left out.
    """
    rows = [part.table[in_phase(part.table, phase) & (part.table["strategy"] != FORWARD)] for part in parts]
    rows = [own.reset_index(drop=True) for own in rows]
    names = names_of_parts(parts)
    return _of_cases(rows, names, phase) | {
        f"machines-vs-{KNOBS[knob].replace(' ', '-')}": _of_sweeps(parts, names, knob, found, phase)
        for knob in KNOBS
        if any(found := [drawn_sweeps(own, knob) for own in rows])
    }


def _of_cases(parts: Sequence[pd.DataFrame], names: Sequence[str], phase: str) -> dict[str, Plot]:
    """Draw the times of every case, as ratios to the reference, one panel per machine."""
    rows = pd.concat([own.assign(machine=name) for own, name in zip(parts, names, strict=True)], ignore_index=True)
    if not has_ratio(rows).any():
        return {}
    rows = rows[rows["strategy"] != REFERENCE].reset_index(drop=True)
    return paged("machines", rows, lambda own, part: _page(own, names, phase, part))


def _page(rows: pd.DataFrame, names: Sequence[str], phase: str, part: str) -> Plot:
    with styled():
        figure, panels = dot_figure(rows, len(names), width=5.4 + PANEL[0] * len(names))
        statuses: list[str] = []
        for axes, name in zip(panels, names, strict=True):
            statuses += draw_ratios(axes, rows, RATIOS[0], rows["machine"] == name)
            axes.set_title(fill(name, NAME_WIDTH), loc="left", fontsize=8.5)
        handles = [
            reference_handle(),
            *strategy_handles(rows["strategy"], lines=False),
            *hollow_handles(statuses, "in the band on the right", any_predicted=False),
        ]
        surround(figure, f"{phase}: time on each machine, as ratio to {REFERENCE}{part}", handles, "")
    columns = ["machine", "case", "strategy", "status", "ratio_to_vjp", "ratio_low", "ratio_high"]
    return Plot(figure, rows[columns], plot_sentences.machines(phase))


@dataclass(frozen=True)
class _Cell:
    """Sweep of a panel with its crossovers in time; None where the machine did not measure it."""

    machine: str
    held: str
    sweep: Sweep | None
    crossings: pd.DataFrame


def _of_sweeps(
    parts: Sequence[Run], names: Sequence[str], knob: str, found: Sequence[Sequence[Sweep]], phase: str
) -> Plot:
    """Draw the ratios along a knob: a row of panels per sweep, with one panel per machine; one scale for all."""
    by_held = [{sweep.held: sweep for sweep in sweeps} for sweeps in found]
    held = dict.fromkeys(name for sweeps in by_held for name in sweeps)
    shown = sorted(held, key=lambda name: -sum(name in sweeps for sweeps in by_held))[:MAX_SWEEPS]
    cells = [
        _Cell(name, line, sweeps.get(line), _crossings(sweeps.get(line), part.passes))
        for line in shown
        for part, name, sweeps in zip(parts, names, by_held, strict=True)
    ]
    data = pd.concat([c.sweep.rows.assign(held=c.held, machine=c.machine) for c in cells if c.sweep], ignore_index=True)
    crossings = pd.concat([cell.crossings for cell in cells if len(cell.crossings)] or [cells[0].crossings])
    size = (3.0 + PANEL[0] * len(parts), 1.4 + PANEL[1] * len(shown))
    with styled():
        figure, panels = panel_grid(len(cells), len(parts), size)
        for number, (axes, cell) in enumerate(zip(panels, cells, strict=True)):
            _draw(axes, cell)
            lines = (cell.machine, cell.held) if number < len(parts) else (cell.held,)
            axes.set_title("\n".join(fill(line, NAME_WIDTH) for line in lines), loc="left", fontsize=8.5)
        _share_scale([axes for axes, cell in zip(panels, cells, strict=True) if cell.sweep])
        for axes in panels[:: len(parts)]:
            axes.set_ylabel(f"time / time of {REFERENCE}")
        name_along(panels, KNOBS[knob])
        title = f"{phase}: time relative to {REFERENCE} against {KNOBS[knob]}, on each machine"
        handles = sweep_handles(data.loc[has_ratio(data), "strategy"], crossings)
        surround(figure, title + share(len(shown), len(held), "sweeps"), handles, "")
    columns = ["machine", "held", "case", "strategy", knob, "status", "ratio_to_vjp", "ratio_low", "ratio_high"]
    return Plot(figure, data[columns], plot_sentences.crossings(phase, knob))


def _crossings(sweep: Sweep | None, passes: pd.DataFrame) -> pd.DataFrame:
    found = crossovers(sweep.rows if sweep else tidy([]), passes)
    return found[(found["quantity"] == "seconds") & (found["knob"] == (sweep.knob if sweep else ""))]


def _draw(axes: Axes, cell: _Cell) -> None:
    if cell.sweep:
        sweep_panel(axes, cell.sweep, cell.crossings.to_dict("records"))
    else:
        _empty(axes)


def _empty(axes: Axes) -> None:
    """Show that a machine did not measure a sweep."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=FAINT)


def _share_scale(panels: Sequence[Axes]) -> None:
    """Give all panels the same axes, so that machines can be compared by eye."""
    for get, put in (("get_xlim", "set_xlim"), ("get_ylim", "set_ylim")):
        ends = [getattr(axes, get)() for axes in panels]
        for axes in panels:
            getattr(axes, put)(min(low for low, _ in ends), max(high for _, high in ends))
    for axes in panels:
        label_ratios(axes.yaxis, *axes.get_ylim())
