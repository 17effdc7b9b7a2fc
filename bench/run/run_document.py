"""Content of run.json: pytest-benchmark's format with one entry per timed cell and the row in its ``extra_info``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest_benchmark
from pytest_benchmark.stats import Stats

from jacobench.bench.run.row_summary import as_scalars, by_cell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacobench.bench.row.measurement import Measurement
    from jacobench.bench.run.run_folder import Settings
    from jacobench.bench.suites.case import Cell

SCHEMA = 2


def document(
    settings: Settings,
    cells: Sequence[Cell],
    rows: Sequence[Mapping[str, Any]],
    measurements: Sequence[Measurement],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of run.json. `rows` are those of `cells`; `facts` is more content of the key ``jacobench``."""
    samples = by_cell(measurements)
    timed, untimed = [], []
    for position, (cell, row) in enumerate(zip(cells, rows, strict=True)):
        scalars = as_scalars(row) | {"position": position}
        if row["status"] == "ok":
            timed.append(_entry(settings, cell, scalars, samples[cell.case, cell.strategy, cell.phase]))
        else:
            untimed.append(scalars)
    return {
        "machine_info": settings.machine_info,
        "commit_info": settings.commit_info,
        "benchmarks": timed,
        "datetime": datetime.now(UTC).isoformat(),
        "version": pytest_benchmark.__version__,
        "jacobench": {"schema": SCHEMA, "threads": settings.threads, **facts, "untimed": untimed},
    }


def _entry(settings: Settings, cell: Cell, scalars: dict[str, Any], found: Sequence[Measurement]) -> dict[str, Any]:
    """Return one benchmark: the samples of all passes and pytest-benchmark's statistics of them."""
    stats = Stats()
    for measurement in found:
        for seconds in measurement.seconds:
            stats.update(seconds)
    name = f"test_cell[{cell.id}]"
    return {
        "group": f"{cell.case} · {cell.phase}",
        "name": name,
        "fullname": f"bench/run/test_cells.py::{name}",
        "params": {"case": cell.case, "strategy": scalars["strategy"], "phase": cell.phase},
        "param": cell.id,
        "extra_info": scalars,
        "pass_seconds": _pass_seconds(found),
        "pass_rounds": [[m.pass_number, m.worker, len(m.seconds)] for m in found],
        **({"pass_hosts": hosts} if (hosts := _pass_hosts(found)) else {}),
        "options": {
            "disable_gc": True,
            "timer": "perf_counter",
            "min_rounds": settings.min_rounds,
            "max_time": settings.max_seconds,
            "min_time": settings.min_seconds,
            "warmup": False,
        },
        "stats": {**stats.as_dict(), "data": stats.data, "iterations": found[0].iterations},
    }


def _pass_seconds(found: Sequence[Measurement]) -> list[list[float]]:
    """Return pass, worker and seconds per call (minimum over the rounds) of each process.

    A pass has several processes where a worker was replaced: the new one has its own partner of each strategy.
    """
    ordered = sorted(found, key=lambda measurement: (measurement.pass_number, measurement.worker))
    return [[measurement.pass_number, measurement.worker, min(measurement.seconds)] for measurement in ordered]


def _pass_hosts(found: Sequence[Measurement]) -> list[list[Any]]:
    """Return pass, worker and host of each process on a cluster; empty for a local run."""
    return [[m.pass_number, m.worker, m.host] for m in found if m.host]
