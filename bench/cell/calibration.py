"""The calibration kernel: fixed NumPy work that every worker times. If its time changes, the machine has changed."""

from __future__ import annotations

import numpy as np

from .timing import round_seconds

SIDE, ROUNDS = 128, 30
CALLS = 3

CONTROL = "control"  # the kernel's strategy and phase in the journal


def seconds() -> tuple[float, ...]:
    """Return the seconds of 30 rounds of the kernel: a matrix product, a tanh and a sum, about 100 µs."""
    a = np.linspace(-1, 1, SIDE * SIDE).reshape(SIDE, SIDE)

    def kernel() -> None:
        (np.tanh(a) @ a).sum()

    return tuple(round_seconds(kernel, CALLS) / CALLS for _ in range(ROUNDS))
