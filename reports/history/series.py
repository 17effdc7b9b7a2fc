"""Series of a history: one quantity of one cell over runs, on one machine with one set of controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from jacobench.bench.cell.timing import CONTROL
from jacobench.bench.row.columns import CELL_KEYS
from jacobench.bench.row.name_patterns import matching
from jacobench.graphs.errors import unknown
from jacobench.graphs.wording import counted
from jacobench.reports.data.pytest_benchmark_json import PHASE, STRATEGY
from jacobench.reports.data.units import BYTES, COUNTS, SECONDS, Scale, format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from jacobench.reports.history.store import History

SETTING = ("machine", "controls", "threads", "suite", "branch")
MOST_NAMED = 20  # largest number of names that an error lists


@dataclass(frozen=True)
class TrackedQuantity:
    """Measured quantity that is compared over runs.

    column: of the history's cells. resolution: lower bound of the relative noise. floor, least: smaller changes are not
    reported, relative and in the unit of the quantity. lowest: smaller numbers are compared as this. scale: units of an
    axis.
    """

    column: str
    resolution: float
    floor: float
    least: float
    lowest: float
    format: Callable[[float], str]
    scale: Scale
    words: str


# Time: runs hours apart differ by 1 to 2 % on a quiet machine. Memory and entries hardly vary: the gate's limits.
QUANTITIES: Mapping[str, TrackedQuantity] = {
    "seconds": TrackedQuantity("seconds_median", 0.002, 0.02, 0.0, 1e-12, format_seconds, SECONDS, "time"),
    "bytes": TrackedQuantity("peak_bytes", 0.001, 0.01, 64 * 1024, 1.0, format_bytes, BYTES, "peak memory"),
    "nonzeros": TrackedQuantity("n_nonzeros", 0.001, 0.01, 0.0, 1.0, "{:,.0f}".format, COUNTS, "stored entries"),
    "value": TrackedQuantity("value", 0.001, 0.01, 0.0, 1e-12, "{:,.4g}".format, COUNTS, "value"),
}


@dataclass(frozen=True)
class Series:
    """Values of one quantity of one cell over runs.

    key: values of ``SETTING`` and ``CELL_KEYS``. runs: row numbers in the history's runs, ascending.
    """

    key: Mapping[str, Any]
    quantity: str
    runs: NDArray[np.int64]
    measured: NDArray[np.float64]

    @property
    def name(self) -> str:
        """Case, strategy and phase, without empty parts."""
        return cell_name(self.key)

    @property
    def words(self) -> str:
        """Name of the quantity."""
        return QUANTITIES[self.quantity].words

    def format(self, value: float) -> str:
        """Return a value with its unit."""
        return QUANTITIES[self.quantity].format(float(value))

    @property
    def setting(self) -> tuple[Any, ...]:
        """Machine, controls, threads, suite and branch. Series of different settings are never compared."""
        return tuple(self.key[name] for name in SETTING)


def cell_name(key: Mapping[str, Any]) -> str:
    """Return case, strategy and phase of a key, without empty parts; of a plain benchmark, its name."""
    if key["case"] == CONTROL:
        return "calibration kernel"
    is_benchmark = (key["strategy"], key["phase"]) == (STRATEGY, PHASE)
    return str(key["case"]) if is_benchmark else " · ".join(str(key[name]) for name in CELL_KEYS if key[name])


def setting_words(setting: tuple[Any, ...]) -> str:
    """Return machine, controls, threads, suite and branch as text."""
    machine, controls, threads, suite, branch = setting
    threading = counted(threads, "thread") if threads else ""
    phrases = (
        machine, controls and f"controls {controls}", threading, suite and f"suite {suite}", branch and f"branch {branch}",
    )  # fmt: skip
    return " · ".join(phrase for phrase in phrases if phrase)


def select(history: History, globs: Mapping[str, str]) -> History:
    """Keep the cells that match patterns of case, strategy, phase or machine; `BadInput` if one matches nothing."""
    cells = history.cells
    for column, glob in globs.items():
        names = cells["run"].map(history.runs[column]) if column == "machine" else cells[column].astype(str)
        known = sorted(names.unique())
        selected = matching(glob, known)
        if known and not selected:
            raise unknown(column, glob, known[:MOST_NAMED])
        cells = cells[names.isin(selected)]
    return type(history)(history.runs, cells)


def cells_of(history: History, cells: pd.DataFrame) -> Iterator[tuple[dict[str, Any], NDArray[np.intp]]]:
    """Yield the key of every cell in its setting, and its row numbers in ``cells``, in the order of the runs."""
    settings = history.runs.groupby(list(SETTING), sort=False).ngroup().to_numpy()
    runs = cells["run"].to_numpy()
    grouped = cells.groupby([settings[runs], *(cells[name] for name in CELL_KEYS)], sort=False, observed=True)
    for group, lines in grouped.indices.items():
        _, *names = cast("tuple[Any, ...]", group)
        first = history.runs.loc[runs[lines[0]], list(SETTING)]
        yield first.to_dict() | dict(zip(CELL_KEYS, names, strict=True)), np.asarray(lines)


def series(history: History, quantity: str) -> list[Series]:
    """Return every series of a quantity, of the runs in which the cell is ok and the quantity was measured."""
    if quantity not in QUANTITIES:
        raise unknown("quantity", quantity, QUANTITIES)
    column = QUANTITIES[quantity].column
    cells = history.cells[(history.cells["status"] == "ok") & (history.cells[column] >= 0)]
    runs, measured = cells["run"].to_numpy(), cells[column].to_numpy(dtype=float)
    return [Series(key, quantity, runs[lines], measured[lines]) for key, lines in cells_of(history, cells)]


def control_series(history: History) -> list[Series]:
    """Return the calibration kernel's time of every machine and its controls. The measured code does not affect it."""
    found = []
    runs = history.runs[history.runs.index.isin(history.cells["run"]) & (history.runs["control_seconds"] > 0)]
    for setting, own in runs.groupby(list(SETTING[:3]), sort=False):
        key = dict(zip(SETTING, (*setting, "", ""), strict=True)) | dict.fromkeys(CELL_KEYS, CONTROL)
        found.append(Series(key, "seconds", own.index.to_numpy(), own["control_seconds"].to_numpy()))
    return found


def table_of(history: History) -> pd.DataFrame:
    """Return a history as one table: one line per cell, with the fields of its run first."""
    runs = history.runs.loc[history.cells["run"]].reset_index(drop=True)
    return runs.join(history.cells.drop(columns="run").reset_index(drop=True))


def lines_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of a table as dicts from column to value."""
    return [{str(name): value for name, value in line.items()} for line in table.to_dict("records")]
