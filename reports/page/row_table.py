"""Rows of a run for its page: the table of all rows, and the cells that failed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.columns import COLUMNS, STATUSES
from jacobench.reports.data.units import COUNTS, format_bytes, format_ratio, format_seconds, format_tick
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

VISIBLE = ("case", "strategy", "phase", "status", "seconds_median", "ratio_to_vjp", "peak_bytes", "reason")
"""Columns that are visible when the page opens."""

FORMATS: dict[str, Callable[[float], str]] = {
    "s": format_seconds,
    "B": format_bytes,
    "ratio_to_vjp": format_ratio,
    "ratio_low": format_ratio,
    "ratio_high": format_ratio,
    "efficiency": "{:.0%}".format,
    "predicted_flops": partial(format_tick, scale=COUNTS),
}
"""Number formats by column name or by unit."""


@dataclass(frozen=True)
class TableColumn:
    """Column of the table of all rows: whether it is sorted by number, and visible when the page opens."""

    name: str
    meaning: str
    numeric: bool
    shown: bool


@dataclass(frozen=True)
class RowTable:
    """Table of all rows as text.

    ``columns``: those whose values differ between rows. ``rows``: per cell the text, and for numbers the sort key, with all
    digits. ``same``: name and value of the columns with one value for all rows.
    """

    columns: list[TableColumn]
    rows: list[list[tuple[str, str]]]
    same: list[tuple[str, str]]


@dataclass(frozen=True)
class Failure:
    """Strategy that failed in one case, or has a note there, as text; ``phases`` lists the affected phases."""

    case: str
    strategy: str
    phases: str
    status: str
    reason: str


def row_table(table: pd.DataFrame) -> RowTable:
    """Lay out the tidy table. Columns without any value are left out, except those in `VISIBLE`."""
    kept, same = [], []
    for name in COLUMNS:
        distinct = table[name].nunique(dropna=False)
        if distinct == 1 and name not in VISIBLE and len(table) > 1:
            if table[name].notna().all():
                same.append((name, _shown(name, table[name].iloc[0])))
        elif table[name].notna().any() or name in VISIBLE:
            kept.append(name)
    columns = [
        TableColumn(name, COLUMNS[name].meaning, COLUMNS[name].dtype == "float64", name in VISIBLE)
        for name in sorted(kept, key=lambda name: VISIBLE.index(name) if name in VISIBLE else len(VISIBLE))
    ]
    lists = [_cells(column.name, table[column.name].tolist()) for column in columns]
    return RowTable(columns, [list(cells) for cells in zip(*lists, strict=True)], same)


def failures(table: pd.DataFrame) -> list[Failure]:
    """Return one line per case, strategy, status and reason, of the cells that failed or have a note."""
    rows = table[(table["status"] != "ok") | table["reason"].notna()]
    keys = ["case", "strategy", "status", "reason"]
    return [
        Failure(
            str(case),
            str(strategy),
            ", ".join(own["phase"]),
            words(str(status)),
            reason if isinstance(reason, str) else "",
        )
        for (case, strategy, status, reason), own in rows.groupby(keys, sort=False, dropna=False)
    ]


def counts(table: pd.DataFrame) -> str:
    """Return the number of cells of each status, such as ``"59 ok, 1 over budget"``."""
    found = table["status"].value_counts()
    return ", ".join(f"{found[status]} {words(status)}" for status in STATUSES if status in found.index)


def _cells(name: str, values: list[Any]) -> list[tuple[str, str]]:
    numeric = COLUMNS[name].dtype == "float64"
    return [
        ("", "") if value != value else (_shown(name, value), repr(value) if numeric else "")  # noqa: PLR0124  (NaN)
        for value in values
    ]


def _shown(name: str, value: Any) -> str:
    column = COLUMNS[name]
    if column.dtype == "object":
        return words(value) if name == "status" else str(value)
    return FORMATS.get(name, FORMATS.get(column.unit, _number))(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
