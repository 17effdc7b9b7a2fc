"""Bars of shares: the phases in the time of a first gradient, and the ops in the predicted cost of every strategy."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from jacobench.bench.row.columns import FORWARD, JACOBIAN, TASKS
from jacobench.reports.data.packaged_graphs import rebuilt
from jacobench.reports.data.units import format_bytes, format_flops, format_seconds
from jacobench.reports.data.vocabulary import in_order, words
from jacobench.reports.explain.edge_costs import op_costs
from jacobench.reports.plots import plot_sentences
from jacobench.reports.plots.dot_plot import label_cases, paged
from jacobench.reports.plots.layout import NoData, Plot, frame
from jacobench.reports.plots.small_multiples import choose, elided, folded, panel_grid, share
from jacobench.reports.plots.style import FAINT, INK, PAPER, strategy_style, styled
from jacobench.strategies import registry
from jacobench.strategies.reverse import Reverse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from jacobench.bench.suites.case import Case
    from jacobench.graphs.graph import Graph
    from jacobench.reports.data.run_data import Run

MAX_STRATEGIES = 6
MAX_CASES = 3
MAX_OPS = 10
LINE = 0.25  # height of a case's line in the plot of the phases, in inches

# Phases of a first gradient, in order → opacity and hatch; the color is the strategy's.
STACKED = {"prepare": (0.25, "////"), "linearize": (0.45, ""), "pullback": (1.0, "")}
BARS = {"flops": (0.9, "", format_flops), "bytes": (0.35, "////", format_bytes)}  # column → opacity, hatch, format
LEGEND = {"flops": "flops", "bytes": "bytes: kept for the\npullback, and cotangents"}


def stacks(run: Run, phase: str) -> dict[str, Plot]:  # noqa: ARG001  (the plot shows all phases)
    """Draw the phases of every case stacked to 100 %, with their total, one panel per strategy: ``phases``."""
    table = run.table
    rows = table[table["phase"].isin(STACKED) & table["task"].ne(JACOBIAN)]
    if _phase_seconds(rows).empty:
        raise NoData(f"no strategy has a time for each of the phases {', '.join(STACKED)} in any case")
    return paged("phases", rows, lambda own, part: _phases(table, own, part), LINE)


def _phase_seconds(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds of each stacked phase, a column per phase, of the cells that have all of them."""
    seconds = rows.pivot_table(index=["strategy", "case"], columns="phase", values="seconds_median", sort=False)
    return seconds.reindex(columns=list(STACKED)).dropna()


def _phases(table: pd.DataFrame, rows: pd.DataFrame, part: str) -> Plot:
    seconds = _phase_seconds(rows)
    cases, strategies = rows["case"].drop_duplicates().tolist(), in_order(rows["strategy"])
    shown = strategies[:MAX_STRATEGIES]
    failed = rows[rows["status"] != "ok"].groupby(["strategy", "case"])["status"].first().to_dict()
    with styled():
        size = (4.2 + 2.5 * len(shown), 1.9 + LINE * len(cases))
        figure, panels = panel_grid(len(shown), len(shown), size, share_y=True)
        for axes, strategy in zip(panels, shown, strict=True):
            own = seconds[seconds.index.get_level_values("strategy") == strategy].droplevel("strategy")
            _stack(axes, strategy, cases, own, failed)
        label_cases(panels[0], cases)
        panels[len(shown) // 2].set_xlabel("share of the time of a first gradient (right: total)")
        title = "shares of the phases in the time of a first gradient"
        marks = STACKED.items()
        handles = [Patch(fc=(INK, alpha), hatch=hatch, edgecolor=PAPER, label=name) for name, (alpha, hatch) in marks]
        frame(figure, title + share(len(shown), len(strategies), "strategies") + part, handles, table)
    return Plot(figure, seconds.add_suffix("_seconds").reset_index(), plot_sentences.phase_shares())


def _stack(axes: Axes, strategy: str, cases: list[str], seconds: pd.DataFrame, failed: Mapping[Any, str]) -> None:
    color = strategy_style(strategy).color
    measured = seconds.to_dict("index")
    for line, case in enumerate(cases):
        if case not in measured:
            text = words(failed.get((strategy, case), "not measured"))
            axes.text(0.02, line, text, va="center", fontsize=7, color=FAINT)
            continue
        total, left = sum(measured[case].values()), 0.0
        for phase, (alpha, hatch) in STACKED.items():
            part = measured[case][phase] / total
            axes.barh(line, part, 0.7, left, color=(color, alpha), hatch=hatch, edgecolor=PAPER, linewidth=0.4)
            left += part
        axes.text(1.02, line, format_seconds(total), va="center", fontsize=7.5)
    axes.set_xlim(0, 1.34)
    _label_shares(axes)
    axes.set_title(folded(strategy), loc="left", color=color, fontweight="bold")


def breakdowns(run: Run, phase: str) -> dict[str, Plot]:  # noqa: ARG001  (the plot shows all phases)
    """Draw the costs of `edge_costs.op_costs`, one row of panels per case and one panel per strategy: ``ops``."""
    table = run.table
    graphs = rebuilt(table)
    if not graphs:
        raise NoData("run.json holds no graphs, and only cases of the packaged suites can be rebuilt from it")
    rows = table[table["case"].isin(graphs) & table["phase"].isin(TASKS)]
    named = in_order(rows.loc[rows["strategy"] != FORWARD, "strategy"])
    strategies = {name: strategy for name in named if (strategy := _with_costs(name))}
    shown = list(strategies)[:MAX_STRATEGIES]
    if not shown:
        raise NoData(
            "no strategy of the run has costs per op; the packaged ones with the shared reverse loop have them"
        )
    cases = choose(rows, MAX_CASES)
    tables = [
        _costs(*graphs[case], strategies[name]).assign(case=case, strategy=name) for case in cases for name in shown
    ]
    data = pd.concat(tables, ignore_index=True)
    with styled():
        title = "predicted cost of each op" + share(len(cases), table["case"].nunique())
        figure = _op_figure(data, cases, shown)
        handles = [
            Patch(facecolor=(INK, alpha), hatch=hatch, edgecolor=INK, linewidth=0, label=LEGEND[column])
            for column, (alpha, hatch, _) in BARS.items()
        ]
        frame(figure, title + share(len(shown), len(named), "strategies"), handles, table)
    return {"ops": Plot(figure, data, plot_sentences.op_shares())}


def _with_costs(name: str) -> Reverse | None:
    """Load a packaged strategy if it has costs per op. The name comes from a file, so nothing else is imported."""
    if not registry.is_built_in(name):
        return None
    strategy: object = registry.load(name)
    return strategy if isinstance(strategy, Reverse) else None


def _costs(case: Case, graph: Graph, strategy: Reverse) -> pd.DataFrame:
    found = op_costs(graph, strategy, int(case.knobs["n_seeds"] or prod(graph.output_shape)))
    return found.assign(bytes=found["kept_bytes"] + found["cotangent_bytes"])


def _op_figure(data: pd.DataFrame, cases: list[str], strategies: list[str]) -> Figure:
    lines = {case: _op_lines(data[data["case"] == case]) for case in cases}
    size = (2.6 + 3.1 * len(strategies), 1.4 + 0.55 * len(cases) + 0.3 * sum(map(len, lines.values())))
    figure = Figure(figsize=size, layout="constrained")
    heights = {"height_ratios": [len(lines[case]) for case in cases]}
    grid = figure.subplots(len(cases), len(strategies), squeeze=False, sharex=True, gridspec_kw=heights)
    for row, case in zip(grid, cases, strict=True):
        for axes, strategy in zip(row, strategies, strict=True):
            own = data[(data["case"] == case) & (data["strategy"] == strategy)]
            _op_bars(axes, own, lines[case], strategy)
        row[0].set_yticks(range(len(lines[case])), lines[case])
        row[0].set_ylabel(elided(case, 28), fontsize=8.5)
    for axes in grid[-1]:
        axes.set_xlabel("share of the strategy's total")
    return figure


def _op_lines(data: pd.DataFrame) -> list[str]:
    """Return the ops with the largest share for any strategy, in the order of the graph."""
    labels = data["op"] + " · " + data["argument"]
    totals = data.groupby("strategy")[list(BARS)].transform("sum").clip(lower=1)
    largest = (data[list(BARS)] / totals).max(axis=1).groupby(labels).max()
    shown = set(largest.sort_values(ascending=False, kind="stable").index[:MAX_OPS])
    return [label for label in dict.fromkeys(labels) if label in shown]


def _op_bars(axes: Axes, own: pd.DataFrame, lines: list[str], strategy: str) -> None:
    color = strategy_style(strategy).color
    totals = own[list(BARS)].sum()
    by_label = {f"{line['op']} · {line['argument']}": line for line in own.to_dict("records")}
    for at, label in enumerate(lines):
        if label not in by_label:
            continue
        shown = []
        for side, (column, (alpha, hatch, show)) in zip((-0.18, 0.18), BARS.items(), strict=True):
            value = float(by_label[label][column])
            length = value / max(float(totals[column]), 1.0)
            axes.barh(at + side, length, 0.34, color=(color, alpha), hatch=hatch, edgecolor=color, linewidth=0)
            shown += [show(value)] if value else []
        axes.text(1.04, at, " · ".join(shown), va="center", fontsize=7.5)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [""] * len(lines))
    axes.set_xlim(0, 1.95)
    _label_shares(axes)
    total = f"{format_flops(totals['flops'])} · {format_bytes(totals['bytes'])}"
    axes.set_title(f"{folded(strategy)}: {total}", loc="left", color=color, fontweight="bold", fontsize=8.5)


def _label_shares(axes: Axes) -> None:
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
