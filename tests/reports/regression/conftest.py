"""A synthetic machine: what the gate measures, and how long it takes, is known."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from jacobench.reports.regression.outcome import CONTROL_ROW, KNOBS, ROW

if TYPE_CHECKING:
    from collections.abc import Callable

Cells = list[tuple[str, str]] | None


@dataclass
class Machine:
    """A synthetic ``measure`` for the gate.

    Attributes
    ----------
    rows : dict
        Case, strategy and phase → function from side and stage to the contents of a sample: ``seconds``, ``status``, bytes.
    noise : float
        Standard deviation of the logarithm of each time.
    control : callable, optional
        Function from side to the calibration kernel's seconds.
    a_pair : float
        Duration of a pair in seconds.
    """

    rows: dict[tuple[str, str, str], Callable[[str, int], dict[str, Any]]]
    noise: float = 0.003
    control: Callable[[str], float] | None = field(default=lambda _side: 1e-4)
    a_pair: float = 5.0
    now: float = 0.0
    asked: list[tuple[Cells, list[int], int]] = field(default_factory=list)

    def __post_init__(self):
        self.rng = np.random.default_rng(0)

    def clock(self) -> float:
        return self.now

    def __call__(self, cells: Cells, pairs: range, stage: int) -> pd.DataFrame:
        assert cells is None or cells
        self.asked.append((cells and list(cells), list(pairs), stage))
        self.now += self.a_pair * len(pairs)
        return pd.DataFrame([line for pair in pairs for line in self._pair(cells, pair, stage)])

    def _pair(self, cells: Cells, pair: int, stage: int) -> list[dict[str, Any]]:
        lines = []
        for position in (0, 1):
            side = "head" if (pair + position) % 2 else "base"
            head = {"stage": stage, "pair": pair, "side": side, "position": position}
            found = {row: says(side, stage) for row, says in self.rows.items() if cells is None or row[:2] in cells}
            if self.control:
                found[CONTROL_ROW] = {"seconds": self.control(side)}
            for row, said in found.items():
                if said:
                    line = {**head, **dict(zip(ROW, row, strict=True)), "status": "ok", "reason": ""} | said
                    if "seconds" in line:
                        line["seconds"] *= float(np.exp(self.noise * self.rng.standard_normal()))
                    lines.append(line)
        return lines


@pytest.fixture
def machine():
    return Machine


@pytest.fixture
def steady():
    """Return a function that makes a row: head takes ``ratio`` times as long as base; ``more`` are other contents."""

    def row(ratio: float = 1.0, second: float | None = None, **more: Any) -> Callable[[str, int], dict[str, Any]]:
        def says(side: str, stage: int) -> dict[str, Any]:
            times = ratio if stage == 1 or second is None else second
            return {"seconds": 1e-3 * (times if side == "head" else 1.0)} | more

        return says

    return row


@pytest.fixture
def sweep():
    """Return a function that makes the rows of a sweep over width; the times of base and head are functions of the width."""

    def rows(base: Callable[[int], float], head: Callable[[int], float], widths=(16, 32, 64, 128, 256), **more: Any):
        def row(width: int):
            knobs = dict.fromkeys(KNOBS) | {
                "graph": "mlp",
                "width": width,
                "depth": 2.0,
                "batch": 1.0,
                "dtype": "float64",
            }
            times = {"base": base(width), "head": head(width)}
            return lambda side, _stage: knobs | {"seconds": times[side]} | more

        return {(f"mlp-w{width}", "dense", "gradient"): row(width) for width in widths}

    return rows


@pytest.fixture(scope="session")
def figures():
    """Return the module docs/figures/gate.py."""
    path = Path(__file__).parents[3] / "docs" / "figures" / "gate.py"
    spec = importlib.util.spec_from_file_location("figures_gate", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["figures_gate"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module
