"""Synthetic runs: each cell's seconds and bytes, run by run, so that what changed is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from jacobench.reports.history import store
from jacobench.reports.history.history_records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def make(number: int = 0, seconds: float = 1e-3, **more: Any) -> Record:
    """Return a run of one cell; ``cells`` in ``more`` replaces it."""
    day = (BEGIN + timedelta(days=number)).isoformat(timespec="seconds")
    interval = (seconds * 0.99, seconds, seconds * 0.98, seconds * 1.02)
    fields: dict[str, Any] = {
        "run_id": f"run-{number}",
        "machine": "a machine",
        "controls": "tuned",
        "suite": "standard",
        "commit": f"{number:012x}",
        "threads": 1,
        "measured_at": day,
        "committed_at": day,
        "control_seconds": 6e-5,
        "cells": (("mlp", "vjp", "gradient", "ok", 5, *interval, 1.0, 1024, 10, None),),
    }
    return Record(**fields | more)


def noisy(seed: int, n: int, sigma: float = 0.02) -> list[float]:
    """Return the factors by which runs differ from their level."""
    return np.exp(sigma * np.random.default_rng(seed).normal(size=n)).tolist()


@pytest.fixture
def record() -> Callable[..., Record]:
    return make


@pytest.fixture
def history_of(tmp_path):
    """Return a function from runs to the history that holds them."""

    def write(*records: Record) -> store.History:
        path = tmp_path / "history.sqlite"
        for one in records:
            store.add(path, one)
        return store.load(path)

    return write


@pytest.fixture
def stepped() -> list[Record]:
    """Forty runs; from the thirtieth on, one of three cells takes 20 % longer and holds 1 MiB more."""
    factors = [noisy(seed, 40) for seed in (1, 2, 3)]
    runs = []
    for number in range(40):
        late = number >= 30
        seconds = [
            1e-3 * factors[0][number] * (1.2 if late else 1),
            2e-3 * factors[1][number],
            3e-3 * factors[2][number],
        ]
        n_bytes = [2**20 * (2 if late else 1), 2**20, 2**20]
        cells = tuple(
            ("mlp", strategy, "gradient", "ok", 5, own, own, own, own, 1.0, size, 7, None)
            for strategy, own, size in zip(("vjp", "dense", "sparse"), seconds, n_bytes, strict=True)
        )
        runs.append(make(number, cells=cells, control_seconds=6e-5 * noisy(number, 1, 0.002)[0]))
    return runs
