"""Phases: what share of a first gradient goes into preparing, linearizing and pulling back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from jacobench.reports.data.units import format_seconds
from jacobench.reports.data.vocabulary import in_order, words
from jacobench.reports.plots.layout import frame
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import folded, label_cases, share
from jacobench.reports.plots.style import FAINT, INK, PAPER, strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

# One after another, a gradient is made of these: their opacity and hatching, as phases share their strategy's colour.
STACKED = {"prepare": (0.25, "////"), "linearize": (0.45, ""), "pullback": (1.0, "")}
MOST_STRATEGIES = 6


def stacks(run: Run, phase: str) -> dict[str, Plot]:  # noqa: ARG001  (all phases are shown)
    """Draw the phases of every case: ``phases``."""
    return {"phases": phases(run.table)}


def phases(table: pd.DataFrame) -> Plot:
    """Draw how the time of a first gradient is made up.

    Parameters
    ----------
    table : DataFrame
        The tidy table of one run.

    Returns
    -------
    Plot
        A panel a strategy, at most six; cases down, the shares of the phases stacked to 100 %, their sum beside.

    Raises
    ------
    NoData
        If no strategy has a time for all three phases in any case.
    """
    rows = table[table["phase"].isin(STACKED)]
    seconds = rows.pivot_table(index=["strategy", "case"], columns="phase", values="seconds_median", sort=False)
    seconds = seconds.reindex(columns=list(STACKED)).dropna()
    if seconds.empty:
        raise NoData(f"no strategy has a time for each of the phases {', '.join(STACKED)} in any case")
    cases, strategies = rows["case"].drop_duplicates().tolist(), in_order(rows["strategy"])
    shown = strategies[:MOST_STRATEGIES]
    ended = rows[rows["status"] != "ok"].groupby(["strategy", "case"])["status"].first()
    with styled():
        size = (4.2 + 2.5 * len(shown), 1.9 + 0.25 * len(cases))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, strategy in zip(panels, shown, strict=True):
            own = seconds[seconds.index.get_level_values("strategy") == strategy].droplevel("strategy")
            _panel(axes, strategy, cases, own, ended.to_dict())
        label_cases(panels[0], cases)
        panels[len(shown) // 2].set_xlabel("share of a first gradient's time (beside: all of it)")
        title = "phases: what a first gradient's time goes into" + share(len(shown), len(strategies), "strategies")
        frame(figure, title, _handles(), table)
    data = seconds.add_suffix("_seconds").reset_index()
    caption = (
        "What share of a first gradient's time goes into preparing (once per graph), linearizing (once per point: the forward "
        "pass, and any Jacobian) and pulling back (once per batch of cotangents). Where linearizing rules, reuse pays."
    )
    return Plot(figure, data, caption)


def _panel(axes: Axes, strategy: str, cases: list[str], seconds: pd.DataFrame, ended: Mapping[Any, str]) -> None:
    style = strategy_style(strategy)
    measured = seconds.to_dict("index")
    for line, case in enumerate(cases):
        if case not in measured:
            why = words(ended.get((strategy, case), "not measured"))
            axes.text(0.02, line, why, va="center", fontsize=7, color=FAINT)
            continue
        total, left = sum(measured[case].values()), 0.0
        for phase, (alpha, hatch) in STACKED.items():
            part = measured[case][phase] / total
            axes.barh(line, part, 0.7, left, color=(style.color, alpha), hatch=hatch, edgecolor=PAPER, linewidth=0.4)
            left += part
        axes.text(1.02, line, format_seconds(total), va="center", fontsize=7.5)
    axes.set_xlim(0, 1.34)
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
    axes.set_title(folded(strategy), loc="left", color=style.color, fontweight="bold")


def _handles() -> list[Artist]:
    return [
        Patch(facecolor=(INK, alpha), hatch=hatch, edgecolor=PAPER, label=phase)
        for phase, (alpha, hatch) in STACKED.items()
    ]
