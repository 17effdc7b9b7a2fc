"""Samples: every timed round, process by process, which shows the spread within and between processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MultipleLocator, PercentFormatter

from jacobench.bench.row.columns import in_phase
from jacobench.reports.data.units import format_seconds
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.layout import NoData, Plot, frame, glyph, legend_mark, strategy_handles
from jacobench.reports.plots.small_multiples import choose, elided, grid, name_along, share
from jacobench.reports.plots.style import FAINT, strategy_style, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

MAX_PANELS = 6
MAX_LINES = 40  # processes in a panel; more lines would overlap; the title states how many strategies are shown
LARGEST = 0.20  # rounds further above the median are drawn at the edge: an interruption would squeeze the others
EDGE, MARKER = 1.04 * LARGEST, 1.16 * LARGEST  # horizontal positions of these rounds and of the strategy's marker

CELL, PROCESS = ["case", "strategy"], ["case", "strategy", "pass", "worker"]


def spreads(run: Run, phase: str) -> dict[str, Plot]:
    """Draw the timed rounds of some cases: ``samples``."""
    if run.samples.empty:
        raise NoData("the run has no single rounds: only its table was given, or an earlier version wrote it")
    samples = run.samples[in_phase(run.samples, phase) & (run.samples["seconds"] > 0)]
    if samples.empty:
        raise NoData(f"no round of phase {phase} was timed")
    return {"samples": _plot(run.table, _relative(samples, run.table), phase)}


def _plot(table: pd.DataFrame, samples: pd.DataFrame, phase: str) -> Plot:
    timed = table[in_phase(table, phase) & table["case"].isin(samples["case"])]
    cases = choose(timed, MAX_PANELS)
    chosen = samples[samples["case"].isin(cases)]
    n_processes = len(chosen[["pass", "worker"]].drop_duplicates())
    named = in_order(chosen["strategy"])
    strategies = named[: max(1, MAX_LINES // n_processes)]
    data = chosen[chosen["strategy"].isin(strategies)]
    with styled():
        figure, panels = grid(len(cases), width=3.9, height=max(1.8, 1.0 + 0.085 * n_processes * len(strategies)))
        for axes, case in zip(panels, cases, strict=True):
            _panel(axes, data[data["case"] == case], strategies)
            axes.set_title(elided(case), loc="left", fontsize=8.5)
        name_along(panels, "time of a round relative to the median")
        handles = [
            *strategy_handles(strategies, lines=False),
            legend_mark("fastest round of a process", marker="|", markersize=9),
            legend_mark("round", marker=".", alpha=0.35),
            legend_mark(f"rounds above +{LARGEST:.0%}", marker=glyph("›"), mew=0),
        ]
        more = share(len(cases), samples["case"].nunique()) + share(len(strategies), len(named), "strategies")
        frame(figure, f"{phase}: every round, one line per process{more}", handles, table)
    return Plot(figure, data, plot_sentences.samples(phase), (_spread(samples),))


def _relative(samples: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add each process's fastest round, the time of the cell in the table, and each round's excess over this time."""
    quickest = samples.groupby(PROCESS, sort=False)["seconds"].transform("min")
    times = table.set_index([*CELL, "phase"])["seconds_median"].rename("median")
    median = samples.join(times, on=[*CELL, "phase"])["median"]
    return samples.assign(quickest=quickest, median=median, above_median=samples["seconds"] / median - 1)


def _panel(axes: Axes, data: pd.DataFrame, strategies: list[str]) -> None:
    line, labels = 0, {}
    for strategy in strategies:
        own = data[data["strategy"] == strategy]
        if own.empty:
            continue
        style, first = strategy_style(strategy), line
        for _, rounds in own.groupby(["pass", "worker"]):
            above = rounds["above_median"]
            shown = above[above <= LARGEST]
            axes.plot(shown, np.full(len(shown), line), ".", color=style.color, alpha=0.35, mew=0, markersize=5)
            if len(shown):
                axes.plot(shown.min(), line, "|", color=style.color, markersize=8, mew=1.8)
            if len(shown) < len(above):
                axes.plot(EDGE, line, marker=glyph("›"), mew=0, color=style.color, linestyle="none")
            line += 1
        middle = (first + line - 1) / 2
        labels[middle] = f"{elided(strategy, 18)}\n{format_seconds(own['median'].iloc[0])}"
        axes.plot(MARKER, middle, color=style.color, marker=style.marker)
        line += 1
    axes.axvline(0.0, color=FAINT, linewidth=1)
    axes.set_xlim(min(-0.05, data["above_median"].min() * 1.1), LARGEST * 1.22)
    axes.set_ylim(line - 0.5, -1)
    axes.set_yticks(list(labels), list(labels.values()), fontsize=7.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MultipleLocator(0.1))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _spread(data: pd.DataFrame) -> str:
    """Return the spread of rounds within a process and between processes, over all cells of the phase."""
    rounds = data.groupby(PROCESS)["seconds"]
    within = (rounds.quantile(0.75) / rounds.quantile(0.25) - 1).median()
    fastest = data.drop_duplicates(PROCESS).groupby(CELL)["quickest"].agg(["min", "max", "count"])
    several = fastest[fastest["count"] > 1]
    return plot_sentences.spread_of_rounds(float(within), float((several["max"] / several["min"] - 1).median()))
