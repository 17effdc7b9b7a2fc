"""Samples: every timed round, process by process, so that the spread inside a process stands beside that between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator, PercentFormatter

from jacobench.reports.data.units import format_seconds
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.layout import frame, glyph, strategy_handles
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import choose, elided, grid, name_along, share
from jacobench.reports.plots.style import FAINT, INK, strategy_style, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

MOST_PANELS = 6
MOST_LINES = 40
"""Processes in a panel: more lines would lie on each other. Further strategies are left out, and the title says so."""

FURTHEST = 0.20
"""Rounds further than this above a strategy's median stand at the edge: they are interruptions, and would squeeze the rest."""


def spreads(run: Run, phase: str) -> dict[str, Plot]:
    """Draw the timed rounds of some cases: ``samples``."""
    if run.samples.empty:
        raise NoData("the run holds no single rounds: its table alone was given, or an earlier version wrote it")
    samples = run.samples[(run.samples["phase"] == phase) & (run.samples["seconds"] > 0)]
    if samples.empty:
        raise NoData(f"no round of the phase {phase} was timed")
    return {"samples": _picture(run.table, samples, phase)}


def _picture(table: pd.DataFrame, samples: pd.DataFrame, phase: str) -> Plot:
    timed = table[(table["phase"] == phase) & table["case"].isin(samples["case"])]
    cases = choose(timed, MOST_PANELS)
    chosen = samples[samples["case"].isin(cases)]
    n_processes = len(chosen[["pass", "worker"]].drop_duplicates())
    named = in_order(chosen["strategy"])
    strategies = named[: max(1, MOST_LINES // n_processes)]
    data = _relative(chosen[chosen["strategy"].isin(strategies)])
    with styled():
        height = 1.0 + 0.085 * n_processes * len(strategies)
        figure, panels = grid(len(cases), width=3.9, height=max(1.8, height))
        for axes, case in zip(panels, cases, strict=True):
            _panel(axes, data[data["case"] == case], strategies)
            axes.set_title(elided(case), loc="left", fontsize=8.5)
        name_along(panels, "time of a round, over the passes' median")
        handles = [
            *strategy_handles(strategies, lines=False),
            Line2D(
                [],
                [],
                color=INK,
                marker="|",
                linestyle="none",
                markersize=9,
                label="a process's number:\nits quickest round",
            ),
            Line2D([], [], color=INK, marker=".", alpha=0.35, linestyle="none", label="a round"),
            Line2D(
                [], [], color=INK, marker=glyph("›"), mew=0, linestyle="none", label=f"rounds above +{FURTHEST:.0%}"
            ),
        ]
        more = share(len(cases), samples["case"].nunique()) + share(len(strategies), len(named), "strategies")
        frame(figure, f"{phase}: every round, a line a process{more}", handles, table)
    caption = (
        f"Every timed round of the phase {phase}, a line a fresh process, as a share above or below the median of the processes' own "
        "numbers (beside: that median). Where the bars of a strategy lie further apart than the rounds of a line, processes differ more than repeats do."
    )
    return Plot(figure, data, caption, _notes(_relative(samples)))


def _relative(samples: pd.DataFrame) -> pd.DataFrame:
    """Add each process's quickest round, and how far each round lies above the median of these."""
    cell, process = ["case", "strategy"], ["case", "strategy", "pass", "worker"]
    quickest = samples.groupby(process, sort=False)["seconds"].transform("min")
    per_process = samples.assign(quickest=quickest).drop_duplicates(process).groupby(cell)["quickest"].median()
    median = samples.join(per_process.rename("median"), on=cell)["median"]
    return samples.assign(quickest=quickest, above_median=samples["seconds"] / median - 1)


def _panel(axes: Axes, data: pd.DataFrame, strategies: list[str]) -> None:
    height, middles = 0.0, {}
    for strategy in strategies:
        own = data[data["strategy"] == strategy]
        if own.empty:
            continue
        style, top = strategy_style(strategy), height
        for _, rounds in own.groupby(["pass", "worker"]):
            above = rounds["above_median"]
            shown = above[above <= FURTHEST]
            axes.plot(shown, np.full(len(shown), height), ".", color=style.color, alpha=0.35, mew=0, markersize=5)
            axes.plot(above.min(), height, "|", color=style.color, markersize=8, mew=1.8)
            if len(shown) < len(above):
                axes.plot(FURTHEST * 1.04, height, marker=glyph("›"), mew=0, color=style.color, linestyle="none")
            height += 1
        middles[(top + height - 1) / 2] = f"{_name(strategy)}\n{format_seconds(_median(own))}"
        axes.plot(FURTHEST * 1.16, (top + height - 1) / 2, color=style.color, marker=style.marker)
        height += 1
    axes.axvline(0.0, color=FAINT, linewidth=1)
    axes.set_xlim(min(-0.05, data["above_median"].min() * 1.1), FURTHEST * 1.22)
    axes.set_ylim(height - 0.5, -1)
    axes.set_yticks(list(middles), list(middles.values()), fontsize=7.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MultipleLocator(0.1))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _name(strategy: str) -> str:
    return elided(strategy, 18)


def _median(own: pd.DataFrame) -> float:
    return float(own.drop_duplicates(["pass", "worker"])["quickest"].median())


def _notes(data: pd.DataFrame) -> tuple[str, ...]:
    """Say how far rounds spread inside a process, and the processes' numbers beside that, over all cells of the phase."""
    cell, process = ["case", "strategy"], ["case", "strategy", "pass", "worker"]
    rounds = data.groupby(process)["seconds"]
    inside = (rounds.quantile(0.75) / rounds.quantile(0.25) - 1).median()
    numbers = data.drop_duplicates(process).groupby(cell)["quickest"].agg(["min", "max", "count"])
    several = numbers[numbers["count"] > 1]
    told = f"The middle half of a process's rounds spans {inside:.1%} (median over all cells of the phase)"
    if several.empty:
        return (f"{told}; with one process a cell, nothing tells how far processes differ.",)
    between = (several["max"] / several["min"] - 1).median()
    return (f"{told}; the slowest process's number lies {between:.1%} above the quickest one's.",)
