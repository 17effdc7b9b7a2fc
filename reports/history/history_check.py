"""Check of a history: changes of its series and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.row.columns import CELL_KEYS
from jacobench.reports.history.change_points import MIN_RUNS, FoundChange, find_changes
from jacobench.reports.history.change_shapes import MIN_SEGMENT
from jacobench.reports.history.series import QUANTITIES, SETTING, Series, cells_of, control_series, series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from jacobench.reports.history.store import History

RECENT = 20  # a regression counts if it began within this number of runs; older ones are ``known``

MACHINE_SHARE = 0.5
"""A change is attributed to the machine if the calibration kernel changed by at least this share of it."""

MIN_PEERS = 5
"""Least number of other benchmarks that replace the calibration kernel, if a history has none."""

PEER_SHARE = 0.75
"""Share of the other benchmarks that must change in the same direction, because a machine affects nearly all of them.

Published series show the need: in a suite of 108 benchmarks all became 9 % slower at a commit that changed none of them,
and 62 became faster at one that optimized their common code (docs/history.md).
"""

VERDICTS = ("broken", "regressed", "machine", "known", "undone", "improved")

COLUMNS = (
    *SETTING, *CELL_KEYS, "quantity", "kind", "verdict", "old", "new", "ratio", "low", "high", "p_value", "control_ratio",
    "commit_before", "commit_after", "run_before", "run_after", "at",
)  # fmt: skip

State = Literal["clear", "regressed", "inconclusive", "nothing"]


@dataclass(frozen=True)
class Checked:
    """Result of a check.

    state: ``regressed`` if some verdict is ``regressed`` or ``broken``; ``inconclusive`` if no series has `MIN_RUNS`
    runs, or the machine may have caused a recent slowdown; ``nothing`` without series. changes: one line per change,
    newest first; see `check`. n_series, n_short: number of series checked, and of those with too few runs.
    """

    state: State
    changes: pd.DataFrame
    n_series: int
    n_short: int


def check(history: History, quantities: Iterable[str] = tuple(QUANTITIES), recent: int = RECENT) -> Checked:
    """Find the changes of a history's series and their verdicts.

    Columns of the changes:

    - ``SETTING``, ``CELL_KEYS``, ``quantity``: the series;
    - ``kind``: step up, step down, drift up, drift down, or the status of a broken cell;
    - ``old``, ``new``: the levels; ``ratio``, ``low``, ``high``: their ratio with its 95 % interval;
    - ``p_value``: corrected over all series;
    - ``control_ratio``: change of the calibration kernel's time between the same runs; without a kernel, the
      change that `PEER_SHARE` of the other cells of the setting exceed, if they are at least `MIN_PEERS`;
    - ``commit_before``, ``commit_after``, ``run_before``, ``run_after``: the cause came after the first and no later
      than the second (95 %); runs are row numbers of ``history.runs``;
    - ``at``: the most likely first run of the new level;
    - ``verdict``: ``regressed`` (slower or larger, not reverted, began within the last ``recent`` runs of its setting),
      ``broken`` (was ok, and failed in the last three runs or is ``wrong`` in the last), ``known`` (as these two, but
      older), ``undone`` (reverted since), ``improved``, ``machine`` (the kernel, or the other cells, changed in the same
      direction by at least half as much).
    """
    measured = [own for quantity in quantities for own in series(history, quantity)]
    family = [*measured, *(control_series(history) if "seconds" in quantities else [])]
    found = find_changes(
        [np.maximum(own.measured, QUANTITIES[own.quantity].lowest) for own in family],
        [QUANTITIES[own.quantity].resolution for own in family],
    )
    lines = [
        line
        for own, changes in zip(family, found, strict=True)
        for line in _lines(history, own, [one for one in changes if _matters(own, one)], family, recent)
    ]
    lines += _broken(history, recent)
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    table = table.sort_values("at", ascending=False, kind="stable", ignore_index=True)
    long = [own for own in measured if own.measured.size >= MIN_RUNS]
    return Checked(_state(table, measured, long, recent, history), table, len(long), len(measured) - len(long))


def _state(
    table: pd.DataFrame, measured: Sequence[Series], long: Sequence[Series], recent: int, history: History
) -> State:
    if not measured and table.empty:
        return "nothing"
    if table["verdict"].isin(["regressed", "broken"]).any():
        return "regressed"
    moved = table[(table["verdict"] == "machine") & (table["ratio"] > 1) & (table["case"] != CONTROL)]
    is_recent = any(_later(history, line, int(line["run_after"])) < recent for line in moved.to_dict("records"))
    return "inconclusive" if not long or is_recent else "clear"


def _matters(own: Series, found: FoundChange) -> bool:
    quantity = QUANTITIES[own.quantity]
    old, new = _levels(own, found)
    return abs(log(found.size.ratio)) >= log(1 + quantity.floor) and abs(new - old) >= quantity.least


def _levels(own: Series, found: FoundChange) -> tuple[float, float]:
    before, after = _sides(own.measured, found)
    return float(np.median(before)), float(np.median(after))


def _sides(values: NDArray[Any], found: FoundChange) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the values of the compared runs before and after a change."""
    change = found.change
    return values[change.low : change.start + 1], values[change.end : change.high]


def _lines(
    history: History, own: Series, found: list[FoundChange], family: Sequence[Series], recent: int
) -> list[dict[str, Any]]:
    lines = []
    for number, one in enumerate(found):
        change, size = one.change, one.size
        control_ratio = _control_ratio(own, one, family)
        net = exp(sum(log(later.size.ratio) for later in found[number:]))
        is_recent = _later(history, own.key, int(own.runs[one.after])) < recent
        old, new = _levels(own, one)
        kind = f"{'drift' if change.is_drift else 'step'} {'up' if size.ratio > 1 else 'down'}"
        verdict = _verdict(own, size.ratio, control_ratio, net, is_recent=is_recent)
        between = _between(history, int(own.runs[one.before]), int(own.runs[one.after]))
        numbers = {"p_value": one.p_value, "control_ratio": control_ratio, "at": int(own.runs[change.end])}
        what = {"quantity": own.quantity, "kind": kind, "verdict": verdict, "old": old, "new": new}
        lines.append({**own.key, **what, **vars(size), **between, **numbers})
    return lines


def _between(history: History, before: int, after: int) -> dict[str, Any]:
    commits = history.runs["commit"]
    return {"commit_before": commits[before], "commit_after": commits[after], "run_before": before, "run_after": after}


def _verdict(own: Series, ratio: float, control_ratio: float, net: float, *, is_recent: bool) -> str:
    if own.key["case"] == CONTROL:
        return "machine"
    if own.quantity == "seconds" and log(control_ratio) / log(ratio) >= MACHINE_SHARE:
        return "machine"
    if ratio < 1:
        return "improved"
    if net < 1 + QUANTITIES[own.quantity].floor:
        return "undone"
    return "regressed" if is_recent else "known"


def _control_ratio(own: Series, found: FoundChange, family: Sequence[Series]) -> float:
    """Return the ratio of times after a change to those before it that the code did not cause; NaN if unknown.

    It is that of the calibration kernel, or else the one that most other cells of the setting exceed.
    """
    if own.quantity != "seconds":
        return nan
    kernels = [one for one in family if one.key["case"] == CONTROL and one.setting[:3] == own.setting[:3]]
    ratios = [ratio for one in kernels if (ratio := _ratio_between(one, own.runs, found, 1)) is not None]
    if ratios:
        return ratios[0]
    peers = [one for one in family if one is not own and one.quantity == "seconds" and one.setting == own.setting]
    ratios = [ratio for one in peers if (ratio := _ratio_between(one, own.runs, found, MIN_SEGMENT)) is not None]
    exceeded = 1 - PEER_SHARE if found.size.ratio > 1 else PEER_SHARE
    return float(np.quantile(ratios, exceeded)) if len(ratios) >= MIN_PEERS else nan


def _ratio_between(other: Series, runs: NDArray[Any], found: FoundChange, least: int) -> float | None:
    """Return another series' ratio between the runs on both sides of a change; None with fewer than ``least`` runs."""
    before, after = (other.measured[np.isin(other.runs, side)] for side in _sides(runs, found))
    if min(before.size, after.size) < least or not np.median(before) > 0 or not np.median(after) > 0:
        return None
    return float(np.median(after) / np.median(before))


def _later(history: History, key: Mapping[Any, Any], run: int) -> int:
    """Return the number of later runs of a setting, including runs without this cell."""
    same = np.logical_and.reduce([history.runs[name] == key[name] for name in SETTING])
    return int(same[run + 1 :].sum())


def _broken(history: History, recent: int) -> list[dict[str, Any]]:
    """Return a line for each cell that was ok before and fails now."""
    lines = []
    runs, statuses = history.cells["run"].to_numpy(), history.cells["status"].to_numpy()
    for key, own in cells_of(history, history.cells):
        ok = np.flatnonzero(statuses[own] == "ok")
        since = own[ok[-1] + 1 :] if ok.size else own[:0]
        if not since.size or (since.size < MIN_SEGMENT and statuses[own[-1]] != "wrong"):
            continue
        after = int(runs[since[0]])
        place = _between(history, int(runs[own[ok[-1]]]), after)
        verdict = "broken" if _later(history, key, after) < recent else "known"
        line = {"quantity": "status", "kind": str(statuses[own[-1]]), "verdict": verdict, "at": after}
        lines.append(dict.fromkeys(COLUMNS, nan) | key | place | line)
    return lines
