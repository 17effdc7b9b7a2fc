"""Rows of a run: the measurements of a cell, summarized over its passes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

from jacobench.bench.cell.phase_costs import FORWARD
from jacobench.bench.row.columns import COLUMNS
from jacobench.bench.row.statistics import geometric_mean, interquartile_range, log_median, robust_interval
from jacobench.bench.run.pass_schedule import counted, repeated_passes
from jacobench.graphs.wording import listed
from jacobench.strategies.registry import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jacobench.bench.row.measurement import Measurement
    from jacobench.bench.suites.case import Case, Cell


ONCE_PER_CELL = (
    *("peak_bytes", "retained_bytes", "memory_tool", "predicted_bytes", "predicted_flops", "n_nonzeros"),
    *("max_relative_error", "n_parameters"),
)
"""Columns that one measurement of a cell determines."""

FROM_MEASUREMENT = ("dtype", "wrt")
"""Columns that a measurement has if the knobs or the header lack them."""


@dataclass(frozen=True)
class Header:
    """Columns that all rows of a run share; see `columns.COLUMNS`."""

    run_id: str
    commit: str
    machine: str
    controls: str
    suite: str


def rows_of(
    header: Header, cases: Iterable[Case], cells: Sequence[Cell], measurements: Iterable[Measurement]
) -> list[dict[str, Any]]:
    """Summarize measurements, in the order of measuring: one row per cell, a dict from columns to scalars or None.

    If a cell was measured twice in a pass, the first counts; the second is only the partner of strategies in a new
    process. Of a repeated pass, the times of the repetition count, and the reason states it.
    """
    knobs = {case.name: case.knobs for case in cases}
    measurements = list(measurements)
    grouped, timed = by_cell(measurements), by_cell(counted(measurements))
    repeated = repeated_passes(measurements)
    names = _names(cells, grouped.values())
    machines = {m.case: m.machine for m in measurements if m.machine}  # of a cluster; one measures all cells of a case
    rows = []
    for cell in cells:
        key = cell.case, cell.strategy, cell.phase
        found = grouped.get(key, [])
        partners = timed.get((cell.case, REFERENCE, cell.phase), [])
        rows.append(
            {
                **dict.fromkeys(COLUMNS),
                **{name: value or None for name, value in vars(header).items()},
                **({"machine": machines[cell.case]} if cell.case in machines else {}),
                **{column: value for column in FROM_MEASUREMENT if (value := _first(found, column)) is not None},
                **{name: value for name, value in knobs[cell.case].items() if name in COLUMNS},
                "case": cell.case,
                "strategy": names.get(cell.strategy, cell.strategy),
                "phase": cell.phase,
                **_outcome(found, timed.get(key, []), repeated.get(key, set())),
                **_ratio(cell, timed.get(key, []), partners),
            }
        )
    return rows


def by_cell(measurements: Iterable[Measurement]) -> dict[tuple[str, str, str], list[Measurement]]:
    """Group measurements by case, spec of the strategy, and phase."""
    found: dict[tuple[str, str, str], list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        found[measurement.case, measurement.spec, measurement.phase].append(measurement)
    return found


def _names(cells: Iterable[Cell], by_cell: Iterable[Sequence[Measurement]]) -> dict[str, str]:
    """Return the column `strategy` of each spec: the strategy's name, or the spec if another strategy has that name.

    Two workers may have used one name for two strategies, because each knows only the strategies that it measured.
    """
    owners = {name: name for name in (FORWARD, REFERENCE, *(c.strategy for c in cells if ":" not in c.strategy))}
    found: dict[str, str] = {}
    firsts = (measurements[0] for measurements in by_cell)
    for measurement in sorted(firsts, key=lambda measurement: measurement.status != "ok"):  # else it may be unknown
        name, spec = measurement.strategy, measurement.spec
        if spec not in found:
            found[spec] = name if owners.setdefault(name, spec) == spec else spec
    return found


def _repetition(passes: set[int]) -> str:
    """State which passes were repeated; empty for none."""
    if not passes:
        return ""
    numbers = listed([str(number + 1) for number in sorted(passes)])
    return f"passes {numbers} were repeated" if len(passes) > 1 else f"pass {numbers} was repeated"


def _outcome(found: Sequence[Measurement], timed: Sequence[Measurement], repeated: set[int]) -> dict[str, Any]:
    """Return the columns that all measurements of a cell determine; `timed` are those that count for the time."""
    if not found:
        return {"status": "not_tried", "reason": "the run ended before it", "passes": 0, "rounds": 0}
    failure = next((measurement for measurement in found if measurement.status != "ok"), None)
    first = {measurement.pass_number: measurement for measurement in reversed(timed)}.values()
    shared = {column: _first(found, column) for column in ONCE_PER_CELL}
    if failure:
        return {**shared, "status": failure.status, "reason": failure.reason, "passes": 0, "rounds": 0}
    seconds = [min(measurement.seconds) for measurement in first]
    first_calls = [measurement.seconds_first for measurement in first if measurement.seconds_first is not None]
    floors = [measurement.floor_seconds for measurement in first if measurement.floor_seconds]
    shares = [
        measurement.floor_seconds / min(measurement.seconds) for measurement in first if measurement.floor_seconds
    ]
    low, high = robust_interval(seconds)
    return {
        **shared,
        "status": "ok",
        "reason": "; ".join(filter(None, (_first(found, "reason"), _repetition(repeated)))) or None,
        "passes": len(seconds),
        "rounds": sum(len(measurement.seconds) for measurement in first),
        "seconds_min": min(seconds),
        "seconds_median": log_median(seconds),
        "seconds_iqr": interquartile_range(seconds),
        "seconds_low": low,
        "seconds_high": high,
        "seconds_first": median(first_calls) if first_calls else None,
        "floor_seconds": median(floors) if floors else None,
        "efficiency": geometric_mean(shares) if shares else None,
    }


def _first(found: Sequence[Measurement], column: str) -> Any:
    return next((value for m in found if (value := getattr(m, column)) not in {None, ""}), None)


def _ratio(cell: Cell, found: Sequence[Measurement], partners: Sequence[Measurement]) -> dict[str, float]:
    if cell.strategy == FORWARD or any(measurement.status != "ok" for measurement in found):
        return {}
    reference = {(m.pass_number, m.worker): min(m.seconds) for m in partners if m.status == "ok"}
    ratios = {
        m.pass_number: min(m.seconds) / reference[m.pass_number, m.worker]
        for m in found
        if (m.pass_number, m.worker) in reference
    }
    if not ratios:
        return {}
    known = cell.strategy == REFERENCE and len(ratios) > 1  # a time over itself has no noise
    low, high = (1.0, 1.0) if known else robust_interval(list(ratios.values()))
    return {"ratio_to_vjp": log_median(list(ratios.values())), "ratio_low": low, "ratio_high": high}


def as_scalars(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row that JSON can represent: None, NaN and infinities are left out."""
    return {
        name: value
        for name, value in row.items()
        if value is not None and (not isinstance(value, float) or isfinite(value))
    }
