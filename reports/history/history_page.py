"""HTML page of a history: every series with its changes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import isnan, log
from typing import TYPE_CHECKING, Any

import numpy as np

from jacobench.graphs.wording import counted
from jacobench.reports.history.history_tables import change_texts, summary
from jacobench.reports.history.series import QUANTITIES, Series, control_series, series, setting_words
from jacobench.reports.history.series_drawings import line_svg
from jacobench.reports.render.html_document import render_html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from jacobench.reports.history.history_check import Checked
    from jacobench.reports.history.store import History

# State of a check → headline.
STATES = {
    "clear": "No recent regression",
    "regressed": "Recent regression",
    "inconclusive": "Inconclusive: a regression can be neither shown nor excluded",
    "nothing": "No measured series",
}


@dataclass(frozen=True)
class HistoryCell:
    """One cell on the page: captions with drawings, phrases of constant quantities, and the texts of its changes.

    newest, largest: sort keys, the run of the last change and the largest log ratio; -1 and 0 without a change.
    """

    id: str
    name: str
    lines: list[tuple[str, Markup]]
    constant: list[str]
    changes: list[dict[str, Any]]
    newest: int
    largest: float


def page(history: History, checked: Checked) -> str:
    """Return the HTML page of a history and of its changes. Only searching and sorting need a script."""
    changes = change_texts(history, checked.changes)
    settings = _settings(history, changes)
    ids = {(setting, cell.name): cell.id for setting, cells in settings.items() for cell in cells}
    for change in changes:
        change["target"] = ids.get((change["setting"], change["name"]), "")
    runs = history.runs
    return render_html(
        "history/history_page.html.j2",
        title=STATES[checked.state],
        summary=summary(checked),
        changes=changes,
        settings=settings,
        n_runs=len(runs),
        first=runs["measured_at"].min() if len(runs) else "",
        last=runs["measured_at"].max() if len(runs) else "",
    )


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
    drawn = [own for own in group if own.quantity == "seconds" or np.ptp(own.measured) > 0]
    constant = [own for own in group if own.quantity != "seconds" and np.ptp(own.measured) == 0]
    return HistoryCell(
        id=identifier,
        name=name,
        lines=[_line(own, [one for one in changes if one["quantity"] == own.quantity]) for own in drawn],
        constant=[f"{own.words} constant at {own.format(own.measured[0])}" for own in constant],
        changes=changes,
        newest=max((one["at"] for one in changes), default=-1),
        largest=max((abs(log(one["ratio"])) for one in changes if not isnan(one["ratio"])), default=0.0),
    )


def _line(own: Series, changes: Sequence[Mapping[str, Any]]) -> tuple[str, Markup]:
    """Return the caption and the drawing of a series."""
    values = own.measured
    lowest, highest, latest = (own.format(value) for value in (values.min(), values.max(), values[-1]))
    n_runs = counted(values.size, "run")
    caption = f"{own.words}: latest {latest}; {lowest} to {highest} over {n_runs}"
    marks = []
    for one in changes:
        begin, end = (int(np.searchsorted(own.runs, one[side])) for side in ("run_before", "at"))
        title = f"{one['what']}, {one['size']}, {one['between']}"
        marks.append((begin if one["kind"].startswith("drift") else end - 1, end, one["verdict"], title))
    label = "; ".join(f"{one['what']} {one['size']}" for one in changes) or "no change"
    return caption, line_svg(values, marks, f"{own.name}, {caption}; {label}")
