"""Comparison of two runs: time and memory of every cell, head over base, with the verdicts of `two_runs.compare`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from jacobench.bench.row.columns import PHASES, in_phase
from jacobench.graphs.errors import unknown
from jacobench.reports.data.former_names import with_current_names
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.dot_plot import dot_figure, draw_dots, draw_hollow, line_positions, paged
from jacobench.reports.plots.layout import NoData, Plot, frame, hollow_handles, legend_mark, strategy_handles
from jacobench.reports.plots.missing_cells import place_ratios
from jacobench.reports.plots.quantities import label_ratios
from jacobench.reports.plots.style import FAINT, strategy_style, styled
from jacobench.reports.regression.two_runs import compare, differing_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run
    from jacobench.reports.regression.outcome import Outcome

CELL = ["case", "strategy"]
PALE = 0.45  # opacity of a mark that is neither regressed nor improved


def comparison(base: Run, head: Run, phase: str = "gradient") -> dict[str, Plot]:
    """Plot how each cell's time and memory changed from ``base``, the older run, to ``head``; one line per case.

    The plots are ``comparison`` and further pages, see `dot_plot.paged`; the first has the notes.

    If machines, controls or numbers of threads differ, times are divided by vjp's. The data have the verdicts of
    `two_runs.compare`. Raises BadInput if the phase is unknown, and NoData if the runs have no cell with numbers in common.
    """
    if phase not in PHASES:
        raise unknown("phase", phase, PHASES)
    base, head = with_current_names(base, head)
    differing = differing_settings(base, head)
    outcome = compare(base, head, across_machines=bool(differing))
    time = ("seconds/vjp", "time relative to vjp") if differing else ("seconds", "time per call")
    # Prefix of the panel's columns → its quantity in the verdict table, and the name of the axis.
    panels = {"seconds": time, "bytes": ("peak_bytes", "peak heap memory")}
    data = _changes(base, head, outcome, phase, {prefix: quantity for prefix, (quantity, _) in panels.items()})
    if data.empty:
        raise NoData(f"the two runs have no cell of the phase {phase} in common: same case and same strategy")
    if not data[[f"{prefix}_ratio" for prefix in panels]].notna().any(axis=None):
        raise NoData(f"no cell of the phase {phase} has a number in both runs")
    table = pd.concat([base.table, head.table], ignore_index=True)
    table.attrs = dict(head.table.attrs)
    title = f"{phase}: {head.name or 'new'} over {base.name or 'old'}"
    labels = {prefix: label for prefix, (_, label) in panels.items()}
    pages = paged("comparison", data, lambda own, part: _page(own, labels, table, title + part, phase))
    return pages | {"comparison": replace(pages["comparison"], notes=_notes(data, outcome, differing))}


def _page(data: pd.DataFrame, labels: Mapping[str, str], table: pd.DataFrame, title: str, phase: str) -> Plot:
    with styled():
        figure, all_axes = dot_figure(data, len(labels), width=13.0)
        for axes, (prefix, label) in zip(all_axes, labels.items(), strict=True):
            _draw(axes, data, prefix)
            axes.set_xlabel(f"{label}, new over old")
        handles = [
            *strategy_handles(data["strategy"], lines=False),
            legend_mark("pale: unchanged or inconclusive", marker="o", alpha=PALE),
            *hollow_handles(_failed(data).dropna(), "in the band on the right", any_predicted=False),
        ]
        frame(figure, title, handles, table)
    return Plot(figure, data, plot_sentences.comparison(phase))


def _changes(base: Run, head: Run, outcome: Outcome, phase: str, quantities: dict[str, str]) -> pd.DataFrame:
    """Return one line per cell of the phase that both runs have, in the order of ``head``.

    Columns: ``status_base``, ``status_head``, and the columns of the verdict table for each quantity, with its prefix.
    """
    old, new = (run.table.loc[in_phase(run.table, phase), [*CELL, "status"]] for run in (base, head))
    found = new.merge(old, on=CELL, suffixes=("_head", "_base"), sort=False)[[*CELL, "status_base", "status_head"]]
    verdicts = outcome.verdicts[in_phase(outcome.verdicts, phase)]
    columns = ["base", "head", "ratio", "low", "high", "verdict"]
    for prefix, quantity in quantities.items():
        own = verdicts[verdicts["quantity"] == quantity].set_index(CELL)[columns]
        found = found.join(own.add_prefix(f"{prefix}_"), on=CELL)
    numbers = [f"{prefix}_{name}" for prefix in quantities for name in columns[:-1]]
    found[numbers] = found[numbers].astype(float)
    return found


def _failed(data: pd.DataFrame) -> pd.Series[str]:
    """Return the status of each cell that is not ok in both runs; the new run's status takes precedence."""
    status = data["status_head"].where(data["status_head"] != "ok", data["status_base"])
    return status.where(status != "ok")


def _draw(axes: Axes, data: pd.DataFrame, prefix: str) -> None:
    ratio, low, high = (data[f"{prefix}_{name}"] for name in ("ratio", "low", "high"))
    placed = place_ratios(ratio, low, high)
    placed = replace(placed, edge=placed.edge & _failed(data).notna())  # peaks that are too small are not drawn
    draw_hollow(axes, data, placed, _failed(data).fillna("ok"))
    axes.axvline(1.0, color=FAINT, linewidth=1)
    changed = data[f"{prefix}_verdict"].isin(["regressed", "improved"])
    for which, alpha in ((changed, 1.0), (~changed, PALE)):
        colors = [strategy_style(name).color for name in data.loc[which, "strategy"]]
        axes.hlines(line_positions(data)[which], low[which], high[which], colors=colors, alpha=alpha, linewidth=1.2)
        draw_dots(axes, data, ratio.where(which), alpha=alpha)
    label_ratios(axes.xaxis, placed.low, placed.high)


def _notes(data: pd.DataFrame, outcome: Outcome, differing: list[tuple[str, str, str]]) -> tuple[str, ...]:
    settings = [plot_sentences.differing(*setting) for setting in differing]
    verdicts = data["seconds_verdict"].value_counts()
    names = ("regressed", "improved", "unchanged", "inconclusive")
    counts = plot_sentences.verdicts({name: int(verdicts.get(name, 0)) for name in names})
    changed = data[data["status_head"] != data["status_base"]]
    columns = ["case", "strategy", "status_base", "status_head"]
    ended = [plot_sentences.changed_status(*row) for row in changed[columns].itertuples(index=False)]
    return (*settings, counts, *outcome.notes, *ended)
