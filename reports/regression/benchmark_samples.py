"""Samples of a gate on a pytest-benchmark suite, from what its processes gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from jacobench.reports.data.pytest_benchmark_json import PHASE, STRATEGY, read_minima
from jacobench.reports.regression import gate_sentences
from jacobench.reports.regression.outcome import CONTROL_ROW, ROW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jacobench.bench.gate.suite.benchmark_runner import BenchmarkProcess


def benchmark_samples(processes: Iterable[BenchmarkProcess]) -> pd.DataFrame:
    """Return ``SAMPLE_COLUMNS``, as far as they are known: one line per process and benchmark, and calibration kernel.

    A benchmark that was to run, and has no time in the process's file, failed. A time of 0 is missing, because it is
    shorter than the clock can measure.
    """
    return pd.DataFrame([line for process in processes for line in _lines(process)])


def _lines(process: BenchmarkProcess) -> Iterator[dict[str, Any]]:
    where = {"stage": process.stage, "pair": process.pair, "side": process.side, "position": process.position}
    times = {name: seconds for file in process.files for name, seconds in read_minima(file).items()}
    if process.calibration is not None:
        yield where | _named(CONTROL_ROW) | {"status": "ok", "reason": "", "seconds": process.calibration}
    for each, found in process.statuses.items():
        status, reason = found.status, found.reason
        seconds = times.get(each) if status == "ok" and each in process.timed else None
        if status == "ok" and each in process.timed and seconds is None:
            status, reason = "error", gate_sentences.no_time_written()
        row = _named((each, STRATEGY, PHASE))
        yield where | row | {"status": status, "reason": reason, "seconds": seconds or None, **found.counts}


def _named(row: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(ROW, row, strict=True))
