"""Columns of a row: name, dtype, unit and meaning of everything in the tidy table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from jacobench.bench.cell import phase_costs
from jacobench.bench.cell.heap_memory import RESOLUTION_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TASKS, JACOBIAN = phase_costs.TASKS, phase_costs.JACOBIAN

FORWARD = phase_costs.FORWARD  # strategy and phase of the plain forward pass

PHASES = (FORWARD, *dict.fromkeys(phase for phases in TASKS.values() for phase in phases))

HEAP = ("peak_bytes", "retained_bytes")  # columns of measured memory

CELL_KEYS = ("case", "strategy", "phase")  # columns that identify a row of one run

STATUSES = ("ok", "wrong", "unsupported", "over_budget", "out_of_memory", "timeout", "crashed", "error", "not_tried")


@dataclass(frozen=True)
class Column:
    """Column of the tidy table."""

    dtype: Literal["object", "float64"]  # "object" for text and the bool `residual`, else "float64"; missing: NaN
    unit: str  # empty if there is none
    meaning: str  # one sentence


# Text is "object": unlike pandas' string type, it keeps NaN as NaN and compares as Python does, in pandas 2 and 3.
COLUMNS: dict[str, Column] = {
    "run_id": Column("object", "", "Name of the run: its folder."),
    "commit": Column("object", "", "Commit of the repository in which the run was started."),
    "machine": Column("object", "", "Processor and operating system."),
    "controls": Column("object", "", "Settings of the worker process: tuned, or asis."),
    "suite": Column("object", "", "Name or path of the suite."),
    "case": Column("object", "", "Name of the case, unique in its suite."),
    "graph": Column("object", "", "Generator or architecture of the graph."),
    "depth": Column("float64", "layers", "Number of affine layers; of a chain, of links."),
    "width": Column("float64", "units", "Units of the widest layer; size of a chain or a single op."),
    "batch": Column("float64", "samples", "Number of samples."),
    "n_seeds": Column("float64", "seeds", "Number of output cotangents per call; missing for the whole Jacobian."),
    "activation": Column("object", "", "Activation after all layers but the last."),
    "loss": Column("object", "", "Loss; missing if the network's output is differentiated."),
    "residual": Column("object", "", "True if layers have skip connections."),
    "normalization": Column("object", "", "Normalization between layers; missing if there is none."),
    "weight_density": Column("float64", "1", "Stored share of the weights."),
    "dtype": Column("object", "", "Dtype of every leaf: float64 or float32."),
    "wrt": Column("object", "", "Leaves to differentiate: inputs, parameters, all, or names with commas."),
    "task": Column("object", "", "Task of the case: " + ", ".join(TASKS) + " (the whole matrix)."),
    "n_parameters": Column("float64", "numbers", "Number of stored parameters."),
    "strategy": Column("object", "", "Method of differentiation; forward for the plain forward pass."),
    "phase": Column("object", "", "Timed part: " + ", ".join(PHASES) + "."),
    "status": Column("object", "", "Outcome of the cell: " + ", ".join(STATUSES) + "."),
    "reason": Column("object", "", "Explanation of the status, with numbers."),
    "passes": Column("float64", "passes", "Number of passes (fresh processes) with a time."),
    "rounds": Column("float64", "rounds", "Number of timed rounds in all passes."),
    "seconds_min": Column("float64", "s", "Time per call: minimum over passes."),
    "seconds_median": Column("float64", "s", "Time per call: median over passes."),
    "seconds_iqr": Column("float64", "s", "Time per call: interquartile range over passes."),
    "seconds_low": Column("float64", "s", "Lower end of the 95 % interval of the time per call."),
    "seconds_high": Column("float64", "s", "Upper end of the 95 % interval of the time per call."),
    "seconds_first": Column(
        "float64", "s", "Time of the first call in a fresh process, compilation included: median over passes."
    ),
    "ratio_to_vjp": Column(
        "float64", "1", "Time divided by that of vjp, paired within each process: median over passes."
    ),
    "ratio_low": Column("float64", "1", "Lower end of the 95 % interval of the ratio."),
    "ratio_high": Column("float64", "1", "Upper end of the 95 % interval of the ratio."),
    "peak_bytes": Column("float64", "B", "Largest increase of the heap during one call; missing below 8 KiB."),
    "retained_bytes": Column("float64", "B", "Heap still allocated after the call; missing below 8 KiB."),
    "memory_tool": Column(
        "object", "", "Tool that measured the heap: memray, or tracemalloc (Python allocations only)."
    ),
    "predicted_bytes": Column("float64", "B", "Peak predicted from shapes alone."),
    "predicted_flops": Column("float64", "flop", "Number of floating-point operations, predicted from shapes alone."),
    "predicted_seconds": Column(
        "float64", "s", "Time of one call, predicted by the time model from the machine profile."
    ),
    "n_nonzeros": Column("float64", "numbers", "Number of stored entries of all materialized Jacobians."),
    "floor_seconds": Column("float64", "s", "Lower bound for the time of the required work, on this machine."),
    "efficiency": Column("float64", "1", "Floor divided by measured time."),
    "max_relative_error": Column(
        "float64",
        "1",
        "Largest over leaves of max|difference| / max(max|reference| of the leaf, 1 % of that of any leaf).",
    ),
}


def tidy(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table with exactly the columns of ``COLUMNS``, also for no rows.

    A value is missing if it is left out, None or NaN; in the table it is NaN. Raises ValueError if a key is not a
    column, or a column's dtype cannot hold a value.

    >>> table = tidy([{"case": "mlp-w16-d3-b1", "strategy": "vjp", "width": 16}])
    >>> table.loc[0, "width"], table["peak_bytes"].isna().all()
    (np.float64(16.0), np.True_)
    """
    given = set().union(*rows)
    if unknown := sorted(given - COLUMNS.keys()):
        raise ValueError(f"no such column: {', '.join(unknown)}; the columns are in bench/row/columns.py")
    missing = [None] * len(rows)
    return pd.DataFrame(
        {name: _series(name, [row.get(name) for row in rows] if name in given else missing) for name in COLUMNS}
    )


def below_resolution(table: pd.DataFrame, column: str = "peak_bytes") -> pd.Series[bool]:
    """Return which rows have an amount of memory that was measured but is below the resolution of the tool."""
    return table["status"].eq("ok") & table["memory_tool"].notna() & table[column].isna()


def peak_bounds(table: pd.DataFrame) -> pd.Series[float]:
    """Return the peaks in bytes, and for those below the resolution of the memory tool the resolution."""
    return table["peak_bytes"].mask(below_resolution(table), RESOLUTION_BYTES)


def in_phase(rows: pd.DataFrame, phase: str) -> pd.Series[bool]:
    """Return which rows, passes or samples belong to a phase.

    The phase gradient, which is all the work of a case, includes the phase jacobian, which is that of other cases.
    """
    return rows["phase"].isin(TASKS if phase == "gradient" else [phase])


def shown_phase(table: pd.DataFrame, phase: str) -> str:
    """Return the phase that titles name: jacobian instead of gradient if the run has only cases with that task."""
    of_jacobians = phase == "gradient" and not (table["phase"] == phase).any() and (table["phase"] == JACOBIAN).any()
    return JACOBIAN if of_jacobians else phase


def _series(name: str, values: list[Any]) -> pd.Series[Any]:
    filled = [math.nan if value is None or value is pd.NA else value for value in values]
    try:
        return pd.Series(filled, dtype=COLUMNS[name].dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"column {name!r} holds numbers: {error}") from None
