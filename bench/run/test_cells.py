"""A suite under pytest-benchmark: the items of ``pytest bench`` and of each worker of ``jacobench run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from jacobench.bench.row.measurement import Measurement
    from jacobench.bench.suites.case import Cell

FAILURES = ("wrong", "error")


@pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")  # a wrong strategy is never timed
def test_cell(cell: Cell, bench: Callable[[Cell], Measurement]) -> None:
    """Measure one cell; fail if the strategy is wrong, skip if it cannot be measured."""
    measurement = bench(cell)
    if measurement.status in FAILURES:
        pytest.fail(f"{measurement.status}: {measurement.reason}", pytrace=False)
    if measurement.status != "ok":
        pytest.skip(f"{measurement.status}: {measurement.reason}")
