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

    Each entry has ``name``, ``unit`` (s, B, or value if it is unknown), ``value`` and, if there is an interval, ``range``.
    """
    found = []
    for line in _newest(history):
        low, high = line["seconds_low"], line["seconds_high"]
        if line["seconds_median"] is not None:
            spread = {} if low is None or high is None else {"range": f"{low:.4g} to {high:.4g}"}
            found.append({"name": line["name"], "unit": "s", "value": line["seconds_median"]} | spread)
        if line["peak_bytes"] is not None:
            found.append({"name": f"{line['name']} (memory)", "unit": "B", "value": line["peak_bytes"]})
        if line["value"] is not None:
            found.append({"name": f"{line['name']} (value)", "unit": "value", "value": line["value"]})
    return _dump(found)


def bencher(history: History) -> str:
    """Return the newest run in the Bencher Metric Format: ``latency`` in ns, ``peak-bytes`` and ``value``."""
    found: dict[str, Any] = {}
    columns = {"value": "seconds_median", "lower_value": "seconds_low", "upper_value": "seconds_high"}
    for line in _newest(history):
        latency = {name: line[column] * NANOSECONDS for name, column in columns.items() if line[column] is not None}
        others = {"peak-bytes": line["peak_bytes"], "value": line["value"]}
        found[line["name"]] = ({"latency": latency} if latency else {}) | {
            name: {"value": own} for name, own in others.items() if own is not None
        }
    return _dump(found)


FORMATS: Mapping[str, Callable[[History], str]] = {"csv": csv, "json": as_json, "github": github, "bencher": bencher}
OF_ONE_RUN = ("github", "bencher")  # formats of tools that keep a history themselves: they contain one run


def newest(history: History) -> int:
    """Return the newest run that has a cell, as a row number of ``history.runs``; `BadInput` if there is none."""
    if history.cells.empty:
        raise BadInput("the history has no cell; add a run with: jacobench history add RUN")
    return int(history.cells["run"].max())


def _newest(history: History) -> list[dict[str, Any]]:
    """Return the measured cells of the newest run with their names; missing values are None."""
    cells = history.cells
    is_measured = (cells["status"] == "ok") & cells[["seconds_median", "peak_bytes", "value"]].notna().any(axis=1)
    own = cells[(cells["run"] == newest(history)) & is_measured]
    return [line | {"name": cell_name(line)} for line in _lines(own)]


def _lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{name: _value(value) for name, value in line.items()} for line in lines_of(table)]


def _value(value: Any) -> Any:
    if pd.isna(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _dump(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
