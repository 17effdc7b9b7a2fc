"""Small multiples of machines: a column of panels per machine, with the same cases or sweeps in all of a page."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.row.columns import FORWARD, in_phase, tidy
from jacobench.reports.analysis.crossovers import crossovers
from jacobench.reports.analysis.sweeps import KNOBS, find_sweeps, order_of_sweeps
from jacobench.reports.data.machine_parts import cases_of, names_of_parts, parts_of
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.case_plots import RATIOS, draw_ratios
from jacobench.reports.plots.crossing_plots import has_line, has_ratio, sweep_handles, sweep_panel
from jacobench.reports.plots.dot_plot import dot_figure, numbered, paged
from jacobench.reports.plots.layout import Plot, hollow_handles, reference_handle, strategy_handles, surround
from jacobench.reports.plots.quantities import label_ratios
from jacobench.reports.plots.small_multiples import panel_grid, share
from jacobench.reports.plots.style import FAINT, styled
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from jacobench.reports.analysis.sweeps import Sweep
    from jacobench.reports.data.run_data import Run

MAX_COLUMNS = 3  # machines of a page
MAX_SWEEPS = 3  # rows of panels
PANEL = (3.7, 3.3)  # inches
TOO_FEW, NO_RATIOS = "fewer than two sizes\nmeasured", "no strategy with ratios\nat two sizes"  # in an empty panel
NAME_WIDTH = 34  # characters of a line of a machine's name above its panels


@dataclass(frozen=True)
class _Column:
    """Machine, with the rows of its cases in one phase and all of its passes."""

    machine: str
    rows: pd.DataFrame
    passes: pd.DataFrame


def machine_plots(runs: Sequence[Run], phase: str = "gradient") -> dict[str, Plot]:
    """Draw the ratios to the reference on each machine: ``machines``, and ``machines-vs-width`` for each knob.

    A page has at most three machines. Further pages are ``machines-2``, and so on. A plot without data is left out.
    """
    parts = parts_of(runs)
    found = [part.table[in_phase(part.table, phase) & (part.table["strategy"] != FORWARD)] for part in parts]
    columns = [
        _Column(name, rows.reset_index(drop=True), part.passes)
        for name, rows, part in zip(names_of_parts(parts), found, parts, strict=True)
    ]
    pages = list(_pages(columns))
    cases = [plot for own, note in pages for plot in _of_cases(own, cases_of(runs), phase, note)]
    plots = numbered("machines", cases)
    for knob, word in KNOBS.items():
        order = order_of_sweeps([run.table for run in runs], knob)
        swept = (_of_sweeps(own, knob, order, phase, note) for own, note in pages)
        plots |= numbered(f"machines-vs-{word.replace(' ', '-')}", (plot for plot in swept if plot))
    return plots


def _pages(columns: Sequence[_Column]) -> Iterator[tuple[Sequence[_Column], str]]:
    """Yield the machines of each page, and the end of its title."""
    each = math.ceil(len(columns) / math.ceil(len(columns) / MAX_COLUMNS))
    for begin in range(0, len(columns), each):
        own = columns[begin : begin + each]
        numbers = f"machines {begin + 1} to {begin + len(own)}" if len(own) > 1 else f"machine {begin + 1}"
        yield own, f" ({numbers} of {len(columns)})" if len(own) < len(columns) else ""


def _of_cases(columns: Sequence[_Column], order: Sequence[str], phase: str, note: str) -> list[Plot]:
    """Draw the times of every case, as ratios to the reference, one panel per machine."""
    rows = pd.concat([column.rows.assign(machine=column.machine) for column in columns], ignore_index=True)
    if not has_ratio(rows).any():
        return []
    places = {case: place for place, case in enumerate(order)}
    rows = rows[rows["strategy"] != REFERENCE].sort_values("case", key=lambda own: own.map(places), kind="stable")
    names = [column.machine for column in columns]
    pages = paged("machines", rows.reset_index(drop=True), lambda own, part: _page(own, names, phase, note + part))
    return list(pages.values())


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
    """Panel: the sweep of a machine with its crossovers in time, or ``sweep`` None and the reason."""

    machine: str
    held: str
    sweep: Sweep | None
    crossings: pd.DataFrame
    why: str


def _of_sweeps(columns: Sequence[_Column], knob: str, order: Sequence[str], phase: str, note: str) -> Plot | None:
    """Draw the ratios along a knob: a row of panels per sweep, with one panel per machine; one scale for all."""
    found = [{sweep.held: sweep for sweep in find_sweeps(column.rows, knob)} for column in columns]
    counts = Counter(sweep.held for sweeps in found for sweep in sweeps.values() if has_line(sweep))
    held = [name for name in dict.fromkeys([*order, *counts]) if name in counts]
    shown = sorted(held, key=lambda name: -counts[name])[:MAX_SWEEPS]
    if not shown:
        return None
    cells = [
        _cell(column, line, sweeps.get(line)) for line in shown for column, sweeps in zip(columns, found, strict=True)
    ]
    data = pd.concat([c.sweep.rows.assign(held=c.held, machine=c.machine) for c in cells if c.sweep], ignore_index=True)
    crossings = pd.concat([cell.crossings for cell in cells if len(cell.crossings)] or [cells[0].crossings])
    size = (3.0 + PANEL[0] * len(columns), 1.4 + PANEL[1] * len(shown))
    with styled():
        figure, panels = panel_grid(len(cells), len(columns), size)
        for number, (axes, cell) in enumerate(zip(panels, cells, strict=True)):
            _draw(axes, cell)
            lines = (cell.machine, cell.held) if number < len(columns) else (cell.held,)
            axes.set_title("\n".join(fill(line, NAME_WIDTH) for line in lines), loc="left", fontsize=8.5)
        _share_scale([axes for axes, cell in zip(panels, cells, strict=True) if cell.sweep])
        _name([axes if cell.sweep else None for axes, cell in zip(panels, cells, strict=True)], len(columns), knob)
        title = f"{phase}: time relative to {REFERENCE} against {KNOBS[knob]}, on each machine"
        handles = sweep_handles(data.loc[has_ratio(data), "strategy"], crossings)
        surround(figure, title + share(len(shown), len(held), "sweeps") + note, handles, "")
    shown_columns = ["machine", "held", "case", "strategy", knob, "status", "ratio_to_vjp", "ratio_low", "ratio_high"]
    return Plot(figure, data[shown_columns], plot_sentences.crossings(phase, knob))


def _cell(column: _Column, held: str, sweep: Sweep | None) -> _Cell:
    drawn = sweep if sweep and has_line(sweep) else None
    crossings = crossovers(drawn.rows if drawn else tidy([]), column.passes)
    crossings = crossings[(crossings["quantity"] == "seconds") & (crossings["knob"] == (drawn.knob if drawn else ""))]
    return _Cell(column.machine, held, drawn, crossings, NO_RATIOS if sweep else TOO_FEW)


def _draw(axes: Axes, cell: _Cell) -> None:
    if cell.sweep:
        sweep_panel(axes, cell.sweep, cell.crossings.to_dict("records"))
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, cell.why, transform=axes.transAxes, ha="center", color=FAINT)


def _name(panels: Sequence[Axes | None], n_columns: int, knob: str) -> None:
    """Label the axes: left of the first measured panel of each row, and below the last one of each column."""
    for begin in range(0, len(panels), n_columns):
        for axes in [own for own in panels[begin : begin + n_columns] if own][:1]:
            axes.set_ylabel(f"time / time of {REFERENCE}")
    for column in range(n_columns):
        for axes in [own for own in panels[column::n_columns] if own][-1:]:
            axes.set_xlabel(KNOBS[knob])


def _share_scale(panels: Sequence[Axes]) -> None:
    """Give all panels the same axes, so that machines can be compared by eye."""
    for get, put in (("get_xlim", "set_xlim"), ("get_ylim", "set_ylim")):
        ends = [getattr(axes, get)() for axes in panels]
        for axes in panels:
            getattr(axes, put)(min(low for low, _ in ends), max(high for _, high in ends))
    for axes in panels:
        label_ratios(axes.yaxis, *axes.get_ylim())
