"""The columns of a row: the one table that everything writing or reading measurements goes by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from jacobench.bench.cell import prepared_cell
from jacobench.strategies import contract

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORWARD = prepared_cell.FORWARD
"""Strategy and phase of the plain forward pass."""

PHASES = (FORWARD, *contract.PHASES)

CELL_KEYS = ("case", "strategy", "phase")
"""Columns that identify a row of one run."""


STATUSES = (
    "ok",
    "wrong",
    "unsupported",
    "over_budget",
    "out_of_memory",
    "timeout",
    "crashed",
    "error",
    "not_tried",
)


@dataclass(frozen=True)
class Column:
    """What stands in one column of the tidy table.

    Attributes
    ----------
    dtype : {"object", "float64"}
        ``"object"`` for text and for ``residual`` (``True``, ``False``), ``"float64"`` for every number, counts too.
        Missing is NaN in both.
    unit : str
        The unit, ``""`` where there is none.
    meaning : str
        One sentence.
    """

    dtype: Literal["object", "float64"]
    unit: str
    meaning: str


# Text is "object" rather than pandas' own string type because that is the one dtype which keeps NaN as NaN, and equality
# as plain Python equality, under pandas 2 and 3 alike.
COLUMNS: dict[str, Column] = {
    "run_id": Column("object", "", "Name of the run, as its folder has it."),
    "commit": Column("object", "", "Commit of the repository that the run was started in."),
    "machine": Column("object", "", "Processor and system that measured."),
    "controls": Column("object", "", "Which settings of the process were fixed: tuned, or asis."),
    "suite": Column("object", "", "Name or path of the suite."),
    "case": Column("object", "", "Name of the case, unique in its suite."),
    "graph": Column("object", "", "Generator or architecture the graph came from."),
    "depth": Column("float64", "layers", "Number of affine layers; of a chain, its links."),
    "width": Column("float64", "units", "Units of the widest layer; of a chain or a single op, its size."),
    "batch": Column("float64", "samples", "Samples in the batch."),
    "n_seeds": Column("float64", "seeds", "Output cotangents pulled back in one call."),
    "activation": Column("object", "", "Activation after every layer but the last."),
    "loss": Column("object", "", "Loss at the end; missing where the output itself is differentiated."),
    "residual": Column("object", "", "True where layers have skip connections."),
    "normalization": Column("object", "", "Normalization between layers; missing where there is none."),
    "weight_density": Column("float64", "1", "Share of the weights that is stored."),
    "dtype": Column("object", "", "Type of every leaf: float64 or float32."),
    "n_parameters": Column("float64", "numbers", "Stored numbers in all parameters."),
    "strategy": Column("object", "", "How the graph was differentiated; forward for the plain forward pass."),
    "phase": Column("object", "", "Which part was measured: " + ", ".join(PHASES) + "."),
    "status": Column("object", "", "How the cell ended: " + ", ".join(STATUSES) + "."),
    "reason": Column("object", "", "Why it ended so, in a sentence with the figures."),
    "passes": Column("float64", "passes", "Passes (fresh processes) that gave a number."),
    "rounds": Column("float64", "rounds", "Timed rounds over all passes."),
    "seconds_min": Column("float64", "s", "Smallest of the passes' times for one call."),
    "seconds_median": Column("float64", "s", "Median of the passes' times for one call."),
    "seconds_iqr": Column("float64", "s", "Interquartile range of the passes' times for one call."),
    "seconds_low": Column("float64", "s", "Lower end of the 95 % t-interval on the logarithms of the passes' times."),
    "seconds_high": Column("float64", "s", "Upper end of the 95 % t-interval on the logarithms of the passes' times."),
    "ratio_to_vjp": Column("float64", "1", "Time over that of vjp, paired within each process (geometric mean)."),
    "ratio_low": Column("float64", "1", "Lower end of the 95 % t-interval of the ratio."),
    "ratio_high": Column("float64", "1", "Upper end of the 95 % t-interval of the ratio."),
    "peak_bytes": Column("float64", "B", "Highest rise of the heap during one call above where it stood before."),
    "retained_bytes": Column("float64", "B", "Heap still held after the call."),
    "memory_tool": Column("object", "", "What measured the heap: memray, or tracemalloc (Python allocations only)."),
    "predicted_bytes": Column("float64", "B", "Peak predicted from the shapes alone."),
    "predicted_flops": Column("float64", "flop", "Floating-point operations predicted from the shapes alone."),
    "predicted_seconds": Column("float64", "s", "Time of one call predicted by the time model from measured cells."),
    "n_nonzeros": Column("float64", "numbers", "Stored entries of all Jacobians that the strategy materializes."),
    "floor_seconds": Column("float64", "s", "Time below which this machine cannot do the predicted work."),
    "efficiency": Column("float64", "1", "Floor over measured time."),
    "max_relative_error": Column(
        "float64",
        "1",
        "Largest over leaves of max|difference| / max(max|reference| of the leaf, 1 % of that of any leaf).",
    ),
}


def empty_row() -> dict[str, Any]:
    """Return a row in which every column is missing.

    Returns
    -------
    dict
        Every column's name, in order, with NaN.
    """
    return dict.fromkeys(COLUMNS, math.nan)


def tidy(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Put rows into a table that has exactly the columns of the contract.

    Parameters
    ----------
    rows : sequence of mappings
        Each from column names to scalars; a column left out, None or NaN is missing.

    Returns
    -------
    DataFrame
        One line a row, in the given order; the columns of ``COLUMNS`` in their order and with their dtypes, for no rows
        too. Missing is NaN everywhere, never None.

    Raises
    ------
    ValueError
        If a row has a key that is no column, or a value that its column's dtype cannot hold.

    Examples
    --------
    >>> table = tidy([{"case": "mlp-w16-d3-b1", "strategy": "vjp", "width": 16}])
    >>> table.loc[0, "width"], table["peak_bytes"].isna().all()
    (np.float64(16.0), np.True_)
    """
    strangers = sorted({key for row in rows for key in row if key not in COLUMNS})
    if strangers:
        raise ValueError(f"no such column: {', '.join(strangers)}; bench/row/columns.py names those there are")
    return pd.DataFrame({name: _series(name, [row.get(name) for row in rows]) for name in COLUMNS})


def _series(name: str, values: list[Any]) -> pd.Series[Any]:
    filled = [math.nan if value is None or value is pd.NA else value for value in values]
    try:
        return pd.Series(filled, dtype=COLUMNS[name].dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"column {name!r} holds numbers: {error}") from None
