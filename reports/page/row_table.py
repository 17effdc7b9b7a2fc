"""All rows of a run for the page's table: what is the same in every row once, the rest as columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jacobench.bench.row.columns import COLUMNS
from jacobench.reports.data.units import COUNTS, format_bytes, format_ratio, format_seconds, format_tick
from jacobench.reports.data.vocabulary import words

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

# The columns that are shown before a reader asks for more.
SHOWN = ("case", "strategy", "phase", "status", "seconds_median", "ratio_to_vjp", "peak_bytes", "reason")  # fmt: skip

# How a number is shown: by its column's name, else by its unit.
FORMATS: dict[str, Callable[[float], str]] = {
    "s": format_seconds,
    "B": format_bytes,
    "ratio_to_vjp": format_ratio,
    "ratio_low": format_ratio,
    "ratio_high": format_ratio,
    "efficiency": "{:.0%}".format,
    "predicted_flops": partial(format_tick, scale=COUNTS),
}


@dataclass(frozen=True)
class Column:
    """A column of the page's table.

    Attributes
    ----------
    name, meaning : str
        As `bench.columns.COLUMNS` has them.
    numeric, shown : bool
        Whether it sorts as a number; whether it is shown at first.
    """

    name: str
    meaning: str
    numeric: bool
    shown: bool


@dataclass(frozen=True)
class Records:
    """The table, ready to be printed.

    Attributes
    ----------
    columns : list of Column
        Those that differ between rows.
    rows : list of list of (str, str)
        For each cell what is shown, and what it sorts by where that is another: a number with all its digits.
    same : list of (str, str)
        Column and value of what is the same in every row.
    """

    columns: list[Column]
    rows: list[list[tuple[str, str]]]
    same: list[tuple[str, str]]


def records(table: pd.DataFrame) -> Records:
    """Lay out the tidy table; columns that are missing in every row are left out."""
    kept, same = [], []
    for name in COLUMNS:
        distinct = table[name].nunique(dropna=False)
        if distinct == 1 and name not in SHOWN and len(table) > 1:
            value = table[name].iloc[0]
            if value == value:  # noqa: PLR0124  (NaN)
                same.append((name, _shown(name, value)))
        elif table[name].notna().any() or name in SHOWN:
            kept.append(name)
    columns = [
        Column(name, COLUMNS[name].meaning, COLUMNS[name].dtype == "float64", name in SHOWN)
        for name in sorted(kept, key=lambda name: SHOWN.index(name) if name in SHOWN else len(SHOWN))
    ]
    lists = [_cells(column.name, table[column.name].tolist()) for column in columns]
    return Records(columns, [list(cells) for cells in zip(*lists, strict=True)], same)


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
