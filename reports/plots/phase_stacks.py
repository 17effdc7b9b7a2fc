"""Phases: shares of prepare, linearize and pullback in the time of a first gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from jacobench.reports.data.units import format_seconds
from jacobench.reports.data.vocabulary import in_order, words
from jacobench.reports.plots.dot_plot import label_cases
from jacobench.reports.plots.layout import frame
from jacobench.reports.plots.plot_data import NoData, Plot
from jacobench.reports.plots.small_multiples import folded, panel_grid, share
from jacobench.reports.plots.style import FAINT, INK, PAPER, strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from jacobench.reports.data.run_data import Run

STACKED = {"prepare": (0.25, "////"), "linearize": (0.45, ""), "pullback": (1.0, "")}
"""Phases of a first gradient, in order → opacity and hatch; the color is the strategy's."""

MAX_STRATEGIES = 6


def stacks(run: Run, phase: str) -> dict[str, Plot]:  # noqa: ARG001  (the plot shows all phases)
    """Draw the phases of every case stacked to 100 %, with their total, one panel per strategy: ``phases``."""
    table = run.table
    rows = table[table["phase"].isin(STACKED)]
    seconds = rows.pivot_table(index=["strategy", "case"], columns="phase", values="seconds_median", sort=False)
    seconds = seconds.reindex(columns=list(STACKED)).dropna()
    if seconds.empty:
        raise NoData(f"no strategy has a time for each of the phases {', '.join(STACKED)} in any case")
    cases, strategies = rows["case"].drop_duplicates().tolist(), in_order(rows["strategy"])
    shown = strategies[:MAX_STRATEGIES]
    failed = rows[rows["status"] != "ok"].groupby(["strategy", "case"])["status"].first().to_dict()
    with styled():
        size = (4.2 + 2.5 * len(shown), 1.9 + 0.25 * len(cases))
        figure, panels = panel_grid(len(shown), len(shown), size, share_y=True)
        for axes, strategy in zip(panels, shown, strict=True):
            own = seconds[seconds.index.get_level_values("strategy") == strategy].droplevel("strategy")
            _panel(axes, strategy, cases, own, failed)
        label_cases(panels[0], cases)
        panels[len(shown) // 2].set_xlabel("share of the time of a first gradient (right: total)")
        title = "shares of the phases in the time of a first gradient"
        frame(figure, title + share(len(shown), len(strategies), "strategies"), _handles(), table)
    caption = (
        "Shares of a first gradient's time: prepare (once per graph), linearize (once per point: the forward pass and any "
        "Jacobians) and pullback (once per batch of seeds). Where linearization dominates, reuse pays off."
    )
    return {"phases": Plot(figure, seconds.add_suffix("_seconds").reset_index(), caption)}


def _panel(axes: Axes, strategy: str, cases: list[str], seconds: pd.DataFrame, failed: Mapping[Any, str]) -> None:
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
    axes.set_xticks([0, 0.5, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(visible=False, axis="y")
    axes.set_title(folded(strategy), loc="left", color=color, fontweight="bold")


def _handles() -> list[Artist]:
    return [
        Patch(facecolor=(INK, alpha), hatch=hatch, edgecolor=PAPER, label=phase)
        for phase, (alpha, hatch) in STACKED.items()
    ]
