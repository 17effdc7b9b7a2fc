"""Series over runs as pictures: one of each setting and phase, a panel a case, a line a strategy, changes marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import pandas as pd

from jacobench.graphs.errors import BadInput
from jacobench.reports.history.series import CELL, QUANTITIES, Series, series, setting_words
from jacobench.reports.pictures.frames import CHARACTERS_PER_INCH, strategy_handles
from jacobench.reports.pictures.panels import MOST_PANELS, grid, share
from jacobench.reports.pictures.picture import Picture
from jacobench.reports.pictures.style import FAINT, INK, in_order, look, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from jacobench.reports.history.store import History


def draw(history: History, changes: pd.DataFrame, quantity: str) -> dict[str, Picture]:
    """Draw a history.

    Parameters
    ----------
    history : History
        All that is kept, or part of it.
    changes : DataFrame
        What `check.check` found in it.
    quantity : str
        A key of ``QUANTITIES``.

    Returns
    -------
    dict of str to Picture
        ``history-PHASE-QUANTITY``, with six digits of its own where there are several settings. At most twelve cases, those that
        changed last first.

    Raises
    ------
    BadInput
        If there is nothing to draw.
    """
    found: dict[tuple[Any, ...], list[Series]] = {}
    for own in series(history, quantity):
        found.setdefault((*own.setting, own.key["phase"]), []).append(own)
    if not found:
        raise BadInput(f"no run has {quantity} to draw: expected one of which a cell was measured")
    several = len({setting for *setting, _ in map(list, found) for setting in [tuple(setting)]}) > 1
    pictures = {}
    for (*setting, phase), group in found.items():
        parts = ["history", phase, quantity, f"{crc32(repr(setting).encode()):08x}"[:6] if several else ""]
        pictures["-".join(part for part in parts if part)] = _picture(history, group, changes, quantity)
    return pictures


def _picture(history: History, group: Sequence[Series], changes: pd.DataFrame, quantity: str) -> Picture:
    key = dict(group[0].key)
    marks = changes[(changes["quantity"] == quantity) & (changes["phase"] == key["phase"])]
    for name in ("machine", "controls", "threads", "suite"):
        marks = marks[marks[name] == key[name]]
    changed = marks["case"].drop_duplicates().tolist()
    cases = list(dict.fromkeys([*changed, *(own.key["case"] for own in group)]))
    shown = cases[:MOST_PANELS]
    strategies = in_order(own.key["strategy"] for own in group)
    with styled():
        figure, axes = grid(len(shown), width=3.4, height=2.1)
        for case, panel in zip(shown, axes, strict=True):
            own_marks = marks[marks["case"] == case]
            _panel(panel, [own for own in group if own.key["case"] == case], own_marks, quantity)
            panel.set_title(case)
        what = {"seconds": "time per call", "bytes": "peak heap memory", "nonzeros": "stored entries"}[quantity]
        title = f"{key['phase'] + ': ' if key['phase'] else ''}{what} over runs{share(len(shown), len(cases))}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        if any(strategies):
            figure.legend(handles=strategy_handles(strategies), loc="outside right upper")
        source = setting_words(group[0].setting)
        figure.supxlabel(source[: int(figure.get_figwidth() * CHARACTERS_PER_INCH)], fontsize=7.5, color=FAINT)
    caption = f"One run after another, the oldest on the left ({source}). Lines stand where the series changed for good."
    return Picture(figure, _data(history, [own for own in group if own.key["case"] in shown], marks), caption, _notes(marks))


def _panel(axes: Axes, group: Sequence[Series], marks: pd.DataFrame, quantity: str) -> None:
    for own in group:
        style = look(own.key["strategy"])
        axes.plot(own.runs, own.values, color=style.color, linestyle=style.line, linewidth=1.1,
                  marker=style.marker if own.runs.size <= 40 else "", markersize=3)  # fmt: skip
    for at in marks["at"]:
        axes.axvline(at - 0.5, color=INK, linewidth=0.9, linestyle=":")
    highest = max(float(own.values.max()) for own in group)
    lowest = min(float(own.values.min()) for own in group)
    if lowest > 0 and highest > 3 * lowest:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0 if highest == lowest else None, None if highest else 1)
    axes.yaxis.set_major_formatter(lambda value, _: QUANTITIES[quantity].format(value))
    axes.yaxis.set_minor_formatter(lambda _value, _: "")
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    axes.set_xlabel("run")


def _data(history: History, group: Sequence[Series], marks: pd.DataFrame) -> pd.DataFrame:
    changed = {(*(line[name] for name in CELL), line["at"]): line["kind"] for line in marks.to_dict("records")}
    runs = history.runs
    lines = [
        {
            **{name: own.key[name] for name in CELL},
            "run": run,
            "run_id": runs.loc[run, "run_id"],
            "commit": runs.loc[run, "commit"],
            own.quantity: value,
            "change": changed.get((*(own.key[name] for name in CELL), run), ""),
        }
        for own in group
        for run, value in zip(own.runs.tolist(), own.values.tolist(), strict=True)
    ]
    return pd.DataFrame(lines)


def _notes(marks: pd.DataFrame) -> tuple[str, ...]:
    return tuple(
        f"{line['case']} · {line['strategy']}: {line['kind']}, {line['ratio'] - 1:+.1%}, "
        f"after {line['commit_before'] or 'run ' + str(line['run_before'])}"
        for line in marks.to_dict("records")
        if line["ratio"] == line["ratio"]  # noqa: PLR0124  (NaN)
    )
