"""Whole runs made of a table: passes and rounds whose spread is known, the same every time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from jacobench.bench.row.columns import tidy
from jacobench.reports.data.run_data import PASS_COLUMNS, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

PASSES, ROUNDS = 3, 6


def _seconds(row: Any, number_of_pass: int, round_: int = 0) -> float:
    """Return what a round takes: passes lie 2 % apart, rounds of one pass 0.5 %, both in an order of the cell's own."""
    own = len(row.case) + 3 * len(row.strategy)
    return row.seconds_median * (1 + 0.02 * ((number_of_pass + own) % PASSES - 1)) * (1 + 0.005 * round_)


def _run(table: pd.DataFrame, passes: int = PASSES, name: str = "") -> Run:
    timed = [row for row in table.itertuples() if row.status == "ok" and row.seconds_median > 0]
    of_passes = [
        (row.case, row.strategy, row.phase, number, 0, "", _seconds(row, number))
        for row in timed
        for number in range(passes)
    ]
    of_rounds = [
        (row.case, row.strategy, row.phase, number, 0, "", _seconds(row, number, round_))
        for row in timed
        for number in range(passes)
        for round_ in range(ROUNDS)
    ]
    return Run(table, *(pd.DataFrame(lines, columns=list(PASS_COLUMNS)) for lines in (of_passes, of_rounds)), name)


def _all_phases(table: pd.DataFrame) -> pd.DataFrame:
    """Add the other phases to a table of gradients: of what a gradient takes, each its share."""
    parts = [table]
    for phase, share in (("prepare", 0.5), ("linearize", 0.4), ("pullback", 0.6)):
        scaled = {column: share * table[column] for column in ("seconds_median", "seconds_low", "seconds_high")}
        parts.append(table.assign(phase=phase, **scaled))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def make_run():
    return _run


@pytest.fixture
def everything(make_case: Any, make_cell: Any) -> pd.DataFrame:
    """Return a small table that every kind of plot can show.

    A grid, and so sweeps, over width and batch, with something over budget in it, and a case of the suite itself, of which a
    graph can be built again; in all phases, and with efficiencies.
    """
    cases = [make_case(width=width, batch=batch) for width in (16, 32, 512) for batch in (1, 4)]
    cases.append(make_case(case="mlp-w64-d2-b1", width=64, depth=2, n_parameters=2 * (64 * 64 + 64)))
    table = tidy([make_cell(case, strategy) for case in cases for strategy in ("dense", "sparse", "vjp")])
    floor = table["seconds_median"] * 0.3
    return _all_phases(table.assign(floor_seconds=floor, efficiency=0.3 + 0 * floor))


@pytest.fixture
def one_case(everything: pd.DataFrame) -> pd.DataFrame:
    """Return the case of which a graph can be built again."""
    return everything[everything["case"] == "mlp-w64-d2-b1"].reset_index(drop=True)


def _failed(table: pd.DataFrame, which: Sequence[bool] | pd.Series[bool], status: str) -> pd.DataFrame:
    numbers = ["seconds_median", "seconds_low", "seconds_high", "ratio_to_vjp", "peak_bytes", "efficiency"]
    found = table.copy()
    found.loc[which, ["status", "reason"]] = status, "for a reason"
    found.loc[which, numbers] = math.nan
    return found


@pytest.fixture
def fail():
    return _failed
