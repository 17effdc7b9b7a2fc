"""HTML page of a history: every series with its changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import isnan, log
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.reports.data.vocabulary import words
from jacobench.reports.history.history_tables import commits_words, size_words, summary
from jacobench.reports.history.series import (
    QUANTITIES,
    SETTING,
    Series,
    cell_name,
    control_series,
    lines_of,
    series,
    setting_words,
)
from jacobench.reports.history.series_drawings import line_svg
from jacobench.reports.render.html_document import render_html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from jacobench.reports.history.history_check import Checked
    from jacobench.reports.history.store import History

WHAT = {name: quantity.words for name, quantity in QUANTITIES.items()} | {"status": "status"}

STATES = {
    "clear": "No recent regression",
    "regressed": "Recent regression",
    "inconclusive": "Inconclusive: a regression can be neither shown nor excluded",
    "nothing": "No measured series",
}
"""State of a check → headline."""


@dataclass(frozen=True)
class HistoryCell:
    """One cell on the page.

    Attributes
    ----------
    id : str
        Id of its HTML element.
    name : str
        Case, strategy and phase.
    lines : list of (str, Markup)
        Captions and SVG drawings.
    constant : list of str
        Quantities that never changed, one phrase each.
    changes : list of dict
        See `_changes`.
    newest, largest : float
        Sort keys: run of the last change, and log ratio of the largest change; -1 and 0 without a change.
    """

    id: str
    name: str
    lines: list[tuple[str, Markup]]
    constant: list[str]
    changes: list[dict[str, Any]]
    newest: int
    largest: float


def page(history: History, checked: Checked) -> str:
    """Return the HTML page of a history and of the changes that `history_check.check` found in it.

    Only searching and sorting need a script.
    """
    changes = _changes(history, checked)
    settings = _settings(history, changes)
    ids = {(setting, cell.name): cell.id for setting, cells in settings.items() for cell in cells}
    for change in changes:
        change["target"] = ids.get((change["setting"], change["name"]), "")
    runs = history.runs
    return render_html(
        "history/history_page.html.j2",
        title=STATES[checked.state],
        summary=summary(checked),
        state=checked.state,
        changes=changes,
        settings=settings,
        n_runs=len(runs),
        first=runs["measured_at"].min() if len(runs) else "",
        last=runs["measured_at"].max() if len(runs) else "",
    )


def _changes(history: History, checked: Checked) -> list[dict[str, Any]]:
    """Return the changes with their texts."""
    found = []
    for line in lines_of(checked.changes):
        size, level = size_words(line)
        found.append(
            {
                **{name: line[name] for name in ("quantity", "verdict", "ratio", "at", "run_before", "run_after")},
                "setting": setting_words(tuple(line[name] for name in SETTING)),
                "name": cell_name(line),
                "what": f"{WHAT[line['quantity']]}: {words(line['kind'])}",
                "is_drift": line["kind"].startswith("drift"),
                "size": size,
                "level": level,
                "between": commits_words(history, line),
                "when": history.runs.loc[line["run_after"], "measured_at"][:10],
            }
        )
    return found


def _settings(history: History, changes: Sequence[dict[str, Any]]) -> dict[str, list[HistoryCell]]:
    """Return the cells of every setting."""
    by_cell: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for change in changes:
        by_cell[change["setting"], change["name"]].append(change)
    grouped: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for own in [*(one for quantity in QUANTITIES for one in series(history, quantity)), *control_series(history)]:
        grouped[setting_words(own.setting), own.name].append(own)
    found: dict[str, list[HistoryCell]] = defaultdict(list)
    for number, ((setting, name), group) in enumerate(grouped.items()):
        found[setting].append(_cell(f"s{number}", name, group, by_cell[setting, name]))
    return found


def _cell(identifier: str, name: str, group: Sequence[Series], changes: list[dict[str, Any]]) -> HistoryCell:
    moving = [own for own in group if own.quantity == "seconds" or np.ptp(own.measured) > 0]
    still = [own for own in group if own.quantity != "seconds" and np.ptp(own.measured) == 0]
    return HistoryCell(
        id=identifier,
        name=name,
        lines=[_line(name, own, [one for one in changes if one["quantity"] == own.quantity]) for own in moving],
        constant=[
            f"{WHAT[own.quantity]} constant at {QUANTITIES[own.quantity].format(float(own.measured[0]))}"
            for own in still
        ],
        changes=changes,
        newest=max((one["at"] for one in changes), default=-1),
        largest=max((abs(log(one["ratio"])) for one in changes if not isnan(one["ratio"])), default=0.0),
    )


def _line(name: str, own: Series, changes: Sequence[Mapping[str, Any]]) -> tuple[str, Markup]:
    show = QUANTITIES[own.quantity].format
    values = own.measured
    n_runs = f"{values.size:,} run{'' if values.size == 1 else 's'}"
    caption = (
        f"{WHAT[own.quantity]}: latest {show(float(values[-1]))}; "
        f"{show(float(values.min()))} to {show(float(values.max()))} over {n_runs}"
    )
    marks = []
    for one in changes:
        begin, end = (int(np.searchsorted(own.runs, one[side])) for side in ("run_before", "at"))
        marks.append(
            (
                begin if one["is_drift"] else end - 1,
                end,
                one["verdict"],
                f"{one['what']}, {one['size']}, {one['between']}",
            )
        )
    said = "; ".join(f"{one['what']} {one['size']}" for one in changes) or "no change"
    return caption, line_svg(values, marks, f"{name}, {caption}; {said}")
