"""Per-op breakdown: into which ops of a graph a strategy's arithmetic and bytes go, by its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from jacobench.reports.analysis.op_costs import by_op
from jacobench.reports.data.packaged_graphs import rebuilt
from jacobench.reports.data.units import format_bytes, format_flops
from jacobench.reports.data.vocabulary import in_order
from jacobench.reports.plots.layout import frame
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import choose, elided, folded, share
from jacobench.reports.plots.style import INK, strategy_style, styled
from jacobench.strategies import registry

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.graphs.graph import Graph
    from jacobench.reports.data.run_data import Run

MOST_CASES = 3
MOST_STRATEGIES = 6
MOST_OPS = 10

# The two bars of a line: which column, how it is filled, and how it is written.
BARS = {"flops": (0.9, "", format_flops), "bytes": (0.35, "////", format_bytes)}
LEGEND = {"flops": "flops", "bytes": "bytes: kept for the\npullback, and cotangents"}


def breakdowns(run: Run, phase: str) -> dict[str, Plot]:  # noqa: ARG001  (the model's phases are all in it)
    """Draw the ops of some cases: ``ops``."""
    return {"ops": breakdown(run.table)}


def breakdown(table: pd.DataFrame) -> Plot:
    """Draw what each op of a graph costs each strategy, as its model predicts.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.

    Returns
    -------
    Plot
        A row of panels a case, three at most; a panel a strategy with a model, six at most.

    Raises
    ------
    NoData
        If no case can be built again, or no strategy of the run has a model here.
    """
    graphs = rebuilt(table)
    if not graphs:
        raise NoData(
            "the run's file holds no graphs, and only cases of the suites that come with the package can be built again from it"
        )
    rows = table[table["case"].isin(graphs) & (table["phase"] == "gradient")]
    named = in_order(rows.loc[rows["strategy"] != "forward", "strategy"])
    ours = [name for name in named if _is_ours(name)][:MOST_STRATEGIES]
    if not ours:
        raise NoData("no strategy of the run has a model of its cost here; those that come with the package have")
    cases = choose(rows, MOST_CASES)
    data = pd.concat([_ops(graphs[case][1], int(graphs[case][0].knobs["n_seeds"]), ours, case) for case in cases])
    with styled():
        title = "what each op costs, by the model" + share(len(cases), table["case"].nunique())
        figure = _figure(data, cases, ours)
        frame(figure, title + share(len(ours), len(named), "strategies"), _handles(), table)
    caption = (
        "Into which ops a gradient's arithmetic goes, and the bytes that each keeps for the pullback (its Jacobian, or the values that "
        "its rule reads) and returns as cotangents, as predicted from the shapes, by op and the argument that is differentiated. Bars are "
        "shares of the strategy's own total."
    )
    return Plot(figure, data.reset_index(drop=True), caption)


def _is_ours(name: str) -> bool:
    """Say whether a strategy is one of the package's own that have a model: a name in a run's file loads nothing else."""
    point = registry.registered().get(name)
    return point is not None and point.value.startswith("jacobench.strategies.") and ".peers." not in point.value


def _ops(graph: Graph, n_seeds: int, strategies: list[str], case: str) -> pd.DataFrame:
    tables = []
    for name in strategies:
        found = by_op(graph, registry.load(name), n_seeds)
        found["bytes"] = found["kept_bytes"] + found["cotangent_bytes"]
        tables.append(found.assign(case=case, strategy=name))
    return pd.concat(tables, ignore_index=True)


def _figure(data: pd.DataFrame, cases: list[str], strategies: list[str]) -> Figure:
    lines = {case: _lines(data[data["case"] == case]) for case in cases}
    n_lines = sum(map(len, lines.values()))
    figure = Figure(
        figsize=(2.6 + 3.1 * len(strategies), 1.4 + 0.55 * len(cases) + 0.3 * n_lines), layout="constrained"
    )
    ratios = [len(lines[case]) for case in cases]
    grid = figure.subplots(
        len(cases), len(strategies), squeeze=False, sharex=True, gridspec_kw={"height_ratios": ratios}
    )
    for row, case in zip(grid, cases, strict=True):
        for axes, strategy in zip(row, strategies, strict=True):
            own = data[(data["case"] == case) & (data["strategy"] == strategy)]
            _panel(axes, own, lines[case], strategy)
        row[0].set_yticks(range(len(lines[case])), lines[case])
        row[0].set_ylabel(elided(case, 28), fontsize=8.5)
    for axes in grid[-1]:
        axes.set_xlabel("share of the strategy's total")
    return figure


def _lines(data: pd.DataFrame) -> list[str]:
    """Return the ops that matter most to any strategy, in the order of the graph; the others stand in the data."""
    labels = data["op"] + " · " + data["argument"]
    totals = data.groupby("strategy")[list(BARS)].transform("sum").clip(lower=1)
    weight = (data[list(BARS)] / totals).max(axis=1).groupby(labels).max()
    heaviest = set(weight.sort_values(ascending=False, kind="stable").index[:MOST_OPS])
    return [label for label in dict.fromkeys(labels) if label in heaviest]


def _panel(axes: Axes, own: pd.DataFrame, lines: list[str], strategy: str) -> None:
    style = strategy_style(strategy)
    totals = own[list(BARS)].sum()
    by_label = {f"{line['op']} · {line['argument']}": line for line in own.to_dict("records")}
    for at, label in enumerate(lines):
        if label not in by_label:
            continue
        told = []
        for side, (column, (alpha, hatch, show)) in zip((-0.18, 0.18), BARS.items(), strict=True):
            value = float(by_label[label][column])
            length = value / max(float(totals[column]), 1.0)
            axes.barh(
                at + side, length, 0.34, color=(style.color, alpha), hatch=hatch, edgecolor=style.color, linewidth=0
            )
            told += [show(value)] if value else []
        axes.text(1.04, at, " · ".join(told), va="center", fontsize=7.5)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [""] * len(lines))
    axes.set_xlim(0, 1.95)
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
    total = f"{format_flops(totals['flops'])} · {format_bytes(totals['bytes'])}"
    axes.set_title(f"{folded(strategy)}: {total}", loc="left", color=style.color, fontweight="bold", fontsize=8.5)


def _handles() -> list[Artist]:
    return [
        Patch(facecolor=(INK, alpha), hatch=hatch, edgecolor=INK, linewidth=0, label=LEGEND[column])
        for column, (alpha, hatch, _) in BARS.items()
    ]
