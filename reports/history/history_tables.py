"""A history on the screen: rows of text for series and for changes."""

from __future__ import annotations

from itertools import groupby
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.reports.data.vocabulary import words
from jacobench.reports.history.change_points import MIN_RUNS
from jacobench.reports.history.history_check import VERDICTS
from jacobench.reports.history.series import QUANTITIES, cell_name, lines_of, series, setting_words
from jacobench.reports.history.sparklines import sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from jacobench.reports.history.history_check import Checked
    from jacobench.reports.history.store import History

Row = tuple[Any, ...]


def series_rows(history: History, quantity: str) -> Iterator[tuple[str, list[Row]]]:
    """Return, of each machine with its controls, a heading and a row a series.

    Returns
    -------
    iterator of (str, list of tuples)
        Case, strategy, phase, number of runs, median of all runs, latest, how far that is from the median, sparkline.
    """
    show = QUANTITIES[quantity].format if quantity in QUANTITIES else str
    found = sorted(series(history, quantity), key=lambda own: tuple(map(str, own.setting)))
    for setting, group in groupby(found, key=lambda own: own.setting):
        rows = []
        for own in group:
            middle, latest = float(np.median(own.measured)), float(own.measured[-1])
            change = f"{latest / middle - 1:+.1%}" if middle else ""
            names = (own.key["case"], own.key["strategy"], own.key["phase"])
            rows.append((*names, own.measured.size, show(middle), show(latest), change, sparkline(own.measured)))
        yield setting_words(setting), rows


def change_rows(history: History, changes: pd.DataFrame) -> list[Row]:
    """Return a row a change: series, kind, verdict, size with its interval, old and new level, commits."""
    several = changes.groupby(["machine", "controls", "threads", "suite"]).ngroups > 1
    return [
        (
            f"{cell_name(line)} ({setting_words(_setting(line))})" if several else cell_name(line),
            f"{words(line['kind'])}, {line['quantity']}",
            line["verdict"],
            *size_words(line),
            commits_words(history, line),
        )
        for line in lines_of(changes)
    ]


def size_words(line: Mapping[str, Any]) -> tuple[str, str]:
    """Return a change's size with its interval, and its old and new level; empty for one that has none."""
    if isnan(line["ratio"]):
        return "", ""
    show = QUANTITIES[line["quantity"]].format
    size, low, high = (percent(line[name]) for name in ("ratio", "low", "high"))
    return f"{size} ({low} to {high})", f"{show(line['old'])} → {show(line['new'])}"


def percent(ratio: float) -> str:
    """Return a ratio as a change: in per cent, or as a factor from two on.

    Examples
    --------
    >>> percent(1.054), percent(0.5), percent(3.2), percent(0.999)
    ('+5.4%', '-50.0%', '3.20×', '-0.1%')
    """
    if ratio < 2:
        return f"{100 * (ratio - 1):+.1f}%"
    return f"{ratio:.2f}×" if ratio < 100 else f"{ratio:,.0f}×"


def commits_words(history: History, line: Mapping[str, Any]) -> str:
    """Return the commit range of a change; runs' names where there are no commits, or only one."""
    before, after = line["commit_before"], line["commit_after"]
    if before and after and before != after:
        return f"{_short(before)}..{_short(after)}"
    names = history.runs["run_id"]
    return f"{names[line['run_before']]}..{names[line['run_after']]}"


def _short(commit: str) -> str:
    known, dash, dirty = commit.partition("-")
    return f"{known[:9]}{dash}{dirty}"


def summary(found: Checked) -> str:
    """Say in a sentence or two what a check found."""
    if found.state == "nothing":
        return "nothing to check: no cell has a number"
    counts = found.changes["verdict"].value_counts()
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts) or "no change"
    short = f"; {found.n_short} more have fewer than {MIN_RUNS} runs" if found.n_short else ""
    return f"{found.state}: {said} in {found.n_series} series{short}"


def _setting(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line["machine"], line["controls"], line["threads"], line["suite"]
