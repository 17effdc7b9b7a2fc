"""Export of a history to other tools: one function per format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.graphs.errors import BadInput
from jacobench.reports.history.series import cell_name, lines_of, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jacobench.reports.history.store import History

NANOSECONDS = 1e9


def csv(history: History) -> str:
    """Return every cell of every run as CSV; missing values are empty."""
    return table_of(history).to_csv(index=False, lineterminator="\n")


def as_json(history: History) -> str:
    """Return every cell of every run as a JSON array of objects; missing values are null."""
    return _dump(_lines(table_of(history)))


def github(history: History) -> str:
    """Return the newest run for github-action-benchmark with ``tool: customSmallerIsBetter``.

    Each entry has ``name``, ``unit`` (s or B), ``value`` and, if there is an interval, ``range``.
    """
    found = []
    for line in _newest(history):
        seconds = {"name": line["name"], "unit": "s", "value": line["seconds_median"]}
        if line["seconds_low"] is not None:
            seconds["range"] = f"{line['seconds_low']:.4g} to {line['seconds_high']:.4g}"
        found.append(seconds)
        if line["peak_bytes"] is not None:
            found.append({"name": f"{line['name']} (memory)", "unit": "B", "value": line["peak_bytes"]})
    return _dump(found)


def bencher(history: History) -> str:
    """Return the newest run in the Bencher Metric Format: ``latency`` in ns and ``peak-bytes``."""
    found: dict[str, Any] = {}
    for line in _newest(history):
        latency = {"value": line["seconds_median"] * NANOSECONDS}
        if line["seconds_low"] is not None:
            latency["lower_value"] = line["seconds_low"] * NANOSECONDS
            latency["upper_value"] = line["seconds_high"] * NANOSECONDS
        found[line["name"]] = {"latency": latency}
        if line["peak_bytes"] is not None:
            found[line["name"]]["peak-bytes"] = {"value": line["peak_bytes"]}
    return _dump(found)


FORMATS: Mapping[str, Callable[[History], str]] = {"csv": csv, "json": as_json, "github": github, "bencher": bencher}
OF_ONE_RUN = ("github", "bencher")  # formats of tools that keep a history themselves: they contain one run


def newest(history: History) -> int:
    """Return the newest run that has a cell, as a row number of ``history.runs``; `BadInput` if there is none."""
    if history.cells.empty:
        raise BadInput("the history has no cell; add a run with: jacobench history add RUN")
    return int(history.cells["run"].max())


def _newest(history: History) -> list[dict[str, Any]]:
    """Return the timed cells of the newest run with their names; missing values are None."""
    cells = history.cells
    own = cells[(cells["run"] == newest(history)) & (cells["status"] == "ok") & cells["seconds_median"].notna()]
    return [line | {"name": cell_name(line)} for line in _lines(own)]


def _lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{name: _value(value) for name, value in line.items()} for line in lines_of(table)]


def _value(value: Any) -> Any:
    if pd.isna(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _dump(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
