"""Plots of series over runs: one plot per setting and phase, one panel per case, one line per strategy."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pandas as pd

from jacobench.bench.row.columns import CELL_KEYS
from jacobench.graphs.errors import BadInput
from jacobench.reports.data.pytest_benchmark_json import PHASE, STRATEGY
from jacobench.reports.data.units import format_change, format_tick
from jacobench.reports.history.series import QUANTITIES, SETTING, Series, lines_of, series, setting_words
from jacobench.reports.plots.layout import Plot, strategy_handles, surround
from jacobench.reports.plots.small_multiples import MAX_PANELS, elided, grid, share
from jacobench.reports.plots.style import strategy_style, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from jacobench.reports.history.store import History


def draw(history: History, changes: pd.DataFrame, quantity: str) -> dict[str, Plot]:
    """Draw one quantity of a history with its changes; `BadInput` if no run has the quantity.

    Plots are named ``history-PHASE-QUANTITY``, with a hash appended if there are several settings. A plot shows at most
    twelve cases; the latest changes come first.
    """
    found: dict[tuple[Any, ...], list[Series]] = {}
    for own in series(history, quantity):
        found.setdefault((*own.setting, own.key["phase"]), []).append(own)
    if not found:
        raise BadInput(f"no cell has the quantity {quantity}: expected at least one measured cell")
    several = len({key[:-1] for key in found}) > 1
    plots = {}
    for (*setting, phase), group in found.items():
        parts = ["history", phase, quantity, f"{crc32(repr(setting).encode()):08x}"[:6] if several else ""]
        plots["-".join(part for part in parts if part)] = _plot(history, group, changes, quantity)
    return plots


def _plot(history: History, group: Sequence[Series], changes: pd.DataFrame, quantity: str) -> Plot:
    key = group[0].key
    marks = changes[changes["quantity"] == quantity]
    for name in (*SETTING, "phase"):
        marks = marks[marks[name] == key[name]]
    changed = marks["case"].drop_duplicates().tolist()
    cases = list(dict.fromkeys([*changed, *(own.key["case"] for own in group)]))
    shown = cases[:MAX_PANELS]
    with styled():
        figure, axes = grid(len(shown), width=3.4, height=2.1)
        for case, panel in zip(shown, axes, strict=True):
            own_marks = marks[marks["case"] == case]
            _panel(panel, [own for own in group if own.key["case"] == case], own_marks, quantity)
            panel.set_title(elided(case))
        what = QUANTITIES[quantity].words
        title = f"{'' if key['phase'] == PHASE else key['phase'] + ': '}{what} over runs{share(len(shown), len(cases))}"
        source = setting_words(group[0].setting)
        strategies = [own.key["strategy"] for own in group if own.key["strategy"] != STRATEGY]
        surround(figure, title, strategy_handles(strategies), source)
    caption = f"Runs from left (oldest) to right, on {source}. A dotted line marks a change of a series."
    data = _data(history, [own for own in group if own.key["case"] in shown], marks)
    notes = tuple(
        f"{line['case']} · {line['strategy']}: {line['kind']}, {format_change(line['ratio'])}, "
        f"after {line['commit_before'] or 'run ' + str(line['run_before'])}"
        for line in lines_of(marks)
    )
    return Plot(figure, data, caption, notes)


def _panel(axes: Axes, group: Sequence[Series], marks: pd.DataFrame, quantity: str) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator  # noqa: PLC0415  (after reports.plots)

    for own in group:
        style = strategy_style(own.key["strategy"])
        axes.plot(own.runs, own.measured, color=style.color, linestyle=style.line, linewidth=1.1,
                  marker=style.marker if own.runs.size <= 40 else "", markersize=3)  # fmt: skip
    for at, strategy in zip(marks["at"], marks["strategy"], strict=True):
        axes.axvline(at - 0.5, color=strategy_style(strategy).color, linewidth=0.9, linestyle=":")
    is_binary = quantity == "bytes"
    highest = max(float(own.measured.max()) for own in group)
    lowest = min(float(own.measured.min()) for own in group)
    if lowest > 0 and highest > 3 * lowest:
        axes.set_yscale("log")
        subs = (1.0,) if is_binary else (1.0, 2.0, 5.0)
        axes.yaxis.set_major_locator(LogLocator(base=2.0 if is_binary else 10.0, subs=subs, numticks=8))
    else:
        axes.set_ylim(0 if highest == lowest else None, None if highest else 1)
        if is_binary:
            axes.yaxis.set_major_locator(MultipleLocator(2.0 ** round(log2(np.ptp(axes.get_ylim()) / 4))))
    axes.yaxis.set_major_formatter(lambda value, _: format_tick(value, QUANTITIES[quantity].scale))
    axes.yaxis.set_minor_formatter(lambda _value, _: "")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.set_xlabel("run")


def _data(history: History, group: Sequence[Series], marks: pd.DataFrame) -> pd.DataFrame:
    changed = {(*(line[name] for name in CELL_KEYS), line["at"]): line["kind"] for line in lines_of(marks)}
    runs = history.runs
    lines = [
        {
            **{name: own.key[name] for name in CELL_KEYS},
            "run": run,
            "run_id": runs.loc[run, "run_id"],
            "commit": runs.loc[run, "commit"],
            own.quantity: value,
            "change": changed.get((*(own.key[name] for name in CELL_KEYS), run), ""),
        }
        for own in group
        for run, value in zip(own.runs.tolist(), own.measured.tolist(), strict=True)
    ]
    return pd.DataFrame(lines)
