"""A history as text: rows for series and for changes."""

from __future__ import annotations

from itertools import groupby
from math import isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.reports.data.units import format_change, format_ratio
from jacobench.reports.data.vocabulary import words
from jacobench.reports.history.change_points import MIN_RUNS
from jacobench.reports.history.history_check import VERDICTS
from jacobench.reports.history.series import QUANTITIES, SETTING, cell_name, lines_of, series, setting_words
from jacobench.reports.history.series_drawings import sparkline
from jacobench.reports.plots.small_multiples import elided
from jacobench.reports.render.gate_screen import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from jacobench.reports.history.history_check import Checked
    from jacobench.reports.history.store import History

Row = tuple[Any, ...]

FACTOR, LEAST_FACTOR = 1.95, 0.1  # ratios from which, and below which, a change is a factor instead of a percentage


def series_rows(history: History, quantity: str) -> Iterator[tuple[str, list[Row]]]:
    """Yield a heading and one row per series, for each machine with its controls.

    Cells: case, strategy, phase, number of runs, median, latest run, its difference from the median, sparkline.
    """
    show = QUANTITIES[quantity].format if quantity in QUANTITIES else str
    found = sorted(series(history, quantity), key=lambda own: tuple(map(str, own.setting)))
    for setting, group in groupby(found, key=lambda own: own.setting):
        rows = []
        for own in group:
            middle, latest = float(np.median(own.measured)), float(own.measured[-1])
            change = format_change(latest / middle) if middle else ""
            names = (in_one_line(str(own.key["case"])), own.key["strategy"], own.key["phase"])
            rows.append((*names, own.measured.size, show(middle), show(latest), change, sparkline(own.measured)))
        yield setting_words(setting), rows


def change_texts(history: History, changes: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a table of changes with their texts; ``when`` is the date of the first run after it."""
    names = {name: quantity.words for name, quantity in QUANTITIES.items()}
    texts = []
    for line in lines_of(changes):
        size, level = size_words(line)
        text = {
            "setting": setting_words(tuple(line[name] for name in SETTING)),
            "name": cell_name(line),
            "what": f"{names.get(line['quantity'], line['quantity'])}: {words(line['kind'])}",
            "size": size,
            "level": level,
            "between": commits_words(history, line),
            "when": history.runs.loc[line["run_after"], "measured_at"][:10],
        }
        texts.append(line | text)
    return texts


def change_rows(history: History, changes: pd.DataFrame) -> Iterator[tuple[str, list[Row]]]:
    """Yield a heading and one row per change, newest first, for each machine with its controls.

    Cells: series, change, verdict, size with its interval, old and new level, commits.
    """
    columns = ("what", "verdict", "size", "level", "between")
    grouped: dict[str, list[Row]] = {}
    for text in change_texts(history, changes):
        row = (in_one_line(text["name"]), *(text[name] for name in columns))
        grouped.setdefault(text["setting"], []).append(row)
    yield from grouped.items()


def in_one_line(name: str) -> str:
    """Return a name for a table: of a long test the end of its path, of another one both ends.

    >>> in_one_line("suite.TimeBounds.time_bounds(PosixPath('/home/me/project/test/meshfiles/grid.nc'))")
    "suite.TimeBounds.time…t/meshfiles/grid.nc'))"
    """
    return shortened(name) if "::" in name else elided(name)


def size_words(line: Mapping[str, Any]) -> tuple[str, str]:
    """Return the size of a change with its interval, and the old and new level; empty if it has none.

    The size and its interval are percentages, or factors if any of them is about two or more, or less than a tenth.
    """
    if isnan(line["ratio"]):
        return "", ""
    show = QUANTITIES[line["quantity"]].format
    sizes = [line[name] for name in ("ratio", "low", "high")]
    size, low, high = map(format_ratio if max(sizes) >= FACTOR or min(sizes) < LEAST_FACTOR else format_change, sizes)
    return f"{size} ({low} to {high})", f"{show(line['old'])} → {show(line['new'])}"


def commits_words(history: History, line: Mapping[str, Any]) -> str:
    """Return the commits around a change, or the names of the runs if the commits are unknown or equal."""
    before, after = line["commit_before"], line["commit_after"]
    if before and after and before != after:
        return f"{_short(before)}..{_short(after)}"
    names = history.runs["run_id"]
    return f"{names[line['run_before']]}..{names[line['run_after']]}"


def _short(commit: str) -> str:
    known, dash, dirty = commit.partition("-")
    return f"{known[:9]}{dash}{dirty}"


def summary(found: Checked) -> str:
    """Return the result of a check as one sentence."""
    if found.state == "nothing":
        return "nothing to check: no cell has a measured value"
    counts = found.changes["verdict"].value_counts()
    verdicts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts) or "no change"
    short = f"; {found.n_short} more series have fewer than {MIN_RUNS} runs" if found.n_short else ""
    return f"{found.state}: {verdicts} in {found.n_series} series{short}"
