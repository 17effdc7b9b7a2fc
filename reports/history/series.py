"""A history as series: one quantity of one cell, run by run, on one machine under one set of controls."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.graphs.errors import BadInput, unknown
from jacobench.reports.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from jacobench.reports.history.store import History

SETTING = ("machine", "controls", "threads", "suite")
CELL = ("case", "strategy", "phase")
CONTROL = "control"
"""Case, strategy and phase of the fixed kernel that rides in every process."""


@dataclass(frozen=True)
class Quantity:
    """Something measured that is followed over runs.

    Attributes
    ----------
    column : str
        Of a history's cells.
    resolution : float
        The relative noise that it has at least.
    floor : float
        A relative change below is not worth a word.
    least : float
        Nor is one below, in its own unit.
    format : callable
        To a number with its unit.
    """

    column: str
    resolution: float
    floor: float
    least: float
    format: Callable[[float], str]


# Time: runs hours apart differ by 1 to 2 % on a quiet machine. Memory and entries hardly differ at all: the limits are those of
# the gate.
QUANTITIES: Mapping[str, Quantity] = {
    "seconds": Quantity("seconds_median", 0.002, 0.02, 0.0, format_seconds),
    "bytes": Quantity("peak_bytes", 0.001, 0.01, 64 * 1024, format_bytes),
    "nonzeros": Quantity("n_nonzeros", 0.001, 0.01, 0.0, lambda count: f"{count:,.0f}"),
}


@dataclass(frozen=True)
class Series:
    """One quantity of one cell.

    Attributes
    ----------
    key : mapping
        ``SETTING`` and ``CELL``, whose values are text but for the number of threads.
    quantity : str
        A key of ``QUANTITIES``.
    runs : array of int, shape (n_runs,)
        Lines of the history's runs, ascending.
    values : array, shape (n_runs,)
        What each measured.
    """

    key: Mapping[str, Any]
    quantity: str
    runs: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def name(self) -> str:
        """Case, strategy and phase, as far as there are any."""
        return cell_name(self.key)

    @property
    def setting(self) -> tuple[Any, ...]:
        """Where and how it was measured: series of different settings are never compared."""
        return tuple(self.key[name] for name in SETTING)


def cell_name(key: Mapping[str, Any]) -> str:
    """Return case, strategy and phase of a key, as far as there are any."""
    return "the control kernel" if key["case"] == CONTROL else " · ".join(str(key[name]) for name in CELL if key[name])


def setting_words(setting: tuple[Any, ...]) -> str:
    """Return where and how a series was measured, in a few words."""
    machine, controls, threads, suite = setting
    counted = f"{threads} thread{'' if threads == 1 else 's'}" if threads else ""
    phrases = (machine, controls and f"controls {controls}", counted, suite and f"suite {suite}")
    return " · ".join(phrase for phrase in phrases if phrase)


def select(history: History, globs: Mapping[str, str]) -> History:
    """Keep the cells whose names match.

    Parameters
    ----------
    history : History
        All that is kept.
    globs : mapping of str to str
        From ``case``, ``strategy``, ``phase`` or ``machine`` to a pattern.

    Raises
    ------
    BadInput
        If nothing matches one of them.
    """
    cells = history.cells
    for column, glob in globs.items():
        names = history.runs["machine"] if column == "machine" else cells[column]
        matching = {str(name) for name in names.unique() if fnmatchcase(str(name), glob)}
        if not matching:
            known = sorted({str(name) for name in names.unique()})
            raise unknown(column, glob, known) if len(known) < 20 else BadInput(f"no {column} matches {glob!r}: expected such as {known[0]!r}")
        own = cells["run"].map(names) if column == "machine" else cells[column]
        cells = cells[own.astype(str).isin(matching)]
    return type(history)(history.runs, cells)


def series(history: History, quantity: str) -> list[Series]:
    """Return every series of a quantity, ordered by its first run and then as the runs have them.

    Parameters
    ----------
    history : History
        All that is kept, or part of it.
    quantity : str
        A key of ``QUANTITIES``.

    Returns
    -------
    list of Series
        Only runs in which the cell went well and the quantity was measured; a series has at least one.
    """
    if quantity not in QUANTITIES:
        raise unknown("quantity", quantity, QUANTITIES)
    column = QUANTITIES[quantity].column
    cells = history.cells[(history.cells["status"] == "ok") & (history.cells[column] >= 0)]
    settings = history.runs.groupby(list(SETTING), sort=False).ngroup().to_numpy()
    keys = [settings[cells["run"]], *(cells[name] for name in CELL)]
    grouped = cells.groupby(keys, sort=False, observed=True)
    runs, values = cells["run"].to_numpy(), cells[column].to_numpy()
    found = []
    for (_, *cell), lines in grouped.indices.items():
        first = history.runs.loc[runs[lines[0]], list(SETTING)].to_dict()
        found.append(Series(first | dict(zip(CELL, cell, strict=True)), quantity, runs[lines], values[lines]))
    return found


def control_series(history: History) -> list[Series]:
    """Return the control kernel's time of every setting, over all its runs: no change of the code moves it."""
    found = []
    for setting, own in history.runs[history.runs["control_seconds"] > 0].groupby(list(SETTING[:3]), sort=False):
        key = dict(zip(SETTING, (*setting, ""), strict=True)) | dict.fromkeys(CELL, CONTROL)
        found.append(Series(key, "seconds", own.index.to_numpy(), own["control_seconds"].to_numpy()))
    return found


def table_of(history: History) -> pd.DataFrame:
    """Return a history as one flat table, a line a cell: the fields of its run, then its own."""
    return history.runs.loc[history.cells["run"]].reset_index(drop=True).join(history.cells.drop(columns="run").reset_index(drop=True))
