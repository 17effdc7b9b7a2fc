"""Runs with known answers, and one with every status in it."""

from __future__ import annotations

import pandas as pd
import pytest

from jacobench.bench.row.columns import STATUSES, tidy
from jacobench.reports.data.run_data import PASS_COLUMNS, Run

NOISE = (0.99, 1.0, 1.01)  # of three passes, the same for all strategies: their ratios are exact

HOSTILE = '<script>document.title="led astray"</script>|`*_&'

FACTS = {
    "machine": {
        "processor": "AMD EPYC", "cores": 2, "caches": ["L1 Data 48K"], "load": 0.3, "memory_bytes": 24 * 2**30, "python": "CPython 3.11",
        "packages": {"jacobench": "0.1.0", "numpy": "2.4.6", "scipy": "1.17.1"},
        "blas": [{"internal_api": "openblas", "version": "0.3.31", "architecture": "SkylakeX"}],
        "settings": {"OMP_NUM_THREADS": "1"},
    },
    "calibration_seconds": [6.2e-5, 6.21e-5, 6.25e-5, 6.3e-5],
    "load_after": 1.2,
    "command": "jacobench run --suite standard --passes 3",
}  # fmt: skip


def passes_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return what three passes measured, such that their median is the table's."""
    timed = table[table["status"] == "ok"]
    lines = [
        (row["case"], row["strategy"], row["phase"], number, number, "", row["seconds_median"] * factor)
        for row in timed.to_dict("records")
        for number, factor in enumerate(NOISE)
    ]
    return pd.DataFrame(lines, columns=list(PASS_COLUMNS))


@pytest.fixture(scope="session")
def run_of():
    """Return a function from rows, or a table, to a run."""

    def make(rows, **facts) -> Run:
        table = rows if isinstance(rows, pd.DataFrame) else tidy(rows)
        return Run(table, passes_of(table), passes_of(table), "2026-11-23T08-30-00-a1b2c3", FACTS | facts)

    return make


@pytest.fixture(scope="session")
def standard_run(make_case, make_cell, run_of) -> Run:
    """Return a run with a sweep over width, a case over the budget and one that took too long."""
    cases = [make_case(width=width) for width in (16, 32, 64)] + [make_case(batch=batch) for batch in (32, 64)]
    rows = [make_cell(case, strategy) for case in cases for strategy in ("dense", "sparse", "vjp")]
    slow = next(row for row in rows if row["case"] == "mlp-w64-d3-b32" and row["strategy"] == "sparse")
    slow |= {
        "status": "timeout",
        "reason": "one call took longer than 60 s",
        "seconds_median": None,
        "peak_bytes": None,
    }
    return run_of(rows)


@pytest.fixture(scope="session")
def every_status(make_case, make_cell, run_of) -> Run:
    """Return a run with a case for each status, in which ``dense`` ended so; a reason and a name in it are hostile."""
    rows = []
    for number, status in enumerate(STATUSES):
        case = make_case(width=8 * (number + 1))
        ended = {"seconds_median": None, "peak_bytes": None, "ratio_to_vjp": None} if status != "ok" else {}
        rows += [
            make_cell(case, "vjp"),
            make_cell(case, "dense") | {"status": status, "reason": f"because {HOSTILE}"} | ended,
            make_cell(case, HOSTILE),
        ]
    return run_of(rows)
