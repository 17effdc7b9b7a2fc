"""The gate on times that were recorded, or made up: what its error rates are told from, in seconds instead of months."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jacobench.reports.regression.outcome import BASE, CONTROL_ROW, HEAD, ROW

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Replay:
    """What `loop.run_gate` takes as its ``measure``.

    Attributes
    ----------
    times : ndarray, shape (rows, pairs, 2)
        Logarithms of the seconds of the process that ran first in its pair, and of the second; of identical code.
    slowdown : float or ndarray, shape (rows,)
        By how much head is made slower than base, relative.
    control : ndarray, shape (pairs, 2), optional
        The control kernel's logarithms of seconds.
    seconds : float
        That a process is said to take.
    now : float
        The clock; `clock` reads it.
    """

    times: Any
    slowdown: Any = 0.0
    control: Any = None
    seconds: float = 2.5
    now: float = 0.0

    def clock(self) -> float:
        """Return how many seconds the replay is said to have taken so far."""
        return self.now

    def __call__(self, cells: Sequence[tuple[str, str]] | None, pairs: range, stage: int) -> pd.DataFrame:
        """Return the samples of pairs; row k is the case k."""
        rows = np.arange(len(self.times)) if cells is None else np.array([int(case) for case, _ in cells])
        self.now += 2 * self.seconds * len(pairs)
        parts = [self._process(rows, pair, position) for pair in pairs for position in (0, 1)]
        return pd.concat(parts, ignore_index=True).assign(stage=stage, status="ok", reason="")

    def _process(self, rows: Any, pair: int, position: int) -> pd.DataFrame:
        side = HEAD if (pair + position) % 2 else BASE  # even pairs run base first
        slower = np.log1p(np.broadcast_to(self.slowdown, len(self.times))[rows]) if side == HEAD else 0.0
        found = pd.DataFrame({"case": rows.astype(str), "strategy": "replayed", "phase": "gradient"})
        found["seconds"] = np.exp(self.times[rows, pair, position] + slower)
        if self.control is not None:
            control = dict(zip(ROW, CONTROL_ROW, strict=True)) | {"seconds": np.exp(self.control[pair, position])}
            found = pd.concat([found, pd.DataFrame([control])])
        return found.assign(pair=pair, side=side, position=position)
